"""Every command, as a shell sees it: exit codes, what is printed, and never a traceback."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from daemon import client
from daemon.errors import UsageError
from daemon.settings import load_settings
from tests.commands import commands
from tests.support import (
    REPOSITORY,
    Daemon,
    Root,
    command,
    daemon,
    darkroom,
    drain,
    environment,
    wait_until,
)

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}
BAD = {"task": "no_such_task"}
PICTURE = {"task": "generate_image", "prompt": "x", "size": "64x64"}
COMMANDS = [
    "run",
    "submit",
    "retry",
    "cancel",
    "status",
    "watch",
    "events",
    "verify",
    "doctor",
    "rebuild",
    "schema",
    "completion",
]
NEVER = {"DARKROOM_RETRY_SECONDS": "1e7", "DARKROOM_RETRY_SECONDS_MAX": "1e7"}
WAITS = {**PICTURE, "timeout": 0.0001, "max_attempts": 9}
"""A request that waits for its retry as long as `NEVER` lasts."""

Done = subprocess.CompletedProcess[str]


def bare(*arguments: str, cwd: Path = REPOSITORY, **env: str) -> Done:
    """A command as it is typed, without --root."""
    return commands(REPOSITORY).run(list(arguments), b"", environment(**env), cwd)


def data(request: Any) -> bytes:
    return json.dumps(request).encode()


def fails(done: Done, code: int, *said: str) -> None:
    """It ended with this code, and said why in a line on stderr."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for part in said:
        assert part in done.stderr
    assert done.stderr.strip()


@pytest.fixture(scope="module")
def answered_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Root(tmp_path_factory.mktemp("answered") / "root")
    root.drop("good.json", PICTURE)
    root.drop("failed.json", {**PICTURE, "provider": "nobody"})
    root.drop("bad.json", BAD)
    root.drop("alice/good.json", DRY)
    drain(root.path)
    return root.path


@pytest.fixture
def answered(answered_once: Path, tmp_path: Path) -> Root:
    """A root with a success, a failure, a refusal, and one in a sub-folder."""
    shutil.copytree(answered_once, tmp_path / "root", symlinks=True)
    return Root(tmp_path / "root")


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Root, Daemon]]:
    root = Root(tmp_path_factory.mktemp("commands") / "root")
    with daemon(root.path, DARKROOM_SCAN_INTERVAL="0.2", **NEVER) as running:
        yield root, running


@pytest.fixture
def served(serving: tuple[Root, Daemon]) -> Root:
    return serving[0]


# ---------------------------------------------------------------- run


def test_drain_answers_everything_and_exits_0_whatever_the_answers(answered: Root) -> None:
    statuses = [
        answered.wait_result(name)["status"]
        for name in ("good.json", "failed.json", "bad.json", "alice/good.json")
    ]
    assert statuses == ["succeeded", "failed", "rejected", "succeeded"]


def test_drain_of_an_empty_root_exits_0_and_makes_its_folders(tmp_path: Path) -> None:
    assert darkroom(tmp_path / "new" / "root", "run", "--drain").returncode == 0
    assert (tmp_path / "new" / "root" / "inbox").is_dir()


def test_drain_waits_for_a_file_that_rests(root: Root) -> None:
    (root.inbox / "torn.json").write_text("{")
    drain(root.path)
    assert root.wait_result("torn.json")["status"] == "rejected"


def test_drain_exits_3_where_max_wait_leaves_something_open(root: Root) -> None:
    root.drop("x.json", WAITS)
    assert darkroom(root.path, "run", "--drain", "--max-wait", "1", **NEVER).returncode == 3
    assert root.result("x.json") is None


def test_drain_exits_3_where_a_file_still_rests_when_max_wait_is_over(root: Root) -> None:
    (root.inbox / "torn.json").write_text("{")
    done = darkroom(root.path, "run", "--drain", "--max-wait", "0.5", DARKROOM_SETTLE="60")
    assert done.returncode == 3


def test_a_second_daemon_exits_4_and_says_which_process_serves(
    serving: tuple[Root, Daemon],
) -> None:
    root, running = serving
    fails(darkroom(root.path, "run"), 4, f"process {running.process.pid}", "--root")
    fails(darkroom(root.path, "run", "--drain"), 4, f"process {running.process.pid}")
    fails(darkroom(root.path, "rebuild"), 4, f"process {running.process.pid}")
    assert running.process.poll() is None


def damage(root: Root, line: int = 3) -> None:
    """Change one digit of the time in a line of the log."""
    (segment,) = (root.path / "events").glob("0*.jsonl")
    lines = segment.read_bytes().split(b"\n")
    place = lines[line - 1].index(b'"time":"2') + len(b'"time":"2')
    flipped = bytes([lines[line - 1][place] ^ 1])
    lines[line - 1] = lines[line - 1][:place] + flipped + lines[line - 1][place + 1 :]
    segment.write_bytes(b"\n".join(lines))
    (root.path / ".darkroom" / "index.sqlite").unlink()  # with it nothing old is read


def test_a_damaged_log_exits_5_with_the_place_and_what_to_do_and_is_left_as_it_is(
    answered: Root,
) -> None:
    damage(answered)
    before = (answered.path / "events" / "00000001.jsonl").read_bytes()
    for arguments in (["run"], ["run", "--drain"]):
        fails(darkroom(answered.path, *arguments), 5, "00000001.jsonl:3", "darkroom verify")
    assert (answered.path / "events" / "00000001.jsonl").read_bytes() == before


