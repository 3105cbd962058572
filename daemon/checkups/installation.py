"""Python, darkroom itself, and the packages that it needs."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from daemon.checkups import Finding, fault, ok
from daemon.settings import Settings

OURS = "darkroomd"
RIVAL = "python-daemon"
"""Its package is called `daemon`, too: of the two, one overwrites the other."""

_OWN = "give darkroom an environment of its own: python3 -m venv ~/darkroom, and install it there"
_CODECS = {"PNG": "zlib", "JPEG": "jpg", "WebP": "webp"}
"""What Pillow calls the library that decodes each format."""


def python(_: Settings) -> Finding:
    """Whether this Python is one that darkroom runs on."""
    wanted = distribution(OURS).metadata["Requires-Python"]
    return judge_python(platform.python_version(), wanted)


def judge_python(running: str, wanted: str) -> Finding:
    found = f"Python {running} in {sys.prefix}"
    if SpecifierSet(wanted).contains(running, prereleases=True):
        return ok(found)
    return fault(
        f"{found}, and darkroom needs {wanted}",
        f"install darkroom anew, with a Python {wanted}",
    )


def package(_: Settings) -> Finding:
    """Whether the code that runs is the one that was installed, and nobody else's."""
    try:
        ours = distribution(OURS)
    except PackageNotFoundError:
        return fault(
            f"no {OURS} is installed in {sys.prefix}", "run `pip install .` in darkroom's checkout"
        )
    rival = _installed(RIVAL)
    if rival is not None:
        return fault(f"{RIVAL} {rival} is installed beside it: both are called `daemon`", _OWN)
    running = Path(__file__).resolve().parents[1]
    if running not in _places(ours):
        return fault(
            f"the code that runs lies in {running}, which {OURS} {ours.version} did not install",
            _OWN,
        )
    lost = _lost(ours)
    if lost:  # as after an uninstallation of the rival, which takes our __init__.py with it
        return fault(f"files of {OURS} are missing: {', '.join(lost)}", f"install it again; {_OWN}")
    return ok(f"darkroom {ours.version} in {running}")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _lost(ours: Distribution) -> list[str]:
    code = [file for file in ours.files or () if file.suffix == ".py"]
    return [file.as_posix() for file in code if not Path(str(ours.locate_file(file))).exists()]


def _places(ours: Distribution) -> list[Path]:
    """Where our installation has a folder `daemon`: among its files, or in a checkout."""
    files = [file for file in ours.files or () if file.as_posix() == "daemon/__init__.py"]
    places = [Path(str(ours.locate_file(file))).resolve().parent for file in files]
    origin = json.loads(ours.read_text("direct_url.json") or "{}")  # PEP 610
    if origin.get("dir_info", {}).get("editable"):
        places.append(Path(url2pathname(urlsplit(origin["url"]).path)).resolve() / "daemon")
    return places


# ---------------------------------------------------------------- what it needs


def requirements(_: Settings) -> Finding:
    """Whether everything that our metadata ask for is there, in a version that fits."""
    wanted = _wanted()
    return judge_requirements({each: _installed(each.name) for each in wanted})


def _wanted() -> list[Requirement]:
    """What every installation needs: no extras."""
    wanted = map(Requirement, distribution(OURS).requires or ())
    return [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]


def judge_requirements(installed: dict[Requirement, str | None]) -> Finding:
    unmet = {
        each: found
        for each, found in installed.items()
        if found is None or not each.specifier.contains(found, prereleases=True)
    }
    if not unmet:
        return ok(f"all {len(installed)} packages are there")
    told = [f"{each.name} is {found or 'missing'}" for each, found in unmet.items()]
    needed = " ".join(f'"{each.name}{each.specifier}"' for each in unmet)
    return fault(", ".join(told), f"run {sys.executable} -m pip install {needed}")


def pillow(_: Settings) -> Finding:
    """Whether Pillow has no decoder that is known to be unsafe, and all that we need."""
    from PIL import __version__, features

    floor = next(each.specifier for each in _wanted() if each.name == "pillow")
    missing = [name for name, codec in _CODECS.items() if not features.check(codec)]
    return judge_pillow(__version__, floor, missing)


def judge_pillow(running: str, floor: SpecifierSet, missing: list[str]) -> Finding:
    install = f'run {sys.executable} -m pip install --force-reinstall "pillow{floor}"'
    if not floor.contains(running, prereleases=True):
        return fault(f"Pillow {running} has decoders with critical bugs", install)
    if missing:
        return fault(f"Pillow {running} cannot decode {', '.join(missing)}", install)
    return ok(f"Pillow {running} decodes {', '.join(_CODECS)}")
