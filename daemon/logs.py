"""Diagnostics, by structlog, to stderr: for the person who runs the daemon.

They may be filtered and lost; the event log may not, and is something else. What callers chose
(names, prompts) is only ever a value, never the message, so it cannot forge a line.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import Processor

from daemon.redaction import SIEVE

LEVELS = ("debug", "info", "warning", "error")


def configure_logs(level: str = "info") -> None:
    """Set up diagnostics for this process: pretty on a terminal, JSON lines otherwise.

    Args:
        level: one of `LEVELS`.
    """
    pretty = sys.stderr.isatty()
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if pretty
        else structlog.processors.JSONRenderer()
    )
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        renderer,
    ]
    if not pretty:
        # Without the values of local variables: one of them might be a key.
        processors.insert(-1, structlog.processors.format_exc_info)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Diagnostics())),
        cache_logger_on_first_use=True,
    )
    # Libraries speak through the standard module: only what is worth a look, in our form.
    logging.basicConfig(level=logging.WARNING, handlers=[_Relay()], force=True)


class _Diagnostics:
    """stderr, unbuffered, and without keys, whoever put them there. What cannot be written is lost:
    it may be a file on the disk that is just running full, or a pipe that nobody reads any more; no
    reason for the daemon to end."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(2, SIEVE.text(text).encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Nothing is kept back."""


class _Relay(logging.Handler):
    """Hands what libraries log to structlog."""

    _QUIET = "when the thread is inactive"  # watchdog says so at every orderly stop

    def emit(self, record: logging.LogRecord) -> None:
        if self._QUIET not in record.getMessage():
            structlog.get_logger(record.name).log(
                record.levelno, "library", said=record.getMessage()
            )
