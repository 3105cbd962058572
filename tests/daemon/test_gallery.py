"""Artifacts: saved whole under the output root, through no link, over nothing of anybody's."""

import hashlib
import os
from pathlib import Path

import pytest

from daemon.blobs import BlobStore
from daemon.gallery import Gallery
from daemon.testing import tiny_image
from handlers.contract import Artifact, Description, HandlerError, Medium
from handlers.media.decoding import describe

PNG = tiny_image()
SHA = hashlib.sha256(PNG).hexdigest()
JOB = "01K0000000000000000000000A"
OTHER = "01K0000000000000000000000B"


class Place:
    """A root with a gallery, and how a job saves to it."""

    def __init__(self, root: Path, output: Path) -> None:
        self.root, self.output = root, output
        for folder in (root / "blobs", root / "staging", output):
            folder.mkdir(parents=True, exist_ok=True)
        self.blobs = BlobStore(root / "blobs", root / "staging", lambda _: True)
        self.gallery = Gallery(root, output, root / "staging", self.blobs, _describe)

    def save(
        self, medium: Medium | None = None, folder: str | None = None, number: int = 1
    ) -> Artifact:
        medium = medium or Medium(PNG)
        described = self.gallery.describe(medium)
        return self.gallery.save(medium, described, folder, f"generated-{JOB}-{number}", "output")


def _describe(data: bytes) -> Description:
    return describe(data, 10**6, 10**6)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "root", tmp_path / "root" / "tmp")


def test_a_medium_is_saved_under_the_folder_of_its_kind(place: Place) -> None:
    artifact = place.save()
    assert artifact == Artifact(
        path=f"tmp/images/generated-{JOB}-1.png",
        role="output",
        kind="image",
        media_type="image/png",
        bytes=len(PNG),
        sha256=SHA,
        width=8,
        height=8,
    )
    assert (place.root / artifact.path).read_bytes() == PNG
    assert os.listdir(place.root / "staging") == []


@pytest.mark.parametrize(
    ("folder", "path"),
    [("images/shoes", "tmp/images/shoes"), ("", "tmp"), ("a/b/c", "tmp/a/b/c")],
)
def test_a_folder_of_the_request_is_made(place: Place, folder: str, path: str) -> None:
    artifact = place.save(folder=folder)
    assert artifact.path == f"{path}/generated-{JOB}-1.png"
    assert (place.root / artifact.path).read_bytes() == PNG


def test_the_extension_is_that_of_the_bytes(place: Place) -> None:
    artifact = place.save(Medium(tiny_image(form="JPEG"), media_type="image/png"))
    assert artifact.path.endswith(".jpg")
    assert artifact.media_type == "image/jpeg"


def test_an_output_root_outside_of_the_root_is_told_absolutely(tmp_path: Path) -> None:
    place = Place(tmp_path / "root", tmp_path / "elsewhere")
    artifact = place.save()
    assert artifact.path == f"{tmp_path}/elsewhere/images/generated-{JOB}-1.png"
    assert Path(artifact.path).read_bytes() == PNG
    place.gallery.remove(artifact)
    assert not Path(artifact.path).exists()


# ---------------------------------------------------------------- from a blob


def test_a_blob_is_linked_and_not_written_twice(place: Place) -> None:
    digest = place.blobs.put(PNG)
    artifact = place.save(Medium(sha256=digest))
    assert (place.root / artifact.path).stat().st_ino == place.blobs.path(digest).stat().st_ino
    assert artifact.sha256 == digest


