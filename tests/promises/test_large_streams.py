"""A stream of any length of large arrays goes through in little memory, on both sides."""

from __future__ import annotations

import json
import pathlib
import selectors
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import memory_of
from promise_figures import measured, often

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")]

_HOST = str(pathlib.Path(__file__).with_name("large_stream_host.py"))
_MIB = 1024 * 1024
#: Arrays of 8 MiB: 10 GiB as stated; in `make test` 512 MiB, half of that for slow readers.
_CHUNKS = {"down": (1280, 64), "down-slow": (1280, 32), "up": (1280, 64), "up-slow": (1280, 32)}
#: Which way they go, and how long their reader waits after each of them: longer than it takes to make and send one (seconds).
_WAYS = {"down": 0.0, "down-slow": 0.02, "up": 0.0, "up-slow": 0.02}
#: Over what; in `make test` only the first two.
_CARRIERS = [("msgpack", 1024 * _MIB), ("grpc", 0), ("msgpack", 0), ("grpc", 1024 * _MIB)]
#: How often memory is looked at (seconds).
_LOOK = 0.004


@pytest.mark.parametrize(
    ("protocol", "limit"), _CARRIERS[: often(4, 2)], ids=lambda item: item if isinstance(item, str) else "shared" if item else "channel"
)
@pytest.mark.parametrize("way", _WAYS)
def test_a_long_stream_of_large_arrays_takes_little_memory(way: str, protocol: str, limit: int) -> None:
    """At no moment has either side more than the stream's window and 64 MiB beyond what it had before it, however slow its reader is."""
    chunks = often(*_CHUNKS[way])
    command = [sys.executable, _HOST, way.partition("-")[0], protocol, str(limit), str(chunks), str(_WAYS[way])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdin is not None
        who = json.loads(host.stdout.readline())
        window = who.pop("window") / _MIB
        before, _, _ = _peaks(who, lambda _seconds: True)
        host.stdin.write("go\n")
        host.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(host.stdout, selectors.EVENT_READ)
            peaks, looks, segments = _peaks(who, selector.select)
        told = json.loads(host.stdout.readline())
        host.communicate("done\n")
    grown = {side: (peaks[side] - had) / _MIB for side, had in before.items()}
    text = ", ".join(f"{side} {mib:+.1f} MiB" for side, mib in grown.items())
    measured.append(f"{chunks * 8 / 1024:g} GiB {way} over {protocol} {'and shared memory' if limit else 'alone'}: at most {text}")
    measured[-1] += f" (at most {window + 64:g}); {segments} segments, looked at {looks} times"
    assert (host.returncode, told["right"]) == (0, chunks)
    assert (told["shared"] >= chunks, told["fallbacks"]) == (limit > 0, 0)
    assert looks >= 5
    assert all(mib <= window + 64 for mib in grown.values()), text


def _peaks(who: dict[str, int], is_over: Callable[[float], Any]) -> tuple[dict[str, int], int, int]:
    """The most memory (bytes) that each had until it was over; how often that was looked at; how many segments there were."""
    peaks, named, looks = dict.fromkeys(who, 0), set(), 0
    while not looks or not is_over(_LOOK):
        for side, pid in who.items():
            segments = memory_of.segments(pid)
            named |= segments.keys()
            peaks[side] = max(peaks[side], memory_of.own(pid) + sum(segments.values()))
        looks += 1
    return peaks, looks, len(named)
