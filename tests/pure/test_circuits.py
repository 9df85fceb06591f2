"""When a circuit opens, what it lets through, and when it closes again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import snakepit
from snakepit._pool.circuits import Circuit
from snakepit.circuit_breaker import CircuitBreaker, check_circuit_breaker


def _open(**settings: Any) -> Circuit:
    """A circuit that has opened at 0."""
    circuit = Circuit(CircuitBreaker(**{"failures": 1, "recovery": 10.0, **settings}))
    assert circuit.admit(1, 0.0)
    assert circuit.failed("it fell", 0.0)
    return circuit


def test_it_opens_after_so_many_failures_within_the_window() -> None:
    """Not by those that lie longer back, and successes between them do not count."""
    circuit = Circuit(CircuitBreaker(failures=3, window=10.0))
    assert [circuit.failed("x", now) for now in (0.0, 5.0, 11.0)] == [False] * 3
    circuit.succeeded(1)
    assert circuit.state(11.0) == "closed"
    assert circuit.failed("y", 12.0)
    assert (circuit.state(12.0), circuit.cause, circuit.count(12.0)) == ("open", "y", 3)


def test_while_it_is_open_calls_are_refused() -> None:
    """Until the recovery is over; failures of calls that had begun before change nothing."""
    circuit = _open()
    assert [circuit.admit(number, 9.9) for number in range(3)] == [False] * 3
    assert circuit.refused == 3
    assert not circuit.failed("late", 5.0)
    assert circuit.until == 10.0


def test_one_call_is_let_through() -> None:
    """After the recovery; while it runs no other is. It closes the circuit if it ends well, and opens it anew if not."""
    circuit = _open()
    assert circuit.state(10.0) == "half_open"
    assert [circuit.admit(number, 10.0) for number in (7, 8, 9)] == [True, False, False]
    assert circuit.state(10.0) == "half_open"
    assert not circuit.succeeded(8)
    assert circuit.succeeded(7)
    assert (circuit.state(11.0), circuit.count(11.0), circuit.admit(10, 11.0)) == ("closed", 0, True)
    circuit = _open(failures=1)
    assert circuit.admit(7, 10.0)
    assert circuit.failed("again", 12.0)
    assert (circuit.state(12.0), circuit.until) == ("open", 22.0)


def test_a_probe_that_shows_nothing() -> None:
    """It was cancelled: the next call is let through. It does not end: another is, after as long as a recovery takes."""
    circuit = _open()
    assert circuit.admit(7, 10.0)
    circuit.left(7, 11.0)
    assert circuit.admit(8, 11.0)
    assert not circuit.admit(9, 20.9)
    assert circuit.admit(10, 21.0)
    assert not circuit.succeeded(8)
    assert circuit.succeeded(10)


class Breaker(RuleBasedStateMachine):
    """Calls that begin and end in any order, against the plainest model of a breaker."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = CircuitBreaker(failures=3, window=20.0, recovery=10.0)
        self.circuit = Circuit(self.settings)
        self.now, self.number = 0.0, 0
        self.running: set[int] = set()
        self.failures: list[float] = []
        self.probe: int | None = None

    @rule(seconds=st.floats(0, 15))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_call_comes(self) -> None:
        self.number += 1
        before = self.circuit.state(self.now)
        until = self.circuit.until
        admitted = self.circuit.admit(self.number, self.now)
        assert admitted == (before == "closed" or (until is not None and self.now >= until))
        if admitted:
            self.running.add(self.number)
            if before != "closed":
                self.probe = self.number

    @precondition(lambda self: self.running)
    @rule(how=st.sampled_from(["well", "badly", "cancelled"]), which=st.integers(0, 100))
    def a_call_ends(self, how: str, which: int) -> None:
        call = sorted(self.running)[which % len(self.running)]
        self.running.discard(call)
        before = self.circuit.state(self.now)
        if how == "well":
            closed = self.circuit.succeeded(call)
            assert closed == (before != "closed" and call == self.probe)
            if closed:
                self.probe, self.failures = None, []
        elif how == "cancelled":
            self.circuit.left(call, self.now)
            if call == self.probe:
                self.probe = None
        else:
            self.failures.append(self.now)
            opened = self.circuit.failed("x", self.now)
            recent = [then for then in self.failures if self.now - then <= self.settings.window]
            assert opened == (before == "half_open" or (before == "closed" and len(recent) >= self.settings.failures))
            if opened:
                self.probe = None

    @invariant()
    def it_never_stays_shut(self) -> None:
        """Whatever has happened, a recovery later a call is let through."""
        until = self.circuit.until
        assert until is None or until <= self.now + self.settings.recovery


TestBreaker = Breaker.TestCase


@given(names=st.lists(st.sampled_from(["ValueError", "a.B"]), max_size=3))
def test_tool_errors_become_names(names: list[str]) -> None:
    """Classes and names alike; True and False stay."""
    assert CircuitBreaker(tool_errors=[*names, KeyError]).tool_errors == (*names, "KeyError")
    assert CircuitBreaker(tool_errors=True).tool_errors is True


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5, "circuit_breaker is 5; allowed are a snakepit.CircuitBreaker, a dict of its fields, True, False and None"),
        ({"limit": 5}, "circuit_breaker has no field 'limit'.*\n.*known: failures"),
        ({"failures": 0}, "circuit_breaker.failures is 0; allowed is a whole number from 1"),
        ({"window": 0}, "circuit_breaker.window is 0; allowed is seconds from 0.001"),
        ({"recovery": "1"}, "circuit_breaker.recovery is '1'"),
        ({"scope": "worker"}, "circuit_breaker.scope is 'worker'; allowed is 'tool' or 'pool'"),
        ({"tool_errors": "ValueError"}, "circuit_breaker.tool_errors is 'ValueError'; allowed is a list"),
    ],
)
def test_a_wrong_breaker(value: Any, said: str) -> None:
    """The error names the field, what came and what is allowed."""
    with pytest.raises(snakepit.ConfigurationError, match=said):
        snakepit.Pool(circuit_breaker=value)


def test_short_forms() -> None:
    """True stands for the usual one, False and None for none, a dict for its fields."""
    assert check_circuit_breaker("circuit_breaker", True) == CircuitBreaker()
    assert check_circuit_breaker("circuit_breaker", False) is check_circuit_breaker("circuit_breaker", None) is None
    assert check_circuit_breaker("circuit_breaker", {"failures": 2}) == CircuitBreaker(failures=2)
