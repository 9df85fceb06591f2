"""On what it was measured: the machine, and the versions of all that played."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.peers import environments
from benchmarks.peers.environments import ROOT, environment
from benchmarks.peers.peer import environment_of
from benchmarks.peers.run import OURS

_OURS = ("grpcio", "protobuf", "msgspec", "numpy", "uvloop")
_ASK = "import importlib.metadata as m, json, sys; print(json.dumps([f'{n} {m.version(n)}' for n in sys.argv[1:]]))"


def circumstances() -> str:
    """One line, for a terminal."""
    return f"{interpreter()}, {', '.join(_installed(('grpcio', 'msgspec')))}; {_system()}, load {load()}"


def lines(names: Iterable[str]) -> list[str]:
    """For a page: the machine, the tree, and of each contestant's environment what is installed there. To be asked before the run."""
    found = [f"{_system()}; {_processor()}; {_memory()}", f"load (1, 5, 15 minutes) when it began: {load()}"]
    found.append(f"snakepit {_commit()} on {interpreter()}, {', '.join(_installed(_OURS))}")
    peers = sorted({environment_of(name) for name in names if name not in OURS})
    return found + [f"{name}: {', '.join(versions(name))}" for name in peers]


def versions(name: str) -> Sequence[str]:
    """What is installed in a peer's environment of what it asks for, and its Python."""
    python = environment(name)
    if python is None:
        return ["could not be installed here"]
    wanted = [re.split(r"[<>=~!]", requirement)[0] for requirement in environments.NEEDS[name][1]]
    done = subprocess.run([str(python), "-c", _ASK, *wanted], capture_output=True, encoding="utf-8", timeout=60, check=False)
    if done.returncode:
        return ["nobody knows which versions"]
    found: list[str] = json.loads(done.stdout)
    return found


def load() -> str:
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


def interpreter() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def _system() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def _processor() -> str:
    return _line("/proc/cpuinfo", "model name") or "processor unknown"


def _memory() -> str:
    kib = _line("/proc/meminfo", "MemTotal").split()
    return f"{int(kib[0]) / 1024**2:.0f} GiB" if kib else "memory unknown"


def _line(path: str, name: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(name)), "")


def _installed(names: Iterable[str]) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"without {name}")
    return found


def _commit() -> str:
    """Of the tree that was measured; its version alone where there is no git."""
    version = importlib.metadata.version("snakepit-bridge")
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    except OSError:
        return version
    return f"{version} ({done.stdout.strip()})" if done.returncode == 0 and done.stdout.strip() else version
