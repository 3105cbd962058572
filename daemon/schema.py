"""The JSON Schema of every request, made from the models that judge them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from daemon.envelope import Envelope
from handlers.contract import Handler, Json


def schema_of(handlers: Mapping[str, Handler]) -> dict[str, Json]:
    """One schema for all tasks (JSON Schema 2020-12), one branch for each.

    Args:
        handlers: by task.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A darkroom request",
        "oneOf": [_branch(handlers[task]) for task in sorted(handlers)],
    }


def _branch(handler: Handler) -> dict[str, Json]:
    own, shared = handler.request.model_json_schema(), Envelope.model_json_schema()
    own["properties"]["task"] = {"const": handler.task, "description": "What to do."}
    properties = {
        "$schema": {"type": "string"},
        **own["properties"],
        **_aliases(handler.request, own["properties"]),
        **shared["properties"],
        **_aliases(Envelope, shared["properties"]),
    }
    branch: dict[str, Json] = {
        "title": handler.task,
        "description": handler.summary,
        "type": "object",
        "properties": properties,
        "required": own.get("required", []),
        "additionalProperties": False,
        "examples": [dict(handler.request.EXAMPLE)],
    }
    definitions = {**own.get("$defs", {}), **shared.get("$defs", {})}
    return {**branch, "$defs": definitions} if definitions else branch


def _aliases(model: type[BaseModel], properties: Mapping[str, Json]) -> dict[str, Json]:
    """Other spellings, each with the schema of its field."""
    spellings: Mapping[str, str] = getattr(model, "ALIASES", {})
    return {
        alias: {**properties[name], "description": f"Another spelling of {name}."}
        for alias, name in spellings.items()
    }
