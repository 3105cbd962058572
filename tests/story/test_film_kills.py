"""Daemons that die while a provider makes twenty clips, over real HTTP: each is made once, fetched
once, answered once, and is to the byte what the provider had. `films` says what that comes to.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.story.film_victim import Death, run
from tests.story.films import QUICK, Films, films
from tests.support import Daemon, Root, darkroom, wait_until
from tests.wire import failures, faults

SLOW = pytest.mark.slow
PARTS = 4
"""Of so many every one tells its share of the boundaries, so that they can run side by side."""


def tell(path: Path, death: Death, count: int = 20, *, idempotent: bool = False) -> Films | None:
    """A story with one death; None where it never came to that, as all was done before."""
    with films(path, count, idempotent=idempotent) as told:
        try:
            killed = run(path, death)
            told.judge_life(killed)
            told.judge_life(run(path))
            told.judge()
        except AssertionError as error:
            error.add_note(f"killed at {death}")
            raise
    return told if killed else None


# ---------------------------------------------------------------- killed at every event


def test_a_kill_at_an_event_makes_fetches_and_answers_no_film_twice(tmp_path: Path) -> None:
    taken = tell(tmp_path / "taken", Death(2, kind="provider.accepted"), count=3)
    assert taken is not None
    fetched = tell(tmp_path / "fetched", Death(1, torn=True, kind="provider.answered"), count=3)
    assert fetched is not None
    assert (len(fetched.fetches), fetched.fetches.total() > 3) == (3, True)
    pictured = tell(tmp_path / "pictured", Death(2, torn=True, kind="artifact.saved"), count=3)
    assert pictured is not None


@SLOW
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("torn", [False, True])
def test_kills_at_every_event_of_twenty_films(
    torn: bool, part: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    for line in itertools.count(1 + part, PARTS):
        if tell(tmp_path / str(line), Death(line, torn)) is None:
            break
        shutil.rmtree(tmp_path / str(line))
    assert line > 11 * 20  # events of each film
    record_property("kills", len(range(1 + part, line, PARTS)))


@SLOW
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["provider.requested", "provider.accepted"])
def test_kills_around_each_call_make_one_film_where_it_has_a_key_of_its_own(
    kind: str, tmp_path: Path
) -> None:
    for number, torn in itertools.product(range(1, 21), (False, True)):
        path = tmp_path / f"{number}-{torn}"
        assert tell(path, Death(number, torn, kind), idempotent=True) is not None
        shutil.rmtree(path)


# ---------------------------------------------------------------- killed from outside


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("count", "kills"), [(2, 1), pytest.param(20, 3, marks=SLOW)])
def test_kills_of_a_daemon_while_all_films_are_waited_for(
    count: int, kills: int, tmp_path: Path
) -> None:
    with films(tmp_path, count, slowness=3) as told:
        for _ in range(kills):
            polls = len(told.server.polls)
            victim = Daemon(tmp_path, DARKROOM_CONCURRENCY="8", **QUICK)
            wait_until(lambda: told.root.types().count("job.parked") == count, "all are parked")
            wait_until(lambda: len(told.server.polls) > polls + count, "all are asked for")  # noqa: B023
            victim.kill()
            told.judge_life()
            shown = json.loads(darkroom(tmp_path, "status", "--json").stdout)
            assert shown["counts"] == {"polling": count}
            assert shown["lanes"]["paper"]["polling"] == count
        told.server.script(
            failures.overloaded(), faults.reset_after_request(), failures.page(502), at="poll"
        )
        last = Daemon(tmp_path, "--drain", **{**QUICK, "DARKROOM_POLL_SECONDS_MAX": "0.03"})
        told.judge_life(last.wait(120))
        told.judge()
        assert (told.lost, told.fetches.total()) == (set(), count)
        types = Counter(told.root.types())
    assert types["provider.accepted"] == types["provider.answered"] == types["job.parked"] == count
    assert types["job.started"] == 2 * count


# ---------------------------------------------------------------- killed at random


def live_by_chance(told: Films, chance: random.Random) -> int | None:
    """One life, whose end is chosen by chance: its own hand at a line, or ours after some lines,
    as long as `darkroom run` takes for so many."""
    line = chance.randint(1, 150)
    if chance.random() < 0.7:
        return run(told.root.path, Death(line, torn=chance.random() < 0.5))
    before = lines(told.root)
    victim = Daemon(told.root.path, "--drain", **QUICK)
    wait_until(
        lambda: lines(told.root) >= before + line or victim.process.poll() is not None,
        "so many lines",
    )
    victim.kill()
    return victim.process.returncode


def lines(root: Root) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (root.path / "events").glob("0*.jsonl"))


def tell_by_chance(path: Path, seed: int) -> int:
    """A story of some deaths, with a provider that sometimes knows nothing; how many they were."""
    chance, deaths = random.Random(seed), 0
    slowness, idempotent = chance.choice([0, 0, 1]), chance.random() < 0.3
    with films(path, slowness=slowness, idempotent=idempotent) as told:
        try:
            for _ in range(chance.randint(1, 6)):
                faulty = [failures.overloaded(), faults.reset_after_request(), failures.not_found()]
                told.server.script(*chance.choices(faulty, k=chance.randint(0, 5)), at="poll")
                code = live_by_chance(told, chance)
                told.judge_life(code)
                if code == 0:
                    break
                deaths += 1
            told.judge_life(run(path))
            told.judge()
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
    return deaths


@SLOW
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(2))
def test_random_kills_of_twenty_films_for_minutes(
    part: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    deaths = 0
    stories = int(os.environ.get("DARKROOM_FILM_KILLS", "40"))
    for seed in range(1000 + part, 1000 + stories, 2):
        deaths += tell_by_chance(tmp_path / str(seed), seed)
        shutil.rmtree(tmp_path / str(seed))
    assert deaths
    record_property("kills", deaths)
