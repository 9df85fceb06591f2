"""After any amount of work there is as much of everything as before it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from promise_figures import measured, often

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")]

_HOST = str(pathlib.Path(__file__).with_name("leaking_host.py"))
_MIB = 1024 * 1024
#: How often each kind of work is done: as stated, and in `make test`.
TIMES = {"chunks": (5_000_000, 300_000), "streams": (10_000, 300), "calls": (100_000, 4_000)}


@pytest.mark.parametrize("protocol", ["msgpack", "grpc"])
@pytest.mark.parametrize("what", TIMES)
def test_nothing_is_left_of_work(tools: str, tmp_path: pathlib.Path, what: str, protocol: str) -> None:
    """Memory comes back to what it was; no process, zombie, thread, task, descriptor, file or piece of shared memory is added."""
    times = often(*TIMES[what])
    command = [sys.executable, _HOST, f"{tools}:Counting", what, str(times), protocol]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    told = json.loads(done.stdout)
    before, after = told["before"].pop("pss"), told["after"].pop("pss")
    assert {kind: (told["before"][kind], found) for kind, found in told["after"].items() if found != told["before"][kind]} == {}
    grown = {name: (after[name] - held) / _MIB for name, held in before.items()}
    text = ", ".join(f"{name} {mib:+.1f} MiB" for name, mib in grown.items())
    measured.append(f"{times:,} {what} over {protocol}: {text}")
    may_grow = {name: max(0.05 * held, 8 * _MIB) / _MIB for name, held in before.items()}
    assert all(grown[name] <= may_grow[name] for name in grown), text
    assert sum(grown.values()) <= max(0.05 * sum(before.values()), 8 * _MIB) / _MIB, text
