"""Every answer that a provider can give, and every way in which a call can be lost, through a whole
daemon over real HTTP: what it comes to, how often it was paid for, and that the key stays secret."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.story.paid_victim import KEY, configure
from tests.support import Root, darkroom
from tests.wire import answers, failures, faults
from tests.wire.listening import Untouched
from tests.wire.pictures import picture
from tests.wire.server import ProviderServer
from tests.wire.talking import Reply, Step

REQUEST = {"prompt": "a fox", "size": "16x12", "provider": "paper", "model": "paper-1"}
MEBIBYTE = faults.MEBIBYTE

Outcome = tuple[str | None, int]
"""The code of the error, None for a success; and how many creating calls there were."""

GOOD: dict[str, Step] = {
    **answers.GOOD,
    "zipped": faults.zipped(),
    "until the end": faults.until_close(),
    "in chunks": faults.chunked(),
    "and more behind it": faults.too_much(),
    "and then closed": faults.then_close(),
    "and then reset": faults.then_reset_next(),
}

PAID_FOR_NOTHING = {
    "empty_data": "no_media",
    "no_data": "no_media",
    "filtered": "content_refused",
    "no_picture": "unreadable_media",
    "no_base64": "unreadable_media",
    "local_path": "download_failed",
    "bucket": "download_failed",
    "html": "provider_failed",
    "chat_refusal": "no_media",
    "torn_json": "provider_failed",
    "nothing": "no_media",
    "sse_error": "provider_failed",
}

LOST: dict[str, Step] = {
    "reset": faults.reset_after_request(),
    "closed": faults.close_after_request(),
    "reset in the head": faults.reset_in_head(),
    "reset in the body": faults.reset_in_body(),
    "too few bytes": faults.wrong_length(7),
    "chunks cut short": faults.chunked(cut=True),
    "no HTTP": faults.no_http(),
    "headers without end": faults.endless_head(),
    "a body without end": faults.endless("application/json"),
    "a bomb": faults.bomb(16 * MEBIBYTE),
    "a strange encoding": faults.odd_encoding(),
    "no answer": faults.hang(),
    "half an answer": faults.hang_in_body(),
    "drop by drop": faults.drip(every=0.2),
}


def code_of(name: str) -> str:
    """What a refusal comes to, by its name."""
    if name.startswith("moderated"):
        return "content_refused"
    if name.startswith("no funds"):
        return "provider_quota"
    keys = ("wrong key", "no key", "forbidden")
    return "provider_auth" if name.startswith(keys) else "provider_rejected"


def outcomes(tmp_path: Path, server: ProviderServer, steps: dict[str, Step]) -> dict[str, Outcome]:
    """Drop a request for each of some answers, have all of them done, and tell what they came to."""
    root = Root(tmp_path)
    configure(root.path, server.base_url)
    paths = {name: f"/cases/{number}" for number, name in enumerate(steps)}
    for name, path in paths.items():
        server.always(steps[name], f"/v1{path}")
        slow = {"timeout": 0.7} if name in ("no answer", "half an answer", "drop by drop") else {}
        root.drop(f"{path[7:]}.json", {**REQUEST, **slow, "endpoint": path})
    run(root)
    creates = Counter(one.path.removeprefix("/v1") for one in server.creates)
    found: dict[str, Outcome] = {}
    for name, path in paths.items():
        result = root.result(f"{path[7:]}.json")
        assert result is not None, name
        code = result["error"]["code"] if result["error"] else None
        assert (code is None) == (result["status"] == "succeeded") == bool(result["artifacts"])
        found[name] = code, creates[path]
    return found


def run(root: Root) -> None:
    """Answer all that lies there; the key must be nowhere afterwards."""
    quick = {
        "DARKROOM_RETRY_SECONDS": "0.01",
        "DARKROOM_PROVIDER_CONCURRENCY": "16",
        "DARKROOM_MAX_ANSWER_BYTES": str(4 * MEBIBYTE),
    }
    done = darkroom(root.path, "run", "--drain", PAPER_KEY=KEY, **quick)
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    for path in root.path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


@pytest.fixture
def server() -> Any:
    with ProviderServer(key=KEY) as running:
        yield running


def test_every_good_answer_is_understood(tmp_path: Path, server: ProviderServer) -> None:
    found = outcomes(tmp_path, server, GOOD)
    assert found == dict.fromkeys(GOOD, (None, 1))


def test_an_answer_without_a_picture_is_a_failure_that_was_paid_for_once(
    tmp_path: Path, server: ProviderServer
) -> None:
    more = {"more bytes than it says": faults.wrong_length(-7)}
    found = outcomes(tmp_path, server, {**answers.BAD, **failures.INSIDE_200, **more})
    expected = {name: PAID_FOR_NOTHING.get(name, "provider_failed") for name in found}
    expected |= {"MiniMax": "content_refused", "Kling": "content_refused"}
    assert found == {name: (code, 1) for name, code in expected.items()}


def test_a_refusal_is_never_tried_again(tmp_path: Path, server: ProviderServer) -> None:
    found = outcomes(tmp_path, server, dict(failures.REFUSED))
    assert found == {name: (code_of(name), 1) for name in failures.REFUSED}


def test_a_failure_that_passes_is_tried_again_unless_it_may_have_been_done(
    tmp_path: Path, server: ProviderServer
) -> None:
    passing: dict[str, Step] = dict(failures.PASSING)
    for name in ("rate limit", "slow down"):  # those are waited out for as long as it takes
        del passing[name]
    found = outcomes(tmp_path, server, passing)
    unknown = {
        name for name in passing if failures.PASSING[name].status in (502, 504, 521, 524, 529)
    }
    assert {name for name, one in found.items() if one == ("ambiguous_submit", 1)} == unknown
    rest = {name: one for name, one in found.items() if name not in unknown}
    assert set(rest.values()) == {("provider_unavailable", 3), ("provider_timeout", 3)}


def test_a_lost_answer_is_never_asked_for_again(tmp_path: Path, server: ProviderServer) -> None:
    assert outcomes(tmp_path, server, LOST) == dict.fromkeys(LOST, ("ambiguous_submit", 1))


def test_a_provider_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    with ProviderServer(key=KEY) as gone:
        pass
    found = outcomes(tmp_path, gone, {"good": answers.b64()})
    assert found == {"good": ("provider_unavailable", 0)}


def test_a_rate_limit_is_waited_out(tmp_path: Path, server: ProviderServer) -> None:
    server.script(failures.rate_limited(retry_after_ms="20"))
    assert outcomes(tmp_path, server, {"good": answers.b64()}) == {"good": (None, 2)}


# ---------------------------------------------------------------- media that lie elsewhere

PASSING_DOWNLOADS: dict[str, Step] = {
    "unavailable": failures.empty(503),
    "reset": faults.reset_in_body(),
    "cut short": faults.wrong_length(7),
}


@pytest.mark.parametrize("name", PASSING_DOWNLOADS)
def test_a_download_that_fails_is_tried_again_and_nothing_is_paid_for(
    name: str, tmp_path: Path, server: ProviderServer
) -> None:
    server.script(PASSING_DOWNLOADS[name], at="download")
    assert outcomes(tmp_path, server, {"url": answers.url()}) == {"url": (None, 1)}
    assert len(server.downloads) == 2


def test_nothing_inward_is_fetched_and_nobody_else_is_shown_the_key(
    tmp_path: Path, server: ProviderServer
) -> None:
    with Untouched() as inward, ProviderServer() as elsewhere:
        there = f"http://127.0.0.1:{inward.port}/x.png"
        here = server.always(faults.redirect(there), "/media/1.png")
        again = server.always(faults.redirect(there.replace("http", "https")), "/media/2.png")
        steps: dict[str, Step] = {
            "an address inward": answers.url_to(there),
            "the same by TLS": answers.url_to(f"https://localhost:{inward.port}/x.png"),
            "metadata": answers.url_to("http://169.254.169.254/latest/meta-data"),
            "a redirect inward": answers.url_to(here),
            "another one": answers.url_to(again),
            "another port": answers.url(elsewhere),
            "the answer itself": faults.redirect(there, 307),
        }
        found = outcomes(tmp_path, server, steps)
        assert inward.touched() == 0
        assert elsewhere.requests == []
    assert found.pop("the answer itself") == ("provider_rejected", 1)
    assert found == dict.fromkeys(found, ("download_failed", 1))


def test_what_is_no_picture_is_not_taken_for_one(tmp_path: Path, server: ProviderServer) -> None:
    png, steps = Reply(200, picture(1), {"content-type": "image/png"}), dict[str, Step]()
    pages = {"a page": answers.html(), "gone": failures.empty(410), "gzip": faults.zipped(png)}
    for number, (name, step) in enumerate(pages.items()):
        steps[name] = answers.url_to(server.always(step, f"/media/{number}.png"))
    found = outcomes(tmp_path, server, steps)
    assert found == dict.fromkeys(steps, ("download_failed", 1))
