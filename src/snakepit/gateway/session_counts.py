"""How many sessions each client has opened. Those that have ended by themselves are noticed when it would have too many."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from .asked import Asked
from .clients import Clients

#: A client at its limit that opens more and more has its sessions looked through at most this often (seconds).
_LOOK_SECONDS = 1.0


class SessionCounts:
    """Counts for the service."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._opening: set[tuple[str, tuple[str, str]]] = set()  # (client, session): not in its pool's list yet

    @contextlib.asynccontextmanager
    async def opening(self, asked: Asked, session_id: str) -> AsyncIterator[None]:
        """Around what may open a session.

        Raises:
            LimitExceeded: its client has as many as it may.
        """
        client, key = asked.client, (asked.pool_name, session_id)
        new = key not in client.sessions
        if new:
            await self._make_room(asked)
            client.sessions.add(key)
            self._opening.add((client.name, key))
        try:
            yield
        except Exception:
            if new and await asked.pool.session_info(session_id) is None:
                client.sessions.discard(key)
            raise
        finally:
            if new:
                self._opening.discard((client.name, key))

    async def _make_room(self, asked: Asked) -> None:
        client, now = asked.client, asyncio.get_running_loop().time()
        try:
            self._clients.check_sessions(client)
        except Exception:
            if now - client.counted < _LOOK_SECONDS:
                raise
            client.counted = now
            there = {(asked.pool_name, info.id) for info in await asked.pool.sessions()}
            there |= {key for name, key in self._opening if name == client.name}
            client.sessions = {key for key in client.sessions if key[0] != asked.pool_name or key in there}
            self._clients.check_sessions(client)
