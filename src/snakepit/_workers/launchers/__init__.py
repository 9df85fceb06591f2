"""How worker processes come to be. A launcher is a seam: nothing above `_workers` knows which one is at work."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from snakepit._channel.carrier import Carrier
from snakepit._workers.ends import StartFailure
from snakepit_bridge.wire.coding import BINARY_THRESHOLD
from snakepit_bridge.wire.payload import MAX_PAYLOAD


@dataclasses.dataclass(frozen=True, slots=True)
class LaunchSpec:
    """What a launcher needs to start one worker.

    Attributes:
        worker_id: such as `worker-1`.
        silence: seconds of silence of the host after which a worker behind a command leaves; 0: it does not.
        title: what lists of processes show of it: its pool and its id.
        python: path of the interpreter.
        protocols: `("grpc",)`: it listens. Else the first of these that it can use, over what it inherits.
        adapter: adapter references, as the worker's command line takes them.
        listen: the address it is to listen on; empty: it does not.
        secret: what the host will present to a worker that listens; handed over by the environment, never on the command line.
        env: environment variables that differ from the host's.
        cwd: its working directory; None: the host's.
        threads: calls at once on threads of its own; 0: tools run on its main thread.
        run_directory: the pool's private directory, which a worker removes if the host dies; empty: there is none.
        sdk: the directory in which another interpreter than the host's finds the worker's half.
        shared_memory: how much memory it and the host may share in either direction (bytes); 0: none.
        binary_threshold: from so many bytes on, what is binary travels as attachments.
        strict: answers that hold what cannot travel are errors.
        ahead: calls are sent ahead to it, if it can take them so.
        max_payload: how large a call's arguments, a result or a chunk may be (bytes).
        command: starts a worker that speaks over its stdin and stdout, on this machine or another; empty: `python` is started.
    """

    worker_id: str
    python: str
    protocols: tuple[str, ...]
    adapter: tuple[str, ...]
    listen: str
    secret: str = dataclasses.field(repr=False)
    env: Mapping[str, str]
    cwd: str | None = None
    threads: int = 0
    run_directory: str = ""
    sdk: str = ""
    command: tuple[str, ...] = ()
    title: str = ""
    silence: float = 0.0
    shared_memory: int = 0
    binary_threshold: int = BINARY_THRESHOLD
    strict: bool = False
    ahead: bool = False
    max_payload: int = MAX_PAYLOAD


class Channel(Carrier, Protocol):
    """What carries the channel of a worker that was given it when it was started."""

    def begin(self, codec: str) -> None:
        """The worker has reported: let it speak, in this codec."""

    def finish(self) -> None:
        """The worker has said goodbye, and nothing more is to be written to it."""


class Process(Protocol):
    """A started worker process."""

    #: Set to the worker's first report: `{"ready": ...}`, `{"failed": ...}`, or None if it ended without one.
    report: asyncio.Future[dict[str, Any] | None]
    #: Set to the exit status as `subprocess` has it: a code, or a signal's number below zero.
    exited: asyncio.Future[int]

    @property
    def pid(self) -> int | None:
        """Its number; None until it has been started."""

    @property
    def rss(self) -> int:
        """The most memory that it had (bytes); 0: not known, or it lives."""

    @property
    def channel(self) -> Channel | None:
        """What carries the channel of a worker that does not listen."""

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""

    def look(self, then: Callable[[str], None]) -> None:
        """Ask where its threads are; `then` is called with its report, soon, or with an empty text."""

    def kill(self) -> None:
        """End it and what it has started (SIGKILL)."""

    async def close(self) -> None:
        """Wait for its outputs to be read to the end, and free its descriptors. It must have exited."""


class Launcher(Protocol):
    """Starts worker processes.

    Attributes:
        name: how it does. reasons: why it does not do as it was wished to; empty: it does.
    """

    @property
    def name(self) -> str: ...

    @property
    def reasons(self) -> tuple[str, ...]: ...

    def start(self, spec: LaunchSpec, on_output: Callable[[str, str, str], None]) -> Process:
        """Start a worker; `on_output(stream, text, state)` gets what it prints; see `Lines`.

        Raises:
            OSError: the process could not be started.
        """

    def judged(self, process: Process, failure: StartFailure | None) -> bool:
        """A worker has become ready (None), or has not and why: is another to be started at once, as if nothing had happened?"""

    async def close(self) -> None:
        """End what is left of what it has started; all workers have ended."""


class PlainLauncher:
    """A launcher that knows one way, and stays with it."""

    name = ""
    reasons: tuple[str, ...] = ()

    def judged(self, process: Process, failure: StartFailure | None) -> bool:
        """A worker that did not become ready would not do so another time."""
        return False
