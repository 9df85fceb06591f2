"""`max_payload` on every protocol: what is too large is refused by name before it leaves, and nothing else comes to harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
import snakepit.testing
from payload_tools import Keeping, PayloadTools, made
from pool_helpers import wait_until
from snakepit._channel.connection import Connection
from snakepit.errors import PayloadTooLarge, WorkerCrashed
from snakepit_bridge.wire.codecs import codec_named

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

LIMIT = 1024 * 1024
KINDS = ("text", "bytes")
WAYS = ["msgpack", "json", "grpc", "memory"]


@pytest.fixture(scope="module", params=WAYS)
def pool(request: pytest.FixtureRequest) -> Iterator[snakepit.Pool]:
    """One worker, which has to last."""
    if request.param == "memory":
        made = snakepit.testing.MemoryPool(PayloadTools, size=1, max_payload=LIMIT)
    else:
        made = snakepit.Pool(PayloadTools, size=1, protocol=request.param, max_payload=LIMIT)
    with made:
        worker = made.workers()[0].id
        yield made
        assert [item.id for item in made.workers()] == [worker]


def most(pool: snakepit.Pool, kind: str, wrap: Callable[[Any], Any] = lambda value: value) -> int:
    """How many letters, or bytes, `wrap` of them may have."""
    codec = codec_named(pool.workers()[0].info().codec)
    size = LIMIT - 1000
    return size + LIMIT - len(codec.pack_value(wrap(made(kind, size))))


def facts(error: PayloadTooLarge) -> tuple[Any, ...]:
    return error.code, error.details["what"], error.details["size"], error.details["max_payload"], error.details["tool"]


@pytest.mark.parametrize("kind", KINDS)
def test_arguments(pool: snakepit.Pool, kind: str) -> None:
    """Up to the limit they arrive; a byte more, and the caller is told how large they are, how large they may be, and what helps."""
    count = most(pool, kind, lambda value: {"value": value})
    assert pool.execute("size", {"value": made(kind, count)}) == count
    with pytest.raises(PayloadTooLarge) as caught:
        pool.execute("size", {"value": made(kind, count + 1)})
    assert facts(caught.value) == ("payload_too_large", "arguments", LIMIT + 1, LIMIT, "size")
    assert f"the arguments of 'size' have {LIMIT + 1} bytes, and max_payload is {LIMIT}" in str(caught.value)
    assert "raise max_payload" in caught.value.hint
    with pytest.raises(PayloadTooLarge, match="the arguments of 'size'"):
        pool.execute("size", {"value": [made(kind, LIMIT // 2)] * 3})
    with pytest.raises(PayloadTooLarge, match="the arguments of 'chunks'"):
        next(iter(pool.stream("chunks", {"kind": kind, "counts": [made(kind, 2 * LIMIT)]})))


@pytest.mark.parametrize("kind", KINDS)
def test_a_result(pool: snakepit.Pool, kind: str) -> None:
    """Up to the limit it arrives; a byte more ends the call, and its worker serves on."""
    count = most(pool, kind)
    assert pool.execute("give", {"kind": kind, "count": count}) == made(kind, count)
    with pytest.raises(PayloadTooLarge, match=f"the result of 'give' has {LIMIT + 1} bytes, and max_payload is {LIMIT}") as caught:
        pool.execute("give", {"kind": kind, "count": count + 1})
    assert facts(caught.value) == ("payload_too_large", "result", LIMIT + 1, LIMIT, "give")
    assert "yield it in parts" in caught.value.hint
    assert pool.execute("give", {"kind": kind, "count": 3}) == made(kind, 3)


@pytest.mark.parametrize("tool", ["chunks", "chunks_later"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk(pool: snakepit.Pool, kind: str, tool: str) -> None:
    """Those before it arrive, whatever they have together; the one that is too large ends the stream by its number."""
    count = most(pool, kind)
    found = []
    with pytest.raises(PayloadTooLarge, match=f"chunk 3 of '{tool}' has {LIMIT + 1} bytes, and max_payload is {LIMIT}") as caught:
        found.extend(len(value) for value in pool.stream(tool, {"kind": kind, "counts": [count] * 3 + [count + 1, 5]}).values())
    assert facts(caught.value) == ("payload_too_large", "chunk", LIMIT + 1, LIMIT, tool)
    assert caught.value.details["chunk"] == 3
    assert [len(value) for value in pool.stream(tool, {"kind": kind, "counts": [count, 1]}).values()] == [count, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_host_tools(pool: snakepit.Pool, kind: str) -> None:
    """Arguments, results and items: the tool is told, and can go on."""

    def twin(value: Any, wanted: int) -> Any:
        return made(kind, wanted)

    def parts(value: Any, wanted: int) -> Iterator[Any]:
        yield made(kind, 5)
        yield made(kind, wanted)

    given = most(pool, kind, lambda value: {"args": [value, LIMIT], "kwargs": {}})
    count = most(pool, kind)
    for function, whole, what in ((twin, count, "result"), (parts, [5, count], "chunk")):
        pool.register_tool(function)
        ask = {"name": function.__name__, "kind": kind}
        assert pool.execute("ask", {**ask, "given": given - 10, "wanted": count}) == whole
        code, message = pool.execute("ask", {**ask, "given": given + 10, "wanted": 1})
        assert code == "payload_too_large"
        assert message.startswith("the arguments have ")
        code, message = pool.execute("ask", {**ask, "given": 1, "wanted": count + 1})
        assert code == "payload_too_large"
        assert message.startswith(f"the {what} has {LIMIT + 1} bytes, and max_payload is {LIMIT}: raise max_payload")
        pool.unregister_tool(function)


def test_other_calls_of_the_worker_go_on() -> None:
    """Of several calls on one worker, one with a result that is too large fails alone; a session's first call with too much harms it not."""
    with snakepit.Pool(PayloadTools, size=1, profile="thread", threads_per_worker=2, max_payload=LIMIT) as pool:
        waiting = pool.submit("wait")
        with pytest.raises(PayloadTooLarge):
            pool.execute("give", {"kind": "bytes", "count": 2 * LIMIT})
        with pool.session("s", metadata={"who": "me"}) as session:
            for value in ("x" * 2 * LIMIT, ["x" * 2 * LIMIT]):
                with pytest.raises(PayloadTooLarge):
                    session.execute("size", {"value": value})
            assert session.execute("size", {"value": "xyz"}) == 3
        pool.execute("release")
        assert waiting.result(20) == "undisturbed"


