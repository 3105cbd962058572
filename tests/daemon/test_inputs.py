"""What a request may name as an input: what is found, and what nobody gets to read."""

import asyncio
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from daemon.events import InputRead, JobSucceeded, RequestRejected
from daemon.inputs import Found
from daemon.testing import tiny_image
from handlers.contract import Earlier, HandlerError, Input
from tests.builders import Bench, ended, problem

PICTURE = tiny_image()
SECRET = b"-----BEGIN OPENSSH PRIVATE KEY-----"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a picture in its inbox, and a secret beside it."""
    root = tmp_path / "root"
    for folder in ("inbox/alice", "tmp/images", "events"):
        (root / folder).mkdir(parents=True)
    (root / "inbox" / "photo.png").write_bytes(PICTURE)
    (tmp_path / "secret").write_bytes(SECRET)
    (root / "events" / "secret").write_bytes(SECRET)
    return root


def found(root: Path, source: Input, name: str = "a.json", **settings: Any) -> Found:
    async def main() -> Found:
        bench = Bench(root, **settings)
        try:
            job = bench.state.jobs[await accepted(bench, name)]
            return await bench.services.inputs.find(source, job, 5)
        finally:
            bench.close()

    return asyncio.run(main())


async def accepted(bench: Bench, name: str) -> str:
    job = await bench.accept(name)
    await bench.log.append(None, None, ())
    return job


def refusal(root: Path, source: Input, **more: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        found(root, source, **more)
    assert SECRET.decode() not in str(caught.value)
    return caught.value


# ---------------------------------------------------------------- paths


@pytest.mark.parametrize(
    "path", ["inbox/photo.png", "./inbox/photo.png", "inbox//photo.png", "inbox/./photo.png"]
)
def test_a_path_is_relative_to_the_root(root: Path, path: str) -> None:
    assert found(root, path) == Found(PICTURE, path)


def test_an_absolute_path_into_an_allowed_folder_is_one_too(root: Path) -> None:
    assert found(root, str(root / "inbox" / "photo.png")).data == PICTURE


def test_what_was_made_before_can_be_named(root: Path) -> None:
    (root / "tmp" / "images" / "made.png").write_bytes(PICTURE)
    assert found(root, "tmp/images/made.png").data == PICTURE


def test_a_folder_can_be_allowed_besides(root: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "cat.png").write_bytes(PICTURE)
    assert refusal(root, str(photos / "cat.png")).code == "forbidden_path"
    assert found(root, str(photos / "cat.png"), input_roots=(photos,)).data == PICTURE


OUTSIDE = [
    "../secret",
    "inbox/../../secret",
    "inbox/..",
    "inbox/../events/secret",
    "events/secret",
    ".darkroom/lock",
    "/etc/passwd",
    "/proc/self/environ",
    "~/.ssh/id_ed25519",
    "~root/.ssh/id_ed25519",
    "..",
    ".",
    "/",
    "inbox",
    "inbox/",
    "inbox2/photo.png",
    "INBOX/photo.png",
    "tmpfile",
    "inbox/photo.png\0.txt",
    "\\..\\secret",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "FILE:///etc/passwd",
    "ftp://example.org/x.png",
    "gopher://example.org/x.png",
    "jar:file:///x!/y",
    "C:\\secret",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_of_the_allowed_folders_is_read(root: Path, path: str) -> None:
    error = refusal(root, path)
    assert error.code == "forbidden_path"
    assert error.hints


@pytest.mark.parametrize("path", ["inbox/..%2f..%2fsecret", "inbox/%2e%2e/secret", "inbox/no.png"])
def test_a_file_that_is_not_there_is_told_so(root: Path, path: str) -> None:
    error = refusal(root, path)
    assert error.code == "file_not_found"
    assert "relative to the root" in error.hints[0]


def test_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    (root / "inbox" / "link.png").symlink_to(tmp_path / "secret")
    (root / "inbox" / "near.png").symlink_to(root / "inbox" / "photo.png")
    assert "link" in refusal(root, "inbox/link.png").message
    assert refusal(root, "inbox/near.png").code == "forbidden_path"


def test_no_link_on_the_way_is_followed(root: Path, tmp_path: Path) -> None:
    (root / "inbox" / "out").symlink_to(tmp_path, target_is_directory=True)
    error = refusal(root, "inbox/out/secret")
    assert error.code == "forbidden_path"
    assert "link" in error.message


def test_a_second_name_of_a_file_elsewhere_is_not_read(root: Path, tmp_path: Path) -> None:
    os.link(tmp_path / "secret", root / "inbox" / "hard.png")
    error = refusal(root, "inbox/hard.png")
    assert error.code == "forbidden_path"
    assert "hard link" in error.message


def test_an_artifact_whose_other_name_is_its_blob_is_read(root: Path) -> None:
    async def main() -> Found:
        bench = Bench(root)
        try:
            digest = bench.blobs.put(PICTURE)
            os.link(bench.blobs.path(digest), root / "tmp" / "images" / "made.png")
            job = bench.state.jobs[await accepted(bench, "a.json")]
            return await bench.services.inputs.find("tmp/images/made.png", job, 5)
        finally:
            bench.close()

    assert asyncio.run(main()).data == PICTURE


def test_a_fifo_is_refused_and_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "inbox" / "pipe.png")
    error = refusal(root, "inbox/pipe.png")
    assert error.code == "forbidden_path"
    assert "FIFO" in error.message


def test_a_folder_and_a_socket_are_no_inputs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "inbox")  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.png")
        assert "socket" in refusal(root, "inbox/s.png").message
    assert "directory" in refusal(root, "inbox/alice").message


def test_a_device_is_refused(root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make one")
    os.mknod(root / "inbox" / "zero.png", 0o600 | 0o020000, os.makedev(1, 5))
    assert "device" in refusal(root, "inbox/zero.png").message


def test_a_file_beyond_the_limit_is_too_large(root: Path) -> None:
    error = refusal(root, "inbox/photo.png", max_media_bytes=len(PICTURE) - 1)
    assert error.code == "too_large"
    assert found(root, "inbox/photo.png", max_media_bytes=len(PICTURE)).data == PICTURE


def test_a_long_name_is_shortened_where_it_is_told(root: Path) -> None:
    assert len(refusal(root, "inbox/" + "x" * 5000).message) < 400


def test_a_name_that_is_no_utf_8_is_written_as_in_results(root: Path) -> None:
    shutil.copy(root / "inbox" / "photo.png", os.fsencode(root / "inbox") + b"/caf\xe9.png")
    assert found(root, "inbox/caf\\xe9.png").data == PICTURE


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x.png",
        "https://127.0.0.1/x.png",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x.png",
        "https://2130706433/x.png",
        "https://user:password@example.org/x.png",
    ],
)
def test_an_address_goes_through_the_guarded_client(root: Path, url: str) -> None:
    error = refusal(root, url)
    assert error.code == "forbidden_address"
    assert "password" not in error.message or "holds a name" in error.message


# ---------------------------------------------------------------- other requests


def artifact(path: str, digest: str, role: str = "output") -> dict[str, Any]:
    return {"path": path, "role": role, "sha256": digest}


def from_earlier(
    root: Path, *, name: str = "cat.json", wants: str = "cat.json", **more: Any
) -> Any:
    """What naming the artifact of another request comes to."""
    import hashlib

    (root / "tmp" / "images" / "cat.png").write_bytes(PICTURE)
    (root / "tmp" / "images" / "mask.png").write_bytes(b"a mask")
    made = [
        artifact("tmp/images/mask.png", hashlib.sha256(b"a mask").hexdigest(), "mask"),
        artifact("tmp/images/cat.png", hashlib.sha256(PICTURE).hexdigest()),
    ]
    end, mine = more.pop("end", JobSucceeded), more.pop("mine", "a.json")
    before = more.pop("before", lambda: None)

    async def main() -> Found:
        bench = Bench(root)
        try:
            other = await accepted(bench, name)
            if end is not None:
                await bench.log.append(other, 1, [ended(end, artifacts=made)], subject=name)
            job = bench.state.jobs[await bench.accept(mine, prompt="another")]
            before()
            source = Earlier.model_validate({"from": wants, **more})
            return await bench.services.inputs.find(source, job, 5)
        finally:
            bench.close()

    return asyncio.run(main())


@pytest.mark.parametrize("wants", ["cat.json", "cat"])
def test_an_artifact_of_another_request_is_named_by_that_request(root: Path, wants: str) -> None:
    assert from_earlier(root, wants=wants) == Found(PICTURE, "tmp/images/cat.png")


def test_numbers_count_among_the_artifacts_of_one_role(root: Path) -> None:
    assert from_earlier(root, role="mask").data == b"a mask"


def test_the_other_request_lies_in_the_same_folder(root: Path) -> None:
    assert from_earlier(root, name="alice/cat.json", mine="alice/b.json").data == PICTURE


def dependency(root: Path, **more: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        from_earlier(root, **more)
    assert caught.value.code == "dependency_failed"
    assert caught.value.hints
    return caught.value


def test_one_of_another_folder_is_not_found(root: Path) -> None:
    assert "alice/cat.json" in dependency(root, mine="alice/b.json").message
    assert "names a folder" in dependency(root, wants="alice/cat.json").message


def test_one_that_is_not_there_or_not_done_is_told_so(root: Path) -> None:
    assert "no request" in dependency(root, wants="dog.json").message
    assert "no result yet" in dependency(root, end=None).message


def test_one_that_failed_is_told_with_its_code(root: Path) -> None:
    from daemon.events import JobFailed

    assert "provider_failed" in dependency(root, end=JobFailed).message


def test_one_that_was_rejected_is_told_so(root: Path) -> None:
    async def main() -> Found:
        bench = Bench(root)
        try:
            rejected = RequestRejected("k", None, None, {}, problem("invalid_json"))
            await bench.log.append(None, None, [rejected], subject="cat.json")
            job = bench.state.jobs[await accepted(bench, "a.json")]
            source = Earlier.model_validate({"from": "cat.json"})
            return await bench.services.inputs.find(source, job, 5)
        finally:
            bench.close()

    with pytest.raises(HandlerError, match="was rejected"):
        asyncio.run(main())


def test_an_artifact_that_there_is_not_is_told_with_how_many_there_are(root: Path) -> None:
    assert "has 1 artifacts" in dependency(root, artifact=1).message
    assert "has 0 artifacts" in dependency(root, role="poster").message


def test_an_artifact_that_was_changed_since_is_taken_with_a_warning(root: Path) -> None:
    def change() -> None:
        (root / "tmp" / "images" / "cat.png").write_bytes(tiny_image("red"))

    found = from_earlier(root, before=change)
    assert found.data == tiny_image("red")
    assert "changed since" in found.warnings[0]


def test_an_artifact_that_was_removed_is_not_found(root: Path) -> None:
    with pytest.raises(HandlerError) as caught:
        from_earlier(root, before=(root / "tmp" / "images" / "cat.png").unlink)
    assert caught.value.code == "file_not_found"


# ---------------------------------------------------------------- read once


def test_an_input_is_read_once_and_is_the_same_at_every_run(root: Path) -> None:
    async def main() -> None:
        bench = Bench(root)
        try:
            job = await bench.accept("a.json")
            first, _ = await bench.context(job)
            medium = await first.read("image", "inbox/photo.png")
            assert medium.data is None
            assert await first.work(lambda data: data, medium) == PICTURE
            (root / "inbox" / "photo.png").unlink()
            again, _ = await bench.context(job)
            assert await again.read("image", "inbox/photo.png") == medium
            assert await again.work(bytes, medium) == PICTURE
            reads = [one.event for one in bench.log.read(0, InputRead)]
            assert reads == [
                InputRead("image", "inbox/photo.png", medium.sha256 or "", len(PICTURE), None, [])
            ]
            assert bench.state.jobs[job].hold == bench.state.jobs[job].inputs == (medium.sha256,)
        finally:
            bench.close()

    asyncio.run(main())


def test_after_a_retry_by_hand_it_is_read_again(root: Path) -> None:
    from daemon.decisions import Retry, decide
    from daemon.events import JobFailed

    async def main() -> None:
        bench = Bench(root)
        try:
            job = await bench.accept("a.json")
            context, _ = await bench.context(job)
            await context.read("image", "inbox/photo.png")
            failed = ended(JobFailed, error=problem("invalid_request"))
            await bench.log.append(job, bench.state.version(job), [failed], subject="a.json")
            assert bench.state.jobs[job].hold == ()
            retry = decide(bench.state, Retry(job, "k"))
            await bench.log.append(job, retry.version, retry.events, subject="a.json")
            (root / "inbox" / "photo.png").write_bytes(tiny_image("red"))
            context, _ = await bench.context(job)
            medium = await context.read("image", "inbox/photo.png")
            assert await context.work(bytes, medium) == tiny_image("red")
        finally:
            bench.close()

    asyncio.run(main())


def test_a_failure_that_goes_on_with_a_call_keeps_its_inputs(root: Path) -> None:
    from daemon.events import JobFailed

    async def main() -> None:
        bench = Bench(root)
        try:
            job = await bench.accept("a.json")
            context, _ = await bench.context(job)
            medium = await context.read("image", "inbox/photo.png")
            failed = ended(JobFailed, error=problem("provider_timeout"))
            await bench.log.append(job, bench.state.version(job), [failed], subject="a.json")
            assert bench.state.jobs[job].hold == (medium.sha256,)
        finally:
            bench.close()

    asyncio.run(main())
