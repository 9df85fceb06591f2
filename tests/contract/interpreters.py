"""The ways in which the contract is run: each protocol on this interpreter, and on every other CPython that this machine has.

Interpreters are looked for on PATH, in pyenv's versions folder and in uv's; each is run, because a version manager's stand-in
lies on PATH also for versions that are switched off. One of each minor version is taken.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from snakepit.testing import MemoryPool

HERE = pathlib.Path(__file__).parent

#: The minor versions that the worker's half promises to run on.
VERSIONS = [(3, minor) for minor in range(8, 15)]
#: With CI=true, fewer than so many distinct minor versions are a failure.
WANTED = 5


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to reach workers.

    Attributes:
        name: shown by pytest.
        protocol: what the pool must say that it uses.
        settings: the pool's.
        version: of the workers' interpreter; None: this one.
        kind: of pool.
        codec: of the channel's frames.
    """

    name: str
    protocol: str
    settings: dict[str, Any]
    version: tuple[int, int] | None = None
    kind: type[snakepit.Pool] = snakepit.Pool
    codec: str = "msgpack"

    def __str__(self) -> str:
        return self.name

    def ready(self, folders: pytest.TempPathFactory) -> Way:
        """This way with its interpreter, an empty environment; skips, by name, where there is none."""
        if self.version is None:
            return self
        if self.version not in interpreters():
            pytest.skip(f"Python {self.version[0]}.{self.version[1]} is not installed")
        python = bare_environment(self.version, folders.getbasetemp() / str(self))
        return dataclasses.replace(self, settings={**self.settings, "python": python})

    @property
    def is_between(self) -> bool:
        """Is its interpreter neither the host's nor the oldest or the newest found?"""
        return self.version is not None and self.version not in (min(interpreters()), max(interpreters()))

    def pool(self, adapter: str, **settings: Any) -> snakepit.Pool:
        """A pool of this way's workers."""
        return self.kind(f"{HERE / 'contract_tools.py'}:{adapter}", **self.settings, **settings)


@functools.cache
def interpreters() -> dict[tuple[int, int], str]:
    """A CPython of each minor version, the newest patch."""
    found: dict[tuple[int, int], tuple[tuple[int, ...], str]] = {}
    for path in _candidates():
        version = _version_of(path)
        if version and version[:2] in VERSIONS and version > found.get(version[:2], ((), ""))[0]:
            found[version[:2]] = version, path
    return {minor: path for minor, (_, path) in found.items()}


def _candidates() -> Iterator[str]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for path in sorted(pathlib.Path(folder or ".").glob("python3.*")):
            if path.name.removeprefix("python3.").isdecimal():
                yield str(path)
    roots = [os.environ.get("PYENV_ROOT", ""), str(pathlib.Path.home() / ".pyenv")]
    for pattern in [f"{root}/versions/*/bin/python" for root in roots if root] + [
        str(pathlib.Path.home() / ".local/share/uv/python/*/bin/python3")
    ]:
        base = pathlib.Path("/")
        yield from (str(path) for path in sorted(base.glob(pattern.lstrip("/"))))
    yield sys.executable


@functools.cache
def _version_of(path: str) -> tuple[int, ...]:
    program = "import platform, sys; print(platform.python_implementation(), *sys.version_info[:3])"
    try:
        done = subprocess.run([path, "-I", "-c", program], capture_output=True, text=True, timeout=20, check=False)
        name, *numbers = done.stdout.split()
        return tuple(map(int, numbers)) if name == "CPython" and done.returncode == 0 else ()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ()


def bare_environment(version: tuple[int, int], folder: pathlib.Path) -> str:
    """The interpreter of a virtual environment with nothing in it."""
    if not folder.exists():
        subprocess.run([interpreters()[version], "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
    return str(folder / "bin" / "python")


STDIO = [sys.executable, "-m", "snakepit_bridge", "--stdio"]
#: For a worker that finds no MessagePack library on an interpreter that has them: Python imports its sitecustomize when it starts.
WITHOUT_MESSAGEPACK = {"PYTHONPATH": str(HERE / "without_messagepack")}

#: Every carrier and codec on this interpreter; over stdin and stdout; forked from a template; and each other interpreter, with nothing installed there.
WAYS = [
    Way("grpc-unix", "grpc", {"protocol": "grpc"}),
    Way("grpc-tcp", "grpc", {"protocol": "grpc", "base_port": 0}),
    Way("msgpack", "msgpack", {"protocol": "msgpack"}),
    Way("json", "json", {"protocol": "json"}, codec="json"),
    Way("grpc-json", "grpc", {"protocol": "grpc", "env": WITHOUT_MESSAGEPACK}, codec="json"),
    Way("stdio", "msgpack", {"command": STDIO}),
    Way("stdio-json", "json", {"command": STDIO, "env": WITHOUT_MESSAGEPACK}, codec="json"),
    Way("memory", "memory", {}, kind=MemoryPool),
    Way("template", "grpc", {"protocol": "grpc", "launcher": "template"}),
    Way("template-json", "json", {"protocol": "json", "launcher": "template"}, codec="json"),
    *(Way(f"template-3.{minor}", "json", {"launcher": "template"}, (3, minor), codec="json") for minor in (8, 13)),
    *(Way(f"bare-{major}.{minor}", "json", {}, (major, minor), codec="json") for major, minor in VERSIONS),
]
