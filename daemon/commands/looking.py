"""Looking at what goes on; none of these needs a running daemon, or disturbs one."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.commands import Json, Root, requests, settings_of


def status(
    request: Annotated[
        str | None,
        typer.Argument(
            help="A request's name or a job; all, if left out.", autocompletion=requests
        ),
    ] = None,
    root: Root = None,
    as_json: Json = False,
    most: Annotated[int, typer.Option(help="How many requests to list.", min=1)] = 20,
) -> None:
    """Show where requests stand; needs no running daemon.

    Examples:

    darkroom status

    darkroom status helmet --json
    """
    from daemon import showing

    settings = settings_of(root)
    if request is None:
        showing.show_all(settings, most, as_json=as_json)
    else:
        showing.show_one(settings, request, as_json=as_json)


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
