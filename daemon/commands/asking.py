"""Asking for media: drop a request, run it again, end it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.commands import EXIT_FAILED, Root, requests, settings_of

if TYPE_CHECKING:
    from daemon.client import Answer, Dropped
    from daemon.settings import Settings

Request = Annotated[
    str,
    typer.Argument(
        help="Its name or job; shoes.json#3 is the third item of a batch.", autocompletion=requests
    ),
]


def submit(
    file: Annotated[str, typer.Argument(help="A request's file, or - for standard input.")],
    root: Root = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The name to drop it under, as in alice/helmet.json; a queue's ends in .jsonl."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the answer and print it.")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="With --wait: give up after so many seconds.", min=0)
    ] = None,
) -> None:
    """Drop a request, as a rename into the inbox would.

    Also a batch, or a queue with a request a line: with --wait it is told on
    stderr how far it is, how fast it goes and how long it may take.

    Examples:

    darkroom submit helmet.json --wait

    darkroom submit shoes.jsonl --wait

    generate-requests | darkroom submit - --name shoes.jsonl

    echo '{"prompt": "a fox"}' | darkroom submit - --name alice/fox.json

    Exit codes:

    0  it succeeded, and of a batch every item; without --wait: it was dropped

    1  it, or an item of it, failed or was refused; the answer says why

    2  it could not be dropped, or no answer came in time
    """
    from daemon import client
    from daemon.errors import UsageError

    if timeout is not None and not wait:
        raise UsageError("--timeout goes with --wait")
    settings = settings_of(root)
    if wait:
        client.check_served(settings)
    data = client.read_request(file)
    dropped = client.drop(settings, data, name or client.name_for(file))
    if not wait:
        print(dropped.name)
        return
    answer = _awaited(settings, dropped, data, timeout)
    print(answer.text, end="")
    sys.exit(0 if answer.ok else EXIT_FAILED)


def _awaited(settings: Settings, dropped: Dropped, data: bytes, timeout: float | None) -> Answer:
    """The answer to what was dropped; of a batch it is shown meanwhile how far it is."""
    from daemon import client
    from daemon.following import may_be_batch

    if not may_be_batch(dropped.name, data):
        return client.wait_for(settings, dropped, timeout)
    from daemon.bars import shown

    with shown(settings, dropped) as look:
        return client.wait_for(settings, dropped, timeout, look)


def retry(request: Request, root: Root = None) -> None:
    """Run a finished request again.

    A job that failed keeps what was paid for and answered, and asks for the
    rest. One that succeeded is asked anew, and its new pictures lie beside the
    old ones. A request that was refused is judged again. Of a batch those
    items are run again that did not succeed, or all of them if all did.
    """
    from daemon import client

    print(client.control(settings_of(root), request, "retry"))


def cancel(request: Request, root: Root = None) -> None:
    """End a request's job, now; of a batch all that has not ended.

    A paid call that is under way may still be billed; the answer says so.
    """
    from daemon import client

    print(client.control(settings_of(root), request, "cancel"))
