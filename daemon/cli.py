"""Every command. Each imports what it needs when it is called, so that all of them start fast."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from daemon.errors import DarkroomError, LogError, RootBusy

if TYPE_CHECKING:
    from daemon.settings import Settings

EXIT_FAILED, EXIT_USAGE, EXIT_BUSY, EXIT_LOG = 1, 2, 4, 5

app = typer.Typer(
    name="darkroom",
    help="Drop a request in inbox/, get media in tmp/ and an answer beside the request.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Root = Annotated[
    Path | None,
    typer.Option(
        help="The folder everything lives under: inbox/, tmp/, events/. "
        "Default: $DARKROOM_ROOT, or the working directory.",
        show_default=False,
    ),
]


def main() -> NoReturn:
    """The command `darkroom`. What goes wrong is said in one line, with what to do."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # not at the very end, where nobody can catch what it raises
    except DarkroomError as error:
        print(f"darkroom: {error}", file=sys.stderr)
        sys.exit(_exit_code(error))
    except BrokenPipeError:  # `darkroom events | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _exit_code(error: DarkroomError) -> int:
    if isinstance(error, RootBusy):
        return EXIT_BUSY
    return EXIT_LOG if isinstance(error, LogError) else EXIT_USAGE


def _settings(root: Path | None, **flags: object) -> Settings:
    from daemon.settings import load_settings

    return load_settings({"root": root, **flags})


# ---------------------------------------------------------------- serving


@app.command()
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
        str, typer.Option(help="How much to tell on stderr: debug, info, warning, error.")
    ] = "info",
) -> None:
    """Serve the inbox.

    Ctrl-C or SIGTERM stops it in good order: it waits for paid calls under
    way, and the rest goes on after the next start. A second one ends it at once.

    Every setting is also a variable: DARKROOM_SETTLE=0.5 darkroom run

    Exit codes:

    0  stopped, or everything was answered, whatever the answers

    3  --drain left something open

    4  another daemon serves this root

    5  the event log failed; run darkroom verify
    """
    import asyncio

    from daemon.app import App
    from daemon.errors import UsageError
    from daemon.logs import LEVELS, configure_logs

    if log_level not in LEVELS:
        raise UsageError(f"--log-level is one of {', '.join(LEVELS)}, not {log_level!r}")
    if max_wait is not None and not drain:
        raise UsageError("--max-wait goes with --drain")
    configure_logs(log_level)
    settings = _settings(root, concurrency=concurrency)
    code = asyncio.run(App(settings).serve(drain=drain, max_wait=max_wait))
    sys.stderr.flush()
    os._exit(code)  # all is closed; a picture half painted in a thread is not worth a wait


# ---------------------------------------------------------------- asking


@app.command()
def submit(
    file: Annotated[str, typer.Argument(help="A request's file, or - for standard input.")],
    root: Root = None,
    name: Annotated[
        str | None, typer.Option(help="The name to drop it under, as in alice/helmet.json.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the answer and print it.")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="With --wait: give up after so many seconds.", min=0)
    ] = None,
) -> None:
    """Drop a request, as a rename into the inbox would.

    Examples:

    darkroom submit helmet.json --wait

    echo '{"prompt": "a fox"}' | darkroom submit - --name alice/fox.json

    Exit codes:

    0  it succeeded; without --wait: it was dropped

    1  it failed or was refused; the answer says why

    2  it could not be dropped, or no answer came in time
    """
    from daemon import client
    from daemon.errors import UsageError

    if timeout is not None and not wait:
        raise UsageError("--timeout goes with --wait")
    settings = _settings(root)
    if wait:
        client.check_served(settings)
    data = client.read_request(file)
    dropped = client.drop(settings, data, name or client.name_for(file))
    if not wait:
        print(dropped.name)
        return
    result = client.wait_for(settings, dropped, timeout)
    print(result.text, end="")
    sys.exit(0 if result.ok else EXIT_FAILED)


@app.command()
def retry(
    request: Annotated[str, typer.Argument(help="Its name or job.")], root: Root = None
) -> None:
    """Run a finished request again.

    A job that failed keeps what was paid for and answered, and asks for the
    rest. One that succeeded is asked anew, and its new pictures lie beside the
    old ones. A request that was refused is judged again.
    """
    from daemon import client

    print(client.control(_settings(root), request, "retry"))


@app.command()
def cancel(
    request: Annotated[str, typer.Argument(help="Its name or job.")], root: Root = None
) -> None:
    """End a request's job, now.

    A paid call that is under way may still be billed; the answer says so.
    """
    from daemon import client

    print(client.control(_settings(root), request, "cancel"))


# ---------------------------------------------------------------- looking


@app.command()
def status(
    request: Annotated[
        str | None, typer.Argument(help="A request's name or a job; all, if left out.")
    ] = None,
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    most: Annotated[int, typer.Option(help="How many requests to list.", min=1)] = 20,
) -> None:
    """Show where requests stand; needs no running daemon.

    Examples:

    darkroom status

    darkroom status helmet --json
    """
    settings = _settings(root)
    if request is None:
        from daemon import dashboard

        dashboard.show_all(settings, most, as_json=as_json)
    else:
        from daemon import showing

        showing.show_one(settings, request, as_json=as_json)


@app.command()
def watch(
    root: Root = None,
    most: Annotated[int, typer.Option(help="How many requests to list.", min=1)] = 20,
    interval: Annotated[
        float, typer.Option(help="Seconds between two looks.", min=0.1, max=3600)
    ] = 1.0,
) -> None:
    """Show where requests stand, as it changes; Ctrl-C ends it.

    On a terminal a live table, into a pipe one line whenever the counts
    changed.
    """
    from daemon import dashboard

    dashboard.watch(_settings(root), most, interval)


@app.command()
def events(
    root: Root = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come.")] = False,
    job: Annotated[
        str | None, typer.Option(help="Only those of a job or a request, by id or name.")
    ] = None,
) -> None:
    """Print the event log.

    Into a pipe as it is, on a terminal shortened.

    Examples:

    darkroom events --follow

    darkroom events --job helmet | jq .data
    """
    from daemon import showing

    showing.print_events(_settings(root), job, follow=follow)


@app.command()
def verify(root: Root = None) -> None:
    """Check the event log.

    Every line: its hash, its place in the chain, its sequence. Note down the
    head it prints, and you can show later that nothing before it was changed.

    Exit codes:

    0  the log is whole

    5  it is not, and the first fault is named
    """
    from daemon import showing

    showing.verify(_settings(root))


@app.command()
def doctor(
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check an installation and its root, and say what to do where something is wrong.

    It needs no running daemon, and disturbs none.

    Exit codes:

    0  no fault; there may be warnings

    1  there is a fault
    """
    from daemon.doctor import examine, is_well
    from daemon.showing import show_findings

    findings = examine(root)
    show_findings(findings, as_json=as_json)
    sys.exit(0 if is_well(findings) else EXIT_FAILED)


@app.command()
def rebuild(root: Root = None) -> None:
    """Write every result again, from the log alone.

    For after a restore, or when results were deleted: nothing is run and
    nothing is paid for. Stop the daemon first.
    """
    from daemon import client

    print(client.rebuild(_settings(root)))


@app.command()
def schema() -> None:
    """Print the JSON Schema of every request.

    For editors and for agents: darkroom schema > request.schema.json
    """
    import json

    from daemon.schema import schema_of
    from handlers import find_handlers

    print(json.dumps(schema_of(find_handlers()), indent=2, ensure_ascii=False))
