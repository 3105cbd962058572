"""Names of every kind: of requests, of folders, and of what stands where a result belongs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Daemon, Root, daemon, darkroom, drain, wait_until

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}

GOOD_NAMES = {
    "a newline": b"new\nline.json",
    "spaces": b"  two  words .json",
    "unicode": "caf\u00e9-\U0001f3a8-\u65e5\u672c.json".encode(),
    "a decomposed accent": "cafe\u0301.json".encode(),
    "a right-to-left mark": "x\u202ejson.json".encode(),
    "a line separator": "x\u2028y.json".encode(),
    "bytes that are no UTF-8": b"caf\xe9-\xff\xfe.json",
    "half a character": b"x\xe2\x82.json",
    "a backslash": b"back\\slash.json",
    "what a backslash would escape": b"back\\xe9slash.json",
    "two backslashes at the end": b"back\\\\.json",
    "a control character": b"bell\x07 escape\x1b[31m.json",
    "quotes": b"'\"`$(touch pwned)`.json",
    "a leading dash": b"-rf.json",
    "shell wild cards": b"*?[a].json",
    "rich markup": b"[bold]x[red].json",
    "two suffixes": b"x.json.json",
    "the word result": b"result.json",
    "255 bytes": b"n" * 250 + b".json",
    "255 bytes that are no UTF-8": b"\xff" * 250 + b".json",
    "255 bytes of wide characters": "\u65e5".encode() * 83 + b"n.json",
    "244 bytes, of which the result just fits not": b"m" * 244 + b".json",
    "243 bytes, of which the result just fits": b"m" * 243 + b".json",
}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Root, Daemon]]:
    """One daemon for the tests that only add names."""
    root = Root(tmp_path_factory.mktemp("names") / "root")
    with daemon(root.path, DARKROOM_SCAN_INTERVAL="0.1", DARKROOM_SETTLE="0.2") as running:
        yield root, running


@pytest.fixture
def served(serving: tuple[Root, Daemon]) -> Root:
    root, running = serving
    assert running.process.poll() is None, running.diagnostics()
    return root


def drop_bytes(root: Root, name: bytes, request: Any = DRY) -> Path:
    """Drop a request under any name at all."""
    return root.drop(os.fsdecode(name), request)


def results(root: Root) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(root.inbox.rglob("*.result.json"))]


def answer_of(root: Root, request: str) -> dict[str, Any]:
    """The result that says it answers this request, wherever it lies."""
    return wait_until(
        lambda: next((found for found in results(root) if found["request"] == request), None),
        f"an answer to {request!r}",
    )


def wait_a_scan(root: Root) -> None:
    """Until a request came in that only a scan finds, and so everything else was found too."""
    marker = root.drop(f"marker-{os.urandom(4).hex()}.json", DRY)
    wait_until(lambda: "result.emitted" in root.types(marker.name), "the marker is answered")
    (root.inbox / f"{marker.stem}.result.json").unlink()
    os.utime(marker)
    root.wait_result(marker.name)


# ---------------------------------------------------------------- names of requests


def test_requests_of_every_name_are_answered_once_each_shown_and_rebuilt(root: Root) -> None:
    count = len(GOOD_NAMES)
    for name in GOOD_NAMES.values():
        drop_bytes(root, name)
    for _ in range(2):  # and once more after a restart, for nothing
        drain(root.path)
        assert len({found["request"] for found in results(root)}) == len(results(root)) == count
        assert {found["status"] for found in results(root)} == {"succeeded"}
        assert root.types().count("job.accepted") == count
        assert root.types().count("result.emitted") == count
    assert not list(root.path.rglob("pwned"))

    shown = darkroom(root.path, "status", "--most", "100")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"{count} succeeded" in shown.stdout
    parsed = json.loads(darkroom(root.path, "status", "--json", "--most", "100").stdout)
    assert {row["request"] for row in parsed["requests"]} == {
        found["request"] for found in results(root)
    }

    before = {path: path.read_bytes() for path in root.inbox.rglob("*.result.json")}
    for path in before:
        path.unlink()
    assert darkroom(root.path, "rebuild").returncode == 0
    assert {path: path.read_bytes() for path in root.inbox.rglob("*.result.json")} == before


@pytest.mark.parametrize("kind", GOOD_NAMES)
def test_a_request_is_answered_beside_it_whatever_its_name(served: Root, kind: str) -> None:
    name = GOOD_NAMES[kind]
    folder = f"beside-{list(GOOD_NAMES).index(kind)}"
    drop_bytes(served, folder.encode() + b"/" + name)
    wait_until(lambda: len(os.listdir(served.inbox / folder)) == 2, "a file beside it")
    (answer,) = set(os.listdir(os.fsencode(served.inbox / folder))) - {name}
    if len(name) - 5 + len(b".result.json") <= 255:
        stem = name.removesuffix(b".json")
        assert answer == (name if stem.endswith((b".json", b".jsonl")) else stem) + b".result.json"
    assert answer.endswith(b".result.json")
    assert len(answer) <= 255


def test_a_shortened_result_name_is_said_in_the_log(served: Root) -> None:
    name = "s" * 250 + ".json"
    served.drop(name, DRY)
    wait_until(lambda: "result.emitted" in served.types(name), "its result is said")
    (said,) = [
        line["data"]["file"]
        for line in served.lines()
        if line.get("subject") == name and line["type"] == "darkroom.result.emitted.v1"
    ]
    assert len(said) == 255
    assert json.loads((served.inbox / said).read_text())["request"] == name


def test_two_long_names_with_the_same_beginning_have_two_results(served: Root) -> None:
    names = ["t" * 249 + end + ".json" for end in "ab"]
    for name in names:
        served.drop(name, DRY)
    assert {answer_of(served, name)["request"] for name in names} == set(names)


def test_two_names_that_differ_in_a_bad_byte_alone_have_two_jobs(served: Root) -> None:
    for name in (b"bad-\xfe.json", b"bad-\xff.json", b"bad-\\xff.json"):
        drop_bytes(served, name)
    jobs = {
        answer_of(served, name)["job"]
        for name in (r"bad-\xfe.json", r"bad-\xff.json", r"bad-\\xff.json")
    }
    assert len(jobs) == 3


def test_a_request_in_a_sub_folder_is_answered_there(served: Root) -> None:
    served.drop("alice/deep er/\u00fc/x.json", DRY)
    assert (
        served.wait_result("alice/deep er/\u00fc/x.json")["request"]
        == "alice/deep er/\u00fc/x.json"
    )


def test_a_sub_folder_that_is_moved_in_with_its_requests_is_looked_through(served: Root) -> None:
    aside = served.path / "bob-aside"
    (aside / "in").mkdir(parents=True)
    for name in ("x.json", "in/y.json"):
        (aside / name).write_text(json.dumps(DRY))
    aside.rename(served.inbox / "bob")
    assert served.wait_result("bob/x.json")["ok"]
    assert served.wait_result("bob/in/y.json")["ok"]


def test_a_request_that_moves_to_another_folder_is_another_request(served: Root) -> None:
    path = served.drop("here/x.json", DRY)
    first = served.wait_result("here/x.json")
    (served.inbox / "there").mkdir()
    path.rename(served.inbox / "there" / "x.json")
    assert served.wait_result("there/x.json")["job"] != first["job"]


def test_control_files_work_for_odd_names(served: Root) -> None:
    for number, name in enumerate((b"odd\nname", b"odd-\xff", b"odd\\", b"o" * 245)):
        folder = f"control-{number}".encode()
        drop_bytes(served, folder + b"/" + name + b".json")
        wait_until(
            lambda f=folder: len(os.listdir(os.path.join(os.fsencode(served.inbox), f))) == 2,
            "a result",
        )
        control = os.path.join(os.fsencode(served.inbox), folder, name + b".retry")
        Path(os.fsdecode(control)).touch()
        wait_until(lambda c=control: not os.path.exists(c), "it is obeyed")
    retried = [
        line["subject"]
        for line in served.lines()
        if line["type"] == "darkroom.job.retry_requested.v1"
    ]
    assert len(retried) == 4


# ---------------------------------------------------------------- what is ignored


@pytest.mark.parametrize(
    "name",
    [
        *("x.json.tmp", "x.json.part", "x.json.partial", "x.json.writing", "x.json.swp"),
        *("x.json.crdownload", "x.json~", "x.txt", "x", "x.JSON", "x.json5", "x.result.json"),
        *(".json", ".x.json", ".x.json.swp", "json", "x.jsonl.result.jsonl", "x.yaml", "x.json "),
        *(".hidden/x.json", "open/.hidden/x.json", "open/.hidden/open/x.json", ".x.cancel"),
    ],
)
def test_a_name_that_is_no_request_s_is_left_alone(served: Root, name: str) -> None:
    folder = f"ignored-{name.encode().hex()}"
    path = served.drop(f"{folder}/{name}", DRY)
    wait_a_scan(served)
    assert path.read_text() == json.dumps(DRY)
    assert served.types(f"{folder}/{name}") == []
    assert [found for found in (served.inbox / folder).rglob("*") if found.is_file()] == [path]


def test_a_file_that_is_renamed_from_an_ignored_name_is_taken(served: Root) -> None:
    path = served.drop("renamed.json.tmp", DRY)
    wait_a_scan(served)
    path.rename(served.inbox / "renamed.json")
    assert served.wait_result("renamed.json")["ok"]


# ---------------------------------------------------------------- names that are refused


def test_a_folder_with_a_request_s_name_is_refused_and_what_is_inside_is_not_run(
    served: Root,
) -> None:
    (served.inbox / "folder.json").mkdir()
    served.drop("folder.json/inside.json", DRY)
    result = served.wait_result("folder.json")
    assert (result["status"], result["error"]["code"]) == ("rejected", "unreadable_request")
    assert "directory" in result["error"]["message"]
    wait_a_scan(served)
    assert served.types("folder.json/inside.json") == []
    assert os.listdir(served.inbox / "folder.json") == ["inside.json"]


@pytest.mark.parametrize("name", ["queue.jsonl", "empty.jsonl", "odd\n.jsonl"])
def test_the_answers_to_a_queue_keep_its_suffix(served: Root, name: str) -> None:
    served.drop(name, b"" if "empty" in name else json.dumps(DRY).encode() + b"\n")
    result = served.wait_result(name)
    assert (result["status"], result["count"]) == ("succeeded", 0 if "empty" in name else 1)
    assert (served.inbox / f"{name}.result.json").exists()
    rows = (served.inbox / f"{name}.result.jsonl").read_text().splitlines()
    assert len(rows) == result["count"]


def test_a_queue_and_a_request_of_one_stem_have_answers_of_their_own(served: Root) -> None:
    served.drop("both.jsonl", json.dumps(DRY).encode() + b"\n")
    served.drop("both.json", DRY)
    assert served.wait_result("both.json")["task"] == "generate_image"
    assert served.wait_result("both.jsonl")["task"] == "generate_batch_media"


# ---------------------------------------------------------------- what stands in the result's way


def test_a_link_in_the_result_s_place_is_replaced_and_its_target_is_untouched(served: Root) -> None:
    target = served.path / "precious"
    target.write_text("precious")
    (served.inbox / "linked.result.json").symlink_to(target)
    served.drop("linked.json", DRY)
    wait_until(lambda: "result.emitted" in served.types("linked.json"), "it is answered")
    assert target.read_text() == "precious"
    assert not (served.inbox / "linked.result.json").is_symlink()
    assert served.wait_result("linked.json")["ok"]


def test_a_link_to_a_copy_of_the_result_is_no_result(root: Root) -> None:
    root.drop("x.json", DRY)
    drain(root.path)
    result = root.inbox / "x.result.json"
    result.rename(root.path / "copy")
    result.symlink_to(root.path / "copy")
    drain(root.path)
    assert not result.is_symlink()
    assert result.read_bytes() == (root.path / "copy").read_bytes()


@pytest.mark.parametrize("request_", [DRY, {"task": "no_such_task"}], ids=["good", "bad"])
def test_a_fifo_in_the_result_s_place_stops_nobody(root: Root, request_: Any) -> None:
    os.mkfifo(root.inbox / "x.result.json")
    root.drop("x.json", request_)
    root.drop("y.json", DRY)
    drain(root.path)
    (root.inbox / "x.result.json").unlink()
    os.mkfifo(root.inbox / "x.result.json")  # and once more, where it is only checked
    drain(root.path)
    assert (root.inbox / "x.result.json").is_file()
    assert root.wait_result("y.json")["ok"]


def test_a_directory_in_the_result_s_place_stops_only_that_answer(served: Root) -> None:
    blocked = served.inbox / "blocked.result.json"
    blocked.mkdir()
    (blocked / "mine").write_text("mine")
    served.drop("blocked.json", DRY)
    served.drop("beside-blocked.json", DRY)
    assert served.wait_result("beside-blocked.json")["ok"]
    wait_until(lambda: "job.succeeded" in served.types("blocked.json"), "it ran")
    wait_a_scan(served)
    assert (blocked / "mine").read_text() == "mine"
    assert "result.emitted" not in served.types("blocked.json")
    (blocked / "mine").unlink()
    blocked.rmdir()
    assert served.wait_result("blocked.json")["ok"]
    assert served.types("blocked.json").count("job.started") == 1


def test_drain_says_that_an_answer_has_no_place(root: Root) -> None:
    (root.inbox / "x.result.json" / "mine").mkdir(parents=True)
    root.drop("x.json", DRY)
    done = darkroom(root.path, "run", "--drain")
    assert done.returncode == 3
    assert "cannot be put in place" in done.stderr


def test_a_sub_folder_that_is_a_link_is_not_entered(served: Root, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(DRY))
    (served.inbox / "linked-folder").symlink_to(tmp_path)
    wait_a_scan(served)
    assert os.listdir(tmp_path) == ["x.json"]
    assert served.types("linked-folder/x.json") == []


def test_a_folder_that_becomes_a_link_is_not_written_through(root: Root, tmp_path: Path) -> None:
    root.drop("alice/x.json", {**DRY, "dry_run": False, "size": "512x512", "n": 4})
    with daemon(root.path, DARKROOM_SCAN_INTERVAL="0.1"):
        wait_until(lambda: "job.started" in root.types(), "it runs")
        (root.inbox / "alice").rename(root.path / "alice-away")
        (root.inbox / "alice").symlink_to(tmp_path)
        wait_until(lambda: "job.succeeded" in root.types(), "it ran")
        wait_a_scan(root)
        assert os.listdir(tmp_path) == ["root"]
        (root.inbox / "alice").unlink()
        (root.path / "alice-away").rename(root.inbox / "alice")
        assert root.wait_result("alice/x.json")["ok"]


def test_folders_nested_deeper_than_python_recurses_stop_nobody(root: Root) -> None:
    try:
        folder = os.open(root.inbox, os.O_RDONLY)
        for _ in range(1200):
            os.mkdir("d", dir_fd=folder)
            below = os.open("d", os.O_RDONLY, dir_fd=folder)
            os.close(folder)
            folder = below
        request = os.open("deep.json", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
        os.write(request, json.dumps(DRY).encode())
        os.close(request)
        root.drop("x.json", DRY)
        drain(root.path)
        assert root.wait_result("x.json")["ok"]
        assert "deep.result.json" in os.listdir(folder)
        os.close(folder)
    finally:  # pytest cannot remove it
        subprocess.run(["rm", "-rf", root.inbox], check=True)
