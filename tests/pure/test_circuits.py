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
    assert circuit.failed("it fell", 0.0, 0.0)
    return circuit


def test_it_opens_after_so_many_failures_within_the_window() -> None:
    """Not by those that lie longer back, and successes between them do not count."""
    circuit = Circuit(CircuitBreaker(failures=3, window=10.0))
    assert [circuit.failed("x", now, now) for now in (0.0, 5.0, 11.0)] == [False] * 3
    assert not circuit.succeeded(11.0)
    assert circuit.state(11.0) == "closed"
    assert circuit.failed("y", 12.0, 12.0)
    assert (circuit.state(12.0), circuit.cause, circuit.count(12.0)) == ("open", "y", 3)


def test_while_it_is_open_calls_are_refused() -> None:
    """Until the recovery is over; failures of calls that had begun before change nothing."""
    circuit = _open()
    assert [circuit.admit(number, 9.9) for number in range(3)] == [False] * 3
    assert circuit.refused == 3
    assert not circuit.failed("late", -1.0, 5.0)
    assert not circuit.failed("it had waited in the queue", 1.0, 5.0)
    assert circuit.until == 10.0


def test_one_call_is_let_through() -> None:
    """After the recovery; while it runs no other is. It closes the circuit if it ends well, and opens it anew if not."""
    circuit = _open()
    assert circuit.state(10.0) == "half_open"
    assert [circuit.admit(number, 10.0) for number in (7, 8, 9)] == [True, False, False]
    assert circuit.state(10.0) == "half_open"
    assert circuit.succeeded(10.0)
    assert (circuit.state(11.0), circuit.count(11.0), circuit.admit(10, 11.0)) == ("closed", 0, True)
    circuit = _open(failures=1)
    assert circuit.admit(7, 10.0)
    assert circuit.failed("again", 10.0, 12.0)
    assert (circuit.state(12.0), circuit.until) == ("open", 22.0)


def test_a_probe_that_shows_nothing() -> None:
    """It was cancelled: the next call is let through. It does not end: another is, after as long as a recovery takes."""
    circuit = _open()
    assert circuit.admit(7, 10.0)
    circuit.left(7, 11.0)
    assert circuit.admit(8, 11.0)
    assert not circuit.admit(9, 20.9)
    assert circuit.admit(10, 21.0)


def test_a_tool_that_takes_longer_than_the_recovery() -> None:
    """Whichever of the calls that were let through ends well first closes the circuit: the older ones end before the newest."""
    circuit = _open()
    assert [circuit.admit(number, 10.0 * number) for number in (1, 2, 3)] == [True] * 3
    assert circuit.succeeded(10.0)
    assert circuit.state(31.0) == "closed"


def test_an_older_probe_fails() -> None:
    """The circuit is open for longer; a call that was let through after it still closes it, one from before it does not."""
    circuit = _open()
    assert [circuit.admit(number, 10.0 * number) for number in (1, 2, 3)] == [True] * 3
    assert circuit.failed("still away", 20.0, 31.0)
    assert (circuit.state(31.0), circuit.until) == ("open", 41.0)
    assert not circuit.succeeded(10.0)
    assert circuit.succeeded(30.0)
    assert circuit.state(32.0) == "closed"


def test_calls_from_before_it_opened() -> None:
    """They say nothing: neither to the circuit that is open, nor while a call is let through, nor after that has closed it."""
    circuit = _open()
    assert not circuit.succeeded(-1.0)
    assert circuit.admit(7, 10.0)
    assert not circuit.failed("late", -1.0, 10.5)
    assert circuit.state(11.0) == "half_open"
    assert circuit.succeeded(10.0)
    assert not circuit.failed("later", -1.0, 12.0)
    assert (circuit.state(12.0), circuit.count(12.0), circuit.cause) == ("closed", 0, "it fell")


def test_a_call_that_waited_when_it_opened() -> None:
    """It began later, and closes the circuit by ending well, as any."""
    circuit = _open()
    assert circuit.succeeded(1.0)
    assert circuit.state(2.0) == "closed"


class Breaker(RuleBasedStateMachine):
    """Calls that wait, begin and end in any order, against the plainest model of a breaker."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = CircuitBreaker(failures=3, window=20.0, recovery=10.0)
        self.circuit = Circuit(self.settings)
        self.now, self.number = 0.0, 0
        self.waiting: set[int] = set()
        self.running: dict[int, float] = {}  # since when
        self.failures: list[float] = []  # that counted, since it was last closed
        self.shut, self.heard = False, -1.0  # heard: the opening, or when the last call that failed after it began
        self.probe, self.let_through = 0, -100.0

    @rule(seconds=st.floats(0.001, 15))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_call_comes(self) -> None:
        self.number += 1
        until = self.circuit.until
        assert self.shut == (until is not None) == (self.circuit.state(self.now) != "closed")
        admitted = self.circuit.admit(self.number, self.now)
        assert admitted == (until is None or self.now >= until)
        if admitted:
            self.waiting.add(self.number)
            if self.shut:
                assert self.now >= self.let_through + self.settings.recovery, "one at a time, unless that takes longer than a recovery"
                self.probe, self.let_through = self.number, self.now

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 100))
    def a_call_begins(self, which: int) -> None:
        call = sorted(self.waiting)[which % len(self.waiting)]
        self.waiting.discard(call)
        self.running[call] = self.now

    @precondition(lambda self: self.waiting or self.running)
    @rule(which=st.integers(0, 100))
    def a_call_is_cancelled(self, which: int) -> None:
        calls = sorted(self.waiting | self.running.keys())
        call = calls[which % len(calls)]
        self.waiting.discard(call)
        self.running.pop(call, None)
        self.circuit.left(call, self.now)
        if call == self.probe:
            self.let_through = -100.0

    @precondition(lambda self: self.running)
    @rule(well=st.booleans(), which=st.integers(0, 100))
    def a_call_ends(self, well: bool, which: int) -> None:
        call = sorted(self.running)[which % len(self.running)]
        began = self.running.pop(call)
        before = self.circuit.until, self.circuit.state(self.now), self.circuit.count(self.now)
        tells = began >= self.heard
        if well:
            assert self.circuit.succeeded(began) == (self.shut and tells)
            if self.shut and tells:
                self.shut, self.failures, self.probe, self.let_through = False, [], 0, -100.0
            return
        opened = self.circuit.failed("x", began, self.now)
        if not tells:
            assert not opened
            assert before == (self.circuit.until, self.circuit.state(self.now), self.circuit.count(self.now))
        elif self.shut:
            self.heard = began
            assert opened == (before[1] == "half_open")
        else:
            self.failures = [*(then for then in self.failures if self.now - then <= self.settings.window), self.now]
            assert opened == (len(self.failures) >= self.settings.failures)
            if opened:
                self.shut, self.heard = True, self.now
        if opened:
            self.probe = 0

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
