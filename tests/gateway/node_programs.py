"""Programs for Node.js that tests of the gateway run: those in the folder `node`, and pages' own, with the npm packages that they need."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import subprocess
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from google.protobuf import any_pb2, descriptor_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

_HERE = pathlib.Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
PROTO = _ROOT / "proto" / "snakepit_bridge" / "grpc" / "snakepit.proto"
#: How long a program may take for a line, or to end (seconds).
_PATIENCE = 40.0


class NodeProgram:
    """A program that runs. It writes JSON lines, and may be told something."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def answer(self) -> Any:
        """The next line that it writes."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            line = await self._process.stdout.readline()
        assert line, "the program has ended"
        return json.loads(line)

    async def answers(self) -> list[Any]:
        """All that it has still to write; it ends by itself, and well."""
        async with asyncio.timeout(_PATIENCE):
            rest, _ = await self._process.communicate()
        assert self._process.returncode == 0
        return [json.loads(line) for line in rest.splitlines()]

    async def tell(self, word: str) -> None:
        """Write a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        await self._process.stdin.drain()


class Node(NamedTuple):
    """Node.js with its gRPC client.

    Attributes:
        binary: of node. modules: the folder of the npm packages. standard: descriptors of health, reflection and rich statuses.
    """

    binary: str
    modules: str
    standard: pathlib.Path

    @classmethod
    def installed(cls, folder: pathlib.Path) -> Node:
        """Skips by name where it cannot be installed, but fails in CI."""
        script = _ROOT / "scripts" / "install-node-client.sh"
        done = subprocess.run(["sh", str(script)], capture_output=True, text=True, timeout=280, check=False)
        if done.returncode:
            if os.environ.get("CI"):
                pytest.fail(done.stderr)
            pytest.skip(done.stderr.strip())
        standard = folder / "standard.bin"
        standard.write_bytes(_standard().SerializeToString())
        return cls(*done.stdout.splitlines()[-2:], standard)

    @contextlib.asynccontextmanager
    async def running(self, program: str, address: str, **asked: Any) -> AsyncIterator[NodeProgram]:
        """One of the programs in `node`, killed at the end of the block if it has not ended."""
        told = {"address": address, "proto": str(PROTO), "standard": str(self.standard), **asked}
        process = await asyncio.create_subprocess_exec(
            self.binary,
            str(_HERE / "node" / f"{program}.js"),
            json.dumps(told),
            env={**os.environ, "NODE_PATH": self.modules},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield NodeProgram(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def printed(self, program: pathlib.Path) -> list[str]:
        """All lines of a program that stands elsewhere, run in its own folder; it ends by itself, and well."""
        environment = {**os.environ, "NODE_PATH": self.modules, "NO_COLOR": "1"}
        command = [self.binary, str(program)]
        process = await asyncio.create_subprocess_exec(*command, cwd=program.parent, env=environment, stdout=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(_PATIENCE):
                printed, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        assert process.returncode == 0
        return printed.decode().splitlines()

    async def answers(self, program: str, address: str, **asked: Any) -> list[Any]:
        """All that a program writes."""
        async with self.running(program, address, **asked) as it:
            return await it.answers()


def _standard() -> descriptor_pb2.FileDescriptorSet:
    files = descriptor_pb2.FileDescriptorSet()
    for module in (any_pb2, duration_pb2, status_pb2, error_details_pb2, health_pb2, reflection_pb2):
        module.DESCRIPTOR.CopyToProto(files.file.add())
    return files
