"""An answer that calls itself a success and holds nothing to save, as the failure that it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from handlers.answers.complaints import complaint_of, shortened
from handlers.answers.failures import failure_within, http_of
from handlers.answers.media import Found
from handlers.contract import ErrorCode, HandlerError, Json
from handlers.openai_shape.asking import Asked
from handlers.wire import HttpReply

_WHAT = {"image": "picture", "video": "clip"}
_FINE = (0, 200, None)
"""What relays say by `code` when nothing is wrong."""


def nothing_in(reply: HttpReply, answer: Json, found: Found, asked: Asked) -> HandlerError:
    """The failure that an answer without media is: refused, out of reach, unreadable, or empty.

    Args:
        reply: what came back.
        answer: its body, parsed.
        found: what was found in it, which is no medium.
        asked: what was asked for.
    """
    who, refusals = asked.entry.name, _refusals(answer)
    text = " ".join(refusals or found.texts)
    complaint = complaint_of({"message": text} if text else answer)
    if found.withheld or refusals:
        said = complaint.message or "its moderation withheld what it made"
        return failure_within(reply, replace(complaint, message=said, flagged=True), who)
    if found.references:
        return _out_of_reach(reply, found, asked)
    if found.broken:
        return _unreadable(reply, asked)
    if complaint.is_refusal or _reports_failure(answer, found, complaint.message):
        return failure_within(reply, complaint, who)
    words = f"no {_WHAT[asked.kind]}"
    words += f": {complaint.message}" if complaint.message else ""
    return no_media(reply, words, asked)


def no_media(reply: HttpReply, what: str, asked: Asked) -> HandlerError:
    """The failure of an answer that holds no medium and does not say why."""
    chat = ", and whether it does so only in a chat" if asked.kind == "image" else ""
    hints = (
        "Look at the provider's own log; the prompt may have been filtered.",
        f"Check that the model makes {_WHAT[asked.kind]}s{chat}.",
    )
    return _for_good(reply, "no_media", f"{asked.entry.name} answered, but with {what}", hints)


def no_answer(reply: HttpReply, what: str, asked: Asked) -> HandlerError:
    """The failure of a body that is no answer of such an API."""
    hints = (
        "Check the base URL (with or without /v1): something else than the API may answer there.",
        "A proxy or a login page may stand in between.",
    )
    return _for_good(reply, "provider_failed", f"{asked.entry.name} answered with {what}", hints)


def _out_of_reach(reply: HttpReply, found: Found, asked: Asked) -> HandlerError:
    """Media are named, and none of them can be fetched."""
    first = found.references[0]
    where = shortened(f"{first['reference']}: {first['reason']}")
    hint = 'Have it answer with base64, as by extra {"response_format": "b64_json"}.'
    message = f"{asked.entry.name} made it, but where it cannot be had from: {where}"
    return _for_good(reply, "download_failed", message, (hint,))


def _unreadable(reply: HttpReply, asked: Asked) -> HandlerError:
    """Media are there, but cannot be decoded."""
    what = _WHAT[asked.kind]
    message = f"{asked.entry.name} answered with what should be a {what}, and is no base64"
    hint = "Look at the provider's own log, or try another model."
    return _for_good(reply, "unreadable_media", message, (hint,))


def _for_good(
    reply: HttpReply, code: ErrorCode, message: str, hints: Sequence[str]
) -> HandlerError:
    """A failure after which the same is not sent again: it may have been paid for."""
    return HandlerError(code, message, hints=hints, retryable=False, http=http_of(reply))


def _refusals(answer: Json) -> list[str]:
    """What a chat says where its model refuses (`message.refusal`)."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    listed = choices if isinstance(choices, list) else []
    messages = [one.get("message") for one in listed if isinstance(one, dict)]
    refusals = [one.get("refusal") for one in messages if isinstance(one, dict)]
    return [text for text in refusals if isinstance(text, str) and text.strip()]


def _reports_failure(answer: Json, found: Found, message: str) -> bool:
    """Whether an answer says that it failed, by a number or by a message where media belong."""
    if found.texts or not isinstance(answer, dict):
        return False
    code = answer.get("code")
    if isinstance(code, int) and code not in _FINE:
        return True
    return bool(message) and not ("code" in answer and code in _FINE)
