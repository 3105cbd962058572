"""Brings media home: from whatever address a provider named, by rules that hold for all of them.

Only the first request, and only to the provider's own origin, shows the key. Redirects are walked
here, and each place is judged as the first was. Media come as they are, within a size, a pace and
a deadline, and large ones into a file; what was cut short is fetched again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from daemon.addresses import why_never
from daemon.answers import Answer, Journey, NotAnswered, Pace, TooMuch, TooSlow
from daemon.bodies import is_page, is_text
from daemon.connections import Connections, Judge, Way
from daemon.messages import Message, headers_of
from daemon.sites import Site
from daemon.staging import SMALL, Staged
from daemon.targets import Target, aim, check_outside
from handlers.contract import HandlerError, Held, Json

REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (408, 425, 429)
"""Refusals that may pass, as those from 500 on do."""

EXPIRED = (403, 404, 410)
"""Refusals with which a store answers when the time of an address is over."""

MOST_HOPS = 5
LONGEST_WAIT = 30.0
"""Seconds: of what an answer asks for."""

Look = Callable[[Held], bool]

_Verdict = Literal["whole", "page", "cut", "odd", "text"]

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A medium that came home. Its file, if it has one, belongs to whoever gets this."""

    data: bytes | None
    """None where it lies in a file."""
    media_type: str | None
    """What its sender calls it. A hint: the bytes decide."""
    url: str
    """Which address gave it in the end, without its query."""
    staged: Staged | None = None
    """Its file, finished."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a medium is tried for."""

    tries: int = 3
    first_wait: float = 1.0
    """Seconds before the second try at most; the next ones wait up to twice as long each."""
    pace: Pace = field(default_factory=Pace)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class _MayPass(Exception):
    """A try failed in a way that may pass.

    Args:
        error: how.
        fetched: what came all the same, if it is to be taken in the end.
    """

    def __init__(self, error: HandlerError, fetched: Fetched | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.fetched = fetched


class Downloads:
    """Fetches media.

    Args:
        connections: by which it goes out.
        judge: of addresses that are not the provider's own.
        max_bytes: of one medium.
        effort: how hard it tries.
        looks_cut: whether a medium ends before its end.
        is_medium: whether some bytes are a medium that is known.
        staging: where the file of a large one lies; None where all stay in memory.
    """

    def __init__(
        self,
        connections: Connections,
        judge: Judge,
        max_bytes: int,
        effort: Effort,
        looks_cut: Look,
        is_medium: Look,
        staging: Path | None = None,
    ) -> None:
        self._connections = connections
        self._judge = judge
        self._max_bytes = max_bytes
        self._effort = effort
        self._looks_cut = looks_cut
        self._is_medium = is_medium
        self._staging = staging

    async def fetch(
        self, site: Site | None, url: str, timeout: float, *, text: bool = False
    ) -> Fetched:
        """Fetch a medium. What is no medium that is known is fetched again like one that was cut
        short, but given back in the end: others may know it, or say what it is.

        Args:
            site: the provider who named it.
            url: where it is: a whole address, or a path below the provider's base URL.
            timeout: seconds that all of it may take, redirects and further tries included.
            text: whether a page or another text is wanted as well.

        Raises:
            HandlerError: `forbidden_address`, `too_large` or `download_failed`.
            OSError: it could not be written.
        """
        target, _ = aim(site, url)
        try:
            async with asyncio.timeout(timeout):
                return await self._retrying()(self._try, site, target, text)
        except _MayPass as passing:
            if passing.fetched is not None:
                return passing.fetched
            raise passing.error from None
        except TimeoutError:
            raise _failed(target, f"was not here within {timeout:g} s", passes=True) from None

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            sleep=self._effort.sleep,
            stop=stop_after_attempt(self._effort.tries),
            wait=self._wait,
            retry=retry_if_exception_type(_MayPass),
            before_sleep=_let_go,
            reraise=True,
        )

    def _wait(self, state: RetryCallState) -> float:
        """Full jitter, but no sooner than the answer asked for, within reason."""
        jitter = wait_random_exponential(multiplier=self._effort.first_wait, max=LONGEST_WAIT)
        passing = state.outcome.exception() if state.outcome else None
        asked = passing.error.wait if isinstance(passing, _MayPass) else None
        return max(float(jitter(state)), min(asked or 0.0, LONGEST_WAIT))

    async def _try(self, site: Site | None, target: Target, text: bool) -> Fetched:
        """One try. What it wrote goes with it where it fails."""
        staged = Staged(self._staging)
        try:
            return await self._walked(site, target, staged, text=text)
        except _MayPass as passing:
            if passing.fetched is None:
                staged.close()
            raise
        except BaseException:
            staged.close()
            raise

    async def _walked(
        self, site: Site | None, target: Target, staged: Staged, *, text: bool
    ) -> Fetched:
        """The medium, from the first address to the last."""
        own, first = aim(site, target.url)[1], True
        for _ in range(1 + MOST_HOPS):
            if not own:
                check_outside(site, target)
            whose = site if own else None
            found = await self._hop(whose, target, staged, keyed=own and first, text=text)
            if isinstance(found, Fetched):
                return found
            target, is_own = aim(site, _joined(target, found))
            # What was redirected abroad does not come back as one of the house; so from https it
            # never leads to http either.
            own, first = own and is_own, False
        raise _failed(target, f"is behind more than {MOST_HOPS} redirects")

    async def _hop(
        self, site: Site | None, target: Target, staged: Staged, *, keyed: bool, text: bool
    ) -> Fetched | str:
        """Ask one address: for the medium, or where it is.

        Args:
            site: whose own origin it is; None for a stranger's.
            target: where.
            staged: what the medium is poured into.
            keyed: whether the site's headers go along.
            text: whether a text is wanted as well.
        """
        message = Message("GET", headers_of(site if keyed else None, {}))
        way = (
            Way(target, why_never, ca_file=site.ca_file, proxy=site.proxy)
            if site
            else Way(target, self._judge)
        )
        try:
            async with self._connections.send(message, way, Journey(target.host)) as answer:
                if answer.status in REDIRECTS and "location" in answer.headers:
                    return answer.headers["location"]
                return await self._take(target, answer, staged, text=text)
        except NotAnswered as error:
            raise _MayPass(HandlerError("download_failed", str(error), retryable=True)) from None
        except TooMuch:
            raise HandlerError(
                "too_large", f"{target.shown} is larger than {self._max_bytes} bytes"
            ) from None
        except TooSlow:
            raise _failed(target, "comes too slowly", passes=True) from None

    async def _take(self, target: Target, answer: Answer, staged: Staged, *, text: bool) -> Fetched:
        """The medium that an answer holds, or whatever it holds."""
        if not 200 <= answer.status < 300:
            raise _refused(target, answer)
        if answer.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _failed(target, "comes packed, which was not asked for")
        await answer.pour(staged.take, self._max_bytes, self._effort.pace)
        verdict = await staged.looked_into(self._judged)
        if verdict == "page" and not text:
            raise _failed(
                target,
                "answers with a page or a message, and with no picture",
                hints=("The address may have expired, or the provider's base URL may be wrong.",),
            )
        if verdict == "cut":
            raise _MayPass(_failed(target, "was cut short", passes=True))
        media_type = answer.headers.get("content-type", "").strip()
        if not text:
            media_type = media_type.partition(";")[0].strip().lower()
        no_medium = _failed(target, "holds no picture and no clip", passes=True)
        if verdict == "text" and not text:
            raise _MayPass(no_medium)
        await staged.finish()
        file = None if staged.in_memory else staged
        fetched = Fetched(staged.data, media_type or None, target.shown, file)
        if verdict == "odd" and not text:
            raise _MayPass(no_medium, fetched)
        return fetched

    def _judged(self, data: Held) -> _Verdict:
        """What some bytes are: a whole medium, or what is wrong with them as one. A long text is
        none whatever its first bytes say; a short one may be given back, for it can be sifted."""
        if is_page(data):
            return "page"
        if not data or self._looks_cut(data):
            return "cut"
        if len(data) >= SMALL and is_text(data):
            return "text"
        return "whole" if self._is_medium(data) else "odd"


