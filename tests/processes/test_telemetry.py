"""Telemetry events: from tools to the application's `on_event`, and what is wanted of them back to the workers."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

import snakepit
import snakepit.testing
from pool_helpers import wait_until
from snakepit_bridge import BaseAdapter, tool

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS = "event_tools:EventTools"


class FailsToStart(BaseAdapter):
    """Never gets ready."""

    def initialize(self) -> None:
        raise OSError("no model")

    @tool
    def nothing(self) -> None:
        """Never runs."""


def names(heard: list[snakepit.TelemetryEvent]) -> list[str]:
    """Of what has been heard, in its order."""
    return [event.name for event in heard]


@pytest.mark.parametrize("protocol", ["grpc", "msgpack", "json", "memory"])
def test_what_tools_emit_is_heard(protocol: Any) -> None:
    """On each protocol, in order, with its values, its worker and its call; from `initialize` to `cleanup`."""
    heard: list[snakepit.TelemetryEvent] = []
    settings: dict[str, Any] = {} if protocol == "memory" else {"protocol": protocol}
    made = snakepit.testing.MemoryPool if protocol == "memory" else snakepit.Pool
    with made(TOOLS, size=1, on_event=heard.append, **settings) as pool:
        cid = pool.execute("emit", {"name": "tool.result_size", "count": 3})
        wait_until(lambda: len(heard) == 4, "four events")
        assert names(heard) == ["model.loaded", *["tool.result_size"] * 3]
        event = heard[1]
        assert event.measurements == {"number": 0, "ratio": 0.5, "unit": "ms"}
        assert event.metadata == {"tool": "emit", "pad": ""}
        assert (event.worker_id, event.correlation_id) == ("worker-1", cid)
        assert abs(event.time - time.time()) < 60
        assert heard[0].correlation_id == ""
        list(pool.stream("stream", {"count": 3}))
        wait_until(lambda: len(heard) == 7, "the events of a stream")
        assert pool.stats().events == 7
    assert names(heard)[-1] == "model.unloaded"


def test_pools_of_one_process_hear_their_own_workers() -> None:
    """Also of what no call tells, and beside a worker whose adapter did not start."""
    with pytest.raises(snakepit.AdapterError), snakepit.testing.MemoryPool(FailsToStart, size=1):
        pass
    heard: list[list[snakepit.TelemetryEvent]] = [[], []]
    with (
        snakepit.testing.MemoryPool(TOOLS, size=1, on_event=heard[0].append),
        snakepit.testing.MemoryPool(TOOLS, size=1, on_event=heard[1].append),
    ):
        wait_until(lambda: all(heard), "an event of each")
    assert [names(each) for each in heard] == [["model.loaded", "model.unloaded"]] * 2


def test_without_on_event_nothing_is_sent() -> None:
    """No event crosses the channel, and asking for them says what is missing."""
    with snakepit.Pool(TOOLS, size=1, protocol="json", heartbeat=False) as pool:
        pool.execute("emit", {"name": "a", "count": 1000})
        words = pool.workers()[0]._worker.words
        pool.execute("emit", {"name": "a", "count": 1000})
        assert pool.workers()[0]._worker.words == words + 1
        assert (pool.stats().events, pool.stats().events_dropped) == (0, 0)
        with pytest.raises(snakepit.InvalidParameter, match="no on_event"):
            pool.telemetry(enabled=True)


def test_toggle_sampling_and_filters() -> None:
    """Each is obeyed while workers run, and by one that starts later."""
    heard: list[snakepit.TelemetryEvent] = []

    def after(tool: str, **settings: Any) -> list[str]:
        """What of 2000 events is heard under these settings; a last one, which they let pass, says that all have come."""
        assert pool.telemetry(**settings)
        heard.clear()
        pool.execute("emit", {"name": tool, "count": 2000})
        pool.telemetry(enabled=True, sampling={}, allow=(), deny=())
        pool.execute("emit", {"name": "last"})
        wait_until(lambda: "last" in names(heard), "the last")
        return [name for name in names(heard) if name != "last"]

    with snakepit.Pool(TOOLS, size=1, on_event=heard.append, protocol="msgpack") as pool:
        wait_until(lambda: heard, "the first event")
        assert len(after("a.b")) == 2000
        assert after("a.b", enabled=False) == []
        assert after("a.b", sampling={"a.*": 0.0}) == []
        assert len(after("a.b", sampling={"a.*": 1.0, "*": 0.0})) == 2000
        assert 700 < len(after("a.b", sampling={"a.*": 0.5})) < 1300
        assert after("a.b", allow=["c.*"]) == []
        assert after("a.b", allow=["a.*"], deny=["*.b"]) == []
        assert len(after("a.b", allow=["a.?"], deny=["b.*"])) == 2000
        pool.telemetry(deny=["model.*"])
        heard.clear()
        with pytest.raises(snakepit.WorkerCrashed):
            pool.execute("crash")
        pool.execute("emit", {"name": "later"})
        wait_until(lambda: "later" in names(heard), "an event of the next worker")
        assert "model.loaded" not in names(heard)


@pytest.mark.parametrize("settings", [{"sampling": {"a": 2}}, {"sampling": ["a"]}, {"allow": "a.*"}, {"deny": [1]}, {"enabled": 1}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """The field is named, and what is allowed; nothing changes."""
    pool = snakepit.Pool(TOOLS, on_event=print)
    with pytest.raises(snakepit.InvalidParameter, match=f"{next(iter(settings))} is .*allowed"):
        pool.telemetry(**settings)
    assert pool.telemetry() == snakepit.TelemetrySettings()
    with pytest.raises(snakepit.ConfigurationError, match="on_event is 'x'"):
        snakepit.Pool(TOOLS, on_event="x")  # type: ignore[arg-type]


def test_what_cannot_travel() -> None:
    """Odd values go as text, what is too large is counted, a thread's event has no call, a forked child tells nobody."""
    heard: list[snakepit.TelemetryEvent] = []
    with snakepit.Pool(TOOLS, size=1, on_event=heard.append, protocol="json") as pool:
        pool.execute("odd")
        wait_until(lambda: "odd.span.stop" in names(heard), "the span")
        assert names(heard) == ["model.loaded", "odd.value", "odd.thread", "odd.span.start", "odd.span.stop"]
        assert heard[1].metadata["object"].startswith("<object")
        assert heard[2].correlation_id == ""
        assert pool.stats().events_dropped == 1


