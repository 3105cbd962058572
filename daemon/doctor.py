"""`darkroom doctor`: every check of an installation and its root, each with what to do.

A check is a function in `daemon/checkups/`, and a line in `CHECKS`. Whether the providers answer is
looked at only when somebody wants it (`--live`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.checkups import (
    Finding,
    configuration,
    fault,
    filesystems,
    folders,
    folders_of,
    history,
    installation,
    live,
    watching,
)
from daemon.settings import Settings


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Where a folder that it needs is missing, it is left out: the check `root` says which are.
    """

    name: str
    look: Callable[[Settings], Finding]
    needs: tuple[str, ...] = ()


CHECKS = (
    Check("python", installation.python),
    Check("package", installation.package),
    Check("requirements", installation.requirements),
    Check("pillow", installation.pillow),
    Check("configuration", configuration.files),
    Check("providers", configuration.providers),
    Check("clock", history.clock),
    Check("root", folders.root),
    Check("disk", folders.disk),
    Check("filesystem", filesystems.filesystem),
    Check("permissions", folders.permissions, ("events",)),
    Check("inputs", folders.inputs),
    Check("fsync", folders.fsync, (".darkroom", "events")),
    Check("links", filesystems.links, ("inbox", "events", ".darkroom", "output")),
    Check("names", filesystems.names, ("inbox", "events", "output")),
    Check("watcher", watching.watcher, ("inbox", "events", ".darkroom")),
    Check("lock", history.lock, (".darkroom",)),
    Check("log", history.log, ("events",)),
)


def examine(
    root: Path | None,
    environment: Mapping[str, str] | None = None,
    *,
    patience: float | None = None,
) -> dict[str, Finding]:
    """Run every check that there is something to look at for.

    Args:
        root: the flag `--root`.
        environment: `os.environ`, if left out.
        patience: seconds that a provider may take to answer; None: none is asked.

    Returns:
        The findings by the names of the checks, and for each provider that was asked by "live:" and
        its name.
    """
    settings, finding = configuration.read_settings(root, environment)
    there = {name for name, folder in folders_of(settings).items() if _is_there(folder)}
    checks = [check for check in CHECKS if there.issuperset(check.needs)]
    found = {"settings": finding} | {check.name: _looked(check, settings) for check in checks}
    return found if patience is None else found | _asked(settings, patience)


def _is_there(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:  # who may not look for it may not look into it either
        return False


def _looked(check: Check, settings: Settings) -> Finding:
    """What a check found; one that breaks has found a fault."""
    try:
        return check.look(settings)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return fault(f"{where}{(error.strerror or str(error)).lower()}", _AGAIN)
    except Exception as error:
        return _broken(error)


def _asked(settings: Settings, patience: float) -> dict[str, Finding]:
    """What the providers said, or why none could be asked."""
    try:
        return live.providers(settings, patience)
    except Exception as error:
        return {live.NAME: _broken(error)}


def _broken(error: Exception) -> Finding:
    return fault(
        f"this check broke: {type(error).__name__}: {error}",
        "mend the other faults first; if it stays, please report this line",
    )


_AGAIN = "mend that, and run `darkroom doctor` again"


def is_well(findings: Mapping[str, Finding]) -> bool:
    """Whether there is no fault; warnings are none."""
    return all(finding.state != "fault" for finding in findings.values())
