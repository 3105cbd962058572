"""Providers out of OpenClaw's configuration: where it is, and what is read of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.configfiles import Gathered
from daemon.drafts import Sheet, Value
from daemon.openclaw import read_openclaw
from daemon.redaction import Secret
from tests.examples import examples

GOLDEN = r"""
// ~/.openclaw/openclaw.json
{
  $include: ["./include/agents.json5"],
  meta: { lastTouchedVersion: "2026.11.3" },
  env: {
    LITELLM_KEY: "sk-canary-litellm",
    OPENAI_API_KEY: "sk-canary-not-this-one",   // the environment's own wins
    vars: { PORT: "4000", TENANT: "${HOST_NAME}" },
    shellEnv: { enabled: true },
  },
  secrets: {
    providers: {
      keys: { source: "file", path: "~/keys.json", mode: "json" },
      default: { source: "env" },
    },
  },
  models: {
    mode: "merge",
    providers: {
      openai: { baseUrl: "https://api.openai.com/v1", apiKey: "${OPENAI_API_KEY}", models: [] },
      litellm: {
        baseUrl: "http://127.0.0.1:${PORT}/v1/",
        apiKey: "LITELLM_KEY",
        api: "openai-completions",
        headers: { "X-Team": "studio", "X-Tenant": "${TENANT}" },
        models: [
          { id: "gpt-image", name: "Image", input: ["text", "image"], cost: { input: 0 }, },
        ],
      },
      vault: {
        baseUrl: "https://images.example.com",
        apiKey: { source: "file", provider: "keys", id: "/vault/key" },
        api: "google-generative-ai",
        request: {
          headers: { "x-extra": { source: "env", provider: "default", id: "EXTRA" } },
          auth: { mode: "header", headerName: "X-Api-Key", value: "${EXTRA}", prefix: "Key" },
          proxy: { mode: "explicit-proxy", url: "http://me:canary-pw@proxy:3128" },
          tls: { ca: "certs/own.pem" },
        },
      },
      ollama: { baseUrl: "http://127.0.0.1:11434/v1", apiKey: "ollama-local", injectNumCtxForOpenAICompat: true },
      broken: { baseUrl: "https://broken.example.com", apiKey: "${NOT_SET_ANYWHERE}" },
    },
  },
  channels: { telegram: { enabled: true, botToken: "${TELEGRAM}" } },
}
"""
AGENTS = """
{ agents: { defaults: {
  mediaModels: { image: { primary: "litellm/openai/gpt-image-1", fallbacks: ["openai/gpt-image-1"] } },
  videoGenerationModel: "vault/veo-3",
  imageModel: "openai/gpt-5",
} } }
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with OpenClaw's, and nothing in it."""
    (tmp_path / ".openclaw").mkdir()
    return tmp_path


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(0o600)
    return path


AT = "openclaw.json: models.providers."


def test_a_real_file_is_read(home: Path) -> None:
    write(home / ".openclaw" / "openclaw.json", GOLDEN)
    write(home / ".openclaw" / "include" / "agents.json5", AGENTS)
    write(home / "keys.json", {"vault": {"key": "canary-vault"}})
    environment = {"HOME": str(home), "HOST_NAME": "box", "EXTRA": "canary-extra"}
    environment["OPENAI_API_KEY"] = "sk-canary-openai"
    gathered, before = Gathered(), dict(environment)
    sheet = read_openclaw(environment, gathered)

    assert environment == before
    assert sheet.problem is None
    assert list(sheet.providers) == ["openai", "litellm", "vault", "ollama", "broken"]
    assert sheet.providers["openai"] == {
        "base_url": Value(f"{AT}openai.baseUrl", "https://api.openai.com/v1"),
        "key": Value(f"{AT}openai.apiKey, from $OPENAI_API_KEY", Secret("sk-canary-openai")),
    }
    at = f"{AT}litellm"
    assert sheet.providers["litellm"] == {
        "base_url": Value(f"{at}.baseUrl, from $PORT", "http://127.0.0.1:4000/v1"),
        "api": Value(f"{at}.api", "openai-completions"),
        "key": Value(f"{at}.apiKey, from $LITELLM_KEY", Secret("sk-canary-litellm")),
        "headers.x-team": Value(f"{at}.headers.X-Team", Secret("studio")),
        "headers.x-tenant": Value(f"{at}.headers.X-Tenant, from $TENANT", Secret("box")),
    }
    values = sheet.providers["vault"]
    at = f"{AT}vault.request"
    assert values["key"] == Value(f"{at}.auth.value, from $EXTRA", Secret("canary-extra"))
    assert values["key_header"].value == "x-api-key"
    assert values["key_prefix"].value == "Key "
    assert values["headers.x-extra"].value == Secret("canary-extra")
    assert values["proxy"].value == Secret("http://me:canary-pw@proxy:3128")
    assert values["ca_file"].value == home / ".openclaw" / "certs" / "own.pem"
    assert sheet.providers["ollama"]["key"] == Value(f"{AT}ollama.apiKey")
    problem = sheet.providers["broken"]["key"].problem
    assert problem is not None
    assert problem.code == "config_missing"
    assert "$NOT_SET_ANYWHERE" in problem.message

    assert sheet.preferred == {"image": "litellm", "video": "vault"}
    assert sheet.extras["litellm"]["models.image"].value == "openai/gpt-image-1"
    assert sheet.extras["vault"]["models.video"].value == "veo-3"
    assert {path.name for path in gathered.files} == {"openclaw.json", "agents.json5", "keys.json"}
    assert "canary" not in repr((sheet, gathered))


