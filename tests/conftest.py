"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.examples import examples
from tests.support import Root

# Nothing of the tester's own providers reaches a test.
os.environ["HOME"] = "/nonexistent"
for name in [name for name in os.environ if name.startswith(("OPENCLAW_", "DARKROOM_"))]:
    del os.environ[name]


settings.register_profile("suite", max_examples=examples(100))
settings.load_profile("suite")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """An empty root."""
    return Root(tmp_path / "root")
