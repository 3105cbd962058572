"""A command answers at once: what it takes to start one, imports included."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edges.test_commands import COMMANDS
from tests.support import REPOSITORY, environment

MOST = 0.5
"""Seconds of CPU; three times what it takes when this was written."""

TRIES = 5
"""CPU time grows where others press on the same caches, so the best of a few counts."""

HEAVY = ("numpy", "PIL", "asyncio", "watchdog", "structlog", "tenacity", "daemon.app")


def run(*arguments: str, cache: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(PYTHONPYCACHEPREFIX=str(cache)),
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        check=True,
        timeout=60,
    )
    return done.stdout


def seconds(*arguments: str, cache: Path) -> float:
    """The CPU time that a process took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(*arguments, cache=cache)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled modules, as an installation has them; whoever runs the tests may have none."""
    folder = tmp_path_factory.mktemp("pycache")
    run("-m", "daemon", "run", "--help", cache=folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_help_of_a_command_takes_less_than_half_a_second(name: str, cache: Path) -> None:
    arguments = ["-m", "daemon", *name.split(), "--help"]
    took = (seconds(*arguments, cache=cache) for _ in range(TRIES))
    assert any(one < MOST for one in took)


def test_the_list_of_commands_brings_in_nothing_heavy(cache: Path) -> None:
    script = f"import sys, daemon.cli; print(*sys.modules.keys() & {set(HEAVY)!r})"
    assert run("-c", script, cache=cache).split() == []
