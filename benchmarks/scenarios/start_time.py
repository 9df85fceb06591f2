"""From `Pool(..., size=2)` to the first result, beside the start of a bare interpreter that imports what a channel needs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks.contest import ROOT
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

_OURS = f"""
import time, snakepit
began = time.perf_counter()
with snakepit.Pool({TOOLS!r}, size=2) as pool:
    pool.execute("echo", {{"value": {{}}}})
    print(time.perf_counter() - began)
"""
_BARE = "import asyncio, grpc.aio, msgspec"


def run(plan: Plan) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="bytecode-") as folder:
        environment = _with_bytecode(folder)
        rounds = [(_first_result(environment), _bare_start(environment)) for _ in range(plan.rounds + 1)]
    ours, bare = zip(*rounds[1:], strict=True)
    yield Row("Pool(size=2) to first result", "ms", ours, bare, Bar(3, of_ratio=True))


def _with_bytecode(folder: str) -> dict[str, str]:
    """Compiled modules are kept, as they are for an installed package, whatever the tree or the environment say of it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": folder}


def _first_result(environment: dict[str, str]) -> float:
    """Measured inside a fresh interpreter that has imported the library."""
    done = subprocess.run([sys.executable, "-c", _OURS], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    return float(done.stdout) * 1e3


def _bare_start(environment: dict[str, str]) -> float:
    """From the start of the process to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _BARE], cwd=ROOT, env=environment, check=True)
    return (time.perf_counter() - began) * 1e3
