"""The gateway (`snakepit serve`) answering a bare client of `snakepit.bridge.BridgeService`, beside a bare grpc.aio server.

Three processes against two: the client, the gateway, the worker behind it. Both are reached by a unix socket.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks import faces
from benchmarks.contest import ROOT, Contestant, Play, in_turn, on_loop
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan, bridge_worker


def run(plan: Plan) -> Iterator[Row]:
    with Contestant(chunks) as ours, Contestant(faces.plain_chunks) as theirs:
        gateway, plain = in_turn(plan.rounds, ours, theirs, args=(plan.size(30_000, 10_000),))
    yield Row("gateway, stream", "chunks/s", gateway, plain, Bar(0.5, at_least=True, of_ratio=True))
    with Contestant(latency) as ours, Contestant(faces.plain_latency) as theirs:
        gateway, plain = in_turn(plan.rounds * plan.size(3, 1), ours, theirs, args=(plan.size(500, 200),))
    yield Row("gateway, call p50", "ms", gateway, plain, Bar(2.5, of_ratio=True))


@contextlib.contextmanager
def chunks() -> Iterator[Play]:
    with _gateway() as address, on_loop(bridge_worker.Client(address)) as (runner, stub):
        yield lambda count: runner.run(bridge_worker.chunk_rate_of(stub, count))


@contextlib.contextmanager
def latency() -> Iterator[Play]:
    with _gateway() as address, on_loop(bridge_worker.Client(address)) as (runner, stub):
        yield lambda calls: runner.run(faces.median_of(calls, lambda: stub.ExecuteTool(bridge_worker.echo_request())))


@contextlib.contextmanager
def _gateway() -> Iterator[str]:
    """A running gateway's address."""
    with tempfile.TemporaryDirectory(prefix="gateway-") as folder:
        command = [sys.executable, "-m", "snakepit", "serve", "--adapter", TOOLS, "--size", "1", "--address", f"unix:{folder}/s", "--json"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError("the gateway did not start; its last words are above")
                yield json.loads(line)["address"]
            finally:
                process.terminate()
