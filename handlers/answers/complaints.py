"""What a provider says is wrong, out of each of the forms in which providers say it.

OpenAI's `{"error": {"message", "type", "param", "code"}}`, the same with a number for a code
(OpenRouter) or an inner error (Azure), `{"error": "text"}` with or without a `code` (xAI,
stable-diffusion.cpp), `{"detail": …}` as FastAPI has it, `{"message": …}`, a web page, plain text.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from handlers.answers.statuses import MODERATED, plain
from handlers.contract import Json

LONGEST = 500
"""Characters of a provider's own message that are kept."""
_REASONS = ("task_status_msg", "failure_reason", "failure", "error_message", "status_message")
"""Where a job says why it failed, if not in its `error`."""
_MOST = 20
"""Faults, and words, that are kept."""
_PAGE = 1 << 13
"""Bytes of a web page or a plain text that are looked at; its title stands in front."""
_READ = 1 << 20
"""Bytes of an answer that are looked at for a complaint."""

_REFUSED_WORDS = MODERATED | {
    *("moderation blocked", "content policy violation", "content filter", "content filtered"),
    *("responsibleaipolicyviolation", "content moderation", "safety violation", "safety"),
    *("policy violation", "sensitive content", "flagged input", "content moderated"),
}
_REFUSED_TEXT = re.compile(
    r"""safety_violations | safety\ system | moderation_blocked | risk\ control
    | content\ (?:management\ |usage\ |safety\ )?polic | ^sensitive | sensitive\ (?:content|words?)
    | (?:flagged|rejected|blocked)\ (?:by|as|for)\ [\w ]{0,30}(?:safety|moderat)""",
    re.IGNORECASE | re.VERBOSE,
)
_BILLING_WORDS = frozenset(
    {
        *("insufficient quota", "credit balance exhausted", "organization spend limit exceeded"),
        *("project spend limit exceeded", "organization usage limit exceeded", "billing error"),
        *("billing hard limit reached", "billing not active", "payment required"),
        *("insufficient credits", "insufficient balance", "insufficient funds"),
    }
)
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]{0,2000}>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]{0,200}>(.{0,500}?)</title>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a provider says is wrong."""

    message: str = ""
    """In its own words, shortened."""
    words: frozenset[str] = frozenset()
    """Its codes and types, as `statuses.plain` writes them."""
    faults: tuple[tuple[str, str], ...] = ()
    """A JSON pointer into the request, and what is wrong there."""
    status: int | None = None
    """The HTTP status that stands inside of an answer of another one."""
    is_page: bool = False
    """Whether a web page stands where JSON belongs."""
    flagged: bool = False
    """Whether it holds the details of a moderation."""

    @property
    def is_refusal(self) -> bool:
        """Whether moderation refused what was asked for."""
        told = self.flagged or bool(self.words & _REFUSED_WORDS)
        return told or bool(_REFUSED_TEXT.search(self.message))

    @property
    def is_billing(self) -> bool:
        """Whether it is about money, and no wait mends it."""
        return bool(self.words & _BILLING_WORDS)


def parsed(body: bytes) -> Json:
    """A body as JSON; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def complaint_in(body: bytes) -> Complaint:
    """What the body of a refusal says."""
    answer = parsed(body[:_READ])
    if answer is not None:
        return complaint_of(answer)
    text = body[:_PAGE].decode("utf-8", "replace")
    if "<html" in text[:2000].lower() or "<!doctype html" in text[:200].lower():
        title = _TITLE.search(text)
        words = title[1] if title else _TAGS.sub(" ", text)
        return Complaint(shortened(html.unescape(words)), is_page=True)
    return Complaint(shortened(text))


def complaint_of(answer: Json) -> Complaint:
    """What an answer says is wrong, of its JSON; an empty complaint where it says nothing."""
    if not isinstance(answer, dict):
        return Complaint(shortened(answer) if isinstance(answer, str) else "")
    error = answer.get("error")
    if not error:
        errors = answer.get("errors")
        error = errors[0] if isinstance(errors, list) and errors else answer
    said = error
    if not isinstance(error, dict):
        said = {"message": shortened(error), "code": answer.get("code")}
    complaint = _of_error(said)
    details = _details(said.get("detail")) or _details(answer.get("detail"))
    if details:
        message = complaint.message or "; ".join(f"{at[1:]}: {told}" for at, told in details)
        complaint = replace(
            complaint, message=shortened(message), faults=(*complaint.faults, *details)[:_MOST]
        )
    return complaint


