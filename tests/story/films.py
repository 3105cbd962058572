"""Clips that a provider makes slowly, and what must hold of each of them at every death of a daemon.

What is promised of one film, and asserted here from what the provider saw:

- Its creating call is announced durably (`provider.requested`) before it leaves, and leaves once.
- If the daemon dies between that and `provider.accepted`, nobody knows whether it was taken: it is
  never sent again, and the job ends `ambiguous_submit`. With an idempotency key it is sent again
  under the same key, so one film is made.
- From `provider.accepted` on it is only asked for.
- Its content is fetched once in each life of a daemon at most, and never after `provider.answered`
  is durable. So it is fetched once in all, but for a death between the fetch and that event: the
  bytes that came were in nobody's care then, and are fetched once more.
- From `provider.answered` on the provider is asked nothing about it.
- It is answered once, with the very bytes that the provider had.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.story.checks import check
from tests.story.paid_victim import KEY, configure
from tests.support import Root
from tests.wire.jobs import Style, job
from tests.wire.pictures import clip
from tests.wire.received import Received
from tests.wire.server import ProviderServer, kind_of
from tests.wire.talking import Reply, Talk

PATH = "/v1/videos"
HEADER = "Idempotency-Key"
FLAPPING = (
    *("queued", "in_progress", "queued", "IN-PROGRESS", "percolating", "in_progress", "running"),
    *("Pending", "processing", "preparing", "in_progress", "weighing anchor", "in_progress"),
)
"""Words of a provider that cannot make up its mind; each film is done behind some of them."""
QUICK = {
    "PAPER_KEY": KEY,
    "DARKROOM_POLL_SECONDS": "0.05",
    "DARKROOM_POLL_SECONDS_MAX": "0.15",
    "DARKROOM_RETRY_SECONDS": "0.01",
    "DARKROOM_RETRY_SECONDS_MAX": "0.05",
}
"""The environment of a `darkroom run` for these."""


def film(number: int) -> str:
    """The request's name, and its prompt."""
    return f"film-{number:02}.json"


