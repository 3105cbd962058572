"""Secrets out of commands: how one is run, and what is refused."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.secretexec import Command, ask
from handlers.contract import HandlerError

ANSWERS = """
import json, os, sys
question = json.load(sys.stdin)
values = {"openai/key": "sk-from-vault", "number": 5, "env": json.dumps(dict(os.environ)),
          "argv": json.dumps(sys.argv[1:]), "question": json.dumps(question)}
print(json.dumps({"protocolVersion": 1, "values": values}))
"""


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return program(tmp_path / "vault", ANSWERS)


def program(path: Path, source: str) -> Path:
    path.write_text(f"#!{sys.executable} -IS\n{source}")
    path.chmod(0o700)
    return path


def refused(command: Command, said: str) -> None:
    with pytest.raises(HandlerError, match=said) as error:
        ask(command, "openai/key")
    assert error.value.code == "config_invalid"
    assert "canary" not in error.value.message


def test_a_command_is_asked_and_answers(vault: Path) -> None:
    command = Command("my-vault", vault)
    assert ask(command, "openai/key") == "sk-from-vault"
    asked = {"protocolVersion": 1, "provider": "my-vault", "ids": ["question"]}
    assert json.loads(ask(command, "question")) == asked


def test_no_shell_reads_its_arguments_and_its_environment_is_what_was_given(vault: Path) -> None:
    arguments = ("; touch x", "$(touch x)", "-rf")
    command = Command("v", vault, arguments, {"TOKEN": "canary"})
    assert json.loads(ask(command, "argv")) == list(arguments)
    there: dict[str, Any] = json.loads(ask(command, "env"))
    assert there.pop("TOKEN") == "canary"
    assert not there.keys() - {"LC_CTYPE"}  # which Python adds by itself
    assert "canary" not in repr(command)


def test_what_it_does_not_know_is_refused(vault: Path) -> None:
    with pytest.raises(HandlerError, match="told no secret called 'number'"):
        ask(Command("v", vault), "number")
    with pytest.raises(HandlerError, match="told no secret called 'absent'"):
        ask(Command("v", vault), "absent")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("print('canary')", "JSON object"),
        ("print('\"canary\"')", "JSON object"),
        ("print('[' * 100000)", "JSON object"),
        ("print('{\"values\": 1}')", "told no secret"),
        ("", "JSON object"),
        ("import sys; print('canary', file=sys.stderr); sys.exit(3)", "ended with the code 3"),
        ("print('x' * 300000)", "more than 200000 bytes"),
    ],
)
def test_a_bad_answer_is_refused(tmp_path: Path, source: str, said: str) -> None:
    refused(Command("v", program(tmp_path / "p", source), limit=200_000), said)


@pytest.mark.parametrize(
    ("source", "answer"),
    [("print(' canary ')", "canary"), ("print('\"canary\"')", "canary"), ("print(123)", "123")],
)
def test_a_plain_answer_is_taken_where_that_is_allowed(
    tmp_path: Path, source: str, answer: str
) -> None:
    command = Command("v", program(tmp_path / "p", source), json_only=False)
    assert ask(command, "openai/key") == answer


def test_one_that_does_not_end_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    source = """
import os, time
child = os.fork()
if child:
    open("started", "w").write(str(child))
time.sleep(60)
"""
    began = time.monotonic()
    refused(Command("v", program(tmp_path / "p", source), timeout=0.5), "within 0.5 s")
    assert time.monotonic() - began < 30
    child = int((tmp_path / "started").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_one_that_closes_its_output_and_stays_is_killed(tmp_path: Path) -> None:
    source = "import os, time; os.close(1); time.sleep(60)"
    refused(Command("v", program(tmp_path / "p", source), timeout=0.3), "within 0.3 s")


def test_only_what_nobody_else_could_have_put_there_is_run(vault: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(vault)
    refused(Command("v", tmp_path / "link"), "is a link")
    assert ask(Command("v", tmp_path / "link", may_be_link=True), "openai/key")
    refused(Command("v", tmp_path / "absent"), "is not there")
    refused(Command("v", tmp_path), "no regular file")
    refused(Command("v", vault, trusted=(tmp_path / "bin",)), "no trusted folder")
    assert ask(Command("v", vault, trusted=(tmp_path / "bin", tmp_path)), "openai/key")
    vault.chmod(0o722)
    refused(Command("v", vault), "changed by others")
    vault.chmod(0o600)
    if os.geteuid() != 0:
        refused(Command("v", vault), "cannot be run")


def test_what_is_no_program_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"\x7fELF canary")
    (tmp_path / "text").chmod(0o700)
    refused(Command("v", tmp_path / "text"), "cannot be run: OSError")
