"""The stand-in's clips: taken as a job, asked for, and filmed at the last time of asking.

So everything around a provider that takes its time can be tried offline: the ticket, the progress,
a restart in between. A ticket holds all that a clip needs but its pictures, which are kept in
memory. After a restart they are gone; then the job failed, in a way that has the call sent again,
for it is free.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from handlers.contract import Call, HandlerError, Json, Medium, Outcome
from handlers.media.shots import Pictures, Shot, check, filmed, shot_of
from handlers.wire import Compute, Effect, Pending, Ticket

POLLS = 3
"""How often it says that it is not done yet."""
WAIT = 0.1
"""Seconds between two times of asking."""
MOST_BYTES = 256 << 20
"""Of the pictures that are kept; beyond that the oldest job loses its own."""
MOST_JOBS = 10_000


@dataclass(slots=True)
class _Job:
    pictures: Pictures
    polls: int = 0

    @property
    def bytes(self) -> int:
        return sum(map(len, _all(self.pictures)))


class ClipJobs:
    """The clips that were asked for and are not there yet.

    Args:
        model: who makes them, by the name that answers tell.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._numbers = count(1)
        self._jobs: dict[str, _Job] = {}
        self._bytes = 0

    def take(
        self, call: Call, pictures: Pictures, warnings: Sequence[str]
    ) -> Generator[Effect, Json, Ticket]:
        """Take a call.

        Raises:
            HandlerError: `not_supported`: it cannot be done.
        """
        shot = shot_of(call.fields, pictures.first)
        yield Compute(partial(check, shot))
        digests = [hashlib.sha256(data).hexdigest() for data in _all(pictures)]
        state = {"shot": shot.to_json(), "pictures": digests, "warnings": list(warnings)}
        # With its digest no name of before a restart is that of another clip.
        digest = hashlib.sha256(json.dumps(state).encode()).hexdigest()
        name = f"clip-{next(self._numbers)}-{digest[:32]}"
        self._keep(name, _Job(pictures))
        return Ticket(name, state=state, model=self._model, wait=WAIT)

    def look(self, ticket: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
        """How far a clip is; it is filmed when it has been asked for often enough.

        Raises:
            HandlerError: `provider_failed`: its pictures are gone, and it is to be asked for anew.
        """
        job = self._jobs.get(ticket.id)
        if job is None:
            if ticket.state["pictures"]:
                raise _forgotten()
            job = _Job(Pictures())
            self._keep(ticket.id, job)
        job.polls += 1
        if job.polls <= POLLS:
            return Pending("filming", job.polls / (POLLS + 1), WAIT)
        shot = Shot.of(ticket.state["shot"])
        data: bytes = yield Compute(partial(filmed, shot, job.pictures))
        self._drop(ticket.id)
        medium = Medium(data, media_type="video/mp4")
        return Outcome((medium,), model=self._model, warnings=tuple(ticket.state["warnings"]))

    def _keep(self, name: str, job: _Job) -> None:
        self._jobs[name] = job
        self._bytes += job.bytes
        while len(self._jobs) > 1 and (self._bytes > MOST_BYTES or len(self._jobs) > MOST_JOBS):
            self._drop(next(iter(self._jobs)))

    def _drop(self, name: str) -> None:
        job = self._jobs.pop(name, None)
        self._bytes -= job.bytes if job is not None else 0


def _all(pictures: Pictures) -> list[bytes]:
    single = (pictures.first, pictures.last)
    return [*(one for one in single if one is not None), *pictures.references]


def _forgotten() -> HandlerError:
    return HandlerError(
        "provider_failed",
        "local keeps pictures in memory, and those of this clip are gone with a restart",
        hints=["It is asked for again by itself; that is free."],
        retryable=True,
        wait=WAIT,
    )
