"""Manifests of the old skill, unchanged: what comes of them is what it sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.requests import infer_task
from handlers.batches.expanding import Item, expand, shared_names
from handlers.batches.manifests import items_in
from handlers.generate_batch_media import Request
from tests.builders import door

SEED = Path(__file__).parents[2] / "fixtures" / "seed"
CALL = json.loads((SEED / "batch.json").read_text())
MANIFESTS = ["media-batch.jsonl", "array.json"]


def made_of(name: str) -> list[Item]:
    entries = items_in((SEED / name).read_bytes(), name)
    return list(expand(None, entries, shared_names(CALL["vars"], {})))


def expected_of(name: str) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads((SEED / name).with_suffix(".expected.json").read_text())
    return read


def test_the_call_of_its_public_page_is_a_request() -> None:
    asked = door().validate(CALL)
    fields = asked.fields
    assert isinstance(fields, Request)
    assert fields.manifest_path == "tmp/images/media-batch.jsonl"
    assert asked.envelope.vars == {"subject": "item"}
    assert fields.continue_on_error
    assert fields.summary_out == "tmp/images/media-batch-summary.json"


@pytest.mark.parametrize("name", MANIFESTS)
def test_each_item_comes_out_as_it_was_sent(name: str) -> None:
    made = made_of(name)
    assert [one.fault for one in made] == [None] * len(made)
    assert [one.value for one in made] == [one["item"] for one in expected_of(name)]


@pytest.mark.parametrize("name", MANIFESTS)
def test_each_item_goes_where_it_went(name: str) -> None:
    routed = [infer_task(one.value) for one in made_of(name) if one.value]
    assert routed == [one["task"] for one in expected_of(name)]


@pytest.mark.parametrize("name", MANIFESTS)
def test_each_item_comes_through_the_door(name: str) -> None:
    for one in made_of(name):
        assert one.value is not None
        # Whether media are left at their provider is no matter of a batch.
        asked = {field: value for field, value in one.value.items() if field != "download"}
        assert door().validate(asked).task == infer_task(one.value)


def test_a_line_to_itself_is_what_an_item_has_in_a_queue() -> None:
    assert [one.line for one in made_of("media-batch.jsonl")] == [1, 2, 4, 5, 6, 7]
