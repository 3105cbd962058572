"""Settings: a flag goes before the environment, and that before the default."""

from pathlib import Path

import pytest

from daemon.errors import UsageError
from daemon.settings import Settings, load_settings, variable_of


def test_without_anything_the_root_is_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({}, {})
    assert settings.root == tmp_path.resolve()
    assert settings.inbox == tmp_path / "inbox"
    assert settings.output == tmp_path / "tmp"
    assert settings.blobs == tmp_path / "events" / "blobs"
    assert settings.lock == tmp_path / ".darkroom" / "lock"
    assert settings.on_ambiguous == "fail"


OLD_NAMES = {
    "output_root": "MEDIA_GENERATION_OUTPUT_ROOT",
    "provider": "OPENCLAW_MEDIA_PROVIDER",
    "image_model": "OPENCLAW_MEDIA_IMAGE_MODEL",
    "edit_model": "OPENCLAW_MEDIA_EDIT_MODEL",
    "video_model": "OPENCLAW_MEDIA_VIDEO_MODEL",
}


def test_a_flag_goes_before_a_variable() -> None:
    environment = {"DARKROOM_CONCURRENCY": "3", "OPENCLAW_MEDIA_PROVIDER": "openai"}
    settings = load_settings({"concurrency": 5, "provider": None}, environment)
    assert (settings.concurrency, settings.provider) == (5, "openai")


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - set(OLD_NAMES)))
def test_every_setting_has_a_variable(name: str) -> None:
    assert variable_of(name) == f"DARKROOM_{name.upper()}"


@pytest.mark.parametrize(("name", "variable"), OLD_NAMES.items())
def test_what_the_scripts_could_be_told_has_the_name_that_it_had_there(
    name: str, variable: str
) -> None:
    assert variable_of(name) == variable


def test_an_empty_variable_is_none() -> None:
    assert load_settings({}, {"DARKROOM_CONCURRENCY": ""}).concurrency == 16


def test_foreign_variables_do_not_matter() -> None:
    assert load_settings({}, {"DARKROOM_NOSUCH": "1", "HOME": "/x"}).concurrency == 16


@pytest.mark.parametrize(
    ("given", "output"),
    [("out", "out"), ("/elsewhere/out", "/elsewhere/out"), ("a/../b", "b")],
)
def test_the_output_root_is_relative_to_the_root(tmp_path: Path, given: str, output: str) -> None:
    environment = {"DARKROOM_ROOT": str(tmp_path), "MEDIA_GENERATION_OUTPUT_ROOT": given}
    assert load_settings({}, environment).output == tmp_path.resolve() / output


def test_links_on_the_way_to_the_root_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert load_settings({"root": tmp_path / "link"}, {}).root == (tmp_path / "real").resolve()


def test_the_home_folder_may_be_abbreviated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings({"root": "~/x"}, {}).root == tmp_path.resolve() / "x"


@pytest.mark.parametrize("text", ["true", "1", "on", "True"])
def test_a_boolean_variable_is_read(text: str) -> None:
    assert load_settings({}, {"DARKROOM_WATCH": text}).watch is True


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DARKROOM_CONCURRENCY", "0"),
        ("DARKROOM_CONCURRENCY", "many"),
        ("DARKROOM_CONCURRENCY", "1.5"),
        ("DARKROOM_SETTLE", "-1"),
        ("DARKROOM_SETTLE", "nan"),
        ("DARKROOM_SETTLE", "inf"),
        ("DARKROOM_RETRY_SECONDS", "inf"),
        ("DARKROOM_SCAN_INTERVAL", "0"),
        ("DARKROOM_WATCH", "maybe"),
        ("DARKROOM_ON_AMBIGUOUS", "always"),
        ("DARKROOM_SEGMENT_BYTES", "1"),
        ("DARKROOM_MAX_ATTEMPTS", "101"),
    ],
)
def test_a_bad_variable_is_refused_by_its_name(variable: str, text: str) -> None:
    with pytest.raises(UsageError, match=rf"^\${variable}: .*{text!r}$"):
        load_settings({}, {variable: text})


def test_a_bad_flag_is_refused_by_its_name() -> None:
    with pytest.raises(UsageError, match=r"^--max-attempts: "):
        load_settings({"max_attempts": 0}, {"DARKROOM_MAX_ATTEMPTS": "3"})


def test_all_that_is_bad_is_told_at_once() -> None:
    with pytest.raises(UsageError, match=r"\$DARKROOM_SETTLE: .*; .*--concurrency|--concurrency.*"):
        load_settings({"concurrency": 0}, {"DARKROOM_SETTLE": "x"})


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings({}, {}).concurrency = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_says_what_it_is_for(name: str) -> None:
    assert Settings.model_fields[name].description
