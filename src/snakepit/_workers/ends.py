"""How a worker ends: before it was ready, or later. Made by `worker`, told to the engine."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Callable


class StartFailure(Exception):
    """A worker did not become ready.

    Attributes:
        kind: adapter, protocol, listen, start, timeout, channel, tools.
        code: of a protocol that it cannot use.
        stacks: where its threads were when it took too long.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        hint: str = "",
        traceback: str = "",
        stderr: tuple[str, ...] = (),
        code: str = "grpc_unavailable",
        stacks: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind
        self.message = message
        self.hint = hint
        self.traceback = traceback
        self.stderr = stderr
        self.stacks = stacks


@dataclasses.dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended.

    Attributes:
        cause: one sentence.
        exit_code: its exit code, or None if a signal ended it.
        signal: the signal's name, such as `SIGKILL`, or None.
        stderr: its last lines.
        rss: the most memory it had (bytes); 0: not known. uptime: seconds. calls_served: calls that had ended.
        evidence: what speaks for a lack of memory; empty: nothing.
        stacks: where its threads were before this pool killed it, as `faulthandler` writes it.
    """

    cause: str
    exit_code: int | None
    signal: str | None
    stderr: tuple[str, ...]
    rss: int = 0
    uptime: float = 0.0
    calls_served: int = 0
    evidence: str = ""
    stacks: str = ""


def cause_of(status: int, condemned: str, evidence: Callable[[], str]) -> tuple[str, int | None, str | None, str]:
    """What an exit status means: (one sentence, exit code, signal, evidence of a lack of memory).

    Args:
        condemned: why the pool ended the worker; empty: it did not.
        evidence: asked where somebody else has killed it.
    """
    if status >= 0:
        return condemned or f"exited with code {status}", status, None, ""
    name = str(-status)
    with contextlib.suppress(ValueError):
        name = signal.Signals(-status).name
    if condemned:
        return condemned, None, name, ""
    found = evidence() if name == "SIGKILL" else ""
    return f"killed by {name}" + (f"; {found}" if found else ""), None, name, found
