"""The daemon is killed at every boundary of jobs that a provider does for money, over real HTTP:
one creating call each, and always an answer."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from daemon.testing import tiny_image
from tests.story.boundaries import one_of_each
from tests.story.checks import check
from tests.story.paid_victim import KEY, SENDING, SENT, configure, run, tally
from tests.support import Root
from tests.wire import answers
from tests.wire.jobs import job
from tests.wire.server import ProviderServer
from tests.wire.talking import Answer

NAME = "fox.json"
REQUEST = {
    "prompt": "a fox", "size": "16x12", "n": 2, "provider": "paper", "model": "paper-1",
}  # fmt: skip
EDIT = {
    "task": "mask_inpaint", "image": "inbox/photo.png", "regions": ["rect:4:4:20:16"],
    "keep_outside": True, "prompt": "a fox", "provider": "paper", "model": "paper-1",
}  # fmt: skip
FILM = {"task": "generate_video", "prompt": "a fox", "provider": "paper", "model": "paper-1"}
PHOTO = tiny_image("navy", (64, 48))
LOG_WRITE = 4
"""How many boundaries a write to the log has."""
SAVING = "before daemon.gallery.publish"
HEADER = "Idempotency-Key"


class Kind(NamedTuple):
    """A way in which a provider answers a call."""

    answer: Answer
    accepted: bool = False
    """Whether it takes the call first, and the pictures are to be fetched."""
    idempotent: bool = False
    request: Mapping[str, Any] = REQUEST
    path: str = "/v1/images/generations"


KINDS = {
    "image": Kind(answers.b64()),
    "address": Kind(answers.url(), accepted=True),
    "film": Kind(
        job("queued", "in_progress", "completed", style="openai"),
        accepted=True,
        request=FILM,
        path="/v1/videos",
    ),
    "idempotent": Kind(answers.b64(), idempotent=True),
    "edit": Kind(answers.b64(), request=EDIT, path="/v1/images/edits"),
}


class Story:
    """One root and one provider: a request is dropped, a victim is killed, another one goes on."""

    def __init__(self, root: Path, kind: Kind, server: ProviderServer) -> None:
        self.root = root
        self.kind = kind
        self.server = server
        self.lost = False
        """Whether the victim died while nobody knew what became of its call."""
        self.seen = 0
        """How many creating calls the provider had seen by then."""
        # Not scripted but for always: a second creating call would be answered as well.
        server.always(kind.answer, kind.path)
        self.dropped = {NAME: json.dumps(kind.request).encode()}
        self.photo = Root(root).inbox / "photo.png"
        self.photo.write_bytes(PHOTO)
        Root(root).inbox.joinpath(NAME).write_bytes(self.dropped[NAME])
        configure(
            root, server.base_url, **({"idempotency_header": HEADER} if kind.idempotent else {})
        )

    def live(self, kills: Sequence[int], only: str) -> None:
        """Die at each of these boundaries, then live on; all promises must have been kept."""
        for kill_at in kills:
            assert run(self.root, kill_at, only) in (-9, 0)
            types = set(Root(self.root).types(NAME))
            known = {"provider.accepted", "provider.answered"} & types
            self.lost = "provider.requested" in types and not known
            self.seen = len(self.server.creates)
            if "input.read" in types:  # from then on nobody needs the file any more
                self.photo.unlink(missing_ok=True)
        assert run(self.root) == 0, (self.root / "stderr.log").read_text()[-4000:]
        self.photo.unlink(missing_ok=True)  # which no result answers
        self.judge(check(self.root, self.dropped)[NAME])

    def judge(self, result: dict[str, Any]) -> None:
        self.judge_secrets()
        creates = self.server.creates
        assert {one.key for one in creates} <= {KEY}
        if self.lost and not self.kind.idempotent:
            assert result["status"] == "failed"
            assert result["error"]["code"] == "ambiguous_submit"
            assert len(creates) == self.seen <= 1
            return
        assert result["status"] == "succeeded", result
        assert len(result["artifacts"]) == 2  # two pictures, a mask and one, a clip and its poster
        assert self.server.made == 1
        assert len(creates) == 1 + (self.seen if self.lost else 0)
        accepted = Root(self.root).types(NAME).count("provider.accepted")
        assert accepted == int(self.kind.accepted)

    def judge_secrets(self) -> None:
        """The key stands nowhere on the disk."""
        for path in self.root.rglob("*"):
            if path.is_file():
                assert KEY.encode() not in path.read_bytes(), path


def tell(kind: str, root: Path, *kills: int, only: str = "") -> Story:
    """A story from its beginning to its end."""
    chosen = KINDS[kind]
    header = HEADER.lower() if chosen.idempotent else None
    with ProviderServer(key=KEY, idempotency_header=header) as server:
        story = Story(root, chosen, server)
        try:
            story.live(kills, only)
        except AssertionError as error:
            error.add_note(f"{kind}, killed at boundary {kills} {only}")
            raise
        return story


def boundaries(kind: str, root: Path) -> list[str]:
    """The boundaries that a run passes which nobody kills."""
    story = tell(kind, root)
    assert story.server.made == len(story.server.creates) == 1
    return tally(root)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["image", pytest.param("film", marks=pytest.mark.slow)])
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_kill_at_every_boundary_pays_nothing_twice_and_is_answered(
    kind: str, every: bool, tmp_path: Path
) -> None:
    """Or, in the suite, at one of each kind."""
    passed = boundaries(kind, tmp_path / "0")
    assert {SENDING, SENT, "inside a write to the log"} <= set(passed)
    for kill_at in range(1, len(passed) + 1) if every else one_of_each(passed):
        tell(kind, tmp_path / str(kill_at), kill_at)


@pytest.mark.slow
@pytest.mark.timeout(170)
@pytest.mark.parametrize("kind", ["address", "idempotent", "edit"])
def test_so_does_one_at_every_boundary_until_the_pictures_are_here(
    kind: str, tmp_path: Path
) -> None:
    passed = boundaries(kind, tmp_path / "0")
    announced = passed.index(SENDING) - LOG_WRITE
    for kill_at in range(announced, passed.index(SAVING) + 1):
        tell(kind, tmp_path / str(kill_at), kill_at)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["address", "film"])
def test_kills_again_and_again_pay_nothing_twice_either(kind: str, tmp_path: Path) -> None:
    last = len(boundaries(kind, tmp_path / "undisturbed"))
    for seed in range(8):
        chance = random.Random(seed)
        kills = [chance.randint(10, last) for _ in range(chance.randint(2, 4))]
        tell(kind, tmp_path / str(seed), *kills)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("boundary", "seen"), [(SENDING, 0), (SENT, 1)])
def test_a_kill_around_a_call_leaves_it_unknown_whether_it_was_done(
    kind: str, boundary: str, seen: int, tmp_path: Path
) -> None:
    story = tell(kind, tmp_path / "root", 1, only=boundary)
    assert (story.lost, story.seen) == (True, seen)