def test_damage_before_the_snapshot_stops_no_start_and_is_found_by_verify(answered: Root) -> None:
    index = (answered.path / ".darkroom" / "index.sqlite").read_bytes()
    damage(answered)
    (answered.path / ".darkroom" / "index.sqlite").write_bytes(index)
    answered.drop("after.json", DRY)
    drain(answered.path)
    assert answered.wait_result("after.json")["ok"]
    fails(darkroom(answered.path, "verify"), 5, "00000001.jsonl:3")


@pytest.mark.parametrize("name", ["verify", "status", "rebuild"])
def test_reading_a_damaged_log_exits_5_and_names_the_place(answered: Root, name: str) -> None:
    damage(answered)
    fails(darkroom(answered.path, name), 5, "00000001.jsonl:3")


def test_a_segment_that_is_missing_is_named(root: Root) -> None:
    for number in range(8):
        root.drop(f"{number}.json", DRY)
    drain(root.path, DARKROOM_SEGMENT_BYTES="1024")
    drain(root.path, DARKROOM_SEGMENT_BYTES="1024")
    (root.path / "events" / "00000002.jsonl").unlink()
    for name in ("verify", "status", "events"):
        fails(darkroom(root.path, name), 5, "00000002.jsonl", "missing")
    fails(darkroom(root.path, "run", "--drain"), 5, "00000002.jsonl")


def test_a_torn_tail_is_told_by_verify_and_moved_away_by_the_next_start(answered: Root) -> None:
    with (answered.path / "events" / "00000001.jsonl").open("ab") as file:
        file.write(b'{"specversion":"1.0","id":"01')
    done = darkroom(answered.path, "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "29 bytes" in done.stdout
    drain(answered.path)
    assert "log.repaired" in answered.types()
    assert "cut short" not in darkroom(answered.path, "verify").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-wait", "1"], "--drain"),
        (["--log-level", "loud"], "--log-level"),
        (["--concurrency", "0"], "--concurrency"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_run_refuses_flags_that_make_no_sense_and_names_them(
    root: Root, arguments: list[str], said: str
) -> None:
    fails(darkroom(root.path, "run", *arguments), 2, said)
    assert not (root.path / "events").exists()


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DARKROOM_SETTLE", "abc"),
        ("DARKROOM_SETTLE", "nan"),
        ("DARKROOM_SCAN_INTERVAL", "0"),
        ("DARKROOM_WATCH", "perhaps"),
        ("DARKROOM_ON_AMBIGUOUS", "panic"),
        ("DARKROOM_MAX_REQUEST_BYTES", "32M"),
    ],
)
def test_a_bad_variable_exits_2_and_is_named(root: Root, variable: str, value: str) -> None:
    fails(darkroom(root.path, "run", "--drain", **{variable: value}), 2, f"${variable}", value)


def test_every_bad_variable_is_named_at_once(root: Root) -> None:
    done = darkroom(root.path, "status", DARKROOM_SETTLE="abc", DARKROOM_WATCH="perhaps")
    fails(done, 2, "$DARKROOM_SETTLE", "$DARKROOM_WATCH")


def test_an_empty_variable_counts_as_none(root: Root) -> None:
    assert darkroom(root.path, "run", "--drain", DARKROOM_SETTLE="").returncode == 0


def test_the_root_comes_from_the_flag_then_the_variable_then_the_working_directory(
    answered: Root, tmp_path: Path
) -> None:
    env = {"PYTHONPATH": str(REPOSITORY)}
    here = bare("status", cwd=answered.path, **env)
    named = bare("status", cwd=tmp_path, DARKROOM_ROOT=str(answered.path), **env)
    flag = bare("status", "--root", str(answered.path), DARKROOM_ROOT=str(tmp_path), **env)
    assert here.stdout == named.stdout == flag.stdout
    assert "good.json" in here.stdout


def test_the_output_root_may_lie_elsewhere_and_its_paths_are_absolute(
    root: Root, tmp_path: Path
) -> None:
    root.drop("x.json", PICTURE)
    drain(root.path, MEDIA_GENERATION_OUTPUT_ROOT=str(tmp_path / "media"))
    (artifact,) = root.wait_result("x.json")["artifacts"]
    assert artifact["path"].startswith(f"{tmp_path}/media/images/")
    assert Path(artifact["path"]).stat().st_size == artifact["bytes"]


@pytest.mark.parametrize("name", ["status", "events", "verify", "rebuild", "retry", "cancel"])
def test_without_a_root_a_command_says_what_to_do(tmp_path: Path, name: str) -> None:
    arguments = [name, "x"] if name in ("retry", "cancel") else [name]
    fails(darkroom(tmp_path, *arguments), 2, str(tmp_path), "darkroom run")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["run", "submit", "status", "events", "verify", "rebuild"])
