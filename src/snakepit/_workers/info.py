"""What is told of a worker: `WorkerInfo`."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What is known of a worker at one moment.

    Attributes:
        state: new, starting, ready, draining or dead.
        endpoint: the live address, stored once the worker has reported ready; empty before.
        started: seconds since the epoch; uptime: seconds.
        python: version of its interpreter; protocol, codec: what carries its channel.
        calls_served, running: numbers of calls. spare: it waits, ready, for the place of a worker that is lost.
        free_threaded: its interpreter is a free-threaded build; gil_enabled: whether one thread at a time runs Python code there,
            which on such a build a library that was imported can bring about.
    """

    id: str
    state: str
    pid: int | None
    endpoint: str
    protocol: str
    codec: str
    python: str
    executable: str
    started: float
    uptime: float
    calls_served: int
    running: int
    free_threaded: bool = False
    gil_enabled: bool = True
    spare: bool = False
