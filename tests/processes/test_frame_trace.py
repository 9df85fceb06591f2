"""Frames in the log: which ones, what a line says, and that it says no secret."""

from __future__ import annotations

import logging
import pathlib

import pytest

import snakepit
from pool_helpers import TOOLS, finished, script, wait_until
from snakepit._channel.connection import Connection
from snakepit._channel.frame_trace import FrameTrace, TracedConnection
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.wire import frames as frames_of_the_wire
from snakepit_bridge.wire.codecs import codec_named

pytestmark = pytest.mark.usefixtures("leaves_nothing")


ASKING = """
from snakepit_bridge.base_adapter import BaseAdapter, tool

class Asking(BaseAdapter):
    @tool
    def ask(self, n: int) -> int:
        return self.host_tools["double"](n)
"""


@pytest.fixture
def frames(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged of frames."""
    caplog.set_level(logging.DEBUG, "snakepit.frames")
    return caplog


def lines(frames: pytest.LogCaptureFixture, call: int) -> list[str]:
    """The lines about one call, without the size."""
    found = [record.getMessage() for record in frames.records if record.name == "snakepit.frames"]
    return [" ".join(word for word in line.split(" ") if not word.startswith("size=")) for line in found if f" call={call} " in line]


@pytest.mark.parametrize("protocol", ["grpc", "msgpack", "json"])
def test_one_call_is_followed(frames: pytest.LogCaptureFixture, protocol: str) -> None:
    """By its number: each of its frames, both ways, and none of another call; the ids are in the records."""
    with snakepit.Pool(TOOLS, size=1, protocol=protocol, trace_frames="2") as pool:
        assert [pool.execute("add", {"a": number}) for number in (1, 2, 3)] == [2, 3, 4]
    told = lines(frames, 2)
    assert told[0] == "-> worker-1 call call=2 'add' {'a': 2}"
    assert told[1].startswith("<- worker-1 result call=2 3 {")
    assert (len(told), lines(frames, 1), lines(frames, 3), lines(frames, 0)) == (2, [], [], [])
    (sent, got) = (record for record in frames.records if record.name == "snakepit.frames")
    assert sent.correlation_id == got.correlation_id  # type: ignore[attr-defined]
    assert sent.correlation_id.endswith("-2")  # type: ignore[attr-defined]
    assert sent.worker_id == "worker-1"  # type: ignore[attr-defined]


def test_a_star_follows_everything(frames: pytest.LogCaptureFixture) -> None:
    """Streams with their chunks and credit, and what belongs to no call."""
    with snakepit.Pool(TOOLS, size=1, trace_frames="*", window_chunks=1) as pool:
        assert list(pool.stream("count", {"n": 2}).values()) == [{"n": 0}, {"n": 1}]
    kinds = [line.split(" ")[2] for line in lines(frames, 1)]
    assert kinds[0] == "call"
    assert {"chunk", "credit"} <= set(kinds)
    assert kinds[-1] in ("result", "credit")
    assert {line.split(" ")[2] for line in lines(frames, 0)} >= {"hello", "drain"}


def test_what_travels_in_pieces_is_told_as_pieces(frames: pytest.LogCaptureFixture) -> None:
    """A large call and its large result: the sizes, and which piece is the last."""
    with snakepit.Pool(TOOLS, size=1, trace_frames=["1"]) as pool:
        assert pool.execute("echo", {"value": "x" * 700_000}) == "x" * 700_000
    assert [line for line in lines(frames, 1) if "piece" in line] == [
        f"{way} worker-1 piece call=1 {which}" for way in ("->", "<-") for which in ("more follow", "more follow", "the last")
    ]


def test_payloads_are_masked_and_bounded(frames: pytest.LogCaptureFixture) -> None:
    """What has a secret's name, looks like a secret or is known as one is not shown; long texts, bytes and lists are cut short."""
    key = "AKIAIOSFODNN7EXAMPLE"
    value = {"password": "hunter2 in full", "note": f"use {key}", "text": "y" * 5_000, "raw": b"12345", "many": list(range(100))}
    nested = {"password": ["not for", {"anybody": "to see"}]}
    with snakepit.Pool(TOOLS, size=1, trace_frames="*") as pool:
        pool.execute("echo", {"value": value})
        pool.execute("echo", {"value": ["hunter2 in full"]})  # known from the call before, for a while
        pool.execute("echo", {"value": nested})
    sent = lines(frames, 1)[0]
    assert "'password': '***'" in sent
    assert "'text': '<str(5000)>'" in sent
    assert "'raw': '<bytes(5)>'" in sent
    assert "[0, 1, 2, 3, 4, 5, 6, 7, '... 92 more']" in sent
    told = "\n".join(record.getMessage() for record in frames.records)
    assert "hunter2" not in told
    assert key not in told
    assert "anybody" not in told
    assert "to see" not in told
    assert max(map(len, told.splitlines())) < 400


def test_host_tools_belong_to_the_call_that_uses_them(frames: pytest.LogCaptureFixture, tmp_path: pathlib.Path) -> None:
    """What a followed call asks of the host is followed too, under the same correlation id."""
    path = tmp_path / "asking.py"
    path.write_text(ASKING)
    with snakepit.Pool(path, size=1, trace_frames="1") as pool:
        pool.register_tool(lambda n: 2 * n, name="double")
        assert pool.execute("ask", {"n": 4}) == 8
    told = [record for record in frames.records if record.name == "snakepit.frames"]
    assert [record.getMessage().split(" ")[2] for record in told] == ["call", "host_call", "result", "result"]
    assert len({record.correlation_id for record in told}) == 1  # type: ignore[attr-defined]


def test_off_is_the_plain_connection() -> None:
    """A pool that traces nothing has none of it on the way of its frames."""
    for setting, kind in ((None, Connection), ("", Connection), ("7", TracedConnection)):
        with snakepit.Pool(TOOLS, size=1, trace_frames=setting) as pool:
            engine = pool._engine
            assert engine is not None
            (worker,) = engine.workers()
            wait_until(lambda worker=worker: worker._connection is not None, "the channel")
            assert type(worker.connection) is kind


@pytest.mark.slow
def test_the_environment_chooses_too() -> None:
    """`SNAKEPIT_TRACE_FRAMES` traces a program that knows nothing of it, to stderr where no logging is set up; nonsense is refused."""
    program = """
        import snakepit
        with snakepit.Pool(size=1) as pool:
            print(pool.execute("compute", {"operation": "add", "a": 2, "b": 3}))
        """
    code, out, err = finished(script(program, SNAKEPIT_TRACE_FRAMES="*"))
    assert (code, out) == (0, "5\n")
    assert "DEBUG snakepit.frames" in err
    assert "-> worker-1 call call=1 " in err
    code, _, err = finished(script(program, SNAKEPIT_TRACE_FRAMES="seven"))
    assert code == 1
    assert "SNAKEPIT_TRACE_FRAMES is 'seven'; allowed is '*', the number of a call" in err


@pytest.mark.parametrize("value", ["seven", 7.5, ["*", "a b"], [None], True])
def test_what_can_be_no_call_is_refused(value: object) -> None:
    """When the pool is made, with what is allowed."""
    with pytest.raises(snakepit.ConfigurationError, match="trace_frames is .*; allowed is '\\*', the number of a call"):
        snakepit.Pool(trace_frames=value)  # type: ignore[arg-type]


def test_calls_that_have_ended_are_forgotten() -> None:
    """A trace remembers the calls that it follows until their end; of those whose end it does not see, the newest."""
    codec = codec_named("json")
    trace = FrameTrace("*", "worker-1", Redactor(), tuple)
    trace.begins(1, "run-1")
    trace.message("<-", codec.encode([[frames_of_the_wire.RESULT, 1, None, {}]]), codec)
    assert trace._followed == {}
    for number in range(5_000):
        trace.begins(number, f"run-{number}")
    assert list(trace._followed) == list(range(5_000 - 4_096, 5_000))


def test_what_is_no_frame_is_told_and_no_fault(frames: pytest.LogCaptureFixture) -> None:
    """A message that cannot be read is described; the multiplexer says what is wrong with it."""
    trace = FrameTrace("*", "worker-1", Redactor(), tuple)
    for data in (b"nonsense", b"7", b"[7]", b"[[]]", b"[[27, 1]]"):
        trace.message("<-", data, codec_named("json"))
    texts = [record.getMessage() for record in frames.records]
    assert len(texts) == 5
    assert all(text.startswith("<- worker-1 ") and "bytes that are no frames: " in text for text in texts)
