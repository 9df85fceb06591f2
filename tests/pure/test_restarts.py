"""When a worker is started again, after how long, when its slot is left alone, and when the pool gives up."""

from __future__ import annotations

import collections

from hypothesis import given
from hypothesis import strategies as st

from snakepit._workers.restarts import RestartLimits, RestartPolicy, Step, Verdict

_START, _QUARANTINE, _GIVE_UP = Step.START, Step.QUARANTINE, Step.GIVE_UP


def _policy(slots: int = 1, **limits: float) -> RestartPolicy:
    policy = RestartPolicy(RestartLimits(**limits))
    for slot in range(slots):
        policy.begun(slot)
    return policy


def _died(policy: RestartPolicy, now: float = 0.0, slot: int = 0, **what: bool) -> Verdict:
    return policy.died(slot, now=now, **{"useful": False, "serving": False, "untried": False, **what})


def test_a_useful_worker_is_replaced_at_once() -> None:
    """However often calls bring workers down, each is replaced without delay."""
    policy = _policy(max_restarts=1)
    assert [_died(policy, useful=True) for _ in range(100)] == [(_START, 0.0)] * 100


def test_useless_starts_wait_longer_each_time() -> None:
    """The delay doubles from the first to the most."""
    policy = _policy(max_restarts=9, first_delay=0.1, max_delay=1.0)
    assert [_died(policy, float(now)).seconds for now in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_the_limit_of_useless_starts() -> None:
    """Where nobody serves, `max_restarts` useless starts within the window are allowed; one more ends the pool."""
    policy = _policy(max_restarts=2, window=60.0)
    assert [_died(policy).step for _ in range(4)] == [_START, _START, _GIVE_UP, _GIVE_UP]


def test_none_allowed() -> None:
    """`max_restarts=0`: the first useless start is the last."""
    assert _died(_policy(max_restarts=0)).step is _GIVE_UP


def test_a_pool_that_never_served_has_as_many_as_one_slot() -> None:
    """Useless starts of all slots count together, until one worker was of use; then each slot has its own."""
    policy = _policy(4, max_restarts=2)
    assert [_died(policy, slot=slot).step for slot in range(3)] == [_START, _START, _GIVE_UP]
    policy = _policy(4, max_restarts=2)
    _died(policy, useful=True)
    steps = [_died(policy, slot=slot).step for _ in range(3) for slot in range(4)]
    assert steps == [_START] * 11 + [_GIVE_UP]


def test_what_may_yet_come_is_waited_for() -> None:
    """While the first worker of a slot has not shown what it is, the pool does not give up, and starts others slowly."""
    policy = _policy(2, max_restarts=1, max_delay=5.0)
    assert [_died(policy, untried=True) for _ in range(3)] == [(_START, 0.1), (_START, 5.0), (_START, 5.0)]
    assert _died(policy).step is _GIVE_UP


def test_old_starts_do_not_count() -> None:
    """What happened before the window is forgotten, and the delay stays long."""
    policy = _policy(max_restarts=1, window=10.0, first_delay=1.0, max_delay=4.0)
    assert [_died(policy, now).seconds for now in (0.0, 11.0, 22.0, 33.0)] == [1.0, 2.0, 4.0, 4.0]


def test_a_worker_that_served_clears_the_record() -> None:
    """After a useful worker, useless starts are counted and delayed as if they were the first."""
    policy = _policy(max_restarts=2, first_delay=0.1)
    _died(policy)
    _died(policy)
    _died(policy, useful=True)
    assert [_died(policy) for _ in range(3)] == [(_START, 0.1), (_START, 0.2), (_GIVE_UP, 0.0)]


def test_a_slot_that_loops_while_others_serve() -> None:
    """It is quarantined for the window; then it has one start, and the next quarantine is twice as long, up to an hour."""
    policy = _policy(2, max_restarts=2, window=60.0)
    assert [_died(policy, serving=True).step for _ in range(3)] == [_START, _START, _QUARANTINE]
    now, seconds = 60.0, []
    for _ in range(8):
        verdict = _died(policy, now, serving=True)
        assert verdict.step is _QUARANTINE
        now += verdict.seconds
        seconds.append(verdict.seconds)
    assert seconds == [120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0, 3600.0]


def test_an_ended_quarantine_is_forgotten() -> None:
    """Told that the slot is mended, or by a worker that was of use, it has all its starts again."""
    for mend in (lambda policy: policy.begun(0), lambda policy: _died(policy, useful=True)):
        policy = _policy(2, max_restarts=1, window=60.0)
        assert [_died(policy, serving=True).step for _ in range(2)] == [_START, _QUARANTINE]
        mend(policy)
        assert [_died(policy, serving=True) for _ in range(2)] == [(_START, 0.1), (_QUARANTINE, 60.0)]


def test_a_quarantined_slot_does_not_end_the_pool_alone() -> None:
    """When nobody serves, a slot that was quarantined goes on, slowly, until the others have no starts left either."""
    policy = _policy(2, max_restarts=1)
    _died(policy, slot=0, useful=True, serving=True)
    for _ in range(2):
        _died(policy, slot=1, serving=True)
    _died(policy, 100.0, slot=0, useful=True)
    assert _died(policy, 100.0, slot=1) == (_START, 5.0)
    assert [_died(policy, 100.0, slot=0).step for _ in range(2)] == [_START, _GIVE_UP]


_EVENTS = st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans(), st.booleans(), st.floats(0, 30)), max_size=60)


