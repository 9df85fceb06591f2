"""When a worker is started again, after how long, and when the pool gives up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from snakepit._workers.restarts import RestartLimits, RestartPolicy


def _policy(**limits: float) -> RestartPolicy:
    return RestartPolicy(RestartLimits(**limits))


def test_a_useful_worker_is_replaced_at_once() -> None:
    """However often calls bring workers down, each is replaced without delay."""
    policy = _policy(max_restarts=1)
    assert [policy.died(useful=True, now=0.0) for _ in range(100)] == [0.0] * 100


def test_useless_starts_wait_longer_each_time() -> None:
    """The delay doubles from the first to the most."""
    policy = _policy(max_restarts=9, first_delay=0.1, max_delay=1.0)
    assert [policy.died(useful=False, now=float(now)) for now in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_the_limit_of_useless_starts() -> None:
    """`max_restarts` useless starts within the window are allowed; one more ends it."""
    policy = _policy(max_restarts=2, window=60.0)
    assert [policy.died(useful=False, now=0.0) is None for _ in range(4)] == [False, False, True, True]


def test_none_allowed() -> None:
    """`max_restarts=0`: the first useless start is the last."""
    assert _policy(max_restarts=0).died(useful=False, now=0.0) is None


def test_old_starts_do_not_count() -> None:
    """What happened before the window is forgotten, and the delay stays long."""
    policy = _policy(max_restarts=1, window=10.0, first_delay=1.0, max_delay=4.0)
    assert [policy.died(useful=False, now=now) for now in (0.0, 11.0, 22.0, 33.0)] == [1.0, 2.0, 4.0, 4.0]


def test_a_worker_that_served_clears_the_record() -> None:
    """After a useful worker, useless starts are counted and delayed as if they were the first."""
    policy = _policy(max_restarts=2, first_delay=0.1)
    policy.died(useful=False, now=0.0)
    policy.died(useful=False, now=0.0)
    policy.served()
    assert [policy.died(useful=False, now=0.0) for _ in range(3)] == [0.1, 0.2, None]


@given(
    steps=st.lists(st.tuples(st.booleans(), st.floats(0, 30)), max_size=60),
    max_restarts=st.integers(0, 5),
    window=st.floats(0.1, 60),
)
def test_gives_up_exactly_when_the_window_holds_too_many(steps: list[tuple[bool, float]], max_restarts: int, window: float) -> None:
    """None is answered exactly when more than `max_restarts` useless ends lie within the window; else a bounded delay."""
    policy, now, useless = _policy(max_restarts=max_restarts, window=window), 0.0, []
    for useful, passed in steps:
        now += passed
        if not useful:
            useless.append(now)
        delay = policy.died(useful=useful, now=now)
        too_many = sum(now - then <= window for then in useless) > max_restarts
        assert (delay is None) == (not useful and too_many)
        assert delay is None or 0.0 <= delay <= RestartLimits().max_delay


def test_a_very_long_run_of_failures_does_not_overflow() -> None:
    """The doubling stops long before a float would."""
    policy = _policy(max_restarts=10_000, window=1e9)
    assert [policy.died(useful=False, now=float(now)) for now in range(5_000)][-1] == RestartLimits().max_delay
