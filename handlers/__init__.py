"""The tasks: every module here is one, named like it, but for what darkroom is agreed upon with:
`contract` (handlers) and `wire` (providers). They know media, not jobs.

`media/` holds what they share, `batches/` what makes items of a batch, `providers/` those who
answer their calls.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from importlib.metadata import entry_points
from types import ModuleType

from handlers.contract import Handler

_AGREED = ("contract", "wire")


def find_handlers() -> dict[str, Handler]:
    """Every handler there is, by its task: the modules of this package, then those that installed
    packages offer as entry points of the group `darkroom.handlers`.

    Raises:
        TypeError: a module has no `Request` with a task, or no `run`.
        ValueError: two handlers claim one task.
    """
    names = [found.name for found in pkgutil.iter_modules(__path__) if not found.ispkg]
    modules = [
        importlib.import_module(f"{__name__}.{name}") for name in names if name not in _AGREED
    ]
    modules += [entry.load() for entry in entry_points(group="darkroom.handlers")]
    handlers: dict[str, Handler] = {}
    for handler in map(handler_of, modules):
        if handler.task in handlers:
            raise ValueError(f"two handlers claim the task {handler.task!r}")
        handlers[handler.task] = handler
    return handlers


def handler_of(module: ModuleType) -> Handler:
    """Read a handler out of its module.

    Raises:
        TypeError: it has no `Request` with a task, or no `run`.
    """
    request, run = getattr(module, "Request", None), getattr(module, "run", None)
    task = request.model_fields.get("task") if request is not None else None
    if request is None or task is None or not inspect.iscoroutinefunction(run):
        raise TypeError(f"{module.__name__} needs a class Request with a task, and async def run")
    summary = inspect.getdoc(module) or ""
    return Handler(task.default, request, run, summary.split("\n\n")[0].replace("\n", " "))
