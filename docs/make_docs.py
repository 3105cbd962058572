"""`make docs`: writes what the documentation says of tasks, commands, settings and providers, from
their own words.

That is all of `docs/tasks.md`, `docs/commands.md` and `docs/providers.md`, and the table of
settings in `docs/running.md`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer.main
from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from daemon.cli import COMMANDS, app
from daemon.settings import Settings, variable_of
from handlers import find_handlers
from handlers.contract import Handler
from handlers.openai_shape.dialects import Dialect
from handlers.openai_shape.table import DIALECTS
from handlers.providers.openai import OPTIONS

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


TASKS_INTRODUCTION = """\
# The tasks

<!-- Made by `make docs` of what the handlers say of themselves; edit handlers/*.py. -->

Every task takes the fields of [the envelope](protocol.md#3-a-request) besides these.
Other accepted spellings stand in brackets; what has no default is only sent to the provider when \
it is given, and what is required is marked with a star.
An *input* is a path, an https address, a data URL, or `{"from": "cat.json"}`: \
[editing pictures](images.md#what-can-be-named-as-a-picture) tells what of it is read, and what \
never is.
`darkroom schema` prints all of it as a JSON Schema.
"""

INPUTS = {"image", "mask", "last_frame", "reference_images"}
"""Fields that name inputs."""


def tasks_page() -> str:
    """The whole of `docs/tasks.md`."""
    found = find_handlers()
    return "\n".join([TASKS_INTRODUCTION, *(task_section(found[task]) for task in sorted(found))])


def task_section(handler: Handler) -> str:
    """A task: what it does, an example, its fields."""
    module = inspect.getmodule(handler.request)
    text = " ".join((inspect.getdoc(module) or "").split())
    sentences = re.sub(r"(?<=[.:]) ", "\n", text)
    properties = handler.request.model_json_schema()["properties"]
    rows = [
        (
            spellings(handler, name),
            kind_of_field(name, properties[name]),
            preset(field),
            told(field),
        )
        for name, field in handler.request.model_fields.items()
        if name != "task"
    ]
    example = json.dumps(dict(handler.request.EXAMPLE))
    fields = table(("Field", "Value", "Default", "Meaning"), rows)
    return f"## {handler.task}\n\n{sentences}\n\n```json\n{example}\n```\n\n{fields}\n"


def spellings(handler: Handler, name: str) -> str:
    """A field and its aliases."""
    aliases = [alias for alias, of in handler.request.ALIASES.items() if of == name]
    star = "*" if handler.request.model_fields[name].is_required() else ""
    return " ".join([f"`{name}`{star}", *(f"[`{alias}`]" for alias in aliases)])


def kind_of_field(name: str, schema: dict[str, object]) -> str:
    """What a field may hold."""
    if name in INPUTS:
        return "input" + (", or several" if "array" in json.dumps(schema) else "")
    branches = schema.get("anyOf", [schema])
    assert isinstance(branches, list)
    found = dict.fromkeys(kind for branch in branches for kind in kinds(branch))
    return ", ".join(found)


def kinds(branch: dict[str, object]) -> list[str]:
    if "enum" in branch or "const" in branch:
        return [f"`{one}`" for one in branch.get("enum", [branch.get("const")])]  # type: ignore[attr-defined]
    if branch.get("type") == "array":
        (*_, last) = kinds(branch["items"]) or [""]  # type: ignore[arg-type]
        inside = ", ".join(kinds(branch["items"])).replace("object", "objects")  # type: ignore[arg-type]
        return [f"a list of {inside}"] if last else []
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "boolean",
        "object": "object",
    }
    return [names.get(str(branch.get("type")), "")] if branch.get("type") in names else []


def preset(field: FieldInfo) -> str:
    """What holds where a field is not given."""
    value = field.default
    return "" if field.is_required() or value is None else f"`{json.dumps(value)}`"


def told(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")


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


# ---------------------------------------------------------------- providers

PROVIDERS_INTRODUCTION = """\
# Providers

<!-- Made by `make docs` of handlers/openai_shape/table.py; edit that. -->

What works where, and how each is configured.
Without any configuration the embedded stand-in `local` answers; it is no AI model.

Nothing of it was tried against the services themselves: the facts are from their specifications \
and their source, read in 2026.
[The tasks](tasks.md) say what can be asked for.

A provider is an entry of the OpenClaw configuration, or of `darkroom.toml` in the root; \
[configuring](configuring.md) tells how.
Which server it is, is known by `dialect`, else by the host of `base_url`, else by the entry's name.
A `base_url` without a path gets `/v1`; one that has a path is taken as it is.

"""

PROVIDERS_RULES = """\
What is marked as unverified stands in no source that was read.

## Masks

A mask of a request is always white where the picture is to be changed; darkroom converts it.
Where transparent is changed, all that is to be changed even a little (16 of 255, or more) becomes \
wholly transparent, and all else opaque.
Where white is changed, grey stays grey.
Where none is sent, the server works on the whole picture, and darkroom puts back what lies \
outside of the mask.
In a chat none is ever sent.

## Pictures that are too large

What fits is sent as it is.
Where the documentation of a server names a limit, what exceeds it is made to fit, and a warning \
says how:

1. Too many pixels: it is scaled down.
2. Too many bytes: it is sent as a JPEG of quality 95 without subsampling; with transparency as a \
WebP, without loss if that does, else of quality 95.
3. Still too many: it is scaled down until it fits, and the mask along with the first picture.
4. Smaller than 64 pixels it is not made: the request fails with `too_large`.

## Options
"""

MASKS = {
    "alpha": "transparent is changed",
    "white": "white is changed",
    None: "not sent",
}


def providers_page() -> str:
    """The whole of `docs/providers.md`."""
    rows = [
        (
            f"[{dialect.title}](#{dialect.name})",
            f"`{dialect.name}`",
            yes("generate_image", dialect),
            yes("edit_image", dialect),
            MASKS[dialect.mask] if dialect.edits else "no",
            yes("generate_video", dialect),
        )
        for dialect in DIALECTS.values()
    ]
    headings = ("Server", "`dialect`", "Pictures", "Edits", "Mask", "Clips")
    options = "In an entry's `options` may stand:\n\n" + table(
        ("Option", "Value"), [(f"`{name}`", told) for name, told in OPTIONS.items()]
    )
    overview = PROVIDERS_INTRODUCTION + table(headings, rows) + "\n"
    parts = [overview, PROVIDERS_RULES, options + "\n"]
    return "\n".join([*parts, *map(provider_section, DIALECTS.values())])


def yes(operation: str, dialect: Dialect) -> str:
    if operation in dialect.untried:
        return "unverified"
    return "yes" if operation in dialect.operations else "no"


def provider_section(dialect: Dialect) -> str:
    """A server: how it is configured, its limits, what differs, what nobody has verified."""
    parts = [
        f'<a id="{dialect.name}"></a>',
        f"## {heading(dialect.title)}",
        example(dialect),
        f"Fields of a request for pictures that it takes: {taken(dialect)}.",
        clips(dialect),
        bullets(dialect.limits + sizes(dialect) + dialect.notes),
    ]
    if dialect.unverified:
        parts += ["Unverified:", bullets(dialect.unverified)]
    return "\n\n".join(filter(None, parts)) + "\n"


PICTURES_OF_CLIPS = {
    "form": "one picture, as the file `input_reference` of a form",
    "free": "one picture, as the request says",
    "xai": "a first frame or references",
    "openrouter": "a first frame, a last frame, references",
    None: "no pictures",
}


def clips(dialect: Dialect) -> str:
    """What of a request for clips a server takes."""
    videos = dialect.videos
    if videos is None:
        return ""
    names = set(videos.fields or ())
    if videos.length in names:
        names = names - {videos.length} | {"seconds"}
    if dialect.geometry == "pixels":
        names = names - {"width", "height"} | {"size"}
    if dialect.geometry == "ratio":
        names |= {"size"}
    named = ", ".join(f"`{name}`" for name in sorted(names)) or "all, as they are given"
    return f"Of a request for clips: {named}; {PICTURES_OF_CLIPS[videos.pictures]}."


def sizes(dialect: Dialect) -> tuple[str, ...]:
    """What there is room for, where that is known."""
    told = ", ".join(dialect.room.told())
    return (f"It takes {told}.",) if told else ()


def taken(dialect: Dialect) -> str:
    """The fields that a server takes, by the names that they have in a request."""
    if dialect.fields is None:
        return "all, as they are given"
    names = dialect.fields
    if dialect.geometry == "pixels":
        names = names - {"width", "height"} | {"size"}
    return ", ".join(f"`{name}`" for name in sorted(names))


def example(dialect: Dialect) -> str:
    """An entry of `darkroom.toml`; a server without a well-known host is the user's own."""
    known = bool(dialect.hosts)
    variable = re.sub(r"[^A-Z]", "_", dialect.name.upper())
    lines = [
        f"[providers.{dialect.name}]",
        f'base_url = "{dialect.example}"',
        f'api_key = "${variable}_API_KEY"' if known else "paid = false  # if it is your own",
        f'dialect = "{dialect.name}"',
        'image_model = "MODEL"',
    ]
    return "```toml\n" + "\n".join(lines) + "\n```"


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def heading(title: str) -> str:
    """A title; a name that begins with a small letter of its own keeps it."""
    return "A" + title[1:] if title.startswith("any ") else title


def main() -> None:
    """Write the pages."""
    (DOCS / "tasks.md").write_text(tasks_page())
    (DOCS / "commands.md").write_text(commands_page())
    (DOCS / "providers.md").write_text(providers_page())
    running = DOCS / "running.md"
    running.write_text(running_page(running.read_text()))


if __name__ == "__main__":
    main()
