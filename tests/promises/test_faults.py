"""Whatever goes wrong on a channel, a call ends by its deadline, well or with a clear error."""

from __future__ import annotations

import collections
import os

import pytest

from fault_scenes import play
from promise_figures import measured, often
from snakepit.testing import Faults

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


def test_calls_end_by_their_deadline_whatever_goes_wrong() -> None:
    """Frames are delayed, cut, doubled, dropped, and workers killed, as the seed says: ends are right or clear; a seed repeats its run."""
    chosen = os.environ.get("FAULT_SEED")
    seeds = range(often(10_000, 300)) if chosen is None else [int(chosen)]
    ends, done = collections.Counter[str](), collections.Counter[str]()
    for seed in seeds:
        try:
            found, faults = play(seed)
        except BaseException as error:
            error.add_note(f'the same again: FAULT_SEED={seed} make test ARGS="tests/promises/test_faults.py -k deadline"')
            raise
        ends += found
        done.update(fault.kind for fault in faults.done)
    measured.append(f"{len(seeds)} runs with faults: {dict(done)}; calls ended: {dict(ends)}")
    if chosen is None:
        assert all(done[kind] for kind in ("drop", "delay", "duplicate", "truncate", "kill", "kill_after"))
        assert {"WorkerCrashed", "WorkerTimeout", "ChannelError"} < set(ends)


def test_a_seed_replays_its_run() -> None:
    """Frame by frame: what came by, what was done to it, and how the calls ended."""

    def told(seed: int) -> tuple[str, dict[str, int]]:
        ends, faults = play(seed)
        return str(faults), dict(ends)

    for seed in range(often(200, 10)):
        assert told(seed) == told(seed)
    assert len({told(seed)[0] for seed in range(5)}) == 5
    assert repr(Faults(seed=3)) == "<Faults seed=3, rate=0.02, 0 done>"
