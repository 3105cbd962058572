"""Diagnostics: one JSON line each, which nothing that a caller chose can forge."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.logs import LEVELS, _Relay

SCRIPT = """
import logging, os, sys
import structlog
from daemon.logs import configure_logs

configure_logs("info")
log = structlog.get_logger("x")
log.debug("too quiet")
log.info("job done", request='evil\\n{"event":"forged"}', half="\\ud800", job="J1")
logging.getLogger("watchdog").warning("from a library %s", 7)
logging.getLogger("watchdog").info("too quiet")
api_key = "sk-local-variable"
try:
    raise ValueError("broken")
except ValueError as error:
    log.error("it broke", exc_info=error)
os.close(2)
log.error("nobody hears this")
print("still alive")
"""


@pytest.fixture(scope="module")
def ran() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=30
    )


@pytest.fixture(scope="module")
def said(ran: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.stderr.splitlines()]


def test_off_a_terminal_every_line_is_json_with_level_and_time(said: list[dict[str, Any]]) -> None:
    assert [line["event"] for line in said] == ["job done", "library", "it broke"]
    assert [line["level"] for line in said] == ["info", "warning", "error"]
    assert all(line["timestamp"].endswith("Z") for line in said)


def test_what_callers_chose_is_a_value_and_forges_no_line(said: list[dict[str, Any]]) -> None:
    assert said[0]["request"] == 'evil\n{"event":"forged"}'
    assert said[0]["job"] == "J1"


def test_what_libraries_say_is_relayed(said: list[dict[str, Any]]) -> None:
    assert said[1]["said"] == "from a library 7"


def test_a_traceback_shows_no_local_variable(said: list[dict[str, Any]]) -> None:
    assert "ValueError: broken" in said[2]["exception"]
    assert "sk-local-variable" not in json.dumps(said)


def test_without_a_stderr_the_daemon_goes_on(ran: subprocess.CompletedProcess[str]) -> None:
    assert ran.stdout == "still alive\n"


def record(text: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("watchdog", level, "x", 1, text, (), None)


def test_a_message_of_every_orderly_stop_is_not_relayed() -> None:
    with capture_logs() as said:
        _Relay().emit(record("Cannot add watch when the thread is inactive"))
        _Relay().emit(record("something real", logging.ERROR))
    assert said == [{"event": "library", "said": "something real", "log_level": "error"}]


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_is_one_that_logging_knows(level: str) -> None:
    assert level.upper() in logging.getLevelNamesMapping()
