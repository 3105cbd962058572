"""The JSON Schema: made from the models, so it tells the truth about them."""

import json
from typing import Any

import pytest

from daemon.envelope import Envelope
from daemon.schema import schema_of
from handlers import find_handlers

HANDLERS = find_handlers()
SCHEMA = schema_of(HANDLERS)
BRANCHES = {branch["title"]: branch for branch in SCHEMA["oneOf"]}


def test_there_is_one_branch_for_each_task() -> None:
    assert sorted(BRANCHES) == sorted(HANDLERS)


def test_the_schema_is_plain_json_and_the_same_every_time() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert json.dumps(schema_of(find_handlers())) == json.dumps(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("task", sorted(HANDLERS))
def test_a_branch_has_every_field_and_alias_and_no_other(task: str) -> None:
    request = HANDLERS[task].request
    assert set(BRANCHES[task]["properties"]) == {
        "$schema",
        *request.model_fields,
        *request.ALIASES,
        *Envelope.model_fields,
        *Envelope.ALIASES,
    }
    assert BRANCHES[task]["additionalProperties"] is False
    assert BRANCHES[task]["properties"]["task"]["const"] == task


@pytest.mark.parametrize("task", sorted(HANDLERS))
def test_only_what_has_no_default_is_required(task: str) -> None:
    fields = HANDLERS[task].request.model_fields.items()
    assert BRANCHES[task]["required"] == [name for name, info in fields if info.is_required()]


@pytest.mark.parametrize("task", sorted(HANDLERS))
def test_every_field_says_what_it_is_for(task: str) -> None:
    for name, schema in BRANCHES[task]["properties"].items():
        assert name == "$schema" or schema.get("description"), name


@pytest.mark.parametrize("task", sorted(HANDLERS))
def test_an_alias_has_the_schema_of_its_field(task: str) -> None:
    properties: dict[str, Any] = BRANCHES[task]["properties"]
    aliases = {**HANDLERS[task].request.ALIASES, **Envelope.ALIASES}
    for alias, name in aliases.items():
        without = {key: value for key, value in properties[name].items() if key != "description"}
        assert properties[alias]["description"] == f"Another spelling of {name}."
        assert {k: v for k, v in properties[alias].items() if k != "description"} == without


def test_no_reference_leads_nowhere() -> None:
    for branch in BRANCHES.values():
        for reference in _references(branch):
            assert reference.removeprefix("#/$defs/") in branch.get("$defs", {})


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for below in value.values() for found in _references(below)]
    return (
        [found for below in value for found in _references(below)]
        if isinstance(value, list)
        else []
    )


def test_the_example_of_a_branch_is_the_handlers_own() -> None:
    for task, branch in BRANCHES.items():
        assert branch["examples"] == [dict(HANDLERS[task].request.EXAMPLE)]
