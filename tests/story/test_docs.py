"""What the documentation says is true: its commands run, its lists are complete."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath
from typing import get_args

import pytest

from daemon import darkroomtoml
from daemon.budgets import Money
from daemon.entries import WELL_KNOWN, load_configuration
from daemon.events import BY_TYPE
from daemon.requests import Door, Envelope
from handlers import find_handlers
from handlers.contract import ErrorCode
from handlers.generic_shape.plan import OPTIONS as generic_options
from handlers.providers import find_adapters
from tests.support import REPOSITORY, environment

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent
RUNNING = REPOSITORY / "docs" / "running.md"
CONFIGURING = REPOSITORY / "docs" / "configuring.md"
PROTOCOL = (REPOSITORY / "docs" / "protocol.md").read_text()


def blocks(page: Path, kind: str) -> list[str]:
    """The fenced blocks of one kind, in order."""
    return re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


QUICK = {"configuring.md"}
"""Pages whose commands the suite has the time to run; those of the others take as long each."""

MADE = {"batches.md": "film"}
"""What a page drops last, where that is no helmet."""


def shell_environment() -> dict[str, str]:
    env = environment()
    return {**env, "PATH": f"{BIN}:{env['PATH']}"}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[] if page.name in QUICK else pytest.mark.slow, id=page.name)
        for page in PAGES
        if blocks(page, "sh")
    ],
)
def test_the_commands_of_a_page_run_one_after_the_other(page: Path, tmp_path: Path) -> None:
    served = "until [ -s studio/.darkroom/lock ]; do sleep 0.02; done\n"
    script = "set -euo pipefail\n"
    for block in blocks(page, "sh"):
        script += block + (served if "&\n" in block else "")
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=shell_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        # The daemon in the background holds the pipes open, so wait for the script alone.
        assert process.wait(50) == 0, os.read(process.stderr.fileno(), 1 << 16).decode()  # type: ignore[union-attr]
    finally:
        with contextlib.suppress(ProcessLookupError):  # nothing was left in the background
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    inbox = tmp_path / "studio" / "inbox"
    result = json.loads((inbox / f"{MADE.get(page.name, 'helmet')}.result.json").read_text())
    assert result["status"] == "succeeded" or result["attempts"] == 0


def test_the_service_and_the_cron_line_are_commands_that_run(tmp_path: Path) -> None:
    (unit,) = blocks(RUNNING, "ini")
    (cron,) = blocks(RUNNING, "cron")
    start = re.search(r"ExecStart=(.*)", unit)
    assert start is not None
    service = start[1].replace("%h/darkroom/bin/", "").replace("%h/", "") + " --drain"
    job = cron.split(maxsplit=5)[5].replace("$HOME/darkroom/bin/", "").replace("$HOME/", "")
    for line in (service, job):
        done = subprocess.run(
            shlex.split(line),
            cwd=tmp_path,
            env=shell_environment(),
            capture_output=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "studio" / "events" / "current.jsonl").exists()


def test_the_make_targets_that_are_named_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    named = set(re.findall(r"make ([a-z-]+)", "".join(blocks(REPOSITORY / "README.md", "make"))))
    assert named == {"run", "test"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.slow
def test_the_installation_installs_a_command_that_runs(tmp_path: Path) -> None:
    (install,) = blocks(REPOSITORY / "README.md", "sh install")
    env = {**environment(), "HOME": str(tmp_path)}
    del env["PYTHONPATH"]
    script = "set -euo pipefail\n" + install
    done = subprocess.run(["bash", "-c", script], cwd=REPOSITORY, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"inbox" in done.stdout


def test_what_the_docs_say_of_commands_settings_and_providers_is_up_to_date() -> None:
    made = runpy.run_path(str(REPOSITORY / "docs" / "make_docs.py"))
    tasks = (REPOSITORY / "docs" / "tasks.md").read_text()
    assert tasks == made["tasks_page"](), "out of date: run `make docs`"
    commands = (REPOSITORY / "docs" / "commands.md").read_text()
    assert commands == made["commands_page"](), "out of date: run `make docs`"
    providers = (REPOSITORY / "docs" / "providers.md").read_text()
    assert providers == made["providers_page"](), "out of date: run `make docs`"
    running = RUNNING.read_text()
    assert running == made["running_page"](running), "out of date: run `make docs`"


def test_the_entries_of_the_providers_page_can_be_read() -> None:
    entries = blocks(REPOSITORY / "docs" / "providers.md", "toml")
    named = [next(iter(tomllib.loads(entry)["providers"])) for entry in entries]
    assert named
    assert len(named) == len(set(named))


def test_the_wheel_holds_the_two_packages_and_nothing_else(tmp_path: Path) -> None:
    command = [str(BIN / "uv"), "build", "--quiet", "--wheel", "--out-dir", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("darkroomd-*.whl")
    tops = {PurePosixPath(name).parts[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"daemon", "handlers"}


# ---------------------------------------------------------------- docs/protocol.md


def rows(heading: str, page: str = PROTOCOL) -> list[list[str]]:
    """The table below a line that holds `heading`: its rows, header left out, as cells."""
    table = page.split(heading, 1)[1].split("\n|", 1)[1].split("\n\n", 1)[0]
    lines = [line.strip("| ") for line in table.splitlines()][2:]
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def names(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_error_code_is_documented() -> None:
    assert names([row[0] for row in rows("The codes are a closed set")]) == set(get_args(ErrorCode))


def test_every_event_type_is_documented() -> None:
    documented = names([re.sub(r"\(.*?\)", "", row[0]) for row in rows("have the hash")])
    assert {f"darkroom.{name}.v1" for name in documented} == set(BY_TYPE)


def test_every_field_is_documented() -> None:
    shared = names([row[0] for row in rows("Fields that every task takes")])
    assert shared == {*Envelope.model_fields, *Envelope.ALIASES}
    tasks = (REPOSITORY / "docs" / "tasks.md").read_text()
    for task, handler in find_handlers().items():
        own = names([row[0] for row in rows(f"\n## {task}\n", tasks)])
        assert own == {*handler.request.model_fields, *handler.request.ALIASES} - {"task"}


def test_the_test_vector_is_right() -> None:
    line = next(line.strip() for line in PROTOCOL.splitlines() if '"id":"01","source"' in line)
    documented = re.search(r"have the hash `([0-9a-f]{64})`", PROTOCOL)
    assert documented is not None
    assert hashlib.sha256(line.encode()).hexdigest() == documented[1]


def test_the_examples_are_requests_and_one_is_a_mistake() -> None:
    door = Door(find_handlers(), PurePosixPath("/r"), PurePosixPath("/r/tmp"))
    refused = []
    for example in sorted((REPOSITORY / "docs" / "examples").rglob("*.json")):
        try:
            door.parse(example.read_bytes())
        except Exception:
            refused.append(example.name)
    assert refused == ["mistake.json"]
    door.parse(blocks(REPOSITORY / "docs" / "protocol.md", "json")[0].encode())


def test_the_gallery_asks_for_every_task_on_pictures_and_every_mode() -> None:
    door = Door(find_handlers(), PurePosixPath("/r"), PurePosixPath("/r/tmp"))
    sheet = runpy.run_path(str(REPOSITORY / "docs" / "make_gallery.py"))["requests"]().values()
    asked = [door.validate(dict(one)) for one in sheet]
    others = {"generate_image", "generate_video", "fetch_generated_media", "generate_batch_media"}
    assert {one.task for one in asked} == set(find_handlers()) - others
    modes = {one.raw.get("mode") for one in asked if one.task == "outpaint_image"}
    assert modes >= {"transparent", "blur", "solid", "edge", "reflect"}


# ---------------------------------------------------------------- docs/configuring.md


def test_every_key_of_a_provider_is_documented_and_no_other() -> None:
    documented = [
        row[0].strip("`") for row in rows("## Keys of a provider", CONFIGURING.read_text())
    ]
    assert sorted(documented) == sorted([*darkroomtoml._FIELDS, *darkroomtoml._OWN_WAY])


def test_the_providers_whose_address_is_known_are_named() -> None:
    (told,) = (
        row[2]
        for row in rows("## Keys of a provider", CONFIGURING.read_text())
        if row[0] == "`base_url`"
    )
    assert names([told]) == set(WELL_KNOWN)


@pytest.mark.parametrize("page", [REPOSITORY / "README.md", CONFIGURING], ids=lambda p: p.name)
def test_the_configurations_that_are_shown_can_be_used(page: Path, tmp_path: Path) -> None:
    shown = [
        *blocks(page, "toml"),
        *re.findall(
            r"darkroom\.toml <<'END'\n(.*?)^END", page.read_text(), re.MULTILINE | re.DOTALL
        ),
    ]
    assert shown
    for text in shown:
        (tmp_path / "darkroom.toml").write_text(text)
        keys = {"OPENAI_API_KEY": "sk-of-your-own", "STUDIO_KEY": "of-your-own"}
        told = load_configuration(tmp_path, keys)
        assert told.providers or told.money not in (None, Money())
        assert [told.problem, *(one.problem for one in told.providers.values())] == [None] * (
            1 + len(told.providers)
        )
        assert not told.notes
        for one in told.providers.values():
            assert find_adapters()[one.entry.api].provider(one.entry).operations


def test_every_option_of_a_service_that_is_not_listed_is_documented_and_shown() -> None:
    page = CONFIGURING.read_text()
    documented = {row[0].strip("`") for row in rows("## A service that is not listed", page)}
    (shown,) = (text for text in blocks(CONFIGURING, "toml") if '"generic"' in text)
    options = tomllib.loads(shown)["providers"]["studio"]["options"]
    assert documented == set(options) == set(generic_options)


def test_the_openclaw_file_that_is_shown_can_be_used(tmp_path: Path) -> None:
    (text,) = blocks(CONFIGURING, "json")
    file = tmp_path / "openclaw.json"
    file.write_text(text)
    env = {"OPENCLAW_CONFIG": str(file), "OPENAI_API_KEY": "sk-of-your-own"}
    told = load_configuration(tmp_path, env)
    assert told.problem is None
    assert told.preferred == {"image": "openai"}
    assert told.providers["openai"].problem is None
    assert told.providers["openai"].models == {"image": "gpt-image-2"}
    assert not told.notes


# ---------------------------------------------------------------- docs/architecture.md


def test_the_floors_are_drawn_as_they_are_checked() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text()
    section = page.split("## The direction of imports")[1].split("\n## ")[0]
    drawn = [
        re.split(r" {2,}", line.strip())[0].split(", ")
        for line in section.splitlines()
        if line.startswith("    ")
    ]
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (one["layers"] for one in contracts["contracts"] if one["type"] == "layers")
    checked = [floor.replace("daemon.", "").split(" | ") for floor in layers]
    assert [["__main__"], *drawn] == checked


# ---------------------------------------------------------------- the rest


def test_the_changelog_knows_the_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog or f"## [{project['version']}]" in changelog


def test_the_map_in_the_daemons_docstring_names_modules_that_exist() -> None:
    import daemon

    for name in re.findall(r"`([a-z]+)`", daemon.__doc__ or ""):
        assert (REPOSITORY / "daemon" / f"{name}.py").exists(), name
