"""The command `darkroom`: which commands there are, and how what goes wrong is told.

A command is a function in `daemon/commands/`, and a name in `COMMANDS`. Each imports what it needs
when it is called, so that all of them start fast.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from daemon import completion
from daemon.commands import (
    EXIT_BUSY,
    EXIT_LOG,
    EXIT_USAGE,
    asking,
    looking,
    serving,
    tending,
    tools,
)
from daemon.errors import DarkroomError, LogError, RootBusy

COMMANDS = {
    "Serve": (serving.run,),
    "Ask": (asking.submit, asking.retry, asking.cancel),
    "Look": (looking.status, looking.watch, looking.events),
    "Look after": (tending.doctor, tending.verify, tending.rebuild),
    "For programs and shells": (tools.schema, tools.completion),
}
"""Every command, in the order and under the headings of `darkroom --help`."""

app = typer.Typer(
    name="darkroom",
    help="Drop a request in inbox/, get media in tmp/ and an answer beside the request.",
    no_args_is_help=True,
    add_completion=False,  # it would edit the user's shell's files; `completion` prints a script
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

for _heading, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(rich_help_panel=_heading)(_command)


def main() -> NoReturn:
    """The command `darkroom`. What goes wrong is said in one line, with what to do."""
    try:
        try:
            completion.prepare()
            app(prog_name="darkroom")  # however it was started: shells complete that name
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
