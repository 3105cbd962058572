"""Providers out of `darkroom.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.configfiles import Gathered
from daemon.darkroomtoml import read_darkroom_toml
from daemon.drafts import Sheet, Value
from daemon.errors import Problem
from daemon.redaction import Secret

GOLDEN = """
provider = "studio"

[providers.studio]  # a server of one's own
base_url = "https://studio.example.com/v1/"
api = "openai-completions"
api_key = "${STUDIO_KEY}"
key_header = "X-Api-Key"
key_prefix = ""
dialect = "localai"
paid = false
idempotency_header = "Idempotency-Key"
on_ambiguous = "retry"
concurrency = 2
requests_per_minute = 30
image_model = "flux"
edit_model = "flux-edit"
video_model = "wan"
ca_file = "certs/own.pem"
proxy = "http://me:canary-pw@proxy:3128"
headers = { X-Team = "canary-team", x-more = "$STUDIO_KEY" }

[providers.studio.options]
images = "chat"
steps = [1, 2.5, true]

[providers.openai]
api_key = { env = "OPENAI_API_KEY" }

[providers."my own.ai"]
base_url = "http://127.0.0.1:8080"
api_key = { file = "keys/own" }
"""


def read(root: Path, text: str, gathered: Gathered | None = None, **environment: str) -> Sheet:
    (root / "darkroom.toml").write_text(text)
    (root / "darkroom.toml").chmod(0o600)
    return read_darkroom_toml(root, environment, gathered or Gathered())


def problem_of(root: Path, text: str, name: str | None = None, **environment: str) -> Problem:
    """What is wrong with the file, or with one value of the provider `p`."""
    sheet = read(root, text, **environment)
    if name is None:
        problem = sheet.problem
    else:
        (problem,) = [each.problem for each in sheet.providers["p"].values() if each.problem]
    assert problem is not None
    assert "canary" not in repr(sheet)
    return problem


def test_a_real_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "own").write_text("canary-own\n")
    (tmp_path / "keys" / "own").chmod(0o600)
    gathered = Gathered()
    environment = {"STUDIO_KEY": "canary-studio", "OPENAI_API_KEY": "canary-openai"}
    sheet = read(tmp_path, GOLDEN, gathered, **environment)
    assert sheet.problem is None
    assert sheet.preferred == {"image": "studio", "video": "studio"}
    assert list(sheet.providers) == ["studio", "openai", "my own.ai"]
    at = "darkroom.toml: providers."
    assert {name: value.value for name, value in sheet.providers["studio"].items()} == {
        "base_url": "https://studio.example.com/v1",
        "api": "openai-completions",
        "key": Secret("canary-studio"),
        "key_header": "x-api-key",
        "key_prefix": "",
        "dialect": "localai",
        "paid": False,
        "idempotency_header": "idempotency-key",
        "on_ambiguous": "retry",
        "concurrency": 2,
        "requests_per_minute": 30.0,
        "models.image": "flux",
        "models.edit": "flux-edit",
        "models.video": "wan",
        "ca_file": tmp_path / "certs" / "own.pem",
        "proxy": Secret("http://me:canary-pw@proxy:3128"),
        "headers.x-team": Secret("canary-team"),
        "headers.x-more": Secret("canary-studio"),
        "options": {"images": "chat", "steps": [1, 2.5, True]},
    }
    assert sheet.providers["studio"]["key"].source == f"{at}studio.api_key, from $STUDIO_KEY"
    assert sheet.providers["openai"] == {
        "key": Value(f"{at}openai.api_key, from $OPENAI_API_KEY", Secret("canary-openai"))
    }
    own = tmp_path / "keys" / "own"
    assert sheet.providers["my own.ai"]["key"] == Value(
        f"{at}my own.ai.api_key, from {own}", Secret("canary-own")
    )
    assert gathered.files == [tmp_path / "darkroom.toml", own]
    assert not gathered.notes
    assert "canary" not in repr((sheet, gathered))


def test_a_file_that_is_not_there_is_normal_and_told(tmp_path: Path) -> None:
    gathered = Gathered()
    assert read_darkroom_toml(tmp_path / "no" / "root", {}, gathered) == Sheet()
    assert gathered.files == [tmp_path / "no" / "root" / "darkroom.toml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = canary", "darkroom.toml: line 2, column 5: not TOML"),
        ("[providers", "darkroom.toml: at its end: not TOML"),
        ('[providers.a]\napi_key = "canary', "not TOML"),
        ("provider = 5", "provider is no name"),
        ('provider = ""', "provider is no name"),
        ("providers = 5", "providers is no table"),
        ("a = " + "9" * 5000, "darkroom.toml: "),
        ("a = " + "[" * 5000, "darkroom.toml: "),
        ("a = 2026-99-99", "not TOML"),
        ("# \x00", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_taken_is_told(tmp_path: Path, text: str, said: str) -> None:
    problem = problem_of(tmp_path, text)
    assert problem.code == "config_invalid"
    assert said in problem.message


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "darkroom.toml").write_text(GOLDEN)
    (tmp_path / "darkroom.toml").chmod(0o666)
    problem = read_darkroom_toml(tmp_path, {}, Gathered()).problem
    assert problem is not None
    assert problem.hints == (f"Run `chmod o-w {tmp_path}/darkroom.toml`.",)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "darkroom.toml").mkdir()
    problem = read_darkroom_toml(tmp_path, {}, Gathered()).problem
    assert problem is not None
    assert "no regular file" in problem.message


@pytest.mark.parametrize(
    ("text", "name", "path", "hint"),
    [
        ("provders = {}", None, "'provders'", "Did you mean providers?"),
        ("xyzzy = 1", None, "'xyzzy'", "Known are provider, providers, currency, prices, budget."),
        ("[providers.p]\nconcurency = 1", "p", "providers.p.'concurency'", "mean concurrency?"),
        ("[providers.p]\nbaseUrl = 'x'", "p", "providers.p.'baseUrl'", "mean base_url?"),
        ("[providers.p]\nkey = 'canary'", "p", "providers.p.'key'", "Did you mean"),
    ],
)
def test_a_key_that_is_not_known_is_told_with_the_nearest(
    tmp_path: Path, text: str, name: str | None, path: str, hint: str
) -> None:
    problem = problem_of(tmp_path, text, name)
    assert f"{path} is not known" in problem.message
    assert hint in problem.hints[0]


def test_a_key_that_is_not_known_at_the_top_leaves_the_providers(tmp_path: Path) -> None:
    sheet = read(tmp_path, "xyzzy = 1\n[providers.p]\nbase_url = 'http://a'")
    assert sheet.problem is not None
    assert sheet.providers["p"]["base_url"].value == "http://a"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("base_url = 5", "base_url is no text"),
        ("base_url = ''", "base_url is empty"),
        ("base_url = 'https://me:canary@a'", "user or a password"),
        ("base_url = 'canary'", "no http or https address"),
        ("api = []", "api is no text"),
        ('dialect = "a\\u0000canary"', "control characters"),
        ("api_key = 5", "neither a text nor"),
        ("api_key = {}", "neither a text nor {env"),
        ("api_key = { env = 'A', file = 'canary' }", "neither a text nor {env"),
        ("api_key = { exec = 'canary' }", "neither a text nor {env"),
        ("api_key = { file = '' }", "is empty"),
        ('api_key = "canary\\n\\u0001"', "no header can carry"),
        ("key_header = 'a b'", "no name of a header"),
        ('key_prefix = "a\\n"', "no header can carry"),
        ("paid = 1", "neither true nor false"),
        ("concurrency = 0", "from 1 to 1024"),
        ("concurrency = true", "from 1 to 1024"),
        ("concurrency = 1025", "from 1 to 1024"),
        ("requests_per_minute = 0", "above 0"),
        ("requests_per_minute = nan", "above 0"),
        ("requests_per_minute = inf", "above 0"),
        ("requests_per_minute = '5'", "above 0"),
        ("on_ambiguous = 'always'", 'neither "fail" nor "retry"'),
        ("on_ambiguous = []", 'neither "fail" nor "retry"'),
        ("image_model = ''", "image_model is empty"),
        ("headers = 5", "headers is no table"),
        ("headers = { 'a b' = 'canary' }", "'a b' is no name of a header"),
        ("headers = { a = 5 }", "headers.a is neither"),
        ("ca_file = 5", "ca_file is no text"),
        ("proxy = 'canary'", "no address of a proxy"),
        ("proxy = 'http://a b:canary'", "is no address"),
        ("options = 5", "options is no table"),
        ("options = { a = 2026-11-22 }", "options is no table"),
        ("options = { a = [{ b = nan }] }", "options is no table"),
    ],
)
def test_a_bad_value_fails_its_provider_and_is_not_repeated(
    tmp_path: Path, line: str, said: str
) -> None:
    problem = problem_of(tmp_path, f"[providers.p]\n{line}", "p")
    assert problem.code == "config_invalid"
    assert "darkroom.toml: providers.p" in problem.message
    assert said in problem.message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("api_key = '$NO'", "api_key needs $NO, which is not set"),
        ("api_key = '${NO}'", "api_key needs $NO, which is not set"),
        ("api_key = { env = 'NO' }", "api_key needs $NO, which is not set"),
        ("api_key = { file = 'no' }", "/no', which is not there"),
        ("headers = { x-a = 'Bearer ${NO}' }", "headers.x-a needs $NO"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, line: str, said: str) -> None:
    problem = problem_of(tmp_path, f"[providers.p]\n{line}", "p")
    assert problem.code == "config_missing"
    assert said in problem.message


def test_a_provider_that_is_no_table_fails_alone(tmp_path: Path) -> None:
    assert "providers.p is no table" in problem_of(tmp_path, "providers.p = 5", "p").message


def test_a_literal_key_in_a_file_that_others_can_read_is_noted(tmp_path: Path) -> None:
    for key, mode, notes in (("canary", 0o600, 0), ("canary", 0o644, 1), ("$KEY", 0o644, 0)):
        path, gathered = tmp_path / "darkroom.toml", Gathered()
        path.write_text(f"[providers.p]\napi_key = '{key}'")
        path.chmod(mode)
        read_darkroom_toml(tmp_path, {"KEY": "canary"}, gathered)
        assert len(gathered.notes) == notes
        assert "canary" not in repr(gathered)


@pytest.mark.parametrize(("path", "under"), [("~/a.pem", "home"), ("a.pem", "."), ("/x/a", "/x")])
def test_paths_are_relative_to_the_root_or_the_home(tmp_path: Path, path: str, under: str) -> None:
    sheet = read(
        tmp_path, f"[providers.p]\nca_file = '{path}'", HOME=str(tmp_path / "home")
    ).providers["p"]
    assert sheet["ca_file"].value == tmp_path / under / Path(path).name


SCALARS = st.sampled_from(["5", "'a'", "true", "1.5", "[]", "{}", "'$A'", "{ env = 'A' }", "nan"])
KEYS = st.sampled_from(["base_url", "api_key", "headers", "proxy", "options", "x", "paid", "'a.b'"])
LINES = st.lists(
    st.builds("{} = {}".format, KEYS, SCALARS)
    | st.sampled_from(["[providers.p]", "[providers.'\u00fc']", "[providers]", "[[providers.q]]"])
    | st.text(max_size=8)
)


@given(LINES)
def test_no_text_breaks_it(tmp_path_factory: pytest.TempPathFactory, lines: list[Any]) -> None:
    root = tmp_path_factory.getbasetemp()
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    (root / "darkroom.toml").write_bytes(data)
    assert isinstance(read_darkroom_toml(root, {"A": "b"}, Gathered()), Sheet)
