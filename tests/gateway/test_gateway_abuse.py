"""The gateway under clients that send nonsense, too much or nothing, and that do not read: others are served, and nothing stays."""

from __future__ import annotations

import contextlib
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from abuse_helpers import MEBI, abused, until
from gateway_helpers import request
from raw_http2 import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, Raw, frame, message, opened, settings
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc.snakepit_pb2 import DESCRIPTOR

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]

_METHODS = [method.name for method in DESCRIPTOR.services_by_name["BridgeService"].methods]
_WATCH = "/grpc.health.v1.Health/Watch"
_REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def _limits(folder: Path, text: str) -> list[str]:
    file = folder / "gateway.toml"
    file.write_text(f"[limits]\n{text}\n")
    return ["--config", str(file)]


def _asked(method: str, body: bytes = b"", flags: int = END_STREAM, *, no_window: bool = False) -> bytes:
    """A whole request on a connection of its own."""
    first = settings(initial_window_size=0) if no_window else settings()
    return PREFACE + first + opened(method) + frame(DATA, message(body), flags, 1)


def test_nonsense_harms_nobody(tmp_path: Path) -> None:
    """Random bytes as HTTP/2, as frames, as headers and as messages of every method, cut short or too long: others are served as before."""
    dice = random.Random(11)
    valid = request("add", a=1, b=2).SerializeToString()
    hello = PREFACE + settings()
    wrong = [dice.randbytes(400) for _ in range(10)]
    wrong += [hello + dice.randbytes(400) for _ in range(10)]
    wrong += [hello + frame(kind, dice.randbytes(40), dice.randrange(256), dice.choice([0, 1, 2])) for kind in range(12)]
    wrong += [hello + frame(HEADERS, dice.randbytes(80), END_HEADERS, 1) for _ in range(10)]
    wrong += [(_asked("ExecuteTool", valid))[:cut] for cut in range(3, 300, 11)]
    odd: list[tuple[str, str | bytes]] = [
        ("x-snakepit-pool", b"\xff\xfe"), ("x-snakepit-retry", "{"), ("x-snakepit-affinity", "moon"), ("x-snakepit-session-ttl", "nan"),
        ("grpc-timeout", "soon"), ("grpc-timeout", "99999999H"), ("grpc-encoding", "none-such"), ("authorization", "Bearer " + "x" * 9000),
        ("x-bin", "!!"), ("content-type", "text/html"), ("Upper", "case"), ("x" * 3000, "y" * 3000), ("te", "x\ny"),
    ]  # fmt: skip
    wrong += [hello + opened("ExecuteTool", header) + frame(DATA, message(valid), END_STREAM, 1) for header in odd]
    for method in [*_METHODS, "NoSuchMethod", _WATCH, _REFLECTION, "/", "/x"]:
        wrong += [_asked(method, dice.randbytes(size)) for size in (0, 1, 7, 300)]
        wrong += [hello + opened(method) + frame(DATA, message(b"abc", said=said), END_STREAM, 1) for said in (2, 4, 2**32 - 1)]
        wrong += [hello + opened(method) + frame(DATA, message(b"abc", compressed=True), END_STREAM, 1)]
    with abused(*_limits(tmp_path, "message_bytes = 1048576")) as gateway:
        for number, data in enumerate(wrong):
            with contextlib.suppress(OSError), Raw(gateway.address, data) as client:
                if number % 3:
                    next(iter(client.frames(0.01)), None)
        with gateway.client() as stub:
            for size in (MEBI + 1, 8 * MEBI):
                with pytest.raises(grpc.RpcError) as caught:
                    stub.ExecuteTool(request("size_of", binary={"data": b"x" * size}))
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            with pytest.raises(grpc.RpcError) as caught:  # a bomb: 8 MiB in 8 KiB
                stub.ExecuteTool(request("size_of", binary={"data": bytes(8 * MEBI)}), compression=grpc.Compression.Gzip)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        gateway.is_as_before()


def test_connects_and_disconnects_leave_nothing() -> None:
    """Connections that vanish at once, as bytes, in HTTP/2 and with a request half sent, leave no descriptor and no call."""
    with abused() as gateway:
        first = [
            b"",
            PREFACE[:5],
            PREFACE + settings(),
            PREFACE + settings() + opened("ExecuteTool"),
            _asked("ExecuteStreamingTool", b"\x12\x05ticks"),
        ]
        for number in range(10_000):
            client = Raw(gateway.address, first[number % len(first)])
            client.reset() if number % 2 else client.close()
            if number % 500 == 499:
                gateway.catch_up()
        gateway.is_as_before()


