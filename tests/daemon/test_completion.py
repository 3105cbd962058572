"""The names of requests that a shell may offer."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.completion import MOST, names_of_requests, script


def fill(root: Path, *names: str) -> None:
    for name in names:
        file = root / "inbox" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


@pytest.mark.parametrize(
    ("beginning", "offered"),
    [
        ("", {"helmet.json", "hut.json", "alice/fox.json", "alice/old/fox.json"}),
        ("h", {"helmet.json", "hut.json"}),
        ("helmet.json", {"helmet.json"}),
        ("ali", {"alice/fox.json", "alice/old/fox.json"}),
        ("alice/f", {"alice/fox.json"}),
        ("alice/old/", {"alice/old/fox.json"}),
        ("nobody/", set()),
    ],
)
def test_requests_are_offered_by_their_beginning_those_in_folders_too(
    tmp_path: Path, beginning: str, offered: set[str]
) -> None:
    fill(tmp_path, "helmet.json", "hut.json", "alice/fox.json", "alice/old/fox.json")
    assert set(names_of_requests(tmp_path, beginning)) == offered


def test_only_requests_are_offered(tmp_path: Path) -> None:
    fill(tmp_path, "x.result.json", "x.retry", ".x.json", "x.tmp", ".hidden/x.json", "x.json")
    assert names_of_requests(tmp_path, "") == ["x.json"]


@pytest.mark.parametrize(
    "name", ["$(reboot).json", "a b.json", "a;b.json", "`a`.json", "-x.json", "a\nb.json", "*.json"]
)
def test_a_name_that_a_shell_would_take_for_more_is_not_offered(tmp_path: Path, name: str) -> None:
    fill(tmp_path, name, "plain.json")
    assert names_of_requests(tmp_path, "") == ["plain.json"]


def test_what_lies_in_a_folder_of_such_a_name_is_not_offered_either(tmp_path: Path) -> None:
    fill(tmp_path, "$(reboot)/x.json", "höhle/x.json")
    assert names_of_requests(tmp_path, "") == ["höhle/x.json"]


def test_links_are_not_followed_so_a_circle_ends(tmp_path: Path) -> None:
    fill(tmp_path, "alice/x.json")
    (tmp_path / "inbox" / "alice" / "again").symlink_to(tmp_path / "inbox")
    assert names_of_requests(tmp_path, "") == ["alice/x.json"]


def test_of_many_a_part_is_offered(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{number}.json" for number in range(MOST + 5)))
    assert len(set(names_of_requests(tmp_path, ""))) == MOST


def test_the_root_is_the_flag_or_the_variable_or_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("flag", "variable", "here"):
        fill(tmp_path / name, f"{name}.json")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("DARKROOM_ROOT", raising=False)
    assert names_of_requests(None, "") == ["here.json"]
    monkeypatch.setenv("DARKROOM_ROOT", str(tmp_path / "variable"))
    assert names_of_requests(None, "") == ["variable.json"]
    assert names_of_requests(tmp_path / "flag", "") == ["flag.json"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names_of_requests(Path("~/flag"), "") == ["flag.json"]


def test_without_an_inbox_nothing_is_offered(tmp_path: Path) -> None:
    assert names_of_requests(tmp_path / "nowhere", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_about_darkroom(shell: str) -> None:
    assert f"_DARKROOM_COMPLETE=complete_{shell}" in script(shell)
