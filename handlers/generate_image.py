"""Make pictures from a prompt.

The prompt goes to the provider unchanged, and so does every other field, but only when it was
given. Each picture of the answer becomes an artifact, in the provider's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from handlers.contract import Call, Context
from handlers.media.fields import ImageFields, for_provider
from handlers.media.keeping import keep_all


class Request(ImageFields):
    """Make pictures from a prompt."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "task": "generate_image",
            "prompt": "a brass diving helmet on a white table",
            "size": "1024x1024",
        }
    )

    task: Literal["generate_image"] = "generate_image"
    prompt: str = Field(min_length=1, description="What to make. Never changed on its way.")
    mode: Literal["image"] | None = Field(None, description="Old manifests say it; no effect.")


async def run(request: Request, context: Context) -> None:
    """Ask once, keep everything that came back."""
    outcome = await context.ask("generate", Call("generate_image", for_provider(request)))
    await keep_all(context, outcome, prefix="generated")
