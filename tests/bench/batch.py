"""A batch whose provider takes its time, beside a process for each item, one after another."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.dropping import PATIENCE, Inbox
from tests.bench.place import Place, Scale
from tests.bench.rows import Row, seconds
from tests.bench.serving import calm, serving_idle
from tests.bench.slowprovider import SlowProvider, slow_provider
from tests.support import environment, wait_until

TAKES = 1
"""Seconds that the provider takes for each item."""

AT_ONCE = (4, 16)
"""Items that the provider may work on at once: as it is set when nobody says anything, and as many
as run at once at all."""

_DURABLE = """\
darkroom has each call in its log before it leaves, and each picture and each end on the disk before the result.
A process for each item syncs nothing, and begins from the first item again when it breaks off.
"""

_PROCESS = """
import base64, sys
import httpx

url, prompt, out = sys.argv[1:]
body = {"model": "m", "prompt": prompt}
answer = httpx.post(url, json=body, headers={"authorization": "Bearer none"}, timeout=60)
answer.raise_for_status()
with open(out, "wb") as file:
    file.write(base64.b64decode(answer.json()["data"][0]["b64_json"]))
"""


def measure(place: Place, scale: Scale) -> list[Row]:
    """A few items by a process for each, then the whole batch at each limit."""
    with slow_provider(TAKES) as provider:
        each = _by_process(place.fresh("processes"), provider, scale.by_process)
        calm()
        took = [_darkroom(place, provider, scale.items, limit) for limit in AT_ONCE]
    whole = each * scale.items
    return [
        Row(
            f"{scale.items:,} items of a batch, {TAKES} s each at the provider, {limit} at once",
            seconds(ours),
            _DURABLE,
            f"a process for each item: {seconds(whole)}",
            f"{ours / whole:.3f}",
            f"under 1/{limit}",
            ours / whole < 1 / limit,
        )
        for limit, ours in zip(AT_ONCE, took, strict=True)
    ]


def _by_process(folder: Path, provider: SlowProvider, count: int) -> float:
    """Seconds that each of so many processes takes."""
    url, env = f"{provider.base_url}/images/generations", environment()
    began = time.monotonic()
    for number in range(count):
        out = folder / f"{number}.png"
        command = [sys.executable, "-c", _PROCESS, url, f"a lighthouse, {number}", str(out)]
        subprocess.run(command, env=env, check=True)
        assert out.stat().st_size
    return (time.monotonic() - began) / count


def _darkroom(place: Place, provider: SlowProvider, count: int, limit: int) -> float:
    """Seconds from dropping a batch to its result."""
    inbox = Inbox(place.fresh(f"batch-{limit}")).make()
    (inbox.root / "darkroom.toml").write_text(
        f'[providers.slow]\nbase_url = "{provider.base_url}"\napi_key = "none"\n'
        f"concurrency = {limit}\n"
    )
    items = [
        {"prompt": f"a lighthouse, {number}", "provider": "slow", "model": "m"}
        for number in range(count)
    ]
    aside, answer = inbox.aside / "batch.json", inbox.answer("batch")
    aside.write_text(json.dumps(items))
    with serving_idle(inbox):
        began = time.time()
        aside.rename(inbox.folder / "batch.json")
        wait_until(answer.exists, "the batch", PATIENCE + count * TAKES)
        took = answer.stat().st_ctime - began
    result = json.loads(answer.read_text())
    assert result["succeeded"] == count, result["error"]
    return took
