"""PAUSE files: who is paused, and who is told when that changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.pauses import Pauses


class Inbox:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[set[str | None]] = []
        self.pauses = Pauses(folder, lambda providers: self.told.append(set(providers)))


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


def test_a_pause_is_told_when_it_begins_and_when_it_ends(inbox: Inbox) -> None:
    (inbox.folder / "PAUSE.local").touch()
    inbox.pauses.look(["PAUSE.local", "PAUSE"])
    assert inbox.pauses
    (inbox.folder / "PAUSE").touch()
    inbox.pauses.look(["PAUSE"])
    inbox.pauses.look(["PAUSE"])
    (inbox.folder / "PAUSE.local").unlink()
    inbox.pauses.look()
    (inbox.folder / "PAUSE").unlink()
    inbox.pauses.look()
    assert inbox.told == [{"local"}, {"local", None}, {None}, set()]
    assert not inbox.pauses


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_whatever_has_the_name_pauses(inbox: Inbox, kind: str) -> None:
    path = inbox.folder / "PAUSE"
    if kind == "file":
        path.write_text("any content")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/nowhere")
    inbox.pauses.look(["PAUSE"])
    assert inbox.told == [{None}]


def test_at_the_start_everybody_and_the_providers_are_looked_for(inbox: Inbox) -> None:
    (inbox.folder / "PAUSE.local").touch()
    inbox.pauses.begin(["local", "other"])
    assert inbox.told == [{"local"}]


def test_an_inbox_that_cannot_be_looked_into_says_nothing_new(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: Path) -> None:
        raise PermissionError

    (inbox.folder / "PAUSE").touch()
    inbox.pauses.look(["PAUSE"])
    monkeypatch.setattr(Path, "lstat", forbidden)
    inbox.pauses.look(["PAUSE.local"])
    assert inbox.told == [{None}]


def test_an_inbox_that_is_gone_pauses_nobody(inbox: Inbox) -> None:
    inbox.folder = inbox.folder / "gone"
    pauses = Pauses(inbox.folder, lambda providers: inbox.told.append(set(providers)))
    pauses.begin(["local"])
    assert inbox.told == []


def test_a_name_whose_bytes_are_no_text_is_looked_at_by_its_bytes(inbox: Inbox) -> None:
    (Path(str(inbox.folder)) / "PAUSE.\udcff").touch()
    inbox.pauses.look(["PAUSE.\\xff"])
    assert inbox.told == [{"\\xff"}]
