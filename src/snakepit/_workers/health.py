"""Whether one worker is well: `WorkerHealth`, and how it is judged. Pure; the engine has the facts."""

from __future__ import annotations

import dataclasses

from .lifecycle import State


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerHealth:
    """How a worker is at one moment.

    Attributes:
        ok: it serves, and nothing speaks against it; reasons: what does, in words.
        state: new, starting, ready, draining or dead.
        running: calls that run there.
        last_heard: seconds since it last said something, of whatever kind; None: it has not yet. An idle one speaks when asked, every
            `heartbeat.interval`.
        missed_beats: heartbeats in a row that it has not answered in time.
        rss: its resident memory (bytes), a quarter of a second old at most; 0: not known.
        stuck: it misses beats, or a cancelled call has not ended there yet.
    """

    id: str
    ok: bool
    reasons: tuple[str, ...]
    state: str
    running: int = 0
    last_heard: float | None = None
    missed_beats: int = 0
    rss: int = 0
    stuck: bool = False


def judged(
    worker_id: str,
    state: State,
    *,
    running: int = 0,
    cancelled: int = 0,
    last_heard: float | None = None,
    missed_beats: int = 0,
    rss: int = 0,
    leaving: str = "",
    condemned: str = "",
) -> WorkerHealth:
    """What these facts say of a worker.

    Args:
        cancelled: of the calls that run there, those that have been told to end.
        leaving: why it is to leave when its calls have ended; condemned: why it is being killed. Empty: it is not.
    """
    reasons = [] if state is State.READY else [f"it is {state.value}"]
    if condemned:
        reasons.append(f"it is being ended: {condemned}")
    elif leaving:
        reasons.append(f"it leaves when its calls have ended: {leaving}")
    if missed_beats:
        reasons.append(f"it has missed {missed_beats} heartbeat{'s' if missed_beats > 1 else ''} in a row")
    if cancelled:
        calls = "a cancelled call has" if cancelled == 1 else f"{cancelled} cancelled calls have"
        reasons.append(f"{calls} not ended yet")
    alive = state is not State.DEAD
    return WorkerHealth(
        id=worker_id,
        ok=not reasons,
        reasons=tuple(reasons),
        state=state.value,
        running=running,
        last_heard=last_heard,
        missed_beats=missed_beats,
        rss=rss if alive else 0,
        stuck=alive and bool(missed_beats or cancelled),
    )
