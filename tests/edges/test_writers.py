"""However a request gets into the inbox, and whatever happens to its file afterwards."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Daemon, Root, daemon, wait_until

_numbers = itertools.count()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Root, Daemon]]:
    """One daemon for all tests here; each takes names of its own."""
    root = Root(tmp_path_factory.mktemp("writers") / "root")
    with daemon(root.path, DARKROOM_SCAN_INTERVAL="0.1", DARKROOM_SETTLE="0.4") as running:
        yield root, running


@pytest.fixture
def root(serving: tuple[Root, Daemon]) -> Root:
    root, running = serving
    assert running.process.poll() is None, running.diagnostics()
    return root


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"r{next(_numbers)}.json"


def asking(prompt: str = "x", **more: Any) -> dict[str, Any]:
    return {"task": "generate_image", "prompt": prompt, "dry_run": True, **more}


def painting(**more: Any) -> dict[str, Any]:
    """A request that runs for a second or two."""
    return {"task": "generate_image", "prompt": "x", "size": "1024x1024", "n": 10, **more}


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wait_answer_to(root: Root, name: str, data: bytes) -> dict[str, Any]:
    """The result of these very bytes."""

    def found() -> dict[str, Any] | None:
        result = root.result(name)
        return result if result is not None and result["request_sha256"] == digest(data) else None

    return wait_until(found, f"{name} answers these bytes")


def wait_type(root: Root, name: str, kind: str, count: int = 1) -> None:
    wait_until(lambda: root.types(name).count(kind) >= count, f"{count} {kind} of {name}")


def result_path(root: Root, name: str) -> Path:
    return root.inbox / f"{name.removesuffix('.json')}.result.json"


def wait_for_a_look(root: Root) -> None:
    """Until a whole scan went by: a lost result is only written again by one."""
    marker = f"marker{next(_numbers)}.json"
    root.drop(marker, asking())
    wait_type(root, marker, "result.emitted")
    result_path(root, marker).unlink()
    os.utime(root.inbox / marker)
    root.wait_result(marker)


# ---------------------------------------------------------------- how it gets in


def test_a_request_that_is_renamed_in_is_answered(root: Root, name: str) -> None:
    data = text(asking())
    root.drop(name, data)
    assert wait_answer_to(root, name, data)["status"] == "succeeded"
    wait_type(root, name, "result.emitted")
    assert root.types(name) == ["job.accepted", "job.started", "job.succeeded", "result.emitted"]


def test_a_request_that_is_hard_linked_in_is_answered(root: Root, name: str) -> None:
    aside = root.path / name
    aside.write_bytes(text(asking()))
    os.link(aside, root.inbox / name)
    assert root.wait_result(name)["status"] == "succeeded"


def test_a_request_that_is_copied_in_is_answered(root: Root, name: str) -> None:
    aside = root.path / name
    aside.write_bytes(text(asking()))
    subprocess.run(["cp", aside, root.inbox], check=True)
    assert root.wait_result(name)["status"] == "succeeded"
    wait_for_a_look(root)
    assert root.types(name).count("job.accepted") == 1


def test_a_request_that_is_a_link_is_refused_and_its_target_is_not_read(
    root: Root, name: str
) -> None:
    aside = root.path / name
    aside.write_bytes(text(asking()))
    (root.inbox / name).symlink_to(aside)
    result = root.wait_result(name)
    assert (result["status"], result["error"]["code"]) == ("rejected", "unreadable_request")
    assert "link" in result["error"]["message"]
    assert result["request_sha256"] is None


def test_a_slow_writer_is_waited_for(root: Root, name: str) -> None:
    data = text(asking("slowly, slowly, slowly, and for longer than a file must rest"))
    with (root.inbox / name).open("wb", buffering=0) as file:
        for start in range(0, len(data), 4):
            assert root.result(name) is None
            file.write(data[start : start + 4])
            time.sleep(0.025)  # the writer's own pace, not a synchronisation
    assert wait_answer_to(root, name, data)["status"] == "succeeded"
    assert "request.rejected" not in root.types(name)
    assert root.types(name).count("job.accepted") == 1


def test_a_writer_that_opens_and_closes_for_each_piece_is_waited_for(root: Root, name: str) -> None:
    data = text(asking("in pieces"))
    for start in range(0, len(data), 8):
        with (root.inbox / name).open("ab") as file:
            file.write(data[start : start + 8])
    assert wait_answer_to(root, name, data)["status"] == "succeeded"
    assert root.types(name)[0] == "job.accepted"


WRITER = """
import os, sys, time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o644)
os.write(file, sys.argv[2].encode())
print("written", flush=True)
time.sleep(60)
"""


def killed_half_way(path: Path, data: bytes) -> None:
    """Have a process write the beginning of a file and kill it."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path, data[: len(data) // 2].decode()],
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)


