"""Finding handlers and providers: the modules of a folder, and what installed packages offer."""

from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import pytest

import handlers
import handlers.providers
from handlers import find_handlers, handler_of
from handlers.contract import TaskRequest
from handlers.providers import find_providers


class Request(TaskRequest):
    task: Literal["my_task"] = "my_task"


async def run(request: Any, context: Any) -> None: ...


def module(
    name: str = "my_task", doc: str | None = "Do it.\nNow.\n\nMore.", **has: Any
) -> ModuleType:
    made = ModuleType(name, doc)
    made.__dict__.update(has)
    return made


def offer(monkeypatch: pytest.MonkeyPatch, where: Any, *modules: Any) -> None:
    entries = [SimpleNamespace(load=lambda one=one: one) for one in modules]
    monkeypatch.setattr(where, "entry_points", lambda group: entries)


def test_a_handler_is_read_out_of_its_module() -> None:
    handler = handler_of(module(Request=Request, run=run))
    assert (handler.task, handler.request, handler.run) == ("my_task", Request, run)
    assert handler.summary == "Do it. Now."


class NoTask(TaskRequest):
    prompt: str = "x"


def not_async(request: Any, context: Any) -> None: ...


@pytest.mark.parametrize(
    "has",
    [
        {},
        {"Request": Request},
        {"run": run},
        {"Request": Request, "run": not_async},
        {"Request": NoTask, "run": run},
    ],
)
def test_a_module_that_is_no_handler_is_told_by_name(has: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="broken needs a class Request"):
        handler_of(module("broken", **has))


def test_every_module_of_the_folder_but_the_contract_is_a_handler() -> None:
    found = find_handlers()
    assert "generate_image" in found
    assert "contract" not in found
    assert all(task == handler.task for task, handler in found.items())


def test_installed_packages_may_add_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, handlers, module(Request=Request, run=run))
    assert set(find_handlers()) >= {"generate_image", "my_task"}


def test_two_handlers_of_one_task_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, handlers, *[module(Request=Request, run=run)] * 2)
    with pytest.raises(ValueError, match="two handlers claim the task 'my_task'"):
        find_handlers()


def test_the_stand_in_is_always_there() -> None:
    assert "local" in find_providers()


def test_installed_packages_may_add_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, handlers.providers, module(provider=lambda: SimpleNamespace(name="mine")))
    assert set(find_providers()) >= {"local", "mine"}


def test_two_providers_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, handlers.providers, module(provider=lambda: SimpleNamespace(name="local")))
    with pytest.raises(ValueError, match="two providers claim the name 'local'"):
        find_providers()


def test_a_module_that_makes_no_provider_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, handlers.providers, module("broken"))
    with pytest.raises(TypeError, match="broken needs a function provider"):
        find_providers()
