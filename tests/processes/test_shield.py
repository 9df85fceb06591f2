"""Sections of a tool that a cancel does not interrupt; bounded, like everything."""

from __future__ import annotations

import pathlib
import threading
import time
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until

TOOLS = str(pathlib.Path(__file__).with_name("shield_tools.py"))


def cancelled(tmp_path: pathlib.Path, adapter: str, tool: str, args: dict[str, Any], **settings: Any) -> list[str]:
    """Cancel a tool in its section; what it said."""
    said = tmp_path / "said"
    with snakepit.Pool(f"{TOOLS}:{adapter}", size=1, **settings) as pool:
        future = pool.submit(tool, {"folder": str(tmp_path), **args})
        wait_until(said.exists, "the section")
        future.cancel()
        wait_until(lambda: pool.stats().running == 0, "the end of the call")
        assert pool.stats().restarts == 0
        assert pool.stats().killed == 0
    return said.read_text().split()


@pytest.mark.parametrize(
    ("adapter", "tool", "settings"),
    [
        ("Shielded", "write", {}),
        ("AsyncShielded", "write", {}),
        ("AsyncShielded", "awaits", {}),
        ("Shielded", "write", {"profile": "thread", "threads_per_worker": 2}),
    ],
    ids=["main thread", "beside a loop", "coroutine", "thread"],
)
class TestShield:
    """On the main thread, in a coroutine, on one of several threads."""

    def test_a_section_runs_to_its_end(self, tmp_path: pathlib.Path, adapter: str, tool: str, settings: dict[str, Any]) -> None:
        """The cancel that came meanwhile is raised at its end."""
        said = cancelled(tmp_path, adapter, tool, {"seconds": 5.0, "takes": 0.5}, **settings)
        assert said == ["begin", "end", "left"]

    def test_one_that_takes_too_long_is_interrupted(
        self, tmp_path: pathlib.Path, adapter: str, tool: str, settings: dict[str, Any]
    ) -> None:
        """After as long as it said that it would take."""
        said = cancelled(tmp_path, adapter, tool, {"seconds": 0.2, "takes": 60.0}, **settings)
        assert said == ["begin", "left"]


def test_sections_in_sections(tmp_path: pathlib.Path) -> None:
    """The outermost counts, and the longest bound."""
    assert cancelled(tmp_path, "Shielded", "nested", {}) == ["begin", "end", "still"]


@pytest.mark.parametrize("way", ["shield", "check"])
@pytest.mark.parametrize(
    ("adapter", "tool", "settings"),
    [
        ("Shielded", "tidies", {}),
        ("Shielded", "tidies", {"profile": "thread", "threads_per_worker": 2}),
        ("AsyncShielded", "tidies", {}),
        ("AsyncShielded", "tidies_awaiting", {}),
    ],
    ids=["main thread", "thread", "beside a loop", "coroutine"],
)
def test_cleaning_up_behind_it(tmp_path: pathlib.Path, way: str, adapter: str, tool: str, settings: dict[str, Any]) -> None:
    """What the end of a section, or `check()`, has raised is as undisturbed on its way as an interruption."""
    assert cancelled(tmp_path, adapter, tool, {"way": way, "takes": 0.8}, **settings) == ["begin", "tidied"]


def test_a_check_beside_the_call(tmp_path: pathlib.Path) -> None:
    """One that raises in a thread of the tool's own does not put off the interruption of the call."""
    began = time.monotonic()
    assert cancelled(tmp_path, "Shielded", "beside", {}, cancel_timeout=10.0) == ["begin", "left"]
    assert time.monotonic() - began < 6.0


@pytest.mark.parametrize("settings", [{}, {"profile": "thread", "threads_per_worker": 2}], ids=["main thread", "thread"])
def test_a_check_in_a_callback_of_c_code(tmp_path: pathlib.Path, settings: dict[str, Any]) -> None:
    """What C code has swallowed is no way out: the call is interrupted soon, and its cleanup, which does the same, runs to its end."""
    began = time.monotonic()
    assert cancelled(tmp_path, "Shielded", "checks_in_callbacks", {}, cancel_timeout=10.0, **settings) == ["begin", "tidied"]
    assert time.monotonic() - began < 6.0


def _read(stream: snakepit.Stream) -> None:
    with pytest.raises(snakepit.CallCancelled):
        list(stream)


def test_a_stream_left_between_two_chunks(tmp_path: pathlib.Path) -> None:
    """The cleanup of an async generator that is left by the runtime, before its task could be cancelled, runs to its end."""
    said = tmp_path / "said"
    with snakepit.Pool(f"{TOOLS}:AsyncShielded", size=1) as pool:
        stream = pool.stream("streams", {"folder": str(tmp_path), "takes": 0.3})
        reader = threading.Thread(target=_read, args=(stream,))
        reader.start()
        wait_until(said.exists, "the beginning")
        stream.close()
        reader.join(10.0)
        wait_until(lambda: pool.stats().running == 0, "the end of the call")
        assert pool.stats().killed == 0
    assert said.read_text().split() == ["begin", "tidied"]


def test_a_bound_that_is_none() -> None:
    """Is refused where the section begins."""
    from snakepit_bridge.call_context import CallContext

    for seconds in (0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="seconds is .*; allowed is a number above 0"):
            CallContext(1, "tool").shield(seconds)