def test_slow_requests_of_one_client_are_bounded_and_harm_no_other() -> None:
    """Of 500 half-open requests few may wait, the others are refused by name; small calls, of this client too, are as fast as before."""
    with abused() as gateway, gateway.client() as stub:

        def typical() -> float:
            times = []
            for _ in range(60):
                began = time.perf_counter()
                stub.ExecuteTool(request("add", a=1), timeout=10)
                times.append(time.perf_counter() - began)
            return statistics.median(times)

        before = typical()
        silent = [Raw(gateway.address, PREFACE[: number % 24]) for number in range(100)]
        slow = [Raw(gateway.address, PREFACE + settings() + opened("ExecuteTool") + frame(DATA, b"\x00", 0, 1)) for _ in range(500)]
        during = typical()
        ends = [
            any(item.kind == HEADERS and b"late_requests" in item.payload for item in client.frames(1.5 if not number else 0.02))
            for number, client in enumerate(slow)
        ]
        assert sum(ends) >= 400  # some of the frames may be cut between two reads
        assert during < 10 * before + 0.02
        for client in (*silent, *slow):
            client.reset()
        gateway.is_as_before()


def test_answers_that_nobody_reads_are_bounded(tmp_path: Path) -> None:
    """Large results for clients that do not read are held up to `client_bytes`, then refused by name; when they have gone, it is free again."""
    with abused(*_limits(tmp_path, "message_bytes = 16777216\nclient_bytes = 67108864")) as gateway:
        asked = request("blob", size=12 * MEBI).SerializeToString()
        greedy = [Raw(gateway.address, _asked("ExecuteTool", asked, no_window=True)) for _ in range(30)]
        until(lambda: gateway.stats()["succeeded"] >= 30 + 2, 20)
        told = sum(any(item.kind == HEADERS and b"client_bytes" in item.payload for item in client.frames(0.2)) for client in greedy)
        assert told >= 25  # five fit
        assert gateway.rss() < 500 * MEBI
        for client in greedy:
            client.reset()
        with gateway.client() as stub:
            assert len(until(lambda: stub.ExecuteTool(request("blob", size=12 * MEBI))).binary_result) == 12 * MEBI
        gateway.is_as_before(memory=200 * MEBI)


def test_health_that_nobody_reads_holds_up_no_drain() -> None:
    """A client that watches and never reads keeps neither the news from others nor the gateway from ending in its bound."""
    with abused() as gateway:
        watching = [Raw(gateway.address, _asked(_WATCH, no_window=True)) for _ in range(20)]
        time.sleep(0.2)
        with gateway.client() as stub:
            assert stub.Ping(pb.PingRequest(message="x"), timeout=5).message == "pong: x"
    for client in watching:
        client.close()


def test_a_hundred_streams_and_one_that_is_not_read(tmp_path: Path) -> None:
    """99 streams end while one is not read: its tool is held back, memory is bounded, and then it gets every chunk."""
    mark, count = tmp_path / "made", 20_000
    with abused() as gateway, gateway.client() as stub, gateway.client() as other:
        slow = stub.ExecuteStreamingTool(request("recorded", to=count, size=2000, mark=str(mark)), timeout=60)
        assert next(slow).chunk_id == "recorded-1"
        base = gateway.rss()

        def read(_number: int) -> int:
            return sum(1 for _ in other.ExecuteStreamingTool(request("count", to=50), timeout=50))

        with ThreadPoolExecutor(99) as threads:
            assert list(threads.map(read, range(99))) == [51] * 99
        made = len(mark.read_text().splitlines())
        assert made < count / 2
        assert gateway.rss() < base + 100 * MEBI
        rest: list[Any] = list(slow)
        assert [int(chunk.chunk_id.rpartition("-")[2]) for chunk in rest] == list(range(2, count + 2))
        gateway.is_as_before()


def test_sigterm_ends_streams_that_run_and_are_not_read() -> None:
    """With open streams, unread ones and half-open requests it ends within `drain_timeout` and two seconds."""
    with abused() as gateway:
        ticks = request("ticks").SerializeToString()
        clients = [Raw(gateway.address, _asked("ExecuteStreamingTool", ticks, no_window=bool(number % 2))) for number in range(100)]
        clients += [Raw(gateway.address, PREFACE + settings() + opened("ExecuteTool")) for _ in range(4)]
        until(lambda: gateway.stats()["running"] == 2)
    for client in clients:
        client.close()
