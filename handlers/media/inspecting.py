"""The process that looks into a clip: `python -m handlers.media.inspecting LIMITS < clip`.

Decoders are a great deal of C, and a clip comes from anybody. So they run where a crash, a loop or
a takeover costs nothing: before a byte of the clip is looked at, this process gives up its time,
its memory, and the right to open anything. What it says on stdout is one line of JSON, and then
the bytes of the poster:

    {"description": {"kind": "video", "width": 1280, ...}, "poster": 48211}
    {"error": {"code": "unreadable_media", "message": "...", "hints": [...]}}
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict
from mmap import ACCESS_READ, mmap

from handlers.contract import HandlerError, Held, Json


def main() -> int:
    """Look into the clip on stdin."""
    limits = json.loads(sys.argv[1])
    data = _held()
    answer, poster = looked_into(data, limits)
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + poster)
    return 0


def _held() -> Held:
    """The clip, of which no more is read than is looked at; all of it where stdin is no file."""
    try:
        return mmap(sys.stdin.fileno(), 0, access=ACCESS_READ)
    except (OSError, ValueError):
        return sys.stdin.buffer.read()


def looked_into(data: Held, limits: Mapping[str, Json]) -> tuple[dict[str, Json], bytes]:
    """What is told of a clip, and its poster. This process can do nothing else afterwards.

    Args:
        data: the clip's bytes.
        limits: `pixels`, `seconds` and `frames` of the clip; `memory` in bytes beside twice those
            of the clip, and `cpu` in seconds for all of it.
    """
    try:
        from PIL import Image

        importlib.import_module("av.subtitles.stream")  # PyAV does when it opens a clip: too late

        from handlers.media.clips import Limits, describe_clip
        from handlers.media.posters import poster_of
    except ImportError as error:
        return _told(_no_decoder(error)), b""
    Image.preinit()  # which imports what writes a JPEG
    allowed = Limits(limits["pixels"], limits["seconds"], limits["frames"])
    _give_up(limits["memory"] + 2 * len(data), limits["cpu"])
    try:
        description = describe_clip(data, allowed)
        poster = poster_of(data, allowed)
    except HandlerError as error:
        return _told(error), b""
    except MemoryError:
        return _told(HandlerError("too_large", "it needs more memory than it may have")), b""
    except OSError as error:  # something else was to be opened: no fault of the clip's
        return _told(HandlerError("internal", f"what reads clips lacks a file: {error}")), b""
    except Exception as error:  # whatever it is, this clip makes it happen
        why = f"what reads clips failed at it: {type(error).__name__}"
        return _told(HandlerError("unreadable_media", why)), b""
    return {"description": asdict(description), "poster": len(poster)}, poster


def _give_up(memory: int, cpu: int) -> None:
    """What this process may still do: compute, for so long and in so much memory."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu),  # a signal tells that it was this, and not somebody's kill
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),  # neither files nor sockets; what is open stays so
        (
            resource.RLIMIT_NPROC,
            0,
        ),  # neither processes nor threads; root may have them all the same
    ):
        _, hard = resource.getrlimit(what)
        last = most + (what == resource.RLIMIT_CPU)
        last = last if hard == resource.RLIM_INFINITY else min(last, hard)
        resource.setrlimit(what, (min(most, last), last))


def _no_decoder(error: ImportError) -> HandlerError:
    return HandlerError(
        "not_supported",
        f"clips cannot be looked into here: {error}",
        hints=['Install what reads them: pip install "darkroomd[video]"; then use retry.'],
    )


def _told(error: HandlerError) -> dict[str, Json]:
    return {
        "error": {"code": error.code, "message": error.message, "hints": list(error.hints)},
    }


if __name__ == "__main__":
    sys.exit(main())
