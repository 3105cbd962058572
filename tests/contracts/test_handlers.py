"""What holds for every handler that there is; a new one is tested by being there."""

import importlib
import inspect
import json
import pkgutil
from typing import Any, Literal, get_args, get_origin

import pytest

import handlers
from daemon.errors import BadRequest
from daemon.requests import Envelope
from daemon.schema import schema_of
from handlers import find_handlers
from handlers.contract import Handler, TaskRequest
from tests.builders import as_bytes, door

HANDLERS = find_handlers()
TASKS = sorted(HANDLERS)
DOOR = door()


def handler_of(task: str) -> Handler:
    return HANDLERS[task]


def module_of(task: str) -> Any:
    return importlib.import_module(HANDLERS[task].request.__module__)


def test_every_module_of_the_folder_was_found() -> None:
    names = {found.name for found in pkgutil.iter_modules(handlers.__path__) if not found.ispkg}
    assert names - {"contract", "wire"} <= set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_named_like_its_module(task: str) -> None:
    assert module_of(task).__name__ == f"handlers.{task}"


@pytest.mark.parametrize("task", TASKS)
def test_a_handler_documents_itself(task: str) -> None:
    handler, module = handler_of(task), module_of(task)
    assert handler.summary.endswith(".")
    assert len((inspect.getdoc(module) or "").split("\n\n")) > 1
    assert inspect.getdoc(handler.request)
    assert inspect.getdoc(handler.run)


@pytest.mark.parametrize("task", TASKS)
def test_its_request_is_strict_and_closed(task: str) -> None:
    request = handler_of(task).request
    assert issubclass(request, TaskRequest)
    assert request.model_config["strict"] is True
    assert request.model_config["extra"] == "forbid"
    assert request.model_config["frozen"] is True
    annotation = request.model_fields["task"].annotation
    assert get_origin(annotation) is Literal
    assert get_args(annotation) == (task,)
    assert request.model_fields["task"].default == task


@pytest.mark.parametrize("task", TASKS)
def test_it_has_no_field_of_the_envelope(task: str) -> None:
    request = handler_of(task).request
    shared = {*Envelope.model_fields, *Envelope.ALIASES, "$schema"}
    assert not shared & {*request.model_fields, *request.ALIASES}


@pytest.mark.parametrize("task", TASKS)
def test_its_aliases_lead_to_fields_and_hide_none(task: str) -> None:
    request = handler_of(task).request
    assert set(request.ALIASES.values()) <= set(request.model_fields)
    assert not set(request.ALIASES) & set(request.model_fields)


@pytest.mark.parametrize("task", TASKS)
def test_its_example_is_a_request_that_comes_through_the_door(task: str) -> None:
    example = dict(handler_of(task).request.EXAMPLE)
    assert example["task"] == task
    request = DOOR.parse(as_bytes(example))
    assert request.task == task
    assert isinstance(request.fields, handler_of(task).request)
    assert request.raw == example


@pytest.mark.parametrize("task", TASKS)
def test_every_field_has_a_description_for_its_readers(task: str) -> None:
    for name, info in handler_of(task).request.model_fields.items():
        assert name == "task" or info.description, name


@pytest.mark.parametrize("task", TASKS)
def test_its_branch_is_in_the_schema(task: str) -> None:
    (branch,) = [one for one in schema_of(HANDLERS)["oneOf"] if one["title"] == task]
    assert branch["description"] == handler_of(task).summary
    assert json.loads(json.dumps(branch)) == branch


@pytest.mark.parametrize("task", TASKS)
def test_a_request_without_anything_tells_every_field_that_is_missing(task: str) -> None:
    required = [
        name for name, info in handler_of(task).request.model_fields.items() if info.is_required()
    ]
    if not required:  # then nothing is wrong, or no field alone is
        try:
            assert DOOR.validate({"task": task}).task == task
        except BadRequest as error:
            assert error.problem.faults
        return
    with pytest.raises(BadRequest) as caught:
        DOOR.validate({"task": task})
    told = {fault.pointer: fault.message for fault in caught.value.problem.faults}
    assert told == {f"/{name}": "is missing" for name in required}


@pytest.mark.parametrize("task", TASKS)
def test_an_unknown_field_is_refused(task: str) -> None:
    example = dict(handler_of(task).request.EXAMPLE)
    with pytest.raises(BadRequest) as caught:
        DOOR.validate({**example, "no_such_field": 1})
    assert [fault.pointer for fault in caught.value.problem.faults] == ["/no_such_field"]


@pytest.mark.parametrize("task", TASKS)
def test_it_knows_nothing_of_the_daemon(task: str) -> None:
    source = inspect.getsource(module_of(task))
    assert "daemon" not in source
    assert "open(" not in source


@pytest.mark.parametrize("task", TASKS)
def test_its_run_takes_a_request_and_a_context(task: str) -> None:
    handler = handler_of(task)
    assert inspect.iscoroutinefunction(handler.run)
    assert list(inspect.signature(handler.run).parameters) == ["request", "context"]