# ---------------------------------------------------------------- where it is


def found(environment: dict[str, str]) -> tuple[list[Path], Sheet]:
    gathered = Gathered()
    return gathered.files, read_openclaw(environment, gathered)


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"OPENCLAW_CONFIG": "{}/a.json", "OPENCLAW_CONFIG_PATH": "{}/b.json"}, "a.json"),
        ({"OPENCLAW_CONFIG": "", "OPENCLAW_CONFIG_PATH": "{}/b.json"}, "b.json"),
        ({"OPENCLAW_CONFIG": "~/a.json"}, "a.json"),
        ({"CLAWDBOT_CONFIG_PATH": "{}/b.json"}, "b.json"),
        ({"OPENCLAW_STATE_DIR": "{}/state"}, "state/openclaw.json"),
        ({"CLAWDBOT_STATE_DIR": "~/state"}, "state/openclaw.json"),
        ({"OPENCLAW_HOME": "~/other"}, "other/.openclaw/openclaw.json"),
        ({}, ".openclaw/openclaw.json"),
    ],
)
def test_it_is_where_the_variables_say(
    tmp_path: Path, environment: dict[str, str], path: str
) -> None:
    wanted = write(tmp_path / path, {"models": {"providers": {"x": {}}}})
    environment = {name: text.format(tmp_path) for name, text in environment.items()}
    files, sheet = found({"HOME": str(tmp_path), **environment})
    assert files == [wanted]
    assert list(sheet.providers) == ["x"]


@pytest.mark.parametrize(
    "path", [".clawdbot/clawdbot.json", ".moltbot/moltbot.json", ".openclaw/moldbot.json"]
)
def test_older_names_are_found_and_the_new_folder_wins(tmp_path: Path, path: str) -> None:
    wanted = write(tmp_path / path, {})
    assert found({"HOME": str(tmp_path)})[0] == [wanted]
    newest = write(tmp_path / ".openclaw" / "openclaw.json", {})
    assert found({"HOME": str(tmp_path)})[0] == [newest]


@pytest.mark.parametrize("environment", [{}, {"HOME": "{}"}, {"OPENCLAW_STATE_DIR": "{}/no"}])
def test_a_file_that_is_not_there_is_normal(tmp_path: Path, environment: dict[str, str]) -> None:
    environment = {name: text.format(tmp_path) for name, text in environment.items()}
    assert found(environment)[1] == Sheet()


@pytest.mark.parametrize("variable", ["OPENCLAW_CONFIG", "OPENCLAW_CONFIG_PATH"])
def test_a_file_that_a_variable_names_must_be_there(tmp_path: Path, variable: str) -> None:
    problem = found({variable: str(tmp_path / "no.json")})[1].problem
    assert problem is not None
    assert problem.code == "config_missing"
    assert f"${variable}" in problem.message
    assert "no.json" in problem.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"models":\n {canary canary}}', "openclaw.json: line 2, column"),
        ("[]", "no object"),
        ("", "neither JSON nor JSON5"),
        ('{"$include": "/etc/passwd"}', "lies outside"),
    ],
)
def test_a_file_that_cannot_be_taken_is_told(home: Path, text: str, said: str) -> None:
    write(home / ".openclaw" / "openclaw.json", text)
    problem = found({"HOME": str(home)})[1].problem
    assert problem is not None
    assert problem.code == "config_invalid"
    assert said in problem.message
    assert "canary" not in problem.message


def test_folders_to_include_from_are_named_by_a_variable(home: Path, tmp_path: Path) -> None:
    shared = write(tmp_path / "shared" / "a.json", {"models": {"providers": {"x": {}}}})
    write(home / ".openclaw" / "openclaw.json", {"$include": str(shared)})
    environment = {"HOME": str(home), "OPENCLAW_INCLUDE_ROOTS": f"/nowhere:{shared.parent}"}
    assert list(found(environment)[1].providers) == ["x"]


