"""Which failed calls run once more, after how long; and what is said of wrong policies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import snakepit
from snakepit.config import pool_config
from snakepit.retries import RetryPolicy, check_retry

_SECONDS = st.floats(0, 100)


@given(
    attempts=st.integers(1, 6),
    runs=st.integers(1, 10),
    first=_SECONDS,
    most=_SECONDS,
    jitter=st.floats(0, 1),
    left=st.none() | st.floats(-1, 200),
    chance=st.floats(0, 1),
)
def test_a_pause_is_bounded(attempts: int, runs: int, first: float, most: float, jitter: float, left: float | None, chance: float) -> None:
    """By attempts, by the longest delay, and by the deadline, which a retry never passes."""
    policy = RetryPolicy(attempts=attempts, first_delay=first, max_delay=most, jitter=jitter)
    pause = policy.pause(runs, None, left, chance)
    longest = min(first * 2 ** (runs - 1), most)
    if pause is None:
        assert runs >= attempts or (left is not None and left <= longest)
    else:
        assert runs < attempts
        assert longest * (1 - jitter) - 1e-9 <= pause <= longest
        assert left is None or pause < left


def test_the_usual_policy() -> None:
    """A call that a crash cut off runs once more, at once; what a tool raises is told."""
    policy = pool_config({}).retry
    assert policy.pause(1, None, None, 0.5) == 0.0
    assert policy.pause(2, None, None, 0.5) is None
    assert policy.pause(1, "ValueError", None, 0.5) is None


def test_delays_double() -> None:
    """From the first to the longest; jitter shortens them."""
    policy = RetryPolicy(attempts=9, first_delay=0.1, max_delay=1.0, jitter=0.5)
    assert [round(policy.pause(runs, None, None, 0.0) or 0, 6) for runs in range(1, 7)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert policy.pause(1, None, None, 1.0) == pytest.approx(0.05)


class Busy(Exception):
    """Of this test's own."""


def test_errors_are_named() -> None:
    """By class or name, with the module or without; exactly these."""
    policy = RetryPolicy(errors=(ConnectionResetError, Busy, "shop.errors.SoldOut", "Timeout"), crashes=False)
    yes = ["ConnectionResetError", f"{__name__}.Busy", "shop.errors.SoldOut", "requests.exceptions.Timeout", "Timeout"]
    no = ["ConnectionError", "Busy", "SoldOut", "errors.SoldOut", "requests.exceptions.ReadTimeout", ""]
    assert [policy.pause(1, name, None, 0.0) for name in yes + no] == [0.0] * len(yes) + [None] * len(no)
    assert policy.pause(1, None, None, 0.0) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "retry is 3; allowed are a snakepit.RetryPolicy, a dict of its fields, True and False"),
        ({"tries": 3}, "retry has no field 'tries'.*\n.*known: attempts"),
        ({"attempts": 0}, "retry.attempts is 0; allowed is a whole number from 1"),
        ({"attempts": True}, "retry.attempts is True"),
        ({"crashes": 1}, "retry.crashes is 1; allowed is True or False"),
        ({"first_delay": -1}, "retry.first_delay is -1; allowed is seconds from 0"),
        ({"jitter": 1.5}, "retry.jitter is 1.5; allowed is a number from 0 to 1"),
        ({"errors": "ValueError"}, "retry.errors is 'ValueError'; allowed is a list"),
        ({"errors": [int]}, "retry.errors is .* allowed is a list of exception classes or their names"),
        ({"errors": [""]}, "retry.errors"),
    ],
)
def test_a_wrong_policy(value: Any, said: str) -> None:
    """The error names the field, what came and what is allowed; of a pool's setting and of a call's option."""
    with pytest.raises(snakepit.ConfigurationError, match=said):
        snakepit.Pool(retry=value)
    with pytest.raises(snakepit.InvalidParameter, match=said):
        check_retry("retry", value, snakepit.InvalidParameter)


def test_short_forms() -> None:
    """True and None stand for the usual policy, False for none, a dict for its fields."""
    assert check_retry("retry", True) == check_retry("retry", None) == RetryPolicy()
    assert check_retry("retry", False).attempts == 1
    assert check_retry("retry", {"attempts": 4, "errors": [OSError]}) == RetryPolicy(attempts=4, errors=("OSError",))