@given(events=_EVENTS, max_restarts=st.integers(0, 5), window=st.floats(0.1, 60))
def test_what_holds_whatever_happens(events: list[tuple[int, bool, bool, bool, float]], max_restarts: int, window: float) -> None:
    """Slots are judged by themselves: none is quarantined unless it looped and others serve; a pool ends only when nobody serves or may."""
    policy, now = _policy(3, max_restarts=max_restarts, window=window), 0.0
    useless: dict[int, list[float]] = collections.defaultdict(list)
    quarantined: set[int] = set()
    for slot, useful, serving, untried, passed in events:
        now += passed
        step, seconds = _died(policy, now, slot, useful=useful, serving=serving, untried=untried)
        if useful:
            assert (step, seconds) == (_START, 0.0)
            useless[slot].clear()
            quarantined.discard(slot)
            continue
        useless[slot].append(now)
        loops = slot in quarantined or sum(now - then <= window for then in useless[slot]) > max_restarts
        assert (step is _QUARANTINE) == (serving and loops)
        if step is _QUARANTINE:
            quarantined.add(slot)
            assert window <= seconds <= max(window, 3600.0)
        elif step is _START:
            assert 0.0 < seconds <= RestartLimits().max_delay
        else:
            assert not serving
            assert not untried


@given(
    steps=st.lists(st.tuples(st.booleans(), st.floats(0, 30)), max_size=60),
    max_restarts=st.integers(0, 5),
    window=st.floats(0.1, 60),
)
def test_gives_up_exactly_when_the_window_holds_too_many(steps: list[tuple[bool, float]], max_restarts: int, window: float) -> None:
    """A pool of one worker gives up exactly when more than `max_restarts` useless ends since the last useful one lie in the window."""
    policy, now, useless = _policy(max_restarts=max_restarts, window=window), 0.0, []
    for useful, passed in steps:
        now += passed
        useless = [] if useful else [*useless, now]
        step, seconds = _died(policy, now, useful=useful)
        assert (step is _GIVE_UP) == (sum(now - then <= window for then in useless) > max_restarts)
        assert 0.0 <= seconds <= RestartLimits().max_delay


def test_a_very_long_run_of_failures_does_not_overflow() -> None:
    """The doubling stops long before a float would."""
    policy = _policy(max_restarts=10_000, window=1e9)
    assert [_died(policy, float(now)).seconds for now in range(5_000)][-1] == RestartLimits().max_delay
    policy = _policy(2, max_restarts=0, window=1e6)
    assert [_died(policy, serving=True) for _ in range(5_000)][-1] == (_QUARANTINE, 1e6)