# ---------------------------------------------------------------- what it says


def test_names_that_are_none_are_skipped_with_a_note(home: Path) -> None:
    names = ["good", "a\nb", "", "x" * 101, "\u2028", "müller/größe"]
    providers = {name: {"baseUrl": "http://a"} for name in names}
    write(home / ".openclaw" / "openclaw.json", {"models": {"providers": providers}})
    gathered = Gathered()
    sheet = read_openclaw({"HOME": str(home)}, gathered)
    assert list(sheet.providers) == ["good", "müller/größe"]
    assert len(gathered.notes) == 4
    assert all(note.isprintable() for note in gathered.notes)


def test_a_key_in_a_file_that_others_can_read_is_noted(home: Path) -> None:
    path = home / ".openclaw" / "openclaw.json"
    write(path, {"models": {"providers": {"p": {"apiKey": "canary-key"}}}})
    for mode, notes in ((0o600, 0), (0o640, 1), (0o644, 1)):
        path.chmod(mode)
        gathered = Gathered()
        read_openclaw({"HOME": str(home)}, gathered)
        assert len(gathered.notes) == notes
    assert f"chmod 600 {path}" in gathered.notes[0]


def test_the_file_cannot_turn_commands_on(home: Path) -> None:
    ran = home / "ran"
    program = write(home / "program", f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o700)
    key = {"source": "exec", "provider": "c", "id": "x"}
    document = {
        "env": {"DARKROOM_EXEC_SECRETS": "1"},
        "secrets": {"providers": {"c": {"source": "exec", "command": str(program)}}},
        "models": {"providers": {"p": {"apiKey": key}}},
    }
    write(home / ".openclaw" / "openclaw.json", document)
    for environment in ({}, {"DARKROOM_EXEC_SECRETS": "0"}):
        read_openclaw({"HOME": str(home), **environment}, Gathered())
        assert not ran.exists()
    read_openclaw({"HOME": str(home), "DARKROOM_EXEC_SECRETS": "1"}, Gathered())
    assert ran.exists()


@pytest.mark.parametrize(
    ("defaults", "preferred"),
    [
        ({"imageGenerationModel": {"primary": "a/b/c"}}, {"image": "a"}),
        ({"imageGenerationModel": "a/b"}, {"image": "a"}),
        (
            {"imageGenerationModel": "a/b", "mediaModels": {"image": {"primary": "c/d"}}},
            {"image": "c"},
        ),
        ({"mediaModels": {"image": {}}, "imageGenerationModel": "a/b"}, {"image": "a"}),
        ({"mediaModels": {"video": "a/b", "music": "c/d"}}, {"video": "a"}),
        ({"imageGenerationModel": "no-slash"}, {}),
        ({"imageGenerationModel": "/x"}, {}),
        ({"imageGenerationModel": 5, "mediaModels": []}, {}),
        ({"imageModel": "a/b"}, {}),
    ],
)
def test_the_models_that_make_media_are_found(
    home: Path, defaults: Any, preferred: dict[str, str]
) -> None:
    write(home / ".openclaw" / "openclaw.json", {"agents": {"defaults": defaults}})
    assert read_openclaw({"HOME": str(home)}, Gathered()).preferred == preferred


KEYS = st.sampled_from(
    [
        "models",
        "providers",
        "p",
        "openai",
        "baseUrl",
        "apiKey",
        "api",
        "headers",
        "request",
        "auth",
        "mode",
        "headerName",
        "value",
        "proxy",
        "url",
        "tls",
        "ca",
        "env",
        "vars",
        "A",
        "secrets",
        "source",
        "provider",
        "id",
        "path",
        "agents",
        "defaults",
        "mediaModels",
        "image",
        "primary",
        "imageGenerationModel",
        "$include",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
WORDS = st.sampled_from(
    ["${A}", "$A", "A", "header", "explicit-proxy", "env", "file", "/", "http://a", "a/b"]
)
JSON = st.recursive(
    LEAVES | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=20,
)
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "models": st.fixed_dictionaries({"providers": st.dictionaries(st.text(max_size=3), JSON)}),
        "env": JSON,
        "secrets": JSON,
        "agents": st.fixed_dictionaries({"defaults": JSON}),
    },
)


@settings(max_examples=examples(150))
@given(JSON | SHAPED)
def test_no_json_breaks_it(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any" / "openclaw.json"
    write(path, value)
    sheet = read_openclaw({"OPENCLAW_CONFIG": str(path), "A": "b"}, Gathered())
    assert isinstance(sheet, Sheet)