class Films:
    """Some requests for clips on one root, and the provider that makes them.

    Args:
        path: the root.
        server: the provider.
        count: how many films.
        slowness: how often each goes through all words before it is done; 0 for some of them.
        idempotent: whether the provider takes an idempotency key.
    """

    def __init__(
        self,
        path: Path,
        server: ProviderServer,
        count: int = 20,
        slowness: int = 0,
        *,
        idempotent: bool = False,
    ) -> None:
        self.root = Root(path)
        self.server = server
        self.idempotent = idempotent
        self.slowness = slowness
        self.numbers = {film(number): number for number in range(1, count + 1)}
        self.lost: set[str] = set()
        """Those of which nobody knows whether they were taken."""
        self.fetches: Counter[str] = Counter()
        """How often each was fetched."""
        self._heard = 0
        self._durable: dict[str, set[str]] = {name: set() for name in self.numbers}
        server.always(self._take, PATH)
        configure(path, server.base_url, **({"idempotency_header": HEADER} if idempotent else {}))
        self.dropped = {name: self._request(name) for name in self.numbers}
        for name, data in self.dropped.items():
            (self.root.inbox / name).write_bytes(data)

    def _request(self, name: str) -> bytes:
        wanted = {"task": "generate_video", "prompt": name, "seconds": 4, "size": "64x48"}
        return json.dumps({**wanted, "provider": "paper", "model": "paper-1"}).encode()

    def _take(self, talk: Talk) -> Reply:
        """Take a film, which is known by its bytes. Half of them lie at their content's path, the
        others at an address that is new at each poll."""
        number = self.numbers[talk.received.fields["prompt"]]
        style: Style = "relay" if number % 2 else "openai"
        some = FLAPPING[number % len(FLAPPING) :][: 2 + number % 5]
        words = [*(FLAPPING * self.slowness or some), "completed"]
        return talk.render(job(*words, style=style)(replace(talk, number=number)))

    # ------------------------------------------------------------ after each life

    def judge_life(self, code: int | None = None) -> None:
        """What the last life of a daemon did was right, by what was durable before and after it.

        Args:
            code: its exit code, which is looked at if it is given.
        """
        assert code in (None, 0, -9), (self.root.path / "stderr.log").read_text()[-4000:]
        self.server.wait_left()
        heard, self._heard = self.server.requests[self._heard :], len(self.server.requests)
        told = self._told(heard)
        durable = self._facts()
        for name, before in self._durable.items():
            self._judge_film(name, before, durable[name], told[name])
        self._durable = durable

    def _facts(self) -> dict[str, set[str]]:
        """By film the types of events that the log holds; an answer that is a failure is none."""
        facts: dict[str, set[str]] = {name: set() for name in self.numbers}
        for line in self.root.lines():
            if line.get("subject") in facts and not line["data"].get("error"):
                kind = line["type"].removeprefix("darkroom.").removesuffix(".v1")
                facts[line["subject"]].add(kind)
        return facts

    def _told(self, heard: Sequence[Received]) -> dict[str, Counter[str]]:
        """How many requests of each kind there were about each film."""
        told: dict[str, Counter[str]] = {name: Counter() for name in self.numbers}
        ids = {f"job-{number}": name for name, number in self.numbers.items()}
        for one in heard:
            if kind_of(one) == "create":
                assert one.key == KEY
                about = one.fields["prompt"] if one.whole else None
            else:
                about = next(ids[part] for part in one.path.split("/") if part in ids)
            if about is not None:
                told[about][kind_of(one)] += 1
        return told

    def _judge_film(
        self, name: str, before: AbstractSet[str], after: AbstractSet[str], told: Counter[str]
    ) -> None:
        where = (name, sorted(before), sorted(after), told)
        assert told["create"] <= 1, where
        assert told["download"] <= 1, where
        if told["create"]:
            assert "provider.requested" in after, where
        if "provider.accepted" in before:
            assert not told["create"], where
        if "provider.answered" in before or name in self.lost:
            assert not told, where
        if told["poll"] or told["download"]:
            assert "provider.accepted" in after, where
        if "provider.answered" in after - before:
            assert told["download"] == 1, where
        self.fetches[name] += told["download"]
        is_taken = "provider.accepted" in after
        if "provider.requested" in after and not is_taken and not self.idempotent:
            self.lost.add(name)

    # ------------------------------------------------------------ at the end

    def judge(self) -> None:
        """All was answered, as it was promised; the last life was judged."""
        results = check(self.root.path, self.dropped)
        emitted = Counter(
            line["subject"] for line in self.root.lines() if "result.emitted" in line["type"]
        )
        assert emitted == dict.fromkeys(self.numbers, 1)
        made = Counter(one.fields["prompt"] for one in self.server.creates if one.whole)
        for name, number in self.numbers.items():
            if name in self.lost:
                assert results[name]["error"]["code"] == "ambiguous_submit", results[name]
                assert made[name] <= 1
                continue
            assert (results[name]["status"], results[name]["error"]) == ("succeeded", None)
            assert made[name] == 1 or self.idempotent
            movie, poster = results[name]["artifacts"]
            assert (movie["role"], poster["role"]) == ("output", "poster")
            assert (self.root.path / movie["path"]).read_bytes() == clip(number)
        if self.idempotent:
            assert (self.server.made, self.lost) == (len(self.numbers), set())


@contextmanager
def films(
    path: Path, count: int = 20, slowness: int = 0, *, idempotent: bool = False
) -> Iterator[Films]:
    """Films on a root of their own, and a provider for as long as the block."""
    path.mkdir(exist_ok=True)
    header = HEADER.lower() if idempotent else None
    with ProviderServer(key=KEY, idempotency_header=header) as server:
        yield Films(path, server, count, slowness, idempotent=idempotent)