def test_where_no_link_can_be_made_it_is_copied(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = place.blobs.put(PNG)

    def refuse(*_: object) -> None:
        raise OSError(18, "another filesystem")

    monkeypatch.setattr("daemon.gallery.os.link", refuse)
    artifact = place.save(Medium(sha256=digest))
    assert (place.root / artifact.path).read_bytes() == PNG
    assert (place.root / artifact.path).stat().st_ino != place.blobs.path(digest).stat().st_ino


def test_saving_a_blob_again_over_its_own_link_leaves_nothing_behind(place: Place) -> None:
    digest = place.blobs.put(PNG)
    assert place.save(Medium(sha256=digest)) == place.save(Medium(sha256=digest))
    assert os.listdir(place.root / "staging") == []
    assert place.blobs.get(digest) == PNG


def test_replacing_a_linked_file_does_not_change_the_blob(place: Place) -> None:
    digest = place.blobs.put(PNG)
    place.save(Medium(sha256=digest))
    artifact = place.save(Medium(tiny_image("red")))
    assert (place.root / artifact.path).read_bytes() == tiny_image("red")
    assert place.blobs.get(digest) == PNG


# ---------------------------------------------------------------- what lies in the way


def test_what_a_crash_left_under_the_name_is_replaced(place: Place) -> None:
    (place.output / "images").mkdir()
    left = place.output / "images" / f"generated-{JOB}-1.png"
    left.write_bytes(b"half")
    place.save()
    assert left.read_bytes() == PNG


def test_a_link_of_that_name_is_replaced_and_not_written_through(
    place: Place, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (place.output / "images").mkdir()
    (place.output / "images" / f"generated-{JOB}-1.png").symlink_to(victim)
    artifact = place.save()
    assert victim.read_text() == "precious"
    assert not (place.root / artifact.path).is_symlink()


@pytest.mark.parametrize("planted", ["images", "images/shoes"])
@pytest.mark.parametrize("target", ["outside", "nowhere"])
def test_a_linked_folder_on_the_way_is_forbidden(
    place: Place, tmp_path: Path, planted: str, target: str
) -> None:
    (tmp_path / "outside").mkdir()
    (place.output / planted).parent.mkdir(parents=True, exist_ok=True)
    (place.output / planted).symlink_to(tmp_path / target)
    with pytest.raises(HandlerError) as caught:
        place.save(folder="images/shoes")
    assert caught.value.code == "forbidden_path"
    assert os.listdir(tmp_path / "outside") == []
    assert os.listdir(place.root / "staging") == []


def test_a_file_on_the_way_is_forbidden_too(place: Place) -> None:
    (place.output / "images").write_text("a file")
    with pytest.raises(HandlerError) as caught:
        place.save()
    assert caught.value.code == "forbidden_path"


def test_what_is_no_picture_is_not_saved(place: Place) -> None:
    with pytest.raises(HandlerError) as caught:
        place.save(Medium(b"GIF89a nonsense"))
    assert caught.value.code == "unreadable_media"
    assert os.listdir(place.output) == []


# ---------------------------------------------------------------- sweeping


def test_a_sweep_removes_unrecorded_files_of_jobs_that_run_again_and_nothing_else(
    place: Place,
) -> None:
    recorded, unrecorded = place.save(number=1), place.save(number=2, folder="a/b")
    others = [
        place.output / "images" / f"generated-{OTHER}-1.png",
        place.output / "images" / "holiday.png",
        place.output / "images" / f"generated-{JOB}-x.png",
    ]
    for other in others:
        other.write_bytes(PNG)
    assert place.gallery.sweep({JOB: 0}, {recorded.path}) == 1
    assert not (place.root / unrecorded.path).exists()
    assert (place.root / recorded.path).exists()
    assert all(other.exists() for other in others)


def test_a_sweep_keeps_files_of_earlier_rounds(place: Place) -> None:
    first, second = place.save(number=1), place.save(number=2)
    assert place.gallery.sweep({JOB: 1}, set()) == 1
    assert (place.root / first.path).exists()
    assert not (place.root / second.path).exists()


def test_without_jobs_that_run_again_nothing_is_looked_at(place: Place) -> None:
    artifact = place.save()
    assert place.gallery.sweep({}, set()) == 0
    assert (place.root / artifact.path).exists()


def test_a_sweep_goes_through_no_link(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"generated-{JOB}-1.png").write_bytes(PNG)
    (place.output / "link").symlink_to(outside)
    assert place.gallery.sweep({JOB: 0}, set()) == 0
    assert len(os.listdir(outside)) == 1


def test_a_file_tells_its_origin_and_is_known_by_what_it_is_then(tmp_path: Path) -> None:
    from functools import partial

    from handlers.media.decoding import describe
    from handlers.media.provenance import provenance_of, signed

    blobs = BlobStore(tmp_path, tmp_path, lambda _: True)
    gallery = Gallery(
        tmp_path,
        tmp_path / "tmp",
        tmp_path,
        blobs,
        lambda data: describe(data, 10**6, 10**7),
        partial(signed, by="darkroom 0"),
    )
    picture = tiny_image()
    medium = Medium(sha256=blobs.put(picture))
    origin = {"task": "edit_image", "prompt": "a fox", "provider": "paper", "model": None}
    described = gallery.describe(medium, origin)
    artifact = gallery.save(medium, described, None, "fox-1", "output")
    saved = (tmp_path / artifact.path).read_bytes()
    told = provenance_of(saved)
    assert told is not None
    assert (told["prompt"], told["tool"]) == ("a fox", "darkroom 0")
    assert told["source_type"] == "compositeWithTrainedAlgorithmicMedia"
    assert artifact.sha256 == hashlib.sha256(saved).hexdigest() != medium.sha256
    assert artifact.bytes == len(saved)
    assert gallery.describe(medium).sha256 == medium.sha256  # nothing to tell, nothing changed
