"""A gateway in a process of its own, measured from outside."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import psutil

from gateway_helpers import request
from snakepit.cli.hosts import look
from snakepit_bridge.grpc import snakepit_pb2_grpc
from test_serve_command import _TOOLS, serving

MEBI = 1024 * 1024


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `condition` gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.02)
    return found


class Outside:
    """One gateway process: what it has, and that it serves."""

    def __init__(self, process: subprocess.Popen[str], address: str, size: int) -> None:
        self.process, self.address = process, address
        self._seen = psutil.Process(process.pid)
        with self.client() as stub:
            # Each worker serves: what it shares with its host is agreed on and mapped with its first calls.
            for future in [stub.ExecuteTool.future(request("nap", seconds=0.3), timeout=20) for _ in range(2 * size)]:
                future.result()
            list(stub.ExecuteStreamingTool(request("count", to=10), timeout=20))
        self._fds = self._seen.num_fds()
        self._rss, self._threads = self.rss(), self._seen.num_threads()

    def rss(self) -> int:
        """Memory (bytes)."""
        return int(self._seen.memory_info().rss)

    def cpu(self) -> tuple[float, float]:
        """Time that it has computed: its own, the kernel's for it (seconds)."""
        return self._seen.cpu_times()[:2]

    @contextlib.contextmanager
    def client(self, *headers: tuple[str, str]) -> Iterator[Any]:
        """A client over a connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(self.address, options=options) as channel:
            yield snakepit_pb2_grpc.BridgeServiceStub(channel)

    def stats(self) -> dict[str, Any]:
        """What its pool says of itself."""
        return dict(look(self.process.pid).pools[0]["stats"])

    def catch_up(self) -> None:
        """Return once it has served a call that came after all else: what waits at it takes memory that it keeps."""
        with self.client() as stub:
            assert stub.ExecuteTool(request("add", a=2), timeout=10).result.value == b"3"

    def is_idle(self) -> bool:
        """No call runs or waits."""
        told = look(self.process.pid).pools[0]
        return not told["stats"]["running"] and not told["queue"]["waiting"]

    def is_as_before(self, *, memory: int = 64 * MEBI) -> None:
        """It serves, no call has stayed, and descriptors, threads and memory are near where they were."""
        self.catch_up()
        until(self.is_idle)
        until(lambda: self._seen.num_fds() <= self._fds + 2, 15)
        assert self._seen.num_threads() <= self._threads + 16  # gRPC's event engine has up to 16 by its load
        assert self.rss() <= self._rss + memory


@contextlib.contextmanager
def abused(*words: str, size: int = 2) -> Iterator[Outside]:
    """A gateway that must end well on SIGTERM whatever was done to it, and have said nothing of failures of its own."""
    with serving("--adapter", _TOOLS, "--size", str(size), "--drain-timeout", "2", *words) as (process, address):
        yield Outside(process, address, size)
        process.stderr.reconfigure(errors="replace")  # type: ignore[union-attr] # gRPC shows the bytes that it did not understand
        began = time.monotonic()
        process.terminate()
        _, said = process.communicate(timeout=20)
        assert (process.returncode, time.monotonic() - began < 2 + 2) == (0, True)
        assert "Traceback" not in said, said[-3000:]
