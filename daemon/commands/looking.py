"""Looking at what goes on; none of these needs a running daemon, or disturbs one."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.commands import Json, Root, requests, settings_of


def status(
    request: Annotated[
        str | None,
        typer.Argument(
            help="A request's or an item's name, or a job; all, if left out.",
            autocompletion=requests,
        ),
    ] = None,
    root: Root = None,
    as_json: Json = False,
    most: Annotated[int, typer.Option(help="How many requests to list.", min=1)] = 20,
) -> None:
    """Show where requests stand, and what each one waits for.

    How many stand where, how fast it goes, which provider works on what, and
    the newest requests. Of a batch how far it is, and why its first items
    failed. Needs no running daemon.

    Examples:

    darkroom status

    darkroom status helmet --json

    darkroom status 'shoes.jsonl#3'
    """
    settings = settings_of(root)
    if request is None:
        from daemon import dashboard

        dashboard.show_all(settings, most, as_json=as_json)
    else:
        from daemon import showing

        showing.show_one(settings, request, as_json=as_json)


def watch(
    root: Root = None,
    most: Annotated[int, typer.Option(help="How many requests to list.", min=1)] = 20,
    interval: Annotated[
        float, typer.Option(help="Seconds between two looks.", min=0.1, max=3600)
    ] = 1.0,
) -> None:
    """Show where requests stand, as it changes; Ctrl-C ends it.

    On a terminal a live table with a bar for each batch that runs, into a pipe
    one line whenever the counts changed.
    """
    from daemon import dashboard

    dashboard.watch(settings_of(root), most, interval)


def events(
    root: Root = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come.")] = False,
    job: Annotated[
        str | None,
        typer.Option(
            help="Only those of a job or a request, by id or name.",
            autocompletion=requests,
        ),
    ] = None,
) -> None:
    """Print the event log.

    Into a pipe as it is, on a terminal shortened.

    Examples:

    darkroom events --follow

    darkroom events --job helmet | jq .data
    """
    from daemon import showing

    showing.print_events(settings_of(root), job, follow=follow)
