"""Missed beats, counted on a clock that stands still while the host does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import snakepit
from snakepit._workers.beats import BeatCount
from snakepit.heartbeat import check_heartbeat

SETTINGS = snakepit.Heartbeat(interval=1.0, timeout=3.0, max_missed=2)


def run(count: BeatCount, until: float, *, answers: bool, now: float = 0.0, stalls: float = 0.0) -> tuple[float, int]:
    """Tick as `watch` does, until the time; (when that was, how often it was asked)."""
    asked = 0
    while now < until:
        pause = count.pause
        now += pause + stalls
        ask, _ = count.tick(now, pause)
        asked += ask
        if ask and answers:
            count.heard()
    return now, asked


def test_who_answers_misses_nothing() -> None:
    """It is asked once an interval."""
    count = BeatCount(SETTINGS, 0.0)
    _, asked = run(count, 20.0, answers=True)
    assert count.missed == 0
    assert 19 <= asked <= 21


def test_who_does_not_answer_misses_a_beat_per_timeout() -> None:
    """And an answer makes up for all that were missed."""
    count = BeatCount(SETTINGS, 0.0)
    now, _ = run(count, 3.5, answers=False)
    assert count.missed == 1
    now, _ = run(count, 7.0, answers=False, now=now)
    assert count.missed == 2
    count.heard()
    assert count.missed == 0
    run(count, now + 2.0, answers=True, now=now)
    assert count.missed == 0


def test_the_first_question_waits() -> None:
    """For the initial delay; without one it is asked at once."""
    assert BeatCount(SETTINGS, 5.0).tick(5.0, 0.0) == (True, False)
    count = BeatCount(snakepit.Heartbeat(interval=1.0, initial_delay=4.0), 0.0)
    now, asked = run(count, 2.5, answers=True)
    assert (now < 4.0, asked) == (True, 0)
    assert run(count, 6.0, answers=True, now=now)[1] >= 1


@given(st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=50))
def test_time_in_which_the_host_was_away_does_not_count(stalls: list[float]) -> None:
    """However long it was stopped between two looks, no beat is missed for that."""
    count, now = BeatCount(SETTINGS, 0.0), 0.0
    count.tick(0.0, 0.0)
    for stall in stalls[:2]:  # two looks: less than the timeout
        pause = count.pause
        now += pause + stall
        _, missed = count.tick(now, pause)
        assert not missed
        assert count.missed == 0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (5, "heartbeat is a int; allowed are a snakepit.Heartbeat"),
        ({"intervall": 1}, "heartbeat has no field 'intervall'"),
        ({"interval": 0}, r"heartbeat\.interval is 0; allowed are seconds from 0.001"),
        ({"timeout": "5"}, r"heartbeat\.timeout is '5'"),
        ({"max_missed": 0}, r"heartbeat\.max_missed is 0"),
        ({"dependent": 1}, r"heartbeat\.dependent is 1; allowed are True and False"),
        ({"ping_fun": 1}, r"heartbeat\.ping_fun is a int"),
    ],
)
def test_settings_that_make_no_sense(value: object, words: str) -> None:
    """Are refused by the field's name."""
    with pytest.raises(snakepit.ConfigurationError, match=words):
        snakepit.Pool(heartbeat=value)  # type: ignore[arg-type]


def test_settings_of_every_kind() -> None:
    """A Heartbeat, a dict, True, False, None; and what the worker is told."""
    assert check_heartbeat("heartbeat", {"interval": 5}) == snakepit.Heartbeat(interval=5)
    assert check_heartbeat("heartbeat", True) == check_heartbeat("heartbeat", None) == snakepit.Heartbeat()
    assert not check_heartbeat("heartbeat", False).enabled
    assert json.loads(snakepit.Heartbeat(initial_delay=0.5).as_json()) == {
        "dependent": True,
        "enabled": True,
        "initial_delay_ms": 500,
        "interval_ms": 2000,
        "max_missed_heartbeats": 3,
        "timeout_ms": 10000,
    }
    assert snakepit.Heartbeat(dependent=False).longest_silence == snakepit.Heartbeat(enabled=False).longest_silence == 0
    assert snakepit.Heartbeat().longest_silence == 300
