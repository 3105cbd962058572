"""What can go wrong, drawn as a tree, and what each error code means.

    DarkroomError
    ├── BadRequest          the dropped bytes are no good; holds every fault at once
    ├── UsageError          a command, a flag or a variable cannot be meant so
    ├── RootBusy            another daemon holds the root
    └── LogError
        ├── Conflict        the job's stream moved on since the caller looked
        ├── LogFull         no room on the disk; nothing was written
        ├── LogCorrupt      a line is not what was once written
        └── LogFailed       the disk failed; the daemon must stop

Failures of a job are `handlers.contract.HandlerError`; here they become a `Problem`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from handlers.contract import ErrorCode, HandlerError, Json

RETRYABLE: frozenset[ErrorCode] = frozenset(
    {
        "provider_rate_limited",
        "provider_unavailable",
        "provider_timeout",
        "download_failed",
        "disk_full",
    }
)
"""Codes that a later attempt may mend without anybody's help."""

FRESH_ON_RETRY: frozenset[ErrorCode] = frozenset({"unreadable_media", "no_media"})
"""Codes where a recorded answer itself was no good: a retry asks for another one."""

FALLS_OVER: frozenset[ErrorCode] = frozenset(
    {
        "provider_unavailable",
        "provider_rate_limited",
        "provider_auth",
        "provider_quota",
        # Nobody was asked, and the next one may be able:
        "provider_not_found",
        "not_supported",
        "config_missing",
        "config_invalid",
    }
)
"""Codes with which a request that names several providers goes to the next of them."""

RESUMES: frozenset[ErrorCode] = frozenset(
    {
        "download_failed",
        "provider_timeout",
        "provider_unavailable",
        "provider_rate_limited",
        "provider_auth",
        "config_missing",
        "config_invalid",
        "disk_full",
        "internal",
    }
)
"""Codes that end an attempt at a call that the provider took, but not the call: the next attempt
goes on asking for it, and pays for no other."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: where (a JSON pointer, RFC 6901) and what."""

    pointer: str
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """The `error` of a result."""

    code: ErrorCode
    message: str
    hints: tuple[str, ...] = ()
    retryable: bool = False
    faults: tuple[Fault, ...] = ()
    http: Mapping[str, Json] | None = None
    wait: float | None = None
    """Seconds after which the provider wants to be asked again; it is no part of the JSON."""

    def to_json(self) -> dict[str, Json]:
        """The object as it stands in events and results."""
        return {
            "code": self.code,
            "message": self.message,
            "hints": list(self.hints),
            "retryable": self.retryable,
            "faults": [{"pointer": f.pointer, "message": f.message} for f in self.faults],
            "http": dict(self.http) if self.http is not None else None,
        }


def may_pass(error: HandlerError) -> bool:
    """Whether trying again may help: as it says itself, or else by its code."""
    return error.code in RETRYABLE if error.retryable is None else error.retryable


def problem_of(error: HandlerError) -> Problem:
    """The problem that a handler's or a provider's failure is."""
    retryable = may_pass(error)
    faults = tuple(Fault(pointer, message) for pointer, message in error.faults)
    return Problem(
        error.code, error.message, error.hints, retryable, faults, error.http, error.wait
    )


def error_of(problem: Mapping[str, Json]) -> HandlerError:
    """The failure that was recorded as this problem; the inverse of `problem_of`."""
    return HandlerError(
        problem["code"],
        problem["message"],
        hints=problem["hints"],
        retryable=problem["retryable"],
        faults=[(fault["pointer"], fault["message"]) for fault in problem["faults"]],
        http=problem["http"],
    )


class DarkroomError(Exception):
    """Everything that darkroom itself raises."""


class BadRequest(DarkroomError):
    """The dropped bytes are no good.

    Args:
        code: which kind of bad.
        message: what, in one sentence.
        faults: every single fault, so that all can be mended in one go.
        hints: what to do next.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        faults: Sequence[Fault] = (),
        hints: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.problem = Problem(code, message, tuple(hints), False, tuple(faults))


class UsageError(DarkroomError):
    """A command, a flag or a variable cannot be meant so."""


class RootBusy(DarkroomError):
    """Another daemon holds the root; the message says which process."""


class LogError(DarkroomError):
    """Something about the event log."""


class Conflict(LogError):
    """The job's stream moved on since the caller looked: look again, decide again."""


class LogFull(LogError):
    """No room on the disk. Nothing was written; the same append may be tried again."""


class LogCorrupt(LogError):
    """A line is not what was once written.

    Args:
        where: segment and line, as "00000001.jsonl:17".
        message: what is wrong with it.
    """

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where
        self.what = message


class IndexFailed(LogError):
    """The index cannot be read or written; the log has all that is in it."""


class LogFailed(LogError):
    """The disk failed under the log. Never retried: what is on disk is unknown until a restart."""
