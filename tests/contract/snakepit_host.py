"""A stand-in for Snakepit's host, written from what is known of its wire: starts a worker as Snakepit does, and serves it the host's half.

Every byte is made and read by hand (`hand_wire`). Real processes, real gRPC; the part that is missing is Elixir.
"""

from __future__ import annotations

import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc

from hand_wire import entries, entry, fields, message, text

STRING_VALUE = "type.googleapis.com/google.protobuf.StringValue"
_SERVICE = "/snakepit.bridge.BridgeService/"


def same(data: bytes) -> bytes:
    return data


def any_of(value: Any) -> bytes:
    """A parameter as Snakepit's host sends it: raw JSON, and the name of another type."""
    return message((1, STRING_VALUE), (2, json.dumps(value)))


class SnakepitHost(grpc.GenericRpcHandler):
    """The host's service, and a client of the one worker that it has started.

    Attributes:
        told: (method, request) of all that the worker has asked, in order.
        host_tools: what it offers, by name: functions of keyword arguments.
        raw_result: in the place of their results, if it is not empty. introduction_takes: how long it takes to learn of tools (seconds).
        known_after: how much had been told when it knew the tools.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.told: list[tuple[str, bytes]] = []
        self.host_tools: dict[str, Callable[..., Any]] = {}
        self.session_valid = True
        self.raw_result = b""
        self.introduction_takes = 0.0
        self.known_after = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._answers = {
            "Ping": self._pong,
            "InitializeSession": self._session_begun,
            "RegisterTools": self._tools_registered,
            "Heartbeat": self._beaten,
            "GetExposedElixirTools": self._offered,
            "ExecuteElixirTool": self._executed,
        }
        self._server = grpc.server(futures.ThreadPoolExecutor(16))
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.channel: grpc.Channel | None = None

    # Its half of the service ------------------------------------------------------------------------------------------------

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method.removeprefix(_SERVICE)
        answer = self._answers.get(method)
        if answer is None:
            return None

        def serve(request: bytes, _context: Any) -> bytes:
            self.told.append((method, request))
            return answer(request)

        return grpc.unary_unary_rpc_method_handler(serve, request_deserializer=same, response_serializer=same)

    def _pong(self, request: bytes) -> bytes:
        return message((1, "pong: " + text(request, 1)))

    def _session_begun(self, request: bytes) -> bytes:
        return message((1, True))

    def _tools_registered(self, request: bytes) -> bytes:
        time.sleep(self.introduction_takes)
        self.known_after = len(self.told)
        return message((1, True), *((2, entry(text(tool, 1), "id")) for tool in fields(request)[2]))

    def _beaten(self, request: bytes) -> bytes:
        return message((2, self.session_valid))

    def _offered(self, request: bytes) -> bytes:
        specs = []
        for name, function in self.host_tools.items():
            names = function.__code__.co_varnames[: function.__code__.co_argcount]
            specs.append(message((1, name), (2, "of the host"), *((3, message((1, item), (2, "any"), (4, True))) for item in names)))
        return message(*((1, spec) for spec in specs))

    def _executed(self, request: bytes) -> bytes:
        given = {name: json.loads(fields(item)[2][0]) for name, item in entries(request, 3).items()}
        try:
            value = self.host_tools[text(request, 2)](**given)
        except Exception as error:
            return message((1, False), (3, str(error)))
        return message((1, True), (2, message((1, STRING_VALUE), (2, self.raw_result or json.dumps(value)))))

    # The worker -----------------------------------------------------------------------------------------------------------------

    def start(self, script: pathlib.Path, *adapter: str, **env: str) -> None:
        """Start a worker with Snakepit's arguments and environment, wait for its file, connect, and say hello."""
        ready = self.folder / "ready"
        output = (self.folder / "output").open("wb")
        config = {"dependent": True, "enabled": True, "initial_delay_ms": 0, "interval_ms": 2000, "max_missed_heartbeats": 3}
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(script),
                *adapter,
                *("--port", "0", "--elixir-address", f"127.0.0.1:{self.port}", "--snakepit-run-id", "abc1234"),
                *("--snakepit-instance-name", "tests", "--snakepit-instance-token", "token"),
            ],
            cwd=script.parent,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "SNAKEPIT_READY_FILE": str(ready),
                "SNAKEPIT_HEARTBEAT_CONFIG": json.dumps({**config, "timeout_ms": 10000}),
                "SNAKEPIT_LOG_LEVEL": "error",
                "SNAKEPIT_PROCESS_GROUP": "1",
                "PYTHONNOUSERSITE": "1",
                "PYTHONUNBUFFERED": "1",
                "OMP_NUM_THREADS": "1",
                "GRPC_POLL_STRATEGY": "poll",
                "GRPC_VERBOSITY": "ERROR",
                **env,
            },
        )
        output.close()
        port = self._port_of(ready)
        self.channel = grpc.insecure_channel(f"localhost:{port}")
        assert text(self.call("Ping", message((1, "connection_test"))), 1) == "Pong from Python: connection_test"
        answer = self.call(
            "InitializeSession", message((1, "session_1_2"), (2, entry("elixir_node", "n@h")), (3, message((1, True), (2, 60))))
        )
        assert fields(answer)[1] == [1]

    def _port_of(self, ready: pathlib.Path) -> int:
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert self.process is not None
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.01)
        written = ready.read_text()
        ready.unlink()
        assert written.isdecimal()
        return int(written)

    def output(self) -> str:
        """What the worker has printed."""
        return (self.folder / "output").read_text(errors="replace")

    def call(self, method: str, request: bytes, timeout: float = 10.0, **headers: str) -> bytes:
        """One unary call of the worker."""
        assert self.channel is not None
        ask = self.channel.unary_unary(_SERVICE + method, request_serializer=same, response_deserializer=same)
        answer: bytes = ask(request, timeout=timeout, metadata=tuple(headers.items()))
        return answer

    def execute(self, tool: str, args: dict[str, Any], binary: dict[str, bytes] | None = None, timeout: float = 10.0) -> bytes:
        """`ExecuteTool`, as Snakepit sends it."""
        return self.call("ExecuteTool", request_of(tool, args, binary), timeout, **{"x-snakepit-correlation-id": "sp-" + "0" * 24})

    def stream(self, tool: str, args: dict[str, Any], timeout: float = 10.0) -> Any:
        """`ExecuteStreamingTool`: an iterator of chunks, which can be cancelled."""
        assert self.channel is not None
        ask = self.channel.unary_stream(_SERVICE + "ExecuteStreamingTool", request_serializer=same, response_deserializer=same)
        return ask(request_of(tool, args, stream=True), timeout=timeout)

    def telemetry(self) -> tuple[Callable[[bytes], None], Iterator[bytes]]:
        """(what sends a control message, the events that come)."""
        assert self.channel is not None
        controls: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        ask = self.channel.stream_stream(_SERVICE + "StreamTelemetry", request_serializer=same, response_deserializer=same)
        events = ask(iter(controls.get, None))
        opened = threading.Event()
        threading.Thread(target=lambda: (events.initial_metadata(), opened.set())).start()
        assert opened.wait(5), "no initial metadata"
        return controls.put, events

    def terminate(self) -> tuple[int, float]:
        """SIGTERM to the worker's group: (its exit code, the seconds it took)."""
        assert self.process is not None
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGTERM)
        return self.process.wait(6), time.monotonic() - began

    def close(self) -> None:
        """End everything."""
        if self.channel is not None:
            self.channel.close()
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            assert self.process.stdin is not None
            self.process.stdin.close()
        self._server.stop(0).wait(5)


def request_of(tool: str, args: dict[str, Any], binary: dict[str, bytes] | None = None, *, stream: bool = False) -> bytes:
    """An `ExecuteToolRequest` of the session of this worker."""
    return message(
        (1, "session_1_2"),
        (2, tool),
        *((3, entry(name, any_of(value))) for name, value in args.items()),
        (4, entry("correlation_id", "sp-" + "0" * 24)),
        *(((5, True),) if stream else ()),
        *((6, entry(name, data)) for name, data in (binary or {}).items()),
    )