def test_a_root_that_is_a_file_is_refused_in_words(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    arguments = [name, "-"] if name == "submit" else [name]
    fails(darkroom(tmp_path / "file", *arguments, stdin=data(DRY)), 2, str(tmp_path / "file"))


# ---------------------------------------------------------------- submit


def test_submit_drops_a_file_under_its_own_name_and_prints_it(root: Root, tmp_path: Path) -> None:
    (tmp_path / "helmet.json").write_bytes(data(DRY))
    done = darkroom(root.path, "submit", str(tmp_path / "helmet.json"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "helmet.json\n", "")
    assert (root.inbox / "helmet.json").read_bytes() == data(DRY)
    assert os.listdir(root.inbox) == ["helmet.json"]


def test_submit_drops_standard_input_under_a_fresh_name_each_time(root: Root) -> None:
    names = {darkroom(root.path, "submit", "-", stdin=data(DRY)).stdout.strip() for _ in range(2)}
    assert len(names) == 2
    assert set(os.listdir(root.inbox)) == names
    drain(root.path)
    assert all(root.wait_result(name)["ok"] for name in names)


def test_submit_makes_the_sub_folder_of_a_name(root: Root) -> None:
    done = darkroom(root.path, "submit", "-", "--name", "alice/b c/x.json", stdin=data(DRY))
    assert done.stdout == "alice/b c/x.json\n"
    drain(root.path)
    assert root.wait_result("alice/b c/x.json")["ok"]


@pytest.mark.parametrize(
    ("request_", "code", "status"),
    [
        (DRY, 0, "succeeded"),
        (BAD, 1, "rejected"),
        ("x", 1, "rejected"),
        ([DRY, DRY], 0, "succeeded"),
        ([DRY, BAD], 1, "partial"),
    ],
)
def test_submit_wait_prints_the_result_and_exits_by_it(
    served: Root, request_: Any, code: int, status: str
) -> None:
    done = darkroom(served.path, "submit", "-", "--wait", stdin=data(request_))
    result = json.loads(done.stdout)
    assert (done.returncode, result["status"], done.stderr) == (code, status, "")
    assert result["request_sha256"] == hashlib.sha256(data(request_)).hexdigest()


def test_submit_wait_of_a_failure_exits_1(served: Root) -> None:
    done = darkroom(served.path, "submit", "-", "--wait", stdin=data({**DRY, "provider": "nobody"}))
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "provider_not_found")


def test_submit_wait_of_a_queue_is_answered_by_its_summary_and_keeps_its_rows(
    served: Root, tmp_path: Path
) -> None:
    path = tmp_path / "queue.jsonl"
    rows = served.inbox / "queue.jsonl.result.jsonl"
    for lines, code in ([DRY, DRY], 0), ([DRY, DRY, BAD], 1):
        path.write_bytes(b"".join(data(line) + b"\n" for line in lines))
        done = darkroom(served.path, "submit", str(path), "--wait")
        summary = json.loads(done.stdout)
        assert (done.returncode, summary["count"], done.stderr) == (code, len(lines), "")
        assert summary["request_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert [json.loads(row)["index"] for row in rows.read_text().splitlines()] == [
            *range(1, len(lines) + 1)
        ]


def test_standard_input_is_a_queue_under_the_name_of_one(served: Root) -> None:
    arguments = ["submit", "-", "--name", "sub/piped.jsonl", "--wait"]
    done = darkroom(served.path, *arguments, stdin=data(DRY) + b"\n" + data(DRY) + b"\n")
    assert (done.returncode, json.loads(done.stdout)["succeeded"]) == (0, 2)


def held_queue(served: Root, name: str, *, terminal: bool) -> tuple[int, str, str]:
    """Submit a queue that is held back until something is told of it; the exit code, what is told
    and what is answered."""
    pause, said = served.inbox / "PAUSE.local", b""
    pause.touch()
    main, other = pty.openpty() if terminal else os.pipe()
    running = subprocess.Popen(
        command(served.path, "submit", "-", "--name", name, "--wait"),
        env=environment(TERM="xterm", COLUMNS="100"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=other,
        cwd=REPOSITORY,
    )
    os.close(other)
    assert running.stdin is not None
    running.stdin.write((data(DRY) + b"\n") * 3 + data(BAD) + b"\n")
    running.stdin.close()
    try:
        while chunk := os.read(main, 65536):
            said += chunk
            if b"1 of 4, 1 failed" in said:
                pause.unlink(missing_ok=True)
    except OSError:  # how a terminal says that nobody holds its other end
        pass
    os.close(main)
    assert running.stdout is not None
    answer = running.stdout.read().decode()
    running.stdout.close()
    return running.wait(30), said.decode(), answer


def test_submit_wait_tells_in_lines_how_far_a_batch_is(served: Root) -> None:
    code, said, answer = held_queue(served, "lines.jsonl", terminal=False)
    assert (code, json.loads(answer)["status"]) == (1, "partial")
    first, *_, last = said.splitlines()
    assert first == "lines.jsonl: 1 of 4, 1 failed"
    assert last.startswith("lines.jsonl: 4 of 4, 1 failed")


def test_submit_wait_shows_a_bar_on_a_terminal(served: Root) -> None:
    code, said, answer = held_queue(served, "bar.jsonl", terminal=True)
    assert (code, json.loads(answer)["status"]) == (1, "partial")
    assert "━" in said
    assert "4 of 4, 1 failed" in said.split("\r")[-2]  # a last one, that stays


def test_submit_wait_gives_up_at_its_timeout_with_2(served: Root) -> None:
    done = darkroom(served.path, "submit", "-", "--wait", "--timeout", "0.3", stdin=data(WAITS))
    fails(done, 2, "0.3 s")
    assert done.stdout == ""


def test_submit_wait_without_a_daemon_exits_2_at_once_and_drops_nothing(root: Root) -> None:
    fails(darkroom(root.path, "submit", "-", "--wait", stdin=data(DRY)), 2, "darkroom run")
    assert os.listdir(root.inbox) == []


def test_submit_wait_under_a_used_name_answers_the_new_bytes(served: Root) -> None:
    for prompt in "aba":
        request = data({**DRY, "prompt": prompt})
        done = darkroom(served.path, "submit", "-", "--wait", "--name", "used.json", stdin=request)
        assert done.returncode == 0
        assert json.loads(done.stdout)["request_sha256"] == hashlib.sha256(request).hexdigest()


def test_submit_wait_is_not_answered_by_the_refusal_of_what_could_not_be_read(served: Root) -> None:
    (served.inbox / "once.json").symlink_to("nowhere")
    assert served.wait_result("once.json")["request_sha256"] is None
    (served.inbox / "once.json").unlink()
    arguments = ["submit", "-", "--wait", "--name", "once.json"]
    done = darkroom(served.path, *arguments, stdin=data(DRY))
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)


def test_submit_wait_does_not_read_what_only_looks_like_a_result(served: Root) -> None:
    os.mkfifo(served.inbox / "fifo.result.json")
    arguments = ["submit", "-", "--wait", "--name", "fifo.json"]
    done = darkroom(served.path, *arguments, stdin=data(DRY))
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)


