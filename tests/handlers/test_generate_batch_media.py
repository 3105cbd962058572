"""What a request for a batch may say; what becomes of its items stands in `batches/`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from daemon.errors import BadRequest
from handlers.batches.expanding import expand
from handlers.batches.manifests import ManifestUnreadable
from handlers.contract import HandlerError
from handlers.generate_batch_media import Request, run
from tests.builders import door

DOOR = door()
CUP, BOWL = {"prompt": "a cup"}, {"prompt": "a bowl"}


def request(**fields: Any) -> Request:
    made = DOOR.validate({"task": "generate_batch_media", **fields}).fields
    assert isinstance(made, Request)
    return made


def faults(**fields: Any) -> dict[str, str]:
    with pytest.raises(BadRequest) as caught:
        request(**fields)
    return {fault.pointer: fault.message for fault in caught.value.problem.faults}


def inline(**fields: Any) -> list[Any]:
    return [entry.value for entry in request(**fields).inline()]


def test_a_path_is_a_manifest_to_be_read() -> None:
    asked = request(manifest="tmp/images/media-batch.jsonl")
    assert asked.manifest_path == "tmp/images/media-batch.jsonl"


@pytest.mark.parametrize("field", ["items", "manifest"])
@pytest.mark.parametrize(
    "form", [[CUP, BOWL], json.dumps([CUP, BOWL]), json.dumps([CUP, BOWL], indent=1)]
)
def test_items_stand_in_the_request_as_a_list_or_as_its_text(field: str, form: Any) -> None:
    assert request(**{field: form}).manifest_path is None
    assert inline(**{field: form}) == [CUP, BOWL]


@pytest.mark.parametrize("field", ["items", "manifest"])
@pytest.mark.parametrize("form", [CUP, json.dumps(CUP)])
def test_a_single_item_is_a_list_of_one(field: str, form: Any) -> None:
    assert inline(**{field: form}) == [CUP]


def test_a_manifest_may_be_the_text_of_lines() -> None:
    text = f'{json.dumps(CUP)}\n{{"no\n{json.dumps(BOWL)}\n'
    entries = list(request(manifest=text).inline())
    assert [(entry.value, entry.line) for entry in entries] == [(CUP, 1), (None, 2), (BOWL, 3)]


def test_a_manifest_of_text_that_is_none_is_told() -> None:
    with pytest.raises(ManifestUnreadable, match="manifest is no JSON array and no JSONL"):
        request(manifest="[1,").inline()


def test_an_item_that_is_no_object_is_its_own_fault_and_no_refusal() -> None:
    entries = list(request(items=[CUP, 7]).inline())
    assert [entry.fault is None for entry in entries] == [True, False]


def test_names_may_be_given_as_json_text_and_by_the_old_flag() -> None:
    for name in ("vars", "vars_json"):
        asked = {"task": "generate_batch_media", "items": CUP, name: '{"subject": "item"}'}
        assert DOOR.validate(asked).envelope.vars == {"subject": "item"}


def test_what_is_left_out_is_as_in_the_old_skill() -> None:
    asked = request(items=[])
    assert (asked.continue_on_error, asked.contact_sheet, asked.summary_out) == (False, False, None)
    assert list(asked.inline()) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, {"/items": "is missing: give items, or the path to a manifest"}),
        ({"items": [], "manifest": "a.json"}, {"/items": "goes with no manifest: give one of both"}),
        ({"items": "[1,"}, {"/items": "is no JSON text: not JSON: expecting value at line 1, column 4"}),
        ({"items": "5"}, {"/items": "must be a valid list"}),
        ({"manifest": " "}, {"/manifest": "must be a path, or the items themselves"}),
        ({"items": CUP, "vars": "[]"}, {"/vars": "must be an object, or the JSON text of one"}),
        ({"items": CUP, "matrix": {"a": []}}, {"/matrix": '"a" has no values, so no items would be made; leave it out'}),
        ({"items": CUP, "matrix": {"a": "b"}}, {"/matrix/a": "must be a valid list"}),
        ({"items": CUP, "continue_on_error": "yes"}, {"/continue_on_error": "must be a valid boolean"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_the_door(fields: dict[str, Any], told: dict[str, str]) -> None:
    assert faults(**fields) == told


def test_the_name_of_a_list_must_be_one_that_can_stand_in_braces() -> None:
    (message,) = faults(items=CUP, matrix={"a-b": [1]}).values()
    assert message.startswith('"a-b" is no name')


def test_the_example_makes_four_requests_that_come_through_the_door() -> None:
    asked = request(**{k: v for k, v in Request.EXAMPLE.items() if k != "task"})
    made = [item.value for item in expand(asked.matrix, asked.inline(), {})]
    assert [(one["prompt"], one["size"], one["prefix"]) for one in made if one] == [
        ("a cup on a white table", "1024x1024", "cup-1"),
        ("a cup on a white table", "1536x1024", "cup-2"),
        ("a bowl on a white table", "1024x1024", "bowl-3"),
        ("a bowl on a white table", "1536x1024", "bowl-4"),
    ]
    for one in made:
        assert DOOR.validate(one).task == "generate_image"


def test_a_batch_that_is_run_by_itself_says_that_this_is_wrong() -> None:
    unused: Any = None
    with pytest.raises(HandlerError) as caught:
        run(request(items=[]), unused).send(None)
    assert caught.value.code == "internal"


def test_the_task_costs_nothing_to_import() -> None:
    code = (
        "import sys, handlers.generate_batch_media, handlers.batches.expanding;"
        "print({'numpy', 'PIL', 'cv2'} & {*sys.modules})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
