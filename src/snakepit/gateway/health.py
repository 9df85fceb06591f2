"""Standard gRPC health: the gateway as a whole (""), the service, and each pool by its name. Followed twice a second.

Not `grpc_health`'s own servicer: that one writes to a watcher under a lock which setting a status needs too, so that a single
client that watches and does not read would hold up the news for all, and the drain with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from snakepit import AsyncPool
from snakepit.errors import AccessDenied, InvalidParameter
from snakepit.remote import words

from .clients import CURRENT

_SECONDS = 0.5
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc,unused-ignore]
    """Serves health, and keeps it true.

    Args:
        pools: by name. default: whose health is the service's.
    """

    def __init__(self, pools: Mapping[str, AsyncPool], default: str) -> None:
        self._pools = pools
        self._default = default
        self._statuses: dict[str, Any] = {}
        self._left = False
        self._changed = asyncio.Event()  # of this moment; each change makes another

    async def Check(self, request: Any, _context: Any) -> Any:
        """The health of one.

        Raises:
            InvalidParameter: there is none of that name. AccessDenied: the client's token is not for that pool.
        """
        _check_pool(request.service)
        if request.service not in self._statuses:
            raise InvalidParameter(f"health knows nothing named {request.service[:100]!r}", code="unknown_pool", field="service")
        return health_pb2.HealthCheckResponse(status=self._statuses[request.service])

    async def List(self, _request: Any, _context: Any) -> Any:
        """The health of all."""
        known = {name: health_pb2.HealthCheckResponse(status=status) for name, status in self._statuses.items() if _may_see(name)}
        return health_pb2.HealthListResponse(statuses=known)

    async def Watch(self, request: Any, context: Any) -> None:
        """The health of one, now and whenever it changes. Who reads slowly misses what was in between."""
        _check_pool(request.service)
        told = None
        while True:
            changed, status = self._changed, self._statuses.get(request.service, _UNKNOWN)
            if status == told:
                await changed.wait()
            else:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                told = status

    def look(self) -> None:
        """Look at the pools once."""
        if self._left:
            return
        well = {name: pool.health().status != "failing" for name, pool in self._pools.items()}
        well |= {words.SERVICE: well[self._default], "": all(well.values())}
        self._set({name: _SERVING if serves else _NOT_SERVING for name, serves in well.items()})

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_SECONDS)

    def leave(self) -> None:
        """Everything is NOT_SERVING from now on; who watches is told."""
        self._left = True
        self._set(dict.fromkeys(self._statuses, _NOT_SERVING))

    def _set(self, statuses: dict[str, Any]) -> None:
        if statuses != self._statuses:
            self._statuses = statuses
            self._changed.set()
            self._changed = asyncio.Event()


def _may_see(name: str) -> bool:
    """May the client of this request know of that pool?"""
    token = CURRENT.get().token
    return name in ("", words.SERVICE) or token is None or token.allows_pool(name)


def _check_pool(name: str) -> None:
    if not _may_see(name):
        raise AccessDenied(f"the token does not allow pool {name[:100]!r}")
