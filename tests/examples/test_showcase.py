"""The showcase adapter, driven directly; `tests/contract/test_guide_calls.py` calls it through a pool."""

from __future__ import annotations

import os

import pytest

from snakepit_bridge.adapters.showcase import ShowcaseAdapter
from snakepit_bridge.adapters.showcase import adapter as module


@pytest.fixture
def showcase() -> ShowcaseAdapter:
    """The adapter."""
    return ShowcaseAdapter()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds the tools wanted to sleep; they do not."""
    asked: list[float] = []
    monkeypatch.setattr(module.time, "sleep", asked.append)
    return asked


def test_ping_names_its_process(showcase: ShowcaseAdapter) -> None:
    """Ping answers pong and the pid of the process that answers."""
    assert showcase.ping() == {"message": "pong", "pid": os.getpid()}


def test_echo_gives_back_what_it_was_given(showcase: ShowcaseAdapter) -> None:
    """Echo returns its arguments by name, whatever they are."""
    assert showcase.echo() == {}
    assert showcase.echo(a=[1, {"b": None}], self_="x") == {"a": [1, {"b": None}], "self_": "x"}


@pytest.mark.parametrize(("operation", "expected"), [("add", 8), ("subtract", 2), ("multiply", 15), ("divide", 5 / 3), ("power", 125)])
def test_compute(showcase: ShowcaseAdapter, operation: str, expected: float) -> None:
    """Each operation does what its name says."""
    assert showcase.compute(operation, 5, 3) == expected


def test_compute_names_what_is_allowed(showcase: ShowcaseAdapter) -> None:
    """An unknown operation is an error that lists the known ones."""
    with pytest.raises(ValueError, match="got 'modulo', allowed are add, subtract, multiply, divide, power"):
        showcase.compute("modulo", 5, 3)


def test_ping_stream(showcase: ShowcaseAdapter) -> None:
    """Every chunk has a message, and the last one is marked final."""
    chunks = list(showcase.ping_stream(2, message="hello"))
    assert chunks == [
        {"message": "hello 1 of 2", "progress": 1, "total": 2, "is_final": False},
        {"message": "hello 2 of 2", "progress": 2, "total": 2, "is_final": True},
    ]
    assert len(list(showcase.ping_stream())) == 5


def test_progress_stream(showcase: ShowcaseAdapter, pauses: list[float]) -> None:
    """The chunks are the guide's: one per item with a percentage, a pause after each, and a summary."""
    assert list(showcase.progress_stream(2, 0.25)) == [
        {"progress": 1, "total": 2, "percent": 50.0, "message": "Processing item 1 of 2", "is_final": False},
        {"progress": 2, "total": 2, "percent": 100.0, "message": "Processing item 2 of 2", "is_final": False},
        {"is_final": True, "total_processed": 2, "message": "Stream complete"},
    ]
    assert pauses == [0.25, 0.25]
    assert len(list(showcase.progress_stream())) == 11
    assert pauses[2:] == [0.5] * 10


def test_stream_progress(showcase: ShowcaseAdapter, pauses: list[float]) -> None:
    """Five updates by default, 750 ms apart, the last one final, with the guide's keys."""
    chunks = list(showcase.stream_progress())
    assert [chunk["progress"] for chunk in chunks] == [20.0, 40.0, 60.0, 80.0, 100.0]
    assert [chunk["is_final"] for chunk in chunks] == [False] * 4 + [True]
    assert chunks[0] == {"message": "Step 1 of 5", "progress": 20.0, "step": 1, "total": 5, "is_final": False}
    assert pauses == [0.75] * 4


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("ping_stream", (0,)),
        ("progress_stream", (-1,)),
        ("progress_stream", (1, -1)),
        ("stream_progress", (0,)),
        ("stream_progress", (1, float("nan"))),
    ],
)
def test_counts_and_delays_that_cannot_be(showcase: ShowcaseAdapter, tool: str, arguments: tuple[float, ...]) -> None:
    """A count or delay below the least one is refused with its name."""
    with pytest.raises(ValueError, match=r"allowed is [01] or more"):
        next(getattr(showcase, tool)(*arguments))
