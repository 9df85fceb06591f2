"""What a host tool may know of the call it serves; and, by a context variable, which calls lead to which."""

from __future__ import annotations

import contextvars

from .offspring import Offspring


class HostCallContext:
    """One running call of a host tool.

    Attributes:
        tool: the host tool's name; caller: the tool that called it; worker_id: where that runs.
        session_id: the session of the caller; empty: none.
        correlation_id: that of the caller; calls made from here keep it.
        depth: how many calls are above it: 1 for a host tool whose caller was called by the application itself.
        ancestors: those calls by (run of the pool, number), outermost first.
        offspring: the open calls that the caller's host tools have made.
    """

    __slots__ = ("_cancelled", "ancestors", "caller", "correlation_id", "depth", "offspring", "session_id", "tool", "worker_id")

    def __init__(
        self,
        tool: str,
        caller: str,
        worker_id: str,
        session_id: str,
        correlation_id: str,
        ancestors: tuple[tuple[str, int], ...],
        offspring: Offspring,
    ) -> None:
        self.tool = tool
        self.caller = caller
        self.worker_id = worker_id
        self.session_id = session_id
        self.correlation_id = correlation_id
        self.ancestors = ancestors
        self.offspring = offspring
        self.depth = len(ancestors)
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for it any more. Sync host tools cannot be interrupted: ask this in long loops."""
        return self._cancelled

    def mark_cancelled(self) -> None:
        """For the pool alone: nobody waits for it any more, nor for the calls it has made."""
        self._cancelled = True
        self.offspring.cancel(self)

    def __repr__(self) -> str:
        return f"<call of host tool {self.tool!r} by {self.caller!r} on {self.worker_id}>"


CURRENT: contextvars.ContextVar[HostCallContext | None] = contextvars.ContextVar("snakepit_host_call", default=None)


def current_host_call() -> HostCallContext:
    """The call of a host tool that runs here.

    Raises:
        RuntimeError: no host tool is running in this thread or task.
    """
    found = CURRENT.get()
    if found is None:
        raise RuntimeError("no host tool is running here: current_host_call() works inside a function that a tool has called")
    return found
