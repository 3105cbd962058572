"""A provider on a loopback port that answers from a script, and remembers what it was asked.

Raw sockets and threads of its own, so that every byte of an answer can be chosen, also one that no
HTTP library would send. A script is a queue of answers and faults; what is not scripted gets a
good answer.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections import Counter, defaultdict, deque
from typing import Any, Literal

from tests.wire import answers, failures
from tests.wire.jobs import Jobs
from tests.wire.listening import Listener
from tests.wire.pictures import media_type
from tests.wire.received import Received, read_head
from tests.wire.talking import Fault, Gone, Reply, Step, Talk, Wire, json_reply

Kind = Literal["create", "poll", "download", "other"]


class ProviderServer(Listener):
    """The provider.

    Args:
        tls: what it takes to speak TLS.
        key: the only key that is good, where one is needed.
        idempotency_header: the header by which it knows a creating call that comes again; such a
            call makes nothing more.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        key: str | None = None,
        idempotency_header: str | None = None,
    ) -> None:
        super().__init__(tls)
        self._key = key
        self._idempotency_header = idempotency_header
        self._scripts: defaultdict[str, deque[Step]] = defaultdict(deque)
        self._made_before: dict[str, int] = {}
        self._always: dict[str, Step] = {}
        self.jobs = Jobs()
        self.released = threading.Event()
        self.requests: list[Received] = []
        self.answered = 0
        """How many requests were dealt with to the end, as answer or as fault."""
        self.made = 0
        """How many creating calls arrived whole. One that brings the idempotency key of one before
        is the same call."""

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    # ------------------------------------------------------------ what it is told

    def script(self, *steps: Step, at: str = "create") -> None:
        """Give these to the next requests of a kind, one to each; afterwards good answers again.

        Args:
            at: "create", "poll" or "download", a path ("/media/x.png"), or "connect": the next
                connection, as soon as its first byte came; only faults can be given there.
        """
        with self.changed:
            self._scripts[at].extend(steps)

    def media(self, path: str, data: bytes) -> str:
        """Have bytes lie at a path; its address."""
        return self.always(Reply(200, data, {"content-type": media_type(data)}), path)

    def always(self, step: Step, path: str) -> str:
        """Deal with each request to a path like this, where no script says otherwise, whatever its
        key; the path's address."""
        with self.changed:
            self._always[path] = step
        return self.origin + path

    def release(self) -> None:
        """Let those go on who hang (`faults.hang`)."""
        self.released.set()

    # ------------------------------------------------------------ what it saw

    def _count(self) -> int:
        return len(self.requests)

    def _of(self, kind: Kind) -> list[Received]:
        with self.changed:
            return [one for one in self.requests if kind_of(one) == kind]

    @property
    def creates(self) -> list[Received]:
        """The creating calls, whatever became of them."""
        return self._of("create")

    @property
    def polls(self) -> list[Received]:
        return self._of("poll")

    @property
    def downloads(self) -> list[Received]:
        return self._of("download")

    def creates_by_key(self) -> Counter[str | None]:
        return Counter(one.key for one in self.creates)

    def creates_by_body(self) -> Counter[str]:
        return Counter(one.digest for one in self.creates)

    # ------------------------------------------------------------ what it does

    def serve(self, wire: Wire) -> None:
        with contextlib.suppress(Gone):
            while wire.open and wire.begun():
                if fault := self._next("connect", Fault):
                    nothing = Received("", "", {}, {}, b"", wire.number, whole=False)
                    fault.act(Talk(self, nothing, wire, 0, self.leaving))
                    self._dealt_with()
                elif not self._one(wire):
                    break
        wire.finish()

    def _one(self, wire: Wire) -> bool:
        """One request and its answer; whether another may follow."""
        head = wire.head()
        if head is None:
            return False
        received = read_head(head, wire.number)
        lanes = (received.path, kind_of(received))
        for lane in lanes:
            if fault := self._next(lane, Fault, early=True):
                self._perform(fault, Received(**{**vars(received), "whole": False}), wire)
                return wire.open
        try:
            body = wire.body(received.headers)
        except Gone:
            self._record(Received(**{**vars(received), "whole": False}))
            return False
        self._perform(None, Received(**{**vars(received), "body": body}), wire)
        return wire.open and received.headers.get("connection", "").lower() != "close"

    def _perform(self, step: Step | None, received: Received, wire: Wire) -> None:
        number = self._record(received)
        talk = Talk(self, received, wire, number, self.leaving)
        if step is None:
            step = self._step(received)
        try:
            if isinstance(step, Fault):
                step.act(talk)
            else:
                wire.send(talk.render(step).wire())
        finally:
            self._dealt_with()

    def _step(self, received: Received) -> Step:
        scripted = self._next(received.path) or self._next(kind_of(received))
        with self.changed:
            step: Step = scripted or self._always.get(received.path, good)
        return step

    def _record(self, received: Received) -> int:
        """Count a request in; which of its kind it is."""
        with self.changed:
            self.requests.append(received)
            number = sum(kind_of(one) == kind_of(received) for one in self.requests)
            if kind_of(received) == "create" and received.whole:
                number = self._make(received)
            self.changed.notify_all()
            return number

    def _make(self, received: Received) -> int:
        """The number of what a creating call makes: a new one, or that of the same call before."""
        again = received.headers.get(self._idempotency_header or "")
        if again in self._made_before:
            return self._made_before[again]
        self.made += 1
        if again is not None:
            self._made_before[again] = self.made
        return self.made

    def _next(self, lane: str, kind: Any = object, *, early: bool = False) -> Any:
        """Take the next step of a lane, if it is such a one."""
        with self.changed:
            steps = self._scripts[lane]
            if steps and isinstance(steps[0], kind) and (not early or steps[0].early):
                return steps.popleft()
            return None

    def _dealt_with(self) -> None:
        with self.changed:
            self.answered += 1
            self.changed.notify_all()

    def key_is_good(self, received: Received) -> bool:
        return self._key is None or received.key == self._key


def kind_of(received: Received) -> Kind:
    """What a request is: by its method and path alone, as it is for every such server."""
    last = received.path.rpartition("/")[2]
    if received.method == "POST":
        return "other" if last == "cancel" else "create"
    if received.path.startswith("/media/") or last == "content":
        return "download"
    return "other" if last == "models" or received.method != "GET" else "poll"


def good(talk: Talk) -> Reply:
    """The answer to a request for which nothing was scripted."""
    server, received = talk.server, talk.received
    if not server.key_is_good(received):
        return talk.render(failures.wrong_key())
    if kind_of(received) == "create":
        return talk.render(answers.usual(received.path))
    if received.path.endswith("/models"):
        return json_reply({"object": "list", "data": [MODEL]})
    return server.jobs.reply(talk) or talk.render(failures.not_found())


MODEL = {"id": "paper-1", "object": "model", "created": 1700000000, "owned_by": "tests"}
