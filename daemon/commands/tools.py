"""What editors, agents and shells ask for."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def schema() -> None:
    """Print the JSON Schema of every request.

    For editors and for agents: darkroom schema > request.schema.json
    """
    import json

    from daemon.schema import schema_of
    from handlers import find_handlers

    print(json.dumps(schema_of(find_handlers()), indent=2, ensure_ascii=False))


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"],
        typer.Argument(help="Which shell it is for."),
    ],
) -> None:
    """Print a script that makes a shell complete commands, options and the names of requests.

    In ~/.zshrc, its line belongs below the one with compinit.

    Examples:

    echo 'eval "$(darkroom completion bash)"' >> ~/.bashrc

    echo 'eval "$(darkroom completion zsh)"' >> ~/.zshrc

    darkroom completion fish > ~/.config/fish/completions/darkroom.fish
    """
    from daemon.completion import script

    print(script(shell))