def _let_go(state: RetryCallState) -> None:
    """Before a further try: what the last one brought is not wanted any more."""
    passing = state.outcome.exception() if state.outcome else None
    if isinstance(passing, _MayPass) and passing.fetched and passing.fetched.staged:
        passing.fetched.staged.close()


def _joined(target: Target, location: str) -> str:
    try:
        return urljoin(target.url, location)
    except ValueError:
        return location  # which is then refused for what it is


def _failed(
    target: Target, what: str, *, passes: bool = False, hints: tuple[str, ...] = ()
) -> HandlerError:
    return HandlerError("download_failed", f"{target.shown} {what}", retryable=passes, hints=hints)


def _refused(target: Target, answer: Answer) -> Exception:
    """What a status other than success means."""
    passes = answer.status in PASSING or answer.status >= 500
    error = HandlerError(
        "download_failed",
        f"{target.shown} answers with status {answer.status}",
        retryable=passes,
        hints=["The address may have expired."] if answer.status in EXPIRED else (),
        http={"status": answer.status},
        wait=retry_after(answer.headers) if passes else None,
    )
    return _MayPass(error) if passes else error


def retry_after(headers: Mapping[str, Json]) -> float | None:
    """After how many seconds an answer wants to be asked again (RFC 9110 §10.2.3).

    A date counts from the one that the answer itself bears, so no clock is asked.
    """
    asked = str(headers.get("retry-after", "")).strip()
    if _SECONDS.fullmatch(asked):
        return float(asked)
    try:
        wait = parsedate_to_datetime(asked) - parsedate_to_datetime(str(headers["date"]))
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return max(0.0, wait.total_seconds())
