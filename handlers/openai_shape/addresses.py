"""Where a call goes: the base URL, with or without its version, and the path of what is wanted.

Paths are joined by putting one behind the other; nothing of a base URL is ever resolved away.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode, urlsplit

from handlers.contract import HandlerError
from handlers.openai_shape.dialects import Dialect
from handlers.wire import Entry

API_VERSION = "2025-04-01-preview"
"""Of Azure's addresses with a deployment; a resource may want another."""
API_VERSION_V1 = "preview"
"""Of Azure's addresses that end in /openai/v1."""

_VERSION = re.compile(r"/v\d+(?=/|$)")


def check_base_url(entry: Entry) -> None:
    """Refuse a base URL behind which no path can be put.

    Raises:
        HandlerError: `config_invalid`.
    """
    try:
        parts = urlsplit(entry.base_url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
    except ValueError:
        whole = False
    if not whole:
        raise HandlerError(
            "config_invalid",
            f"the base URL of the provider {entry.name} cannot be meant so",
            hints=['Write it like "https://api.openai.com/v1", without "?".'],
        )


def rooted(base_url: str) -> str:
    """A base URL with its version: "/v1" is added where it has no path at all.

    A base URL that has a path is taken as it is, for it was given on purpose.
    """
    return base_url if urlsplit(base_url).path.strip("/") else f"{base_url.rstrip('/')}/v1"


def address(base_url: str, path: str) -> str:
    """The address of a path. One that begins with a version of its own, as "/v2/videos", takes
    the place of the base URL's."""
    root, path = rooted(base_url), path if path.startswith("/") else f"/{path}"
    if _VERSION.match(path):
        root = re.sub(r"/v\d+$", "", root)
    return root + path


def address_for(entry: Entry, dialect: Dialect, path: str, model: str | None) -> str:
    """The address of a path, as the entry's dialect builds it.

    Raises:
        HandlerError: `config_missing`: Azure needs a deployment, and none is known.
    """
    if dialect.name != "azure":
        return address(entry.base_url, path)
    parts = urlsplit(entry.base_url)
    root, below = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    if below.endswith("/openai/v1"):
        return f"{root}{below}{path}?{_version(entry, API_VERSION_V1)}"
    if "/deployments/" not in below:
        deployment = entry.options.get("deployment", model)
        if not deployment:
            raise HandlerError(
                "config_missing",
                f"the provider {entry.name} needs the name of a deployment",
                hints=["Name it as the model, or as `deployment` in the provider's options."],
            )
        below = below.removesuffix("/openai") + f"/openai/deployments/{quote(deployment, safe='')}"
    return f"{root}{below}{path}?{_version(entry, API_VERSION)}"


def models_address(entry: Entry, dialect: Dialect, path: str) -> str:
    """The address of a path that is of the server, and of no model there.

    Azure's deployments have none: https://learn.microsoft.com/rest/api/azureopenai/models/list
    """
    if dialect.name != "azure":
        return address(entry.base_url, path)
    parts = urlsplit(entry.base_url)
    below = parts.path.rstrip("/")
    version = _version(entry, API_VERSION_V1)
    if not below.endswith("/openai/v1"):
        below = below.partition("/deployments/")[0].removesuffix("/openai") + "/openai"
        version = _version(entry, API_VERSION)
    return f"{parts.scheme}://{parts.netloc}{below}{path}?{version}"


def own_path(endpoint: str) -> str:
    """The caller's own path, as it may be put behind the base URL.

    Raises:
        HandlerError: `forbidden_address`: it is an address, or leads upwards.
    """
    if "://" in endpoint or endpoint.startswith("//") or ".." in endpoint.split("/"):
        raise HandlerError(
            "forbidden_address",
            "an endpoint is a path below the provider's base URL, and no address",
            hints=['Write it like "/images/generations".'],
        )
    return endpoint


def with_id(template: str, name: str) -> str:
    """The path of a job: its name in place of `{id}`."""
    return template.replace("{id}", quote(name, safe=""))


def _version(entry: Entry, usual: str) -> str:
    return urlencode({"api-version": entry.options.get("api_version", usual)})
