"""A stand-in for Snakepit's own Python worker, written from what is known of its wire: bytes by hand, threads, no soft cancel.

Run as a program with Snakepit's arguments and environment. Like the real one it dials the host for each new session, registers its tools
then, and leaves a cancelled tool running. What it is asked, and what its host answers, it writes into the file `WIRE_RECORD`, if that is set.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc

sys.path.insert(0, str(Path(__file__).parent))

from hand_wire import entries, entry, fields, message, text

STRING_VALUE = "type.googleapis.com/google.protobuf.StringValue"
_SERVICE = "/snakepit.bridge.BridgeService/"
_TOOLS = ("add", "fail", "size", "ask", "where", "sleep", "count", "odd", "broken", "crash")


def same(data: bytes) -> bytes:
    return data


class Worker(grpc.GenericRpcHandler):
    def __init__(self, host: str) -> None:
        self._host = grpc.insecure_channel(host)
        self._introduced: set[str] = set()
        self._events: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def ask(self, method: str, request: bytes) -> bytes:
        call = self._host.unary_unary(_SERVICE + method, request_serializer=same, response_deserializer=same)
        answer: bytes = call(request, timeout=5)
        self.record("answered", method, answer)
        return answer

    def record(self, what: str, method: str, data: bytes, headers: Any = ()) -> None:
        path = os.environ.get("WIRE_RECORD")
        if path:
            line = json.dumps([what, method, data.hex(), {key: value for key, value in headers if isinstance(value, str)}])
            with self._lock, Path(path).open("a") as file:
                file.write(line + "\n")

    def service(self, handler_call_details: Any) -> Any:
        handler = self.handler(handler_call_details)
        method, headers = handler_call_details.method.removeprefix(_SERVICE), handler_call_details.invocation_metadata

        def kept(data: bytes) -> bytes:
            self.record("asked", method, data, headers)
            return data

        return handler and handler._replace(request_deserializer=kept)

    def handler(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method.removeprefix(_SERVICE)
        if method == "ExecuteStreamingTool":
            return grpc.unary_stream_rpc_method_handler(self.stream, request_deserializer=same, response_serializer=same)
        if method == "StreamTelemetry" and os.environ.get("WIRE_TELEMETRY") != "none":
            return grpc.stream_stream_rpc_method_handler(self.telemetry, request_deserializer=same, response_serializer=same)
        answers = {
            "Ping": lambda request, _: message((1, "Pong from Python: " + text(request, 1))),
            "InitializeSession": self.begin_session,
            "CleanupSession": self.end_session,
            "Heartbeat": lambda request, _: self.ask("Heartbeat", request),
            "ExecuteTool": self.execute,
        }
        if method not in answers:
            return None
        return grpc.unary_unary_rpc_method_handler(answers[method], request_deserializer=same, response_serializer=same)

    def begin_session(self, request: bytes, _context: Any) -> bytes:
        refused = b"refused" in request  # by the session's metadata
        return message((1, not refused), *([(2, "no room for it")] if refused else []))

    def end_session(self, _request: bytes, context: Any) -> bytes:
        if os.environ.get("WIRE_CLEANUP") == "none":
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "never heard of it")
        return message((1, True))

    def introduce(self, session_id: str) -> None:
        with self._lock:
            if session_id in self._introduced:
                return
            self._introduced.add(session_id)
        assert fields(self.ask("InitializeSession", message((1, session_id))))[1] == [1]
        tools = [message((1, name), (2, "of a foreign worker"), (5, name in ("count", "odd", "broken"))) for name in _TOOLS]
        answer = self.ask("RegisterTools", message((1, session_id), *((2, tool) for tool in tools), (3, "python-1")))
        assert fields(answer)[1] == [1]

    def execute(self, request: bytes, _context: Any) -> bytes:
        session_id, tool = text(request, 1), text(request, 2)
        self.introduce(session_id)
        args = {name: json.loads(fields(item)[2][0]) for name, item in entries(request, 3).items()}
        try:
            value = self.run(session_id, tool, args, entries(request, 6))
        except Exception as error:
            told = {"type": type(error).__name__, "message": str(error), "stacktrace": ["Traceback: here"], "context": {"tool_name": tool}}
            return message((1, False), (3, json.dumps(told)))
        if tool == "answer":
            return value
        return message((1, True), (2, message((1, "type.googleapis.com/snakepit.map"), (2, json.dumps(value)))), (5, 7))

    def run(self, session_id: str, tool: str, args: dict[str, Any], binary: dict[str, bytes]) -> Any:
        if tool == "add":
            return (args["a"] + args["b"]) * args.get("times", 1)
        if tool == "fail":
            raise LookupError("not here")
        if tool == "size":
            return len(binary["data"])
        if tool == "answer":  # with these bytes
            return binary["data"]
        if tool == "where":
            return {"session": session_id, "pid": os.getpid(), "ready": os.environ["SNAKEPIT_READY_FILE"], "args": sys.argv[1:]}
        if tool == "sleep":
            Path(args["mark"]).touch()
            time.sleep(args["seconds"])
            return "slept"
        if tool == "emit":
            for number in range(args["count"]):
                self._events.put(event_of(args["name"], number))
            return "emitted"
        if tool == "crash":
            os._exit(9)
        if tool == "ask":
            request = message(
                (1, session_id),
                (2, args["name"]),
                (
                    3,
                    entry(
                        "number",
                        message(
                            (1, args.get("type_url", STRING_VALUE)), (2, json.dumps(args.get("letter", "") * 2_000_000 or args["number"]))
                        ),
                    ),
                ),
            )
            offered = [text(item, 1) for item in fields(self.ask("GetExposedElixirTools", message((1, session_id)))).get(1, ())]
            answer = self.ask("ExecuteElixirTool", request)
            if 1 not in fields(answer):
                raise RuntimeError(text(answer, 3))
            return {"offered": offered, "value": json.loads(fields(fields(answer)[2][0])[2][0])}
        raise AttributeError(f"no tool {tool}")

    def telemetry(self, controls: Any, context: Any) -> Any:
        """Metadata at once, events from the first control on; a silent server sends neither."""
        if os.environ.get("WIRE_TELEMETRY") == "silent":
            threading.Event().wait()
        context.send_initial_metadata(())
        next(controls)
        threading.Thread(target=list, args=(controls,), daemon=True).start()
        while True:
            yield self._events.get()

    def stream(self, request: bytes, context: Any) -> Any:
        self.introduce(text(request, 1))
        tool = text(request, 2)
        args = {name: json.loads(fields(item)[2][0]) for name, item in entries(request, 3).items()}
        if tool == "broken":
            yield message((1, "broken-1"), (2, b'{"n":0}'))
            context.abort(grpc.StatusCode.INTERNAL, json.dumps({"type": "ValueError", "message": "in the middle"}))
        if tool == "chunk":  # of these bytes
            yield entries(request, 6)["data"]
            return
        if tool == "odd":
            yield message((1, "odd-1"), (2, b"\x00raw"))
            yield message((1, "odd-2"), (2, b"[1,2]"), (4, entry("kind", "list")))
            yield message((1, "odd-3"), (2, b'{"last":1}'), (3, True), (4, entry("kind", "best")))
            return
        for number in range(args["count"]):
            yield message((1, f"{tool}-{number + 1}"), (2, json.dumps({"n": number, "pad": "x" * args.get("pad", 0)})))
        yield message((1, f"{tool}-{args['count'] + 1}"), (3, True))


def event_of(name: str, number: int) -> bytes:
    """A TelemetryEvent with a value of each of the three kinds."""
    values = {"number": message((1, number)), "ratio": message((2, 0.5)), "unit": message((3, "ms"))}
    parts = [(1, part) for part in name.split(".")]
    measurements = [(2, entry(key, value)) for key, value in values.items()]
    return message(*parts, *measurements, (3, entry("tool", "emit")), (4, 1_700_000_000_500_000_000), (5, "sp-1"))


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("--adapter", "--port", "--elixir-address", "--snakepit-run-id"):
        parser.add_argument(option)
    options = parser.parse_args()
    worker = Worker(options.elixir_address)
    assert text(worker.ask("Ping", message((1, "connection_test"))), 1) == "pong: connection_test"
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((worker,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ready = Path(os.environ["SNAKEPIT_READY_FILE"])
    ready.with_suffix(".tmp").write_text(str(port))
    ready.with_suffix(".tmp").rename(ready)
    print("a word of the foreign worker", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
