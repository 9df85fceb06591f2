"""A tool that keeps failing is refused at once, until one call shows that it is well again."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import pytest

import snakepit
from pool_helpers import Marks, all_ready, idle, wait_until
from snakepit import CircuitBreaker

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS = """
import os, pathlib, time
from snakepit_bridge import tool

@tool
def fall() -> None:
    os._exit(9)

@tool(idempotent=True)
def fall_again() -> None:
    os._exit(9)

@tool
def gate(folder: str) -> str:
    if not (pathlib.Path(folder) / "mended").exists():
        raise ConnectionError("the model is away")
    return "well"

@tool
def wrong() -> None:
    raise ValueError("no such thing")

@tool
def wait(folder: str, stubborn: bool = False) -> str:
    (pathlib.Path(folder) / "started").touch()
    while not (pathlib.Path(folder) / "go").exists():
        try:
            time.sleep(0.01)
        except BaseException:
            if not stubborn:
                raise
    return "gone"

@tool
def slow(folder: str, name: str) -> str:
    mended = (pathlib.Path(folder) / "mended").exists()
    (pathlib.Path(folder) / (name + "-began")).touch()
    while not (pathlib.Path(folder) / name).exists():
        time.sleep(0.01)
    if not mended:
        raise ConnectionError("the model is away")
    return "well"

@tool
def fine() -> int:
    return 1
