"""Standard gRPC health: the gateway as a whole (""), the service, and each pool by its name. Followed twice a second."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

from snakepit import AsyncPool
from snakepit.remote import words

_SECONDS = 0.5
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Keeps the health service true.

    Args:
        pools: by name. default: whose health is the service's.
    """

    def __init__(self, pools: Mapping[str, AsyncPool], default: str) -> None:
        self.servicer = aio.HealthServicer()
        self._pools = pools
        self._default = default

    async def look(self) -> None:
        """Look at the pools once."""
        well = {name: pool.health().status != "failing" for name, pool in self._pools.items()}
        for name, serves in (*well.items(), (words.SERVICE, well[self._default]), ("", all(well.values()))):
            await self.servicer.set(name, _SERVING if serves else _NOT_SERVING)

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_SECONDS)

    async def leave(self) -> None:
        """Everything is NOT_SERVING from now on; who watches is told."""
        await self.servicer.enter_graceful_shutdown()
