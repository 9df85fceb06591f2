"""Which chunks tell progress, and what their numbers mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.cli.meter import Meter, amount_text, rate_text


def read(*chunks: dict[str, Any], lone_is_count: bool = False) -> list[tuple[float, float | None, bool] | None]:
    """What one meter reads of the chunks: done, total, percent."""
    meter = Meter(lone_is_count)
    readings = [meter.read(chunk) for chunk in chunks]
    return [reading and (reading.done, reading.total, reading.percent) for reading in readings]


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        ({"progress": 3, "total": 10}, (3, 10, False)),
        ({"progress": 3, "total": 10, "percent": 30.0}, (3, 10, False)),
        ({"progress": 1, "total": 3, "percent": 33}, (1, 3, False)),
        ({"progress": 20.0, "step": 1, "total": 5}, (1, 5, False)),
        ({"progress": 0.5, "step": 1, "total": 200}, (1, 200, False)),
        ({"progress": 45, "total": 100, "step": 3}, (45, 100, False)),
        ({"progress": 60.0, "total": 5}, (60, 100, True)),
        ({"progress": 50, "total": 1000, "percent": 50}, (50, 100, True)),
        ({"progress": 250, "total": 200}, (200, 200, False)),
        ({"percent": 12.5}, (12.5, 100, True)),
        ({"progress_percent": 10.0, "processed_rows": 100, "total_rows": 1000}, (10, 100, True)),
        ({"percent": 130}, (100, 100, True)),
        ({"progress": 40}, (40, 100, True)),
        ({"progress": 40, "total": None}, (40, 100, True)),
        ({"progress": 0, "total": 0, "percent": 100.0}, (100, 100, True)),
    ],
)
def test_numbers_mean_what_the_chunk_shows(chunk: dict[str, Any], expected: tuple[float, float, bool]) -> None:
    """Units of a total, steps of a total, or a percentage, by what fits together."""
    assert read(chunk) == [expected]


@pytest.mark.parametrize(
    "chunk",
    [
        {"message": "hello"},
        {"total": 10},
        {"total": 10, "step": 3},
        {"progress": "half", "total": 10},
        {"progress": True},
        {"percent": None},
        {"progress": float("nan")},
        {"percent": float("inf")},
        {"progress": 10**400},
        {"progress": 3, "total": 10, "error": "unreadable"},
        {},
    ],
)
def test_other_chunks_tell_no_progress(chunk: dict[str, Any]) -> None:
    """Text, booleans, infinities, a lone total, and a chunk about an error are for reading."""
    assert read(chunk) == [None]


def test_a_lone_progress_between_0_and_1_is_a_fraction() -> None:
    """0.25, 0.5, 1 is a quarter, a half and all of it."""
    assert read({"progress": 0.25}, {"progress": 0.5}, {"progress": 1}) == [(25, 100, True), (50, 100, True), (100, 100, True)]


def test_a_lone_progress_of_1_without_fractions_is_one_percent() -> None:
    """Percentages that begin at 1 do not start with a full bar."""
    assert read({"progress": 0}, {"progress": 1}, {"progress": 2}) == [(0, 100, True), (1, 100, True), (2, 100, True)]


def test_a_lone_progress_beyond_100_becomes_a_count() -> None:
    """No percentage goes there, so it counts something whose end is not known."""
    assert read({"progress": 90}, {"progress": 120}, {"progress": 50})[1:] == [(120, None, False), (50, None, False)]


def test_a_unary_tools_lone_progress_is_a_count() -> None:
    """`self.progress(7)` says 7 units, of nobody knows how many."""
    assert read({"progress": 7}, {"progress": 1, "total": 2}, lone_is_count=True) == [(7, None, False), (1, 2, False)]


def test_the_description_leaves_out_what_the_bar_shows() -> None:
    """The message leads; numbers that are on the bar are not repeated."""
    reading = Meter().read({"progress": 1, "total": 2, "percent": 50, "item": "a", "message": "reading", "is_final": False})
    assert reading is not None
    assert reading.description == "reading  item=a"


NUMBERS = st.none() | st.integers() | st.floats() | st.booleans() | st.text(max_size=2)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(["progress", "total", "percent", "step"], NUMBERS))))
def test_a_bar_never_leaves_its_bounds(chunks: list[dict[str, Any]]) -> None:
    """Whatever tools yield, what is done is never below nothing or beyond the total."""
    for reading in read(*chunks):
        if reading is not None and reading[1] is not None:
            assert 0 <= reading[0] <= reading[1]


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        ((3, 10, False), "3/10"),
        ((1e6, 2e6, False), "1,000,000/2,000,000"),
        ((2.5, 10, False), "2.5/10"),
        ((33.3, 100, True), "33%"),
        ((12, None, False), "12"),
    ],
)
def test_amounts_read_well(reading: tuple[float, float | None, bool], text: str) -> None:
    """Whole numbers have no decimals, large ones have separators, percentages have their sign."""
    assert amount_text(*reading) == text


@pytest.mark.parametrize(
    ("speed", "percent", "text"),
    [(None, False, ""), (float("inf"), False, ""), (1.26, False, "1.3/s"), (12345.6, False, "12,346/s"), (2.5, True, "2.5%/s")],
)
def test_rates_read_well(speed: float | None, percent: bool, text: str) -> None:
    """A rate that is not known is not shown."""
    assert rate_text(speed, percent) == text
