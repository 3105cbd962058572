"""`make docs`: writes what the documentation says of commands and settings, from their own words.

That is all of `docs/commands.md`, and the table of settings in `docs/running.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer.main
from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from daemon.cli import COMMANDS, app
from daemon.settings import Settings, variable_of

DOCS = Path(__file__).parent

INTRODUCTION = """\
# The commands

<!-- Made by `make docs` of what `darkroom COMMAND --help` says; edit daemon/commands/. -->

Every command has `--help`.
It exits 0 when it did what it was asked for, and 2 when it could not be meant so.
It exits 5 when the event log cannot be trusted, 4 when another daemon serves the root, and 130 at \
Ctrl-C.
What a command says about itself goes to stderr, and what it was asked for to stdout.

Every setting of the daemon is a variable too; [the manual](running.md#settings) lists them.
"""


def commands_page() -> str:
    """The whole of `docs/commands.md`."""
    found = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    sections = [INTRODUCTION]
    for heading, functions in COMMANDS.items():
        sections.append(f"## {heading}\n")
        sections += [section(found[function.__name__]) for function in functions]
    return "\n".join(sections)


def section(command: TyperCommand) -> str:
    """A command: how it is called, what it does, its options, its examples, its exit codes."""
    context = command.make_context(command.name, [], resilient_parsing=True)
    usage = " ".join(["darkroom", command.name or "", *command.collect_usage_pieces(context)])
    parameters = [one for one in command.get_params(context) if one.name != "help"]
    records = [parameter.get_help_record(context) for parameter in parameters]
    options = table(
        ("Option", "Meaning"), [(f"`{name}`", told) for name, told in filter(None, records)]
    )
    description, *titled = split(command.help or "")
    parts = [f"### {command.name}", fenced(usage), description, options, *titled]
    return "\n\n".join(parts) + "\n"


def split(text: str) -> list[str]:
    """The parts of a docstring, as Markdown: what it says, then each list that has a title."""
    paragraphs = text.split("\n\n")
    titles = [n for n, paragraph in enumerate(paragraphs) if paragraph in LISTS]
    ends = [*titles[1:], len(paragraphs)]
    description = paragraphs[: titles[0]] if titles else paragraphs
    parts = ["\n\n".join(map(one_sentence_a_line, description))]
    for start, end in zip(titles, ends if titles else [], strict=True):
        parts.append(LISTS[paragraphs[start]](paragraphs[start + 1 : end]))
    return parts


def examples(lines: Iterable[str]) -> str:
    return fenced("\n".join(lines))


def exit_codes(lines: Iterable[str]) -> str:
    return table(("Exit code", "Meaning"), [tuple(line.split(maxsplit=1)) for line in lines])


LISTS = {"Examples:": examples, "Exit codes:": exit_codes}


def one_sentence_a_line(paragraph: str) -> str:
    return re.sub(r"(?<=[.!?]) (?=[A-Z])", "\n", " ".join(paragraph.split()))


def fenced(text: str) -> str:
    # Not as `sh`: the tests run those, and some of these never end.
    return f"```bash\n{text}\n```"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for row in rows:
        cells = [re.sub(r"\s+", " ", cell).replace("|", r"\|") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


# ---------------------------------------------------------------- settings

HEADINGS = ("Variable", "Default", "Meaning")


def running_page(page: str) -> str:
    """`docs/running.md` with the table of settings as it should be."""
    start = page.index(f"| {' | '.join(HEADINGS)} |")
    end = page.index("\n\n", start)
    rows = [
        (f"`{variable_of(name)}`", default(name, field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return page[:start] + table(HEADINGS, rows) + page[end:]


def default(name: str, field: FieldInfo) -> str:
    """A default as a person would write it."""
    value = field.default
    if name == "root":
        return "the working directory"
    if value is None:
        return ""
    if name.endswith("_bytes") or name == "free_floor":
        return f"`{value}` ({value >> 20} MiB)"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def main() -> None:
    """Write the pages."""
    (DOCS / "commands.md").write_text(commands_page())
    running = DOCS / "running.md"
    running.write_text(running_page(running.read_text()))


if __name__ == "__main__":
    main()
