"""What each client has open, and whether it may have more. Pure; lives on the gateway's loop.

A client is known by its token's name, else by its certificate's, else by its address. One that has nothing is forgotten.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator

from snakepit.errors import LimitExceeded

from .settings import Limits
from .tokens import Token


@dataclasses.dataclass(slots=True)
class Client:
    """One client, and what it has now.

    Attributes:
        sessions: (pool, session id) of those that it has opened, as far as is known.
        counted: when its sessions were last compared with those that there are (loop's clock).
    """

    name: str
    token: Token | None
    calls: int = 0
    streams: int = 0
    sessions: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    counted: float = 0.0


#: The client whose request is served in this context.
CURRENT: contextvars.ContextVar[Client] = contextvars.ContextVar("snakepit_gateway_client")


class Clients:
    """All clients that have something open."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[str, Client] = {}
        self.calls = 0

    @contextlib.contextmanager
    def entered(self, name: str, token: Token | None, *, streaming: bool) -> Iterator[Client]:
        """Around one request.

        Raises:
            LimitExceeded: the client has as many as it may.
        """
        client = self._known.get(name)
        if client is None:
            client = Client(name, token)
        self._check("all_calls", self.calls, self._limits.all_calls)
        self._check("calls", client.calls, self._limits.calls)
        if streaming:
            self._check("streams", client.streams, self._limits.streams)
        self._known[name] = client
        self.calls += 1
        client.calls += 1
        client.streams += streaming
        try:
            yield client
        finally:
            self.calls -= 1
            client.calls -= 1
            client.streams -= streaming
            if not client.calls and not client.sessions:
                self._known.pop(name, None)

    def check_sessions(self, client: Client) -> None:
        """May it open another?

        Raises:
            LimitExceeded: no.
        """
        self._check("sessions", len(client.sessions), self._limits.sessions)

    def __len__(self) -> int:
        return len(self._known)

    @staticmethod
    def _check(limit: str, has: int, allowed: int) -> None:
        if has >= allowed:
            what = {"all_calls": "all clients together have", "sessions": "this client has"}.get(limit, "this client has")
            kind = {"all_calls": "calls", "calls": "open calls", "streams": "open streams"}.get(limit, limit)
            hint = "wait for some to end; the gateway's settings have the limits"
            raise LimitExceeded(f"{what} {has} {kind}, and limits.{limit} is {allowed}", hint=hint, limit=limit, allowed=allowed)