def test_submit_wait_of_the_same_bytes_again_gives_the_same_answer(served: Root) -> None:
    arguments = ["submit", "-", "--wait", "--name", "same.json"]
    first = darkroom(served.path, *arguments, stdin=data(DRY))
    assert darkroom(served.path, *arguments, stdin=data(DRY)).stdout == first.stdout
    assert served.types("same.json").count("job.accepted") == 1


@pytest.mark.parametrize("name", ["x.txt", "../x.json", "x.cancel", "n" * 251 + ".json"])
def test_submit_refuses_a_name_that_would_not_be_taken(root: Root, name: str) -> None:
    fails(darkroom(root.path, "submit", "-", "--name", name, stdin=data(DRY)), 2)
    assert [path for path in root.path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "name",
    [
        *(
            "x",
            ".x.json",
            "x.result.json",
            ".hidden/x.json",
            "/x.json",
            "a/../../x.json",
            "x.retry",
        ),
        *("f.json/x.json", "a//x.json", "./x.json", "x.json/", "", "/", "..", "x.json.tmp"),
    ],
)
def test_nothing_is_dropped_under_a_name_that_would_not_be_taken(root: Root, name: str) -> None:
    with pytest.raises(UsageError):
        client.drop(load_settings({"root": root.path}, {}), data(DRY), name)
    assert [path for path in root.path.rglob("*") if path.is_file()] == []


def test_submit_of_a_file_that_is_not_there_exits_2(root: Root, tmp_path: Path) -> None:
    fails(darkroom(root.path, "submit", str(tmp_path / "no.json")), 2, "no.json", "no such file")
    fails(darkroom(root.path, "submit", str(tmp_path)), 2, "directory")


def test_submit_does_not_write_through_a_link(root: Root, tmp_path: Path) -> None:
    (root.inbox / "alice").symlink_to(tmp_path)
    fails(darkroom(root.path, "submit", "-", "--name", "alice/x.json", stdin=data(DRY)), 2, "alice")
    assert os.listdir(tmp_path) == ["root"]
    assert os.listdir(root.inbox) == ["alice"]


# ---------------------------------------------------------------- status


def test_status_shows_every_request(answered: Root) -> None:
    done = darkroom(answered.path, "status")
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("good.json", "failed.json", "bad.json", "alice/good.json", "provider_not_found"):
        assert part in done.stdout
    for part in ("2 succeeded", "1 failed", "1 rejected", "no daemon runs"):
        assert part in done.stdout


def test_status_says_which_process_serves(serving: tuple[Root, Daemon]) -> None:
    root, running = serving
    assert f"process {running.process.pid}" in darkroom(root.path, "status").stdout
    assert (
        json.loads(darkroom(root.path, "status", "--json").stdout)["daemon"] == running.process.pid
    )


def test_status_of_one_request_by_name_with_and_without_suffix_and_by_job(answered: Root) -> None:
    job = answered.wait_result("good.json")["job"]
    shown = {darkroom(answered.path, "status", one).stdout for one in ("good.json", "good", job)}
    (text,) = shown
    assert text.startswith("good.json: succeeded")
    assert answered.wait_result("good.json")["artifacts"][0]["path"] in text
    assert "hint" in darkroom(answered.path, "status", "failed").stdout
    assert "bad.json: rejected" in darkroom(answered.path, "status", "bad").stdout
    assert "alice/good.json: succeeded" in darkroom(answered.path, "status", "alice/good").stdout


