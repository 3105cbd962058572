"""Completion in real shells; those that are not installed are left out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edges.test_commands import COMMANDS
from tests.support import Root, environment

BIN = Path(sys.executable).parent

BASH = """
set -euo pipefail
eval "$(darkroom completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_darkroom_completion "$1"
((${#COMPREPLY[@]} == 0)) || printf '%s\\n' "${COMPREPLY[@]}"
"""

ZSH = """
compdef() { :; }
_files() { :; }
_arguments() { print -r -- "$1"; }
eval "$(darkroom completion zsh)"
words=("$@"); CURRENT=$#
_darkroom_completion
"""

FISH = """
darkroom completion fish | source
complete --do-complete "$argv"
"""


def in_shell(shell: str, *arguments: str, cwd: Path, **env: str) -> str:
    """What a script prints, in a clean shell that finds `darkroom`."""
    if shutil.which(arguments[0]) is None:
        pytest.skip(f"{arguments[0]} is not installed")
    done = subprocess.run(
        [*arguments[:1], *(["--norc"] if shell == BASH else []), "-c", shell, *arguments[1:]],
        env={**environment(**env), "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def bash(*words: str, cwd: Path, **env: str) -> set[str]:
    """What bash would offer for the last of the words that were typed."""
    return set(in_shell(BASH, "bash", "bash", "darkroom", *words, cwd=cwd, **env).splitlines())


@pytest.fixture
def studio(root: Root) -> Root:
    for name in ("helmet.json", "hut.json", "alice/fox.json"):
        root.drop(name, {})
    return root


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    assert bash("", cwd=tmp_path) == set(COMMANDS)
    assert bash("sta", cwd=tmp_path) == {"status"}
    assert bash("run", "--lo", cwd=tmp_path) == {"--log-level"}
    assert bash("completion", "", cwd=tmp_path) == {"bash", "zsh", "fish"}


@pytest.mark.slow
def test_bash_completes_the_levels_of_the_log(tmp_path: Path) -> None:
    levels = bash("run", "--log-level", "", cwd=tmp_path)
    assert levels == {"debug", "info", "warning", "error"}
    assert bash("run", "--log-level", "w", cwd=tmp_path) == {"warning"}


@pytest.mark.slow
@pytest.mark.parametrize("words", [["status"], ["retry"], ["cancel"], ["events", "--job"]])
def test_bash_completes_the_names_of_requests(studio: Root, words: list[str]) -> None:
    root = ["--root", str(studio.path)]
    assert bash(words[0], *root, *words[1:], "h", cwd=studio.path) == {"helmet.json", "hut.json"}


@pytest.mark.slow
def test_bash_completes_requests_of_the_root_that_the_variable_names(
    studio: Root, tmp_path: Path
) -> None:
    found = bash("status", "ali", cwd=tmp_path, DARKROOM_ROOT=str(studio.path))
    assert found == {"alice/fox.json"}


@pytest.mark.slow
@pytest.mark.parametrize("words", [["status", "--root"], ["submit"]])
def test_files_and_folders_are_left_to_bash(studio: Root, words: list[str]) -> None:
    """It completes them itself where it is offered nothing: `complete -o default`."""
    assert bash(*words, "", cwd=studio.path) == set()


def test_zsh_completes_commands_and_requests(studio: Root) -> None:
    assert '"status"' in in_shell(ZSH, "zsh", "zsh", "darkroom", "sta", cwd=studio.path)
    assert '"hut.json"' in in_shell(ZSH, "zsh", "zsh", "darkroom", "status", "hu", cwd=studio.path)


def test_fish_completes_commands_and_requests(studio: Root) -> None:
    assert "status" in in_shell(FISH, "fish", "darkroom sta", cwd=studio.path)
    assert "hut.json" in in_shell(FISH, "fish", "darkroom status hu", cwd=studio.path)


def test_an_unknown_shell_is_refused_in_words(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "completion", "tcsh"],
        env=environment(),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert all(word in done.stderr for word in ("tcsh", "bash", "zsh", "fish"))
