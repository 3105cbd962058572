"""How far providers are, told to the log: at most one event every few seconds a job, and fewer
where there is nothing new to say."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import NamedTuple

from daemon.asking import PROGRESS_SECONDS
from daemon.errors import Conflict
from daemon.events import ProviderProgressed
from daemon.redaction import SIEVE
from daemon.services import Services
from daemon.state import State
from daemon.streams import Stream
from handlers.contract import HandlerError
from handlers.wire import Pending

UNCHANGED_SECONDS = 30.0
"""At most one event in this time where only the number of polls is new."""

LONGEST = 500
"""Characters of what a provider says that are kept."""


class Said(NamedTuple):
    """What a provider said when it was asked for a call."""

    message: str
    fraction: float | None
    polls: int
    """How often it was asked until then."""


@dataclass(slots=True)
class Told:
    """What the log was told of one job."""

    at: float = float("-inf")
    """When, on the monotonic clock."""
    newest: dict[str, Said] = field(default_factory=dict)
    """By step, what was said last."""
    written: dict[str, Said] = field(default_factory=dict)
    """By step, what the log knows of that."""


class Progress:
    """Writes down how far the calls of jobs are that nobody runs.

    Args:
        services: where to, and when.
        state: where each job stands.
    """

    def __init__(self, services: Services, state: State) -> None:
        self._with = services
        self._state = state

    def tell(
        self, job_id: str, told: Told, step: str, answer: Pending | HandlerError, polls: int
    ) -> None:
        """Take in what a provider said, and write it down if it is time to."""
        fraction = answer.fraction if isinstance(answer, Pending) else None
        message = answer.message if isinstance(answer, Pending) else f"no answer: {answer.message}"
        said = told.newest[step] = Said(SIEVE.text(message)[:LONGEST], fraction, polls)
        written = told.written.get(step)
        is_new = written is None or written[:2] != said[:2]
        quiet = PROGRESS_SECONDS if is_new else UNCHANGED_SECONDS
        if self._with.clock.monotonic() - told.at >= quiet:
            self._write(job_id, told, step)

    def flush(self, job_id: str, told: Told) -> None:
        """Write down what was not, so that polls go on being counted when they go on."""
        for step, said in told.newest.items():
            if said != told.written.get(step):
                self._write(job_id, told, step)

    def _write(self, job_id: str, told: Told, step: str) -> None:
        if self._with.disk.paused:  # there are more important things to have room for
            return
        told.at = self._with.clock.monotonic()
        said = told.written[step] = told.newest[step]
        # Behind what was told before and is on its way to the disk.
        job = self._state.jobs[job_id]._replace(version=self._with.log.version(job_id))
        stream = Stream(self._with.log, self._with.disk, job)
        event = ProviderProgressed(said.message, said.fraction, step, said.polls)
        with contextlib.suppress(Conflict):  # somebody cancels it just now
            appended = stream.append(event)
            appended.add_done_callback(lambda done: done.cancelled() or done.exception())