def test_status_json_of_one_request_is_its_result_to_the_byte(answered: Root) -> None:
    for name in ("good", "failed", "bad", "alice/good"):
        done = darkroom(answered.path, "status", name, "--json")
        assert done.stdout.encode() == (answered.inbox / f"{name}.result.json").read_bytes()


def test_status_of_a_request_that_is_still_open_says_where_it_stands(served: Root) -> None:
    served.drop("open.json", WAITS)
    wait_until(lambda: "job.retrying" in served.types("open.json"), "it waits")
    done = darkroom(served.path, "status", "open")
    assert "retrying, attempt 2 at 2" in done.stdout
    assert (
        json.loads(darkroom(served.path, "status", "open", "--json").stdout)["status"] == "retrying"
    )


@pytest.fixture(scope="module")
def batched_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Root(tmp_path_factory.mktemp("batched") / "root")
    bad = {**PICTURE, "provider": "nobody"}
    root.drop("shoes.json", [DRY, {**bad, "id": "bad"}, BAD])
    root.drop("q.jsonl", b"".join(data(one) + b"\n" for one in [DRY, *[bad] * 12]))
    drain(root.path)
    return root.path


@pytest.fixture
def batched(batched_once: Path, tmp_path: Path) -> Root:
    """A root with a batch and a queue, in both of which something failed."""
    shutil.copytree(batched_once, tmp_path / "root", symlinks=True)
    return Root(tmp_path / "root")


def test_status_tells_how_far_batches_are(batched: Root) -> None:
    shown = darkroom(batched.path, "status").stdout
    assert "partial 3 of 3, 2 failed" in shown
    rows = json.loads(darkroom(batched.path, "status", "--json").stdout)["requests"]
    items = {row["request"]: row["items"] for row in rows}
    assert items["shoes.json"] == {
        "total": 3, "done": 3, "unread": 0,
        "succeeded": 1, "failed": 1, "cancelled": 0, "rejected": 1,
    }  # fmt: skip
    assert items["q.jsonl"]["done"] == 13


@pytest.mark.parametrize("name", ["q.jsonl", "q"])
def test_status_of_a_batch_says_why_its_first_items_failed(batched: Root, name: str) -> None:
    shown = darkroom(batched.path, "status", name).stdout
    assert shown.startswith("q.jsonl: partial 13 of 13, 12 failed\n")
    failed = [line for line in shown.splitlines() if line.startswith("  failed ")]
    assert len(failed) == 10
    assert "#2 provider_not_found: there is no provider 'nobody'" in failed[0]
    assert "and 2 more" in shown


def test_status_of_an_item_by_name_and_by_job_names_its_batch(batched: Root) -> None:
    first, second, third = batched.wait_result("shoes.json")["results"]
    shown = {
        darkroom(batched.path, "status", one).stdout for one in ("shoes.json#2", second["job"])
    }
    (text,) = shown
    assert text.startswith("shoes.json#2: failed\n")
    assert "  batch     shoes.json, item 2 (bad), job " in text
    assert "rejected" in darkroom(batched.path, "status", "shoes.json#3").stdout
    for row in (first, second, third):
        done = darkroom(batched.path, "status", row["request"], "--json")
        assert json.loads(done.stdout) == row


def test_status_and_watch_tell_of_a_batch_that_runs(served: Root) -> None:
    (served.inbox / "PAUSE.local").touch()
    served.drop("runs.json", [DRY, DRY, BAD])
    wait_until(lambda: "job.accepted" in served.types("runs.json#2"), "its items are accepted")
    text = darkroom(served.path, "status", "runs").stdout
    assert text.startswith("runs.json: running 1 of 3, 1 failed\n")
    assert "  rejected  #3 unknown_task: there is no task" in text
    shown = json.loads(darkroom(served.path, "status", "runs", "--json").stdout)
    assert shown["items"]["waiting"] == 2
    item = json.loads(darkroom(served.path, "status", "runs.json#1", "--json").stdout)
    assert (item["batch"], item["items"]) == ("runs.json", None)
    assert "" not in json.loads(darkroom(served.path, "status", "--json").stdout)["lanes"]
    said = until_said(b"1 of 3, 1 failed", "watch", "--root", str(served.path))
    assert "━" in said
    (served.inbox / "PAUSE.local").unlink()
    assert served.wait_result("runs.json")["status"] == "partial"


def test_status_says_what_an_open_request_waits_for(served: Root) -> None:
    (served.inbox / "PAUSE.local").touch()
    served.drop("held.json", DRY)
    wait_until(lambda: "job.accepted" in served.types("held.json"), "it is accepted")
    shown = json.loads(darkroom(served.path, "status", "--json").stdout)
    assert shown["pauses"] == ["PAUSE.local"]
    (row,) = [row for row in shown["requests"] if row["request"] == "held.json"]
    assert row["waits_for"] == "the pause of local to end"
    assert shown["lanes"]["local"]["waiting"] >= 1
    printed = darkroom(served.path, "status").stdout
    assert "paused by inbox/PAUSE.local" in printed
    assert "waits for the pause of local to end" in printed
    (served.inbox / "PAUSE.local").unlink()
    assert served.wait_result("held.json")["ok"]