def test_who_is_plainly_too_large_does_not_wait_for_a_worker() -> None:
    """The only worker is busy, and the caller has its error all the same."""
    with snakepit.Pool(PayloadTools, size=1, max_payload=LIMIT) as pool:
        waiting = pool.submit("wait")
        with pytest.raises(PayloadTooLarge, match="the arguments of 'size'"):
            pool.execute("size", {"value": bytes(2 * LIMIT)}, timeout=10)
        assert not waiting.done()
        waiting.cancel()


@pytest.mark.parametrize("protocol", ["msgpack", "json", "grpc"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_does_not_look_breaks_the_protocol(protocol: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not been told of the limit, as an older one would ignore it: its call fails, and another worker takes its place."""

    def untold(self: Connection, threshold: int, shared_memory: int, max_payload: int, **_: Any) -> None:
        self._mux.limit(max_payload)

    monkeypatch.setattr(Connection, "set_up", untold)
    with snakepit.Pool(PayloadTools, size=1, protocol=protocol, max_payload=LIMIT, worker_output="discard") as pool:
        with pytest.raises((snakepit.ChannelError, WorkerCrashed), match="not the protocol: a frame.*max_payload allows"):
            pool.execute("give", {"kind": kind, "count": 3 * LIMIT}, timeout=20)
        assert pool.execute("give", {"kind": kind, "count": 3}, timeout=20) == made(kind, 3)


def test_a_higher_limit_is_told_to_both_sides() -> None:
    """Above and below the default: the worker holds to what its pool says."""
    with snakepit.Pool(PayloadTools, size=1, max_payload=8 * LIMIT) as pool:
        assert len(pool.execute("give", {"kind": "text", "count": 7 * LIMIT})) == 7 * LIMIT
        assert pool.execute("size", {"value": "x" * 7 * LIMIT}) == 7 * LIMIT
        with pytest.raises(PayloadTooLarge):
            pool.execute("give", {"kind": "text", "count": 9 * LIMIT})


def test_snapshots_of_sessions(caplog: pytest.LogCaptureFixture) -> None:
    """One that is too large is not kept, which is told, and does its call no harm.

    It shares a frame with its call's result: if they are too large together, the result is refused, and the snapshot is kept.
    """
    limit = 3 * LIMIT
    with snakepit.Pool(Keeping, size=1, max_payload=limit) as pool:
        session = pool.session("s")
        assert session.execute("keep", {"count": limit, "answer": 3}) == "xxx"
        assert f"and max_payload is {limit}" in caplog.text
        with pytest.raises(PayloadTooLarge, match="the result of 'keep' has [0-9]+ bytes with what goes along"):
            session.execute("keep", {"count": limit - 100, "answer": limit - 100})
        first = pool.workers()[0]
        snakepit.testing.kill(first)
        wait_until(lambda: first.id not in [item.id for item in pool.workers()])
        assert session.execute("kept", timeout=20) == limit - 100
