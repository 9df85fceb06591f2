"""How a worker ends: before it was ready, or later. Made by `worker`, told to the engine."""

from __future__ import annotations

import dataclasses


class StartFailure(Exception):
    """A worker did not become ready. `kind`: adapter, protocol, listen, start; `code`: of a protocol that it cannot use."""

    def __init__(
        self, kind: str, message: str, *, hint: str = "", traceback: str = "", stderr: tuple[str, ...] = (), code: str = "grpc_unavailable"
    ) -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind
        self.message = message
        self.hint = hint
        self.traceback = traceback
        self.stderr = stderr


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
