"""What kind of filesystems the folders of a root lie on, and what these can do."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from daemon.checkups import PROBE, Finding, folders_of, ok, warning
from daemon.disk import existing
from daemon.settings import Settings

_MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "drvfs", "lustre", "nfs", "nfs4", "smb3", "vboxsf", "virtiofs"}
)
"""Kinds that another machine may write to without this kernel's knowing; and every `fuse.`."""

_MEMORY = frozenset({"ramfs", "tmpfs"})


@dataclass(frozen=True, slots=True)
class Mount:
    """Where something is mounted, and of which kind it is."""

    point: Path
    kind: str

    @property
    def is_network(self) -> bool:
        return self.kind in _NETWORK or self.kind.startswith("fuse.")


def parse_mounts(text: str) -> list[Mount]:
    """The lines of `/proc/self/mountinfo`: see proc_pid_mountinfo(5)."""
    mounts = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), left.split()[4])
        mounts.append(Mount(Path(point), right.split()[0]))
    return mounts


def mount_of(folder: Path, mounts: list[Mount]) -> Mount:
    """The mount that a folder lies on: the innermost, and of several at one place the last."""
    above = [mount for mount in mounts if folder.is_relative_to(mount.point)]
    unknown = Mount(Path("/"), "unknown")  # in a chroot, nothing may be mounted at /
    return max(reversed(above), key=lambda mount: len(mount.point.parts), default=unknown)


def filesystem(settings: Settings) -> Finding:
    """Of which kind they are: of some, notifications or durability cannot be had."""
    mounts = parse_mounts(os.fsdecode(_MOUNTS.read_bytes()))
    lies = {
        name: mount_of(existing(folder).resolve(), mounts)
        for name, folder in folders_of(settings).items()
    }
    return judge_mounts(lies, settings.scan_interval)


def judge_mounts(lies: Mapping[str, Mount], scan_interval: float) -> Finding:
    kinds: dict[str, list[str]] = {}
    for name, mount in lies.items():
        kinds.setdefault(mount.kind, []).append(name)
    found = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items())
    lost = [name for name in ("events", "output") if lies[name].kind in _MEMORY]
    if lost:
        return warning(
            f"{found}; what is in {' and '.join(lost)} is in memory, and gone after a power cut",
            "move it to a disk, where it is to last",
        )
    if lies["inbox"].is_network:
        return warning(
            f"{found}; no notification comes of what other hosts drop in the inbox, "
            f"which is found by looking, every {scan_interval:g} s",
            "if that is too slow, set $DARKROOM_SCAN_INTERVAL, or move the root to a local disk",
        )
    far = [name for name, mount in lies.items() if mount.is_network]
    if far:
        return warning(
            f"{found}; the lock and the log are only as good as the server that keeps them",
            f"move {', '.join(far)} to a local disk",
        )
    return ok(found)


# ---------------------------------------------------------------- what they can do


def links(settings: Settings) -> Finding:
    """Whether files are put in place by name alone, or have to be copied."""
    remarks = []
    if settings.inbox.stat().st_dev != settings.private.stat().st_dev:
        remarks.append("results are made in inbox/.darkroom: the inbox is a filesystem of its own")
    if not _can_link(settings.blobs, settings.output):
        remarks.append("media are written twice: events/blobs and output share no hard links")
    return ok("; ".join(remarks) or "results are renamed and media linked into place, never copied")


def _can_link(source: Path, target: Path) -> bool:
    with ExitStack() as stack:
        probe = _probe(source, stack)
        link = target / probe.name
        try:
            os.link(probe, link)
        except OSError:
            return False
        stack.callback(link.unlink, missing_ok=True)
        return True


def _probe(folder: Path, stack: ExitStack) -> Path:
    """An empty hidden file, for as long as the stack stands."""
    probe = folder / f"{PROBE}{os.urandom(4).hex()}"
    probe.touch(exist_ok=False)
    stack.callback(probe.unlink, missing_ok=True)
    return probe


def names(settings: Settings) -> Finding:
    """Whether the filesystems tell A.json from a.json."""
    places = {"inbox": settings.inbox, "output": settings.output}
    with ExitStack() as stack:
        folding = [name for name, place in places.items() if _folds(_probe(place, stack))]
    if not folding:
        return ok("names that differ in case are different files")
    return warning(
        f"in {' and '.join(folding)}, names that differ only in case are one file: "
        "A.json and a.json share an answer",
        "give requests names that differ in more than case",
    )


def _folds(probe: Path) -> bool:
    """Whether a file is found by its name in capitals as well."""
    return probe.with_name(probe.name.upper()).exists()