def test_watch_tells_of_what_changes_until_it_is_ended(served: Root) -> None:
    watching = subprocess.Popen(
        command(served.path, "watch", "--interval", "0.1"),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    try:
        assert watching.stdout is not None
        assert " a second)" in watching.stdout.readline()
        served.drop("seen.json", DRY)
        assert "succeeded" in watching.stdout.readline()
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
        watching.stdout.close()


def test_status_of_an_unknown_request_exits_2_and_suggests(answered: Root) -> None:
    fails(darkroom(answered.path, "status", "goo"), 2, "'goo'", "good.json", "alice/good.json")
    fails(darkroom(answered.path, "status", "zzz"), 2, "'zzz'")


def test_status_shows_the_newest_of_many(root: Root) -> None:
    for number in range(30):
        root.drop(f"n{number:02}.json", DRY)
        drain(root.path) if number == 28 else None
    drain(root.path)
    shown = json.loads(darkroom(root.path, "status", "--json", "--most", "1").stdout)
    assert [row["request"] for row in shown["requests"]] == ["n29.json"]
    assert shown["counts"] == {"succeeded": 30}


# ---------------------------------------------------------------- events


def test_events_prints_the_log_as_it_is(answered: Root) -> None:
    done = darkroom(answered.path, "events")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (answered.path / "events" / "00000001.jsonl").read_text()


def test_events_of_several_segments_come_in_order(root: Root) -> None:
    with daemon(root.path, DARKROOM_SEGMENT_BYTES="2048"):
        for number in range(8):
            root.drop(f"{number}.json", DRY)
            root.wait_result(f"{number}.json")
    assert (root.path / "events" / "00000003.jsonl").exists()
    sequences = [
        int(json.loads(line)["sequence"])
        for line in darkroom(root.path, "events").stdout.splitlines()
    ]
    assert sequences == list(range(1, len(sequences) + 1))
    assert darkroom(root.path, "verify").returncode == 0


@pytest.mark.parametrize("by", ["good.json", "good", "the job"])
def test_events_of_one_job_by_name_or_id(answered: Root, by: str) -> None:
    job = answered.wait_result("good.json")["job"]
    done = darkroom(answered.path, "events", "--job", job if by == "the job" else by)
    kinds = [json.loads(line)["type"].split(".")[1:3] for line in done.stdout.splitlines()]
    assert kinds[0] == ["job", "accepted"]
    assert kinds[-1] == ["result", "emitted"]
    assert {json.loads(line)["subject"] for line in done.stdout.splitlines()} == {"good.json"}


def test_events_follow_shows_what_comes_later(served: Root) -> None:
    following = subprocess.Popen(
        command(served.path, "events", "--follow", "--job", "later.json"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    try:
        assert following.stdout is not None
        served.drop("later.json", DRY)
        assert b"job.accepted" in following.stdout.readline()
        (served.inbox / "later.retry").touch()
        while b"job.retry_requested" not in (line := following.stdout.readline()):
            assert line  # it goes on
        following.send_signal(2)
        assert following.wait(10) == 130
        assert following.stderr is not None
        assert following.stderr.read() == b""
    finally:
        following.kill()
        following.communicate()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a log that no pipe holds."""
    root = Root(tmp_path_factory.mktemp("large") / "root")
    for number in range(100):
        root.drop(f"{number}.json", {**DRY, "labels": {"weight": "w" * 500}})
    drain(root.path)
    return root.path


@pytest.mark.parametrize("name", ["events", "status", "schema"])
def test_a_reader_that_goes_away_is_no_error(large: Path, name: str) -> None:
    arguments = "schema" if name == "schema" else f"{name} --root '{large}'"
    script = f"({sys.executable} -m daemon {arguments} | head -1 >/dev/null) 2>&1"
    done = subprocess.run(
        ["sh", "-c", script], env=environment(), capture_output=True, cwd=REPOSITORY, check=False
    )
    assert done.stdout == b""


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Run a command with a terminal for its output."""
    main, other = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "daemon", *arguments],
        env=environment(TERM="xterm", COLUMNS="200"),
        stdout=other,
        stderr=other,
        stdin=other,
        cwd=REPOSITORY,
    )
    os.close(other)
    said = b""
    try:
        while chunk := os.read(main, 65536):
            said += chunk
    except OSError:  # how a terminal says that nobody holds its other end
        pass
    os.close(main)
    return running.wait(30), said.decode()


def until_said(wanted: bytes, *arguments: str) -> str:
    """What a command shows on a terminal until it has shown something; it is ended then."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
    running = subprocess.Popen(
        [sys.executable, "-m", "daemon", *arguments],
        env=environment(TERM="xterm"),
        stdout=other,
        stderr=other,
        stdin=other,
        cwd=REPOSITORY,
    )
    os.close(other)
    said = b""
    try:
        while wanted not in said:
            said += os.read(main, 65536)
    finally:
        running.kill()
        running.wait(30)
        os.close(main)
    return said.decode(errors="replace")


@pytest.mark.parametrize("arguments", [["status"], ["status", "evil"], ["events"]])
def test_a_name_cannot_speak_to_the_terminal(root: Root, arguments: list[str]) -> None:
    name = "evil\x1b]0;pwned\x07\x1b[2J.json"
    root.drop(name, {**DRY, "provider": "nobody"})
    drain(root.path)
    wanted = [name if part == "evil" else part for part in arguments]
    code, said = on_a_terminal(*wanted, "--root", str(root.path))
    assert code == 0
    assert "evil" in said
    assert "\x1b]0;" not in said
    assert "\x1b[2J" not in said
    assert "Traceback" not in said


# ---------------------------------------------------------------- verify


def test_verify_of_a_whole_log_exits_0_and_names_its_head(answered: Root) -> None:
    done = darkroom(answered.path, "verify")
    last = answered.lines()[-1]
    assert (done.returncode, done.stderr) == (0, "")
    assert last["hash"] in done.stdout
    assert str(int(last["sequence"])) in done.stdout


@pytest.mark.parametrize("line", [1, 2, 5, -1])
def test_verify_names_the_line_of_a_flipped_bit(answered: Root, line: int) -> None:
    number = line if line > 0 else len(answered.lines())
    damage(answered, number)
    fails(darkroom(answered.path, "verify"), 5, f"00000001.jsonl:{number}:")


def test_verify_finds_a_line_that_was_taken_out(answered: Root) -> None:
    (segment,) = (answered.path / "events").glob("0*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:4] + lines[5:]))
    fails(darkroom(answered.path, "verify"), 5, "00000001.jsonl:5:")


def test_verify_beside_a_daemon_that_writes_finds_the_log_whole(served: Root) -> None:
    for number in range(300):
        served.drop(f"beside/{number}.json", DRY)
    for _ in range(3):
        done = darkroom(served.path, "verify")
        assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- retry, cancel


@pytest.mark.parametrize("by", ["good.json", "good", "the job"])
def test_retry_drops_a_control_file_that_the_next_daemon_obeys(answered: Root, by: str) -> None:
    job = answered.wait_result("good.json")["job"]
    done = darkroom(answered.path, "retry", job if by == "the job" else by)
    assert (done.returncode, done.stderr) == (0, "")
    assert "inbox/good.retry" in done.stdout
    assert "next" in done.stdout
    drain(answered.path)
    assert answered.types("good.json").count("job.succeeded") == 2
    assert not (answered.inbox / "good.retry").exists()


def test_retry_beside_a_daemon_runs_it_again(served: Root) -> None:
    served.drop("again.json", DRY)
    served.wait_result("again.json")
    done = darkroom(served.path, "retry", "again")
    assert done.stdout == "inbox/again.retry\n"
    wait_until(lambda: served.types("again.json").count("job.succeeded") == 2, "it ran again")


def test_cancel_beside_a_daemon_ends_the_job(served: Root) -> None:
    served.drop("sub/cancelled.json", WAITS)
    wait_until(lambda: "job.retrying" in served.types("sub/cancelled.json"), "it waits")
    assert darkroom(served.path, "cancel", "sub/cancelled").returncode == 0
    assert served.wait_result("sub/cancelled.json")["status"] == "cancelled"


def test_retry_of_a_name_that_ends_in_json_twice_is_of_that_one(root: Root) -> None:
    root.drop("x.json", DRY)
    root.drop("x.json.json", {**DRY, "prompt": "y"})
    drain(root.path)
    assert darkroom(root.path, "retry", "x.json.json").returncode == 0
    drain(root.path)
    assert root.types("x.json.json").count("job.succeeded") == 2
    assert root.types("x.json").count("job.succeeded") == 1


@pytest.mark.parametrize(("name", "file"), [("shoes", "shoes"), ("q.jsonl", "q.jsonl")])
@pytest.mark.parametrize("by", ["the name", "the job"])
def test_retry_of_a_batch_runs_again_what_failed(
    batched: Root, name: str, file: str, by: str
) -> None:
    full = "shoes.json" if name == "shoes" else name
    job = batched.wait_result(full)["job"]
    done = darkroom(batched.path, "retry", job if by == "the job" else name)
    assert (done.returncode, done.stdout.split()[0]) == (0, f"inbox/{file}.retry")
    drain(batched.path)
    assert batched.types(f"{full}#1").count("job.started") == 1
    assert batched.types(f"{full}#2").count("job.failed") == 2
    assert batched.types(full).count("batch.ended") == 2


@pytest.mark.parametrize("by", ["the name", "the job"])
def test_retry_of_an_item_runs_that_one_again(batched: Root, by: str) -> None:
    job = batched.wait_result("shoes.json")["results"][0]["job"]
    done = darkroom(batched.path, "retry", job if by == "the job" else "shoes.json#1")
    assert (done.returncode, done.stdout.split()[0]) == (0, "inbox/shoes.json#1.retry")
    drain(batched.path)
    assert batched.types("shoes.json#1").count("job.succeeded") == 2
    assert batched.types("shoes.json#2").count("job.failed") == 1
    assert batched.wait_result("shoes.json")["succeeded"] == 1


def test_retry_of_an_item_that_cannot_be_meant_is_refused_in_words(batched: Root) -> None:
    job = batched.wait_result("shoes.json")["results"][0]["job"]
    fails(darkroom(batched.path, "retry", "shoes.json#3"), 2, "unknown_task", "drop that again")
    batched.drop("shoes.json", [DRY])
    drain(batched.path)
    for name in ("retry", "cancel"):
        fails(darkroom(batched.path, name, job), 2, "an older shoes.json")


def test_cancel_of_an_item_and_then_of_its_queue(served: Root) -> None:
    served.drop("waits.jsonl", (data(WAITS) + b"\n") * 3)
    for number in (1, 2, 3):
        name = f"waits.jsonl#{number}"
        wait_until(lambda name=name: "job.retrying" in served.types(name), "it waits")
    done = darkroom(served.path, "cancel", "waits.jsonl#2")
    assert (done.returncode, done.stdout) == (0, "inbox/waits.jsonl#2.cancel\n")
    wait_until(lambda: "job.cancelled" in served.types("waits.jsonl#2"), "it is cancelled")
    assert darkroom(served.path, "cancel", "waits.jsonl").stdout == "inbox/waits.jsonl.cancel\n"
    summary = served.wait_result("waits.jsonl")
    assert (summary["status"], summary["cancelled"]) == ("cancelled", 3)


@pytest.mark.parametrize("name", ["retry", "cancel"])
def test_retry_and_cancel_of_an_unknown_request_exit_2_and_drop_nothing(
    answered: Root, name: str
) -> None:
    before = sorted(os.listdir(answered.inbox))
    fails(darkroom(answered.path, name, "goo"), 2, "'goo'", "good.json")
    assert sorted(os.listdir(answered.inbox)) == before


# ---------------------------------------------------------------- rebuild, schema, help


def test_rebuild_writes_lost_results_again_to_the_byte(answered: Root) -> None:
    before = {path: path.read_bytes() for path in answered.inbox.rglob("*.result.json")}
    assert len(before) == 4
    for path in before:
        path.unlink()
    for path in (answered.path / ".darkroom").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = darkroom(answered.path, "rebuild")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 results written" in done.stdout
    assert {path: path.read_bytes() for path in answered.inbox.rglob("*.result.json")} == before
    assert "4 were whole" in darkroom(answered.path, "rebuild").stdout


@pytest.mark.parametrize("left", ["nothing", "less", "more", "other"])
def test_rebuild_restores_the_rows_of_queues_to_the_byte(batched: Root, left: str) -> None:
    rows = batched.inbox / "q.jsonl.result.jsonl"
    before = rows.read_bytes()
    middle = len(before) // 2
    kept = {
        "less": before[:middle],
        "more": before + b"{}\n",
        "other": before[:middle] + b"x" + before[middle + 1 :],
    }
    rows.unlink()
    if left in kept:
        rows.write_bytes(kept[left])
    assert "the rows of 1 queue written" in darkroom(batched.path, "rebuild").stdout
    assert rows.read_bytes() == before
    assert "rows" not in darkroom(batched.path, "rebuild").stdout


def test_rebuild_works_with_nothing_left_but_the_log(answered: Root) -> None:
    before = (answered.inbox / "good.result.json").read_bytes()
    shutil.rmtree(answered.path / ".darkroom")
    shutil.rmtree(answered.inbox)
    done = darkroom(answered.path, "rebuild")
    assert (done.returncode, done.stderr) == (0, "")
    assert (answered.inbox / "good.result.json").read_bytes() == before


def test_a_start_with_nothing_but_the_log_asks_nobody_again(answered: Root) -> None:
    shutil.rmtree(answered.path / ".darkroom")
    drain(answered.path)
    assert answered.types().count("job.started") == 3


def test_rebuild_replaces_damaged_results_and_links_and_never_writes_through(
    answered: Root, tmp_path: Path
) -> None:
    before = (answered.inbox / "good.result.json").read_bytes()
    (tmp_path / "precious").write_text("precious")
    (answered.inbox / "good.result.json").unlink()
    (answered.inbox / "good.result.json").symlink_to(tmp_path / "precious")
    (answered.inbox / "bad.result.json").write_text("{")
    assert "2 results written" in darkroom(answered.path, "rebuild").stdout
    assert (answered.inbox / "good.result.json").read_bytes() == before
    assert (tmp_path / "precious").read_text() == "precious"


def test_schema_is_json_that_admits_its_own_examples() -> None:
    done = bare("schema")
    schema = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    for branch in schema["oneOf"]:
        assert branch["examples"]
        for example in branch["examples"]:
            assert set(branch["required"]) <= set(example) <= set(branch["properties"])
            assert example["task"] == branch["properties"]["task"]["const"]


def test_the_examples_of_the_schema_are_accepted(served: Root) -> None:
    helmet = Image.new("RGB", (96, 72), "white")
    helmet.paste("peru", (32, 20, 64, 56))
    helmet.save(served.inbox / "helmet.png")
    for branch in json.loads(bare("schema").stdout)["oneOf"]:
        for example in branch["examples"]:
            request = {"$schema": "./request.schema.json", **example, "dry_run": True}
            done = darkroom(served.path, "submit", "-", "--wait", stdin=data(request))
            assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_exits_0_and_says_what_it_is_for(name: str) -> None:
    done = bare(name, "--help", TERM="dumb", COLUMNS="100")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{name} [OPTIONS]" in done.stdout
    described = done.stdout.split("[OPTIONS]")[1].split("Options")[0]
    assert len(described.split()) >= 8
    if name not in ("schema", "completion"):
        assert "--root" in done.stdout


def test_help_lists_every_command() -> None:
    done = bare("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


def test_an_unknown_command_is_refused_in_words() -> None:
    fails(bare("sumbit"), 2, "sumbit")