def test_what_a_killed_writer_left_is_refused_after_it_rested_and_the_place_is_named(
    root: Root, name: str
) -> None:
    began = time.monotonic()
    killed_half_way(root.inbox / name, text(asking()))
    result = root.wait_result(name)
    assert time.monotonic() - began >= 0.4  # DARKROOM_SETTLE
    assert (result["status"], result["error"]["code"]) == ("rejected", "invalid_json")
    assert "line 1, column" in result["error"]["message"]


def test_what_a_killed_writer_left_is_answered_once_somebody_completes_it(
    root: Root, name: str
) -> None:
    data = text(asking())
    killed_half_way(root.inbox / name, data)
    assert root.wait_result(name)["status"] == "rejected"
    with (root.inbox / name).open("ab") as file:
        file.write(data[len(data) // 2 :])
    assert wait_answer_to(root, name, data)["status"] == "succeeded"
    assert root.types(name).count("request.rejected") == 1


def test_of_two_writers_the_last_one_is_answered_and_each_whole_request_ran_once(
    root: Root, name: str
) -> None:
    first, second = text(asking("first")), text(asking("second"))
    for _ in range(20):
        root.drop(name, first)
        root.drop(name, second)
    assert wait_answer_to(root, name, second)["status"] == "succeeded"
    wait_for_a_look(root)
    assert root.types(name).count("job.accepted") <= 2
    assert root.types(name).count("job.accepted") == root.types(name).count("job.succeeded")
    assert root.wait_result(name)["request_sha256"] == digest(second)


def test_a_file_that_came_and_went_before_anybody_looked_leaves_no_trouble(
    root: Root, name: str
) -> None:
    for _ in range(50):
        root.drop(name, asking()).unlink()
    (root.inbox / name).write_bytes(b'{"task": ')
    (root.inbox / name).unlink()
    wait_for_a_look(root)
    assert "request.rejected" not in root.types(name)
    assert root.types(name).count("job.accepted") <= 1


def test_a_request_that_is_deleted_once_accepted_still_runs(root: Root, name: str) -> None:
    path = root.drop(name, painting(n=3))
    wait_type(root, name, "job.accepted")
    path.unlink()
    result = root.wait_result(name)
    assert len(result["artifacts"]) == 3


# ---------------------------------------------------------------- the same bytes again


def test_a_touched_request_is_not_run_again_and_makes_no_event(root: Root, name: str) -> None:
    path = root.drop(name, asking())
    wait_type(root, name, "result.emitted")
    before, answer = root.types(name), result_path(root, name).read_bytes()
    os.utime(path)
    wait_for_a_look(root)
    assert root.types(name) == before
    assert result_path(root, name).read_bytes() == answer


def test_the_same_bytes_copied_again_are_not_run_again_and_make_no_event(
    root: Root, name: str
) -> None:
    data = text(asking())
    root.drop(name, data)
    wait_type(root, name, "result.emitted")
    before = root.types(name)
    (root.inbox / name).write_bytes(data)
    root.drop(name, data)
    wait_for_a_look(root)
    assert root.types(name) == before


def test_a_removed_result_is_written_again_after_a_touch(root: Root, name: str) -> None:
    path = root.drop(name, asking())
    wait_type(root, name, "result.emitted")
    answer = result_path(root, name).read_bytes()
    result_path(root, name).unlink()
    os.utime(path)
    root.wait_result(name)
    assert result_path(root, name).read_bytes() == answer
    assert root.types(name).count("job.started") == 1


def test_a_damaged_result_is_written_again_after_a_touch(root: Root, name: str) -> None:
    path = root.drop(name, asking())
    wait_type(root, name, "result.emitted")
    answer = result_path(root, name).read_bytes()
    result_path(root, name).write_bytes(answer[:-9])
    os.utime(path)
    wait_until(lambda: result_path(root, name).read_bytes() == answer, "the result is whole")


def test_a_removed_refusal_is_written_again_and_not_judged_again(root: Root, name: str) -> None:
    path = root.drop(name, {"task": "no_such_task"})
    wait_type(root, name, "result.emitted")
    answer = result_path(root, name).read_bytes()
    result_path(root, name).unlink()
    os.utime(path)
    root.wait_result(name)
    assert result_path(root, name).read_bytes() == answer
    assert root.types(name).count("request.rejected") == 1


# ---------------------------------------------------------------- other bytes


def test_other_bytes_are_a_new_request_with_a_job_of_its_own(root: Root, name: str) -> None:
    root.drop(name, asking("first"))
    first = root.wait_result(name)
    data = text(asking("second"))
    root.drop(name, data)
    second = wait_answer_to(root, name, data)
    assert second["job"] != first["job"]
    assert root.types(name).count("job.accepted") == 2


def test_the_old_result_is_gone_while_the_new_request_runs(root: Root, name: str) -> None:
    root.drop(name, asking("first"))
    wait_type(root, name, "result.emitted")
    root.drop(name, painting())
    wait_type(root, name, "job.started", 2)
    wait_until(lambda: root.result(name) is None, "the old result is gone")
    (root.inbox / f"{name[:-5]}.cancel").touch()
    assert root.wait_result(name)["status"] == "cancelled"


def test_a_drop_that_replaces_a_running_one_waits_for_it_and_is_the_only_one_published(
    root: Root, name: str
) -> None:
    first, second = text(painting(n=6)), text(asking("second"))
    root.drop(name, first)
    wait_type(root, name, "job.started")
    root.drop(name, second)
    assert root.wait_result(name)["request_sha256"] == digest(second)
    wait_type(root, name, "result.emitted")
    wait_for_a_look(root)
    events = [line for line in root.lines() if line.get("subject") == name]
    jobs = list(dict.fromkeys(line["job"] for line in events if "job" in line))
    kinds = [
        (jobs.index(line["job"]), line["type"].split(".")[2])
        for line in events
        if line["type"].startswith("darkroom.job.")
    ]
    assert kinds == [
        *((0, "accepted"), (0, "started"), (1, "accepted"), (0, "succeeded")),
        *((1, "started"), (1, "succeeded")),
    ]
    assert root.types(name).count("result.emitted") == 1


def test_of_three_drops_behind_a_running_one_only_the_newest_is_published(
    root: Root, name: str
) -> None:
    root.drop(name, painting(n=3))
    wait_type(root, name, "job.started")
    for number, prompt in enumerate("abc", start=2):
        root.drop(name, asking(prompt))
        wait_type(root, name, "job.accepted", number)
    result = root.wait_result(name)
    assert result["request_sha256"] == digest(text(asking("c")))
    wait_until(lambda: root.types(name).count("job.succeeded") == 4, "all four ran")
    wait_type(root, name, "result.emitted")
    wait_for_a_look(root)
    assert root.types(name).count("result.emitted") == 1


def test_a_last_newline_that_comes_later_makes_no_second_job_and_the_result_names_the_new_bytes(
    root: Root, name: str
) -> None:
    data = text(asking())
    root.drop(name, data)
    first = wait_answer_to(root, name, data)
    with (root.inbox / name).open("ab") as file:
        file.write(b"\n")
    second = wait_answer_to(root, name, data + b"\n")
    assert second == {**first, "request_sha256": digest(data + b"\n")}
    assert root.types(name).count("job.accepted") == 1


def test_a_last_newline_that_comes_while_it_runs_makes_no_second_job(root: Root, name: str) -> None:
    data = text(painting(n=3))
    root.drop(name, data)
    wait_type(root, name, "job.started")
    with (root.inbox / name).open("ab") as file:
        file.write(b"\n")
    wait_answer_to(root, name, data + b"\n")
    assert root.types(name).count("job.accepted") == 1
    assert root.types(name).count("result.emitted") <= 2


def test_a_return_to_earlier_bytes_is_answered_without_running_again(root: Root, name: str) -> None:
    first, second = text(asking("first")), text(asking("second"))
    root.drop(name, first)
    answer = wait_answer_to(root, name, first)
    root.drop(name, second)
    wait_answer_to(root, name, second)
    root.drop(name, first)
    assert wait_answer_to(root, name, first) == answer
    assert root.types(name).count("job.accepted") == 2
    assert root.types(name).count("job.started") == 2


def test_a_return_to_the_bytes_of_the_running_job_is_answered_by_it(root: Root, name: str) -> None:
    first = text(painting(n=4))
    root.drop(name, first)
    wait_type(root, name, "job.started")
    root.drop(name, asking("second"))
    wait_type(root, name, "job.accepted", 2)
    root.drop(name, first)
    assert len(wait_answer_to(root, name, first)["artifacts"]) == 4
    wait_until(lambda: root.types(name).count("job.succeeded") == 2, "both ended")
    wait_for_a_look(root)
    assert root.wait_result(name)["request_sha256"] == digest(first)
    assert root.types(name).count("job.accepted") == 2


def test_a_return_to_refused_bytes_is_refused_again(root: Root, name: str) -> None:
    bad = text({"task": "no_such_task"})
    root.drop(name, bad)
    wait_answer_to(root, name, bad)
    root.drop(name, asking())
    wait_until(lambda: (root.result(name) or {}).get("ok"), "the good one is answered")
    root.drop(name, bad)
    assert wait_answer_to(root, name, bad)["status"] == "rejected"


# ---------------------------------------------------------------- the sender's own id


def test_the_same_id_and_body_under_two_names_is_one_job_with_two_results(
    root: Root, name: str
) -> None:
    other = f"other-{name}"
    root.drop(name, asking(id=name))
    first = root.wait_result(name)
    root.drop(other, b"  " + text(asking(id=name)))
    second = root.wait_result(other)
    assert second["job"] == first["job"]
    assert (first["request"], second["request"]) == (name, other)
    assert "job.accepted" not in root.types(other)


def test_two_drops_of_one_id_at_once_are_one_job_with_two_results(root: Root, name: str) -> None:
    others = [f"at-once-{number}-{name}" for number in range(8)]
    for other in others:
        root.drop(other, asking(id=f"once {name}"))
    results = [root.wait_result(other) for other in others]
    assert len({result["job"] for result in results}) == 1
    assert sum(root.types(other).count("job.accepted") for other in others) == 1


def test_the_same_id_with_another_body_is_refused_and_names_who_used_it(
    root: Root, name: str
) -> None:
    other = f"other-{name}"
    root.drop(name, asking(id=name))
    root.wait_result(name)
    root.drop(other, asking("something else", id=name))
    result = root.wait_result(other)
    assert (result["status"], result["error"]["code"]) == ("rejected", "duplicate_id")
    assert name in result["error"]["message"]


# ---------------------------------------------------------------- control files


def control(root: Root, name: str, verb: str) -> Path:
    path = root.inbox / f"{name.removesuffix('.json')}.{verb}"
    path.touch()
    return path


def wait_obeyed(path: Path) -> None:
    wait_until(lambda: not path.exists(), f"{path.name} is removed")


def test_cancel_ends_a_running_job_at_once(root: Root, name: str) -> None:
    root.drop(name, painting())
    wait_type(root, name, "job.started")
    path = control(root, name, "cancel")
    result = root.wait_result(name)
    assert (result["status"], result["error"]["code"]) == ("cancelled", "cancelled")
    wait_obeyed(path)
    assert root.types(name).count("job.cancelled") == 1
    assert "job.succeeded" not in root.types(name)


def test_cancel_ends_a_waiting_job_which_never_starts(root: Root, name: str) -> None:
    data = text(asking("waits"))
    root.drop(name, painting())
    wait_type(root, name, "job.started")
    root.drop(name, data)
    wait_type(root, name, "job.accepted", 2)
    wait_obeyed(control(root, name, "cancel"))
    assert wait_answer_to(root, name, data)["status"] == "cancelled"
    wait_type(root, name, "job.cancelled", 2)
    assert root.types(name).count("job.started") == 1


def test_cancel_that_comes_with_its_request_ends_that_request(root: Root, name: str) -> None:
    root.drop(name, painting())
    path = control(root, name, "cancel")
    assert root.wait_result(name)["status"] == "cancelled"
    wait_obeyed(path)


def test_cancel_of_what_ended_or_never_was_is_removed_and_changes_nothing(
    root: Root, name: str
) -> None:
    root.drop(name, asking())
    wait_type(root, name, "result.emitted")
    before = root.types(name)
    wait_obeyed(control(root, name, "cancel"))
    wait_obeyed(control(root, f"never-{name}", "cancel"))
    wait_obeyed(control(root, f"never-{name}", "retry"))
    assert root.types(name) == before


def test_retry_of_a_success_makes_a_new_file_and_leaves_the_old_one(root: Root, name: str) -> None:
    root.drop(name, {"task": "generate_image", "prompt": "x", "size": "64x64"})
    first = root.wait_result(name)
    wait_obeyed(control(root, name, "retry"))
    wait_type(root, name, "job.succeeded", 2)
    second = wait_until(
        lambda: (found := root.result(name)) is not None and found != first and found,
        "another result",
    )
    (old,), (new,) = first["artifacts"], second["artifacts"]
    assert first["job"] == second["job"]
    assert old["path"] != new["path"]
    assert digest((root.path / old["path"]).read_bytes()) == old["sha256"]
    assert digest((root.path / new["path"]).read_bytes()) == new["sha256"]


def test_retry_of_a_refusal_judges_it_again(root: Root, name: str) -> None:
    root.drop(name, {"task": "no_such_task"})
    first = root.wait_result(name)
    wait_obeyed(control(root, name, "retry"))
    wait_type(root, name, "request.rejected", 2)
    second = wait_until(
        lambda: (
            (found := root.result(name)) is not None
            and found["events"] != first["events"]
            and found
        ),
        "another refusal",
    )
    assert second["error"] == first["error"]


def test_retry_twice_while_the_first_still_runs_is_one_more_run(root: Root, name: str) -> None:
    root.drop(name, painting(n=2))
    wait_type(root, name, "result.emitted")
    wait_obeyed(control(root, name, "retry"))
    wait_type(root, name, "job.started", 2)
    wait_obeyed(control(root, name, "retry"))
    wait_type(root, name, "job.succeeded", 2)
    wait_type(root, name, "result.emitted", 2)
    wait_for_a_look(root)
    assert root.types(name).count("job.retry_requested") == 1
    assert root.types(name).count("job.started") == 2


def test_retry_after_retry_runs_each_time(root: Root, name: str) -> None:
    root.drop(name, asking())
    for count in (1, 2, 3):
        wait_type(root, name, "result.emitted", count)
        wait_obeyed(control(root, name, "retry"))
    wait_type(root, name, "job.succeeded", 4)
    wait_type(root, name, "result.emitted", 4)
    assert root.types(name).count("job.retry_requested") == 3


def test_retry_after_cancel_runs_the_job(root: Root, name: str) -> None:
    root.drop(name, painting())
    wait_type(root, name, "job.started")
    wait_obeyed(control(root, name, "cancel"))
    wait_type(root, name, "result.emitted")
    wait_obeyed(control(root, name, "retry"))
    wait_type(root, name, "job.started", 2)
    wait_obeyed(control(root, name, "cancel"))
    assert root.wait_result(name)["status"] == "cancelled"


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_a_control_file_that_is_a_directory_is_obeyed_no_more_than_once(
    root: Root, name: str, verb: str
) -> None:
    root.drop(name, {"task": "no_such_task"})
    root.wait_result(name)
    (root.inbox / f"{name[:-5]}.{verb}").mkdir()
    for _ in range(3):
        wait_for_a_look(root)
    assert root.types(name).count("request.rejected") <= 2


def test_a_control_file_for_a_name_that_ends_in_json_twice_means_that_name(
    root: Root, name: str
) -> None:
    root.drop(name, asking("one"))
    root.drop(f"{name}.json", asking("two"))
    wait_type(root, name, "result.emitted")
    wait_type(root, f"{name}.json", "result.emitted")
    wait_obeyed(control(root, f"{name}.json.json", "retry"))  # the file x.json.json.retry
    wait_type(root, f"{name}.json", "job.succeeded", 2)
    assert root.types(name).count("job.succeeded") == 1