def complaint_of_job(answer: Json) -> Complaint:
    """Why a job failed, of its JSON: its own error before what the envelope says."""
    if not isinstance(answer, dict):
        return Complaint()
    for place in (answer, answer.get("data"), answer.get("task")):
        if isinstance(place, dict):
            if place.get("error"):
                return complaint_of(place)
            told = next((place[name] for name in _REASONS if _says(place.get(name))), None)
            if told is not None:
                return Complaint(shortened(told))
    return Complaint() if answer.get("code", -1) in (0, 200) else complaint_of(answer)


def _says(value: Json) -> bool:
    return isinstance(value, str) and bool(value.strip())


def error_within(answer: Json) -> Complaint | None:
    """The complaint of an answer that calls itself a success, if it holds one."""
    if not isinstance(answer, dict):
        return None
    base = answer.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        return Complaint(shortened(base.get("status_msg") or f"code {base['status_code']}"))
    if answer.get("error") or answer.get("success") is False or answer.get("errors"):
        return complaint_of(answer)
    return None


def shortened(text: Json) -> str:
    """A text of a provider as it may stand in a result: one line, without control characters, and
    not long."""
    plain_text = text if isinstance(text, str) else as_json(text)
    plain_text = "".join(sign if sign.isprintable() else " " for sign in plain_text[: 4 * LONGEST])
    plain_text = " ".join(plain_text.split())
    return plain_text if len(plain_text) <= LONGEST else plain_text[: LONGEST - 1] + "…"


def as_json(value: Json) -> str:
    """A value as text; "" where it is nested too deeply to be written."""
    try:
        return json.dumps(value)
    except (RecursionError, ValueError):
        return ""


def pointer_of(name: str) -> str:
    """A provider's name for a field, as "image[0].url", as a JSON pointer (RFC 6901)."""
    parts = [part for part in re.split(r"[.\[\]]+", name[:200]) if part]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _of_error(error: Mapping[str, Json]) -> Complaint:
    message = next(
        (
            shortened(error[name])
            for name in ("message", "msg", "error", "detail", "title", "reason", "failure")
            if isinstance(error.get(name), str) and error[name].strip()
        ),
        "",
    )
    param = error.get("param")
    faults = ((pointer_of(param), message),) if isinstance(param, str) and param else ()
    code = error.get("code")
    words = frozenset(_words(error))
    if not faults and "model not found" in words:
        faults = (("/model", message),)
    status = code if isinstance(code, int) and 100 <= code < 600 else None
    return Complaint(message, words, faults, status, flagged=_is_flagged(error))


def _words(error: Mapping[str, Json]) -> Iterator[str]:
    inner = error.get("innererror", error.get("inner_error"))
    for place in (error, inner if isinstance(inner, dict) else {}):
        for name in ("code", "type"):
            if isinstance(place.get(name), str):
                yield plain(place[name][:100])


def _is_flagged(error: Mapping[str, Json]) -> bool:
    """OpenRouter names the reasons; Azure gives the result of its filter."""
    inner = error.get("innererror", error.get("inner_error"))
    metadata = error.get("metadata")
    return (isinstance(metadata, dict) and bool(metadata.get("reasons"))) or (
        isinstance(inner, dict)
        and any(name.startswith("content_filter_result") and inner[name] for name in inner)
    )


def _details(detail: Json) -> tuple[tuple[str, str], ...]:
    """FastAPI's list of faults: `[{"loc": ["body", "size"], "msg": "…"}]`."""
    found = []
    for item in detail[:_MOST] if isinstance(detail, list) else []:
        if isinstance(item, dict) and isinstance(item.get("loc"), list):
            place = [str(part) for part in item["loc"] if isinstance(part, (str, int))]
            place = place[1:] if place[:1] in (["body"], ["form"], ["query"]) else place
            found.append((pointer_of(".".join(place)), shortened(item.get("msg", "is no good"))))
    return tuple(found)
