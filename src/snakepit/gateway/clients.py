"""What each client has open, and whether it may have more. Pure; lives on the gateway's loop.

A client is known by its token's name, else by its certificate's, else by its address. One that has nothing is forgotten.
"""

from __future__ import annotations

import contextvars
import dataclasses
from typing import Any

from snakepit.errors import LimitExceeded

from .settings import Limits
from .tokens import Token


@dataclasses.dataclass(slots=True)
class Client:
    """One client, and what it has now.

    Attributes:
        late: requests whose message is late (`receiving`). nbytes: of its requests and answers.
        sessions: (pool, session id) of those that it has opened, as far as is known.
        counted: when its sessions were last compared with those that there are (loop's clock).
    """

    name: str
    token: Token | None
    calls: int = 0
    streams: int = 0
    late: int = 0
    nbytes: int = 0
    sessions: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    counted: float = 0.0


@dataclasses.dataclass(slots=True)
class Entry:
    """One request that is counted, and the bytes that it has in memory."""

    clients: Clients
    client: Client
    streaming: bool
    nbytes: int = 0

    def leave(self, _ended: Any = None) -> None:
        """It has ended."""
        self.clients.leave(self)

    def hold(self, size: int, what: str) -> None:
        """See `Clients.hold`."""
        self.clients.hold(self, size, what)


#: What limits count, in words.
_KINDS = {
    "all_calls": "calls",
    "calls": "open calls",
    "streams": "open streams",
    "late_requests": "requests whose message has not come yet",
}
#: The client whose request is served in this context.
CURRENT: contextvars.ContextVar[Client] = contextvars.ContextVar("snakepit_gateway_client")


class Clients:
    """All clients that have something open."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[str, Client] = {}
        self.calls = 0
        self.nbytes = 0

    def enter(self, name: str, token: Token | None, *, streaming: bool) -> Entry:
        """One more request; it has to be left.

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
        return Entry(self, client, streaming)

    def leave(self, entry: Entry) -> None:
        """That request has ended, and its answer has left."""
        client = entry.client
        self.calls -= 1
        self.nbytes -= entry.nbytes
        client.nbytes -= entry.nbytes
        client.calls -= 1
        client.streams -= entry.streaming
        if not client.calls and not client.sessions:
            self._known.pop(client.name, None)

    def hold(self, entry: Entry, size: int, what: str) -> None:
        """A message of `size` bytes is in memory until its request is left.

        Raises:
            LimitExceeded: all that the client has, or all clients, would be too much.
        """
        client, limits = entry.client, self._limits
        for limit, has, allowed, who in (
            ("client_bytes", client.nbytes, limits.client_bytes, "this client's"),
            ("all_bytes", self.nbytes, limits.all_bytes, "all clients'"),
        ):
            if has + size > allowed:
                message = f"{who} requests and unread answers have {has} bytes, this {what} {size}, and limits.{limit} is {allowed}"
                hint = "make fewer large calls at once, and read their answers"
                raise LimitExceeded(message, hint=hint, limit=limit, allowed=allowed)
        entry.nbytes += size
        client.nbytes += size
        self.nbytes += size

    def check_late(self, client: Client) -> None:
        """May the message of one more of its requests be late?

        Raises:
            LimitExceeded: no.
        """
        self._check("late_requests", client.late, self._limits.late_requests)

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
            what = "all clients together have" if limit == "all_calls" else "this client has"
            kind = _KINDS.get(limit, limit)
            hint = "wait for some to end; the gateway's settings have the limits"
            raise LimitExceeded(f"{what} {has} {kind}, and limits.{limit} is {allowed}", hint=hint, limit=limit, allowed=allowed)
