"""One real job against the tests' provider server, in this process: the whole way of a call from
the runner over the adapter and the sockets and back, with a clock that nobody waits for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from daemon.entries import Configuration, Configured
from daemon.events import JobEnded, JobRetrying, JobSucceeded, ProviderAnswered, Recorded
from daemon.net import Effort, Network
from daemon.redaction import Secret
from daemon.sites import Limits, Site
from handlers.contract import Json
from handlers.media.wholeness import is_medium, looks_cut
from handlers.providers import find_adapters
from handlers.wire import Entry
from tests.builders import Bench
from tests.support import PATIENCE
from tests.wire.answers import usual
from tests.wire.server import ProviderServer
from tests.wire.talking import Answer, Reply, Talk

KEY = "sk-on-stage-0123456789"
IDEMPOTENCY = "idempotency-key"
CAP = 1 << 20
"""Bytes of the largest answer and of the largest medium."""


@dataclass(frozen=True)
class Cast:
    """Who plays: how the one provider is configured.

    Args:
        paid: whether its calls cost money.
        idempotent: whether it is told an idempotency key.
        on_ambiguous: what to do where an answer was lost; None for the setting.
        api: how it is spoken to.
        dialect: which server it is; one that nobody knows, if left out.
        options: of the entry, as `images`.
        network: of `Network`, besides what every play has.
        settings: of the daemon.
        ca_file: whom to trust besides.
    """

    paid: bool = True
    idempotent: bool = False
    on_ambiguous: Any = None
    api: str = "openai"
    dialect: str | None = None
    options: Mapping[str, Json] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    ca_file: Path | None = None

    def configuration(self, base_url: str) -> Configuration:
        header = IDEMPOTENCY if self.idempotent else None
        entry = Entry("paper", base_url, self.api, self.dialect, self.paid, header, self.options)
        site = Site(base_url, ca_file=self.ca_file)
        limits = Limits(on_ambiguous=self.on_ambiguous)
        models = {"image": "paper-1", "edit": "paper-1", "video": "paper-1"}
        one = Configured(entry, site, Secret(KEY), limits=limits, models=models)
        return Configuration({"paper": one}, {"image": "paper", "video": "paper"})


@dataclass(frozen=True)
class Played:
    """What became of one job.

    Args:
        end: the event that ended it.
        answers: what each of its exchanges came to.
        retries: why and until when it waited for each further attempt.
        root: where its artifacts lie.
        refused_at: when the first exchange was over; empty where none was.
    """

    end: JobEnded
    answers: Sequence[ProviderAnswered]
    retries: Sequence[JobRetrying]
    root: Path
    refused_at: str

    @property
    def ok(self) -> bool:
        return isinstance(self.end, JobSucceeded)

    @property
    def code(self) -> str | None:
        """The error code with which it ended."""
        return None if self.end.error is None else self.end.error["code"]

    @property
    def first_error(self) -> Mapping[str, Json]:
        """How its first attempt failed."""
        errors = [one.error for one in self.retries] or [self.end.error]
        assert errors[0] is not None
        return errors[0]

    def files(self) -> list[bytes]:
        """Its artifacts, as they lie on the disk."""
        return [(self.root / artifact["path"]).read_bytes() for artifact in self.end.artifacts]


class Once:
    """An answer that goes wrong for each prompt once, in a way of its own, and is good then.

    Args:
        replies: what goes wrong, by prompt.
    """

    def __init__(self, replies: Mapping[str, Answer]) -> None:
        self._left = dict(replies)

    def __call__(self, talk: Talk) -> Reply:
        wrong = self._left.pop(talk.received.fields["prompt"], None)
        return talk.render(usual(talk.received.path) if wrong is None else wrong)


def asked(server: ProviderServer) -> Counter[str]:
    """How many creating calls came, by prompt."""
    return Counter(one.fields["prompt"] for one in server.creates)


PLAIN = Cast()
"""A paid provider that takes no idempotency key, as the big ones are."""


CLIP: Mapping[str, Json] = {"task": "generate_video"}
"""A request for a clip."""


def play(folder: Path, server: ProviderServer, cast: Cast = PLAIN, **request: Json) -> Played:
    """Have one request done: `play_all`."""
    (played,) = play_all(folder, server, [request], cast)
    return played


def play_all(
    folder: Path,
    server: ProviderServer,
    requests: Sequence[Mapping[str, Json]],
    cast: Cast = PLAIN,
) -> list[Played]:
    """Have some requests done, side by side.

    Args:
        folder: where the bench stands.
        server: who is asked.
        requests: their fields; the provider and a prompt are filled in.
        cast: how the provider is configured.

    Returns:
        What became of each, in their order.
    """

    async def scene() -> list[Played]:
        configuration = cast.configuration(server.base_url)
        bench = Bench(
            folder, configuration=configuration, adapters=find_adapters(), **cast.settings
        )
        bench.network = _network(bench, cast.network)
        bench.services = replace(bench.services, network=bench.network)
        ids = [
            await bench.accept(f"{number}.json", **{"provider": "paper", **request})
            for number, request in enumerate(requests)
        ]
        await asyncio.wait_for(_at_work(bench, ids), PATIENCE)
        return _played(bench, ids)

    return asyncio.run(scene())


async def _at_work(bench: Bench, ids: Sequence[str]) -> None:
    """A runner at work until these jobs ended; time passes while it is."""
    runner = bench.runner()
    running = asyncio.create_task(runner.run())
    try:
        while not all(bench.state.jobs[one].ended for one in ids):
            bench.clock.advance(2.0)
            runner.wake()
            await asyncio.sleep(0.0005)
    finally:
        await runner.stop(5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await bench.network.close()
        bench.close()


def _network(bench: Bench, more: Mapping[str, Any]) -> Network:
    given = {
        "max_answer_bytes": CAP,
        "max_media_bytes": CAP,
        "looks_cut": looks_cut,
        "is_medium": is_medium,
        "effort": Effort(sleep=bench.clock.sleep),
        **more,
    }
    return Network(**given)


def _played(bench: Bench, ids: Sequence[str]) -> list[Played]:
    events: dict[str, list[Recorded]] = {one: [] for one in ids}
    for recorded in bench.log.read():
        if recorded.job is not None:
            events[recorded.job].append(recorded)
    return [_played_one(bench.settings.root, events[one]) for one in ids]


def _played_one(root: Path, recorded: Sequence[Recorded]) -> Played:
    events: list[Any] = [one.event for one in recorded]
    return Played(
        events[-1],
        [event for event in events if isinstance(event, ProviderAnswered)],
        [event for event in events if isinstance(event, JobRetrying)],
        root,
        next((one.time for one in recorded if isinstance(one.event, ProviderAnswered)), ""),
    )
