"""Looking after an installation, its root and its log."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from daemon.commands import EXIT_FAILED, Json, Root, settings_of


def doctor(
    root: Root = None,
    as_json: Json = False,
    live: Annotated[
        bool, typer.Option("--live", help="Ask each provider too; nothing is made or paid for.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(help="With --live: seconds in which an answer has to come.", min=0.1, max=600),
    ] = 10.0,
) -> None:
    """Check an installation and its root, and say what to do where something is wrong.

    It needs no running daemon, and disturbs none. With --live it also asks
    each configured provider for its list of models: whether it can be reached,
    takes the key, and has the models that are configured. Without, it opens no
    connection.

    Examples:

    darkroom doctor --live

    Exit codes:

    0  no fault; there may be warnings

    1  there is a fault
    """
    from daemon.doctor import examine, is_well
    from daemon.logs import configure_logs
    from daemon.showing import show_findings

    configure_logs("error")  # to stderr; on stdout stand the findings
    findings = examine(root, patience=timeout if live else None)
    show_findings(findings, as_json=as_json)
    sys.exit(0 if is_well(findings) else EXIT_FAILED)


def verify(root: Root = None) -> None:
    """Check the event log.

    Every line: its hash, its place in the chain, its sequence. Note down the
    head it prints, and you can show later that nothing before it was changed.

    Exit codes:

    0  the log is whole

    5  it is not, and the first fault is named
    """
    from daemon import showing

    showing.verify(settings_of(root))


def rebuild(root: Root = None) -> None:
    """Write every result again, and the rows of every queue, from the log alone.

    For after a restore, or when results were deleted: nothing is run and
    nothing is paid for. Stop the daemon first.
    """
    from daemon import client

    print(client.rebuild(settings_of(root)))
