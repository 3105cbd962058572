"""Secrets that a configuration holds, or says where to find."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.configfiles import Gathered
from daemon.drafts import Value
from daemon.redaction import Secret
from daemon.secretrefs import Vault
from handlers.contract import Json

ENVIRONMENT = {"KEY": "sk-canary", "EMPTY": "", "BAD": "a\nb", "UTF": "schlüssel"}
PLACE = "x.json: a.apiKey"


def read(value: Json, gathered: Gathered | None = None, **more: Any) -> Value:
    return Vault(ENVIRONMENT, gathered or Gathered(), None).read(value, PLACE, **more)


def fails(value: Value, code: str, *parts: str) -> None:
    assert value.value is None
    assert value.problem is not None
    assert value.problem.code == code
    for part in (PLACE, *parts):
        assert part in value.problem.message
    assert "canary" not in repr(value)


@pytest.mark.parametrize(
    "text",
    ["$KEY", "${KEY}", "KEY", " KEY ", "secretref-env:KEY", "__env__:KEY"],
)
def test_a_variable_is_looked_up(text: str) -> None:
    assert read(text) == Value(f"{PLACE}, from $KEY", Secret("sk-canary"))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("sk-literal", "sk-literal"),
        ("  sk-literal\n", "sk-literal"),
        ("$key", "$key"),
        ("$${KEY}", "${KEY}"),
        ("NOT_SET", "NOT_SET"),
        ("EMPTY", "EMPTY"),
    ],
)
def test_what_names_no_variable_is_the_secret_itself(text: str, secret: str) -> None:
    assert read(text) == Value(PLACE, Secret(secret), is_literal=True)


def test_what_looks_like_a_variable_that_is_not_set_is_noted() -> None:
    gathered = Gathered()
    read("AKIACANARY", gathered)
    assert len(gathered.notes) == 1
    assert "variable that is not set" in gathered.notes[0]
    assert "CANARY" not in gathered.notes[0]


def test_a_header_is_no_bare_name_and_no_marker() -> None:
    assert read("KEY", is_key=False).value == Secret("KEY")
    assert read("ollama-local", is_key=False).value == Secret("ollama-local")
    assert read("Bearer ${KEY}", is_key=False).value == Secret("Bearer sk-canary")


@pytest.mark.parametrize("text", ["$NO", "${NO}", "a${NO}b", "$EMPTY", "secretref-env:NO"])
def test_a_variable_that_is_not_set_is_named(text: str) -> None:
    name = "EMPTY" if "EMPTY" in text else "NO"
    fails(read(text), "config_missing", f"${name}, which is not set")


@pytest.mark.parametrize(
    "text", ["ollama-local", "secretref-managed", "oauth:canary", "AWS_PROFILE"]
)
def test_a_marker_is_no_key(text: str) -> None:
    gathered = Gathered()
    assert read(text, gathered) == Value(PLACE)
    assert "marker" in gathered.notes[0]
    assert "canary" not in gathered.notes[0]
    assert not gathered.secrets


@pytest.mark.parametrize("text", ["$BAD", "$UTF", "canary\x7f", "canary\ud800"])
def test_what_no_header_can_carry_is_refused(text: str) -> None:
    fails(read(text), "config_invalid", "no header can carry")


@pytest.mark.parametrize("value", [None, 1, True, ["canary"]])
def test_what_is_no_text_is_refused(value: Any) -> None:
    fails(read(value), "config_invalid", "neither a text nor a reference")


def test_an_empty_text_is_no_key() -> None:
    assert read(" ") == Value(PLACE)


def test_every_secret_that_was_read_is_known_once() -> None:
    gathered = Gathered()
    for text in ("$KEY", "KEY", "sk-literal", "$NO", "ollama-local"):
        read(text, gathered)
    assert gathered.secrets == [Secret("sk-canary"), Secret("sk-literal")]


def test_a_judge_decides_and_the_text_is_not_told() -> None:
    def judge(text: str) -> str:
        raise ValueError("is bad")

    fails(read("canary", judge=judge), "config_invalid", "a.apiKey is bad")


# ---------------------------------------------------------------- references


def reference(source: str, name: Any, provider: Any = "default") -> dict[str, Any]:
    return {"source": source, "provider": provider, "id": name}


def vault(definitions: Json, *, may_run: bool = False, home: Path | None = None) -> Vault:
    return Vault(ENVIRONMENT, Gathered(), home, definitions, may_run=may_run)


def test_a_reference_to_a_variable_is_looked_up() -> None:
    assert read(reference("env", "KEY")).value == Secret("sk-canary")
    assert read({"source": "env", "id": "KEY"}).value == Secret("sk-canary")
    fails(read(reference("env", "NO")), "config_missing", "$NO")


def test_a_list_of_variables_that_are_allowed_is_kept_to() -> None:
    definitions = {"providers": {"some": {"source": "env", "allowlist": ["KEY"]}}}
    some = vault(definitions)
    assert some.read(reference("env", "KEY", "some"), PLACE).value == Secret("sk-canary")
    fails(some.read(reference("env", "BAD", "some"), PLACE), "config_invalid", "allowlist")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "no reference"),
        ({"source": "env"}, "no reference"),
        (reference("env", 1), "no reference"),
        (reference("env", "key"), "no name of a variable"),
        (reference("env", "KEY", "Bad"), "provider is no name"),
        (reference("env", "KEY", 5), "no reference"),
        (reference("env", "KEY", "other"), "secrets.providers.other describes no env"),
        (reference("vault", "KEY"), "cannot be read here"),
        (reference("file", "/a"), "secrets.providers.default describes no file"),
    ],
)
def test_a_bad_reference_is_refused(value: Any, said: str) -> None:
    fails(read(value), "config_invalid", said)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"openai": {"apiKey": "sk-canary", "n": 1}}))
    path.chmod(0o600)
    return path


def test_a_file_of_secrets_is_read_by_pointer(secrets: Path) -> None:
    definitions = {
        "providers": {"mine": {"source": "file", "path": "~/secrets.json"}},
        "defaults": {"file": "mine"},
    }
    mine = vault(definitions, home=secrets.parent)
    found = mine.read(reference("file", "/openai/apiKey", "mine"), PLACE)
    assert found == Value(f"{PLACE}, from {secrets}", Secret("sk-canary"))
    assert mine.read({"source": "file", "id": "/openai/apiKey"}, PLACE) == found
    for pointer in ("/openai/n", "/openai", "/no", "openai"):
        fails(mine.read(reference("file", pointer, "mine"), PLACE), "config_invalid", "no text")
    secrets.write_text("{canary")
    fails(mine.read(reference("file", "/a", "mine"), PLACE), "config_invalid", "is no JSON")
    secrets.chmod(0o644)
    fails(mine.read(reference("file", "/a", "mine"), PLACE), "config_invalid", "by others")
    secrets.unlink()
    fails(mine.read(reference("file", "/a", "mine"), PLACE), "config_missing", "not there")


def test_a_file_may_be_one_secret(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-canary$KEY\n")
    path.chmod(0o600)
    one = vault(
        {"providers": {"one": {"source": "file", "path": str(path), "mode": "singleValue"}}}
    )
    assert one.read(reference("file", "value", "one"), PLACE).value == Secret("sk-canary$KEY")
    fails(one.read(reference("file", "/a", "one"), PLACE), "config_invalid", "must be 'value'")
    assert one.file(path, PLACE) == Value(f"{PLACE}, from {path}", Secret("sk-canary$KEY"))


def test_a_path_that_can_name_no_file_is_refused() -> None:
    one = vault({"providers": {"one": {"source": "file", "path": "/a\0b"}}})
    fails(one.read(reference("file", "/a", "one"), PLACE), "config_invalid")


@pytest.mark.parametrize("path", [None, 1, "", "relative", "~/x", "~other/x"])
def test_the_path_of_a_file_is_absolute(path: Any) -> None:
    one = vault({"providers": {"one": {"source": "file", "path": path}}})
    fails(one.read(reference("file", "/a", "one"), PLACE), "config_invalid", "one.path")


def test_a_command_is_asked_only_where_that_was_turned_on(tmp_path: Path) -> None:
    path = tmp_path / "vault"
    path.write_text(
        f"#!{sys.executable} -IS\nimport json, os, sys\n"
        "print(json.dumps({'values': {'a/b': ' '.join([*sys.argv[1:], os.environ['KEY']])}}))\n"
    )
    path.chmod(0o700)
    definition = {"source": "exec", "command": str(path), "args": ["x"], "passEnv": ["KEY", "NO"]}
    definitions = {"providers": {"vault": {**definition, "env": {"A": "${KEY}"}}}}
    off, on = vault(definitions), vault(definitions, may_run=True)
    wanted = reference("exec", "a/b", "vault")
    fails(off.read(wanted, PLACE), "config_missing", "commands are not run")
    assert on.read(wanted, PLACE) == Value(f"{PLACE}, from {path}", Secret("x sk-canary"))
    fails(on.read(reference("exec", "no", "vault"), PLACE), "config_invalid", "told no secret")
    for name in ("../x", "a/../b", "-x", "a b"):
        fails(on.read(reference("exec", name, "vault"), PLACE), "config_invalid", "asked for")
    bare = vault({"providers": {"vault": {**definition, "command": "vault"}}}, may_run=True)
    fails(bare.read(wanted, PLACE), "config_invalid", "not absolute")


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["env", "file", "exec"]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["source", "provider", "id", "providers", "default", "path", "mode"]),
            below,
        )
    ),
    max_leaves=10,
)


@given(JSON, JSON)
def test_no_value_breaks_it(value: Any, definitions: Any) -> None:
    found = vault(definitions).read(value, PLACE)
    assert found.value is None or isinstance(found.value, Secret)