@pytest.mark.parametrize("protocol", ["grpc", "msgpack"])
def test_a_flood_to_a_slow_listener(protocol: Any) -> None:
    """The call is not held up, what cannot be kept is dropped, oldest first, and each event is told or counted."""
    go, heard = threading.Event(), []

    def slow(event: snakepit.TelemetryEvent) -> None:
        heard.append(event.measurements.get("number"))
        go.wait(10)

    with snakepit.Pool(TOOLS, size=1, on_event=slow, protocol=protocol) as pool:
        pool.execute("emit", {"name": "warm"})
        began = time.monotonic()
        pool.execute("emit", {"name": "flood", "count": 100_000, "size": 100})
        took = time.monotonic() - began
        assert pool.execute("emit", {"name": "quick"}, timeout=2.0)
        assert len(heard) == 1
        go.set()
        wait_until(lambda: heard[-1] == 0 and len(heard) > 1000, "the last one")
        stats = pool.stats()
        assert stats.events + stats.events_dropped == 100_003
        assert 1000 < stats.events < 20_000
    assert took < 5.0


def test_a_listener_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, and nothing else is harmed."""
    calls = []

    def bad(event: snakepit.TelemetryEvent) -> None:
        calls.append(event)
        raise SystemExit(3)

    with snakepit.Pool(TOOLS, size=1, on_event=bad, protocol="msgpack") as pool:
        pool.execute("emit", {"name": "a", "count": 50})
        wait_until(lambda: len(calls) == 51, "all events")
    assert sum("on_event raised" in record.message for record in caplog.records) == 1


def test_async_pools() -> None:
    """An async function runs on the pool's loop, a plain one on a thread of its own."""
    heard: list[tuple[str, str]] = []

    async def on_loop(event: snakepit.TelemetryEvent) -> None:
        await asyncio.sleep(0)
        heard.append((event.name, threading.current_thread().name))

    def on_thread(event: snakepit.TelemetryEvent) -> None:
        heard.append((event.name, threading.current_thread().name))

    async def main(on_event: Any) -> None:
        async with snakepit.AsyncPool(TOOLS, size=1, on_event=on_event, protocol="msgpack") as pool:
            await pool.execute("emit", {"name": "a", "count": 10})
            await asyncio.to_thread(wait_until, lambda: len(heard) == 11, "all of them")
            pool.telemetry(enabled=False)
            await pool.execute("emit", {"name": "b", "count": 10})

    here = threading.current_thread().name
    for listener, thread in ((on_loop, here), (on_thread, "snakepit-events")):
        heard.clear()
        asyncio.run(main(listener))
        assert heard[1:11] == [("a", thread)] * 10
        assert "b" not in [name for name, _ in heard]


def test_close_does_not_wait_for_a_listener_that_hangs() -> None:
    """It has a second; the thread ends when the function returns."""
    go = threading.Event()
    with snakepit.Pool(TOOLS, size=1, on_event=lambda _event: go.wait(30), protocol="msgpack") as pool:
        pool.execute("emit", {"name": "a", "count": 10})
        began = time.monotonic()
    assert time.monotonic() - began < 4.0
    go.set()