"""


@pytest.fixture
def tools(tmp_path: pathlib.Path) -> str:
    """A file of tools that fail."""
    path = tmp_path / "breaking.py"
    path.write_text(TOOLS)
    return str(path)


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


def pool_of(tools: str, breaker: CircuitBreaker | dict[str, Any], **settings: Any) -> snakepit.Pool:
    return snakepit.Pool(tools, **{"size": 1, "circuit_breaker": breaker, **settings})


def circuit(pool: snakepit.Pool, tool: str = "") -> snakepit.CircuitInfo:
    (found,) = [item for item in pool.stats().circuits if item.tool == tool]
    return found


def test_crashes_open_it(tools: str, caplog: pytest.LogCaptureFixture) -> None:
    """Calls of that tool are refused at once, of whatever kind, with the last cause and when to try again; others run."""
    with pool_of(tools, CircuitBreaker(failures=2, recovery=60.0)) as pool:
        for _ in range(2):
            with pytest.raises(snakepit.WorkerCrashed):
                pool.execute("fall")
        restarts = pool.stats().restarts
        for call in (lambda: pool.execute("fall"), lambda: pool.submit("fall").result(10), lambda: list(pool.stream("fall"))):
            with pytest.raises(snakepit.CircuitOpen) as caught:
                call()
        error = caught.value
        assert (error.code, error.details["scope"], error.details["tool"], error.details["failures"]) == ("circuit_open", "tool", "fall", 2)
        assert 55 < error.details["retry_after"] <= 60
        assert "exited with code 9" in error.details["cause"]
        assert "is let through in" in str(error)
        assert "circuit_breaker=" in error.hint
        assert pool.execute("fine") == 1
        info = circuit(pool, "fall")
        assert (info.state, info.failures, info.refused) == ("open", 2, 3)
        assert 50 < info.until - time.time() <= 60
        assert circuit(pool, "fine").state == "closed"
        assert pool.stats().restarts - restarts <= 1
        assert "'fall' is refused for 60 s after 2 failed calls" in caplog.text


def test_a_probe_closes_it(tools: str, marks: Marks) -> None:
    """After the recovery one call is let through; a failure opens it anew, a success closes it."""
    with pool_of(tools, {"failures": 1, "recovery": 0.3, "tool_errors": ["ConnectionError"]}) as pool:
        for _ in range(2):
            with pytest.raises(snakepit.ToolError, match="the model is away"):
                pool.execute("gate", {"folder": marks.text})
            with pytest.raises(snakepit.CircuitOpen, match="the model is away"):
                pool.execute("gate", {"folder": marks.text})
            wait_until(lambda: circuit(pool, "gate").state == "half_open", "the recovery")
        marks.say("mended")
        assert pool.execute("gate", {"folder": marks.text}) == "well"
        assert circuit(pool, "gate").state == "closed"
        with pytest.raises(snakepit.ToolError):
            pool.execute("wrong")  # not among those that count
        assert circuit(pool, "wrong").failures == 0


def test_only_one_probe_at_a_time(tools: str, marks: Marks) -> None:
    """While it runs, others are refused, and told so; when its caller cancels it, the next one is let through."""
    with pool_of(tools, {"failures": 1, "recovery": 5.0, "scope": "pool", "window": 1.0}, size=2) as pool:
        all_ready(pool)
        with pytest.raises(snakepit.WorkerTimeout):
            pool.execute("wait", {"folder": marks.text}, timeout=0.1)
        assert circuit(pool).state == "open"
        with pytest.raises(snakepit.CircuitOpen, match="this pool has failed once"):
            pool.execute("fine")
        wait_until(lambda: circuit(pool).state == "half_open", "the recovery")
        (pathlib.Path(marks.text) / "started").unlink(missing_ok=True)
        probe = pool.submit("wait", {"folder": marks.text})
        marks.wait("started")
        with pytest.raises(snakepit.CircuitOpen, match="shows whether it is well again runs now"):
            pool.execute("fine")
        probe.cancel()
        wait_until(lambda: pool.stats().cancelled == 1, "the cancel")
        assert pool.execute("fine") == 1
        assert circuit(pool).state == "closed"


def test_a_tool_that_takes_longer_than_the_recovery(tools: str, marks: Marks) -> None:
    """Further calls are let through meanwhile; the first that ends well closes the circuit, whichever it is."""
    with pool_of(tools, {"failures": 1, "recovery": 0.2, "tool_errors": True}, size=2) as pool:
        all_ready(pool)
        marks.say("first")
        with pytest.raises(snakepit.ToolError):
            pool.execute("slow", {"folder": marks.text, "name": "first"})
        marks.say("mended")
        probes = []
        for name in ("older", "newer"):
            wait_until(lambda: time.time() >= circuit(pool, "slow").until, "the recovery")
            probes.append(pool.submit("slow", {"folder": marks.text, "name": name}))
            marks.wait(f"{name}-began")
        marks.say("older")
        assert probes[0].result(10) == "well"
        assert circuit(pool, "slow").state == "closed"
        marks.say("newer")
        assert probes[1].result(10) == "well"
        assert circuit(pool, "slow").state == "closed"


def test_calls_from_before_it_opened_say_nothing(tools: str, marks: Marks) -> None:
    """One that fails while another is let through does not keep that one from closing the circuit, and does not open it again later."""
    with pool_of(tools, {"failures": 1, "recovery": 0.2, "tool_errors": True}, size=4) as pool:
        all_ready(pool)
        stale = [pool.submit("slow", {"folder": marks.text, "name": name}) for name in ("early", "late")]
        for name in ("early", "late"):
            marks.wait(f"{name}-began")
        marks.say("first")
        with pytest.raises(snakepit.ToolError):
            pool.execute("slow", {"folder": marks.text, "name": "first"})
        marks.say("mended")
        wait_until(lambda: circuit(pool, "slow").state == "half_open", "the recovery")
        probe = pool.submit("slow", {"folder": marks.text, "name": "probe"})
        marks.wait("probe-began")
        marks.say("early")
        with pytest.raises(snakepit.ToolError):
            stale[0].result(10)
        marks.say("probe")
        assert probe.result(10) == "well"
        assert circuit(pool, "slow").state == "closed"
        marks.say("late")
        with pytest.raises(snakepit.ToolError):
            stale[1].result(10)
        assert circuit(pool, "slow").state == "closed"


def test_what_a_caller_cancels_does_not_count(tools: str, marks: Marks) -> None:
    """Unless its worker had to be killed for it, which counts once; nor does what never reached a worker."""
    with pool_of(tools, {"failures": 1, "recovery": 60.0}, cancel_timeout=0.3) as pool:
        future = pool.submit("wait", {"folder": marks.text})
        marks.wait("started")
        with pytest.raises(snakepit.WorkerTimeout):
            pool.execute("fine", timeout=0.1)
        future.cancel()
        idle(pool)
        assert {item.state for item in pool.stats().circuits} == {"closed"}
        assert sum(item.failures for item in pool.stats().circuits) == 0
        (pathlib.Path(marks.text) / "started").unlink()
        future = pool.submit("wait", {"folder": marks.text, "stubborn": True})
        marks.wait("started")
        future.cancel()
        wait_until(lambda: circuit(pool, "wait").state == "open", "the kill")
        assert "killed because 'wait'" in circuit(pool, "wait").cause


def test_it_ends_retries(tools: str) -> None:
    """Each crash counts, also of a call that runs once more; when they have opened the circuit, it does not."""
    with pool_of(tools, {"failures": 3, "recovery": 60.0}, retry={"attempts": 100}) as pool:
        with pytest.raises(snakepit.WorkerCrashed) as caught:
            pool.execute("fall_again")
        assert caught.value.details["runs"] == 3
        assert (circuit(pool, "fall_again").state, pool.stats().retried) == ("open", 2)


async def test_the_async_face(tools: str) -> None:
    """The same there."""
    async with snakepit.AsyncPool(tools, size=1, circuit_breaker={"failures": 1, "tool_errors": True}) as pool:
        with pytest.raises(snakepit.ToolError):
            await pool.execute("wrong")
        with pytest.raises(snakepit.CircuitOpen):
            await pool.execute("wrong")
        with pytest.raises(snakepit.CircuitOpen):
            async for _ in pool.stream("wrong"):
                pass
