"""What is told of one call of a host tool, without its secrets: its error frame and its span. And what it teaches of secrets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from snakepit._workers.known_secrets import KnownSecrets
from snakepit.telemetry import spans
from snakepit_bridge import tracing
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.wire import frames

from .context import HostCallContext


class Masking:
    """The rules of the pool, and the secrets that one call may quote.

    Args:
        secrets: of the worker that asks; used on the loop's thread only.
        event: the call, as it came.
    """

    def __init__(self, redactor: Redactor, secrets: KnownSecrets, event: frames.HostCall) -> None:
        self.find = redactor.glance  # from any thread
        self._redactor = redactor
        self._secrets = secrets
        self._trace = event.options.get("trace")
        for value in (event.args, event.options.get("binary")):
            secrets.heard(value)
        self._known = secrets()  # of now, for the thread that it may run on

    def learn(self, found: Iterable[str]) -> None:
        """The worker gets these secrets: on the loop's thread, before they are sent."""
        self._secrets.learn(found)

    def masked(self, info: dict[str, Any]) -> dict[str, Any]:
        """The content of an error frame as it may be told; on the loop's thread."""
        return self._redactor.masked(info, self._secrets())  # type: ignore[no-any-return]

    def span(self, context: HostCallContext) -> tracing.ServerSpan:
        """Around its function; from any thread."""
        facts = {"snakepit.worker_id": context.worker_id, "snakepit.correlation_id": context.correlation_id}
        return spans.host_tool_span(self._trace, context.tool, facts, self._redactor, lambda: self._known)
