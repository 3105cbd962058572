"""Serving the inbox."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

import typer

from daemon.commands import Root, settings_of


def run(
    root: Root = None,
    drain: Annotated[
        bool, typer.Option("--drain", help="Answer everything that lies there, then end. For cron.")
    ] = False,
    max_wait: Annotated[
        float | None,
        typer.Option(help="With --drain: end after so many seconds all the same.", min=0),
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="Jobs that run at once [16].")] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option(help="How much to tell on stderr."),
    ] = "info",
) -> None:
    """Serve the inbox.

    Ctrl-C or SIGTERM stops it in good order: it waits for paid calls under
    way, and the rest goes on after the next start. A second one ends it at once.

    Every setting is also a variable: DARKROOM_SETTLE=0.5 darkroom run

    Exit codes:

    0  stopped, or everything was answered, whatever the answers

    1  the daemon itself broke, and stderr says how

    3  --drain left something open

    4  another daemon serves this root

    5  the event log failed; run darkroom verify
    """
    import asyncio

    from daemon.app import App
    from daemon.errors import UsageError
    from daemon.logs import configure_logs

    if max_wait is not None and not drain:
        raise UsageError("--max-wait goes with --drain")
    configure_logs(log_level)
    settings = settings_of(root, concurrency=concurrency)
    code = asyncio.run(App(settings).serve(drain=drain, max_wait=max_wait))
    sys.stderr.flush()
    os._exit(code)  # all is closed; a picture half painted in a thread is not worth a wait
