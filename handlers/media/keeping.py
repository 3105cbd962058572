"""Keeping what a provider answered with."""

from __future__ import annotations

from handlers.contract import Context, HandlerError, Outcome


async def keep_all(context: Context, outcome: Outcome, *, prefix: str) -> None:
    """Make an artifact of each picture of an answer, in the provider's order.

    Raises:
        HandlerError: `no_media`: there is none.
    """
    check(outcome)
    for number, medium in enumerate(outcome.media, start=1):
        await context.keep(f"picture {number}", medium, prefix=prefix)


async def keep_clips(context: Context, outcome: Outcome, *, prefix: str) -> None:
    """Make an artifact of each clip of an answer, in the provider's order. A picture among them is
    kept too, but is no clip.

    Raises:
        HandlerError: `no_media`: there is no clip.
    """
    check(outcome, "clip")
    kept = [
        await context.keep(f"clip {number}", medium, prefix=prefix)
        for number, medium in enumerate(outcome.media, start=1)
    ]
    if kept and all(artifact.kind != "video" for artifact in kept):
        raise HandlerError(
            "no_media",
            "the provider answered with a picture where a clip was asked for; it is saved",
            hints=["Check the model: it may be one for pictures."],
        )


def check(outcome: Outcome, what: str = "picture") -> None:
    """Whether an answer holds anything.

    Raises:
        HandlerError: `no_media`: it does not.
    """
    if not outcome.media and not outcome.references:
        raise HandlerError(
            "no_media",
            f"the provider answered, but with no {what}",
            hints=["Look at the provider's own log; the prompt may have been filtered."],
        )
