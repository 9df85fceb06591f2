"""`Gateway`: a server in front of pools. It starts those that have not been started, and drains them when it is told to stop."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from snakepit import AsyncPool
from snakepit._pool.draining import Drained
from snakepit.errors import ConfigurationError
from snakepit.remote import words
from snakepit.remote.certificates import checked_authorities, checked_pair
from snakepit.telemetry.logs import library_logger
from snakepit_bridge.grpc import snakepit_pb2_grpc

from .clients import Clients
from .door import Door
from .health import Health
from .service import BridgeService
from .settings import GatewaySettings, Limits, Tls
from .tokens import Guests

_log = library_logger("snakepit.gateway")

#: How long what has not ended by the end of draining may take to be told so (seconds).
_GRACE = 1.0
#: How many requests may wait for a look at them, whatever the limits: as many as gRPC's own settings would, or 16 KiB times that.
_FEWEST_WAITING, _MOST_WAITING = 3_000, 50_000


class Gateway:
    """Serves pools to clients outside, while its `async with` block is open.

    Args:
        pools: by name; started if they have not been. They are the caller's to close.
        settings: where and for whom.

    Raises:
        ConfigurationError: there is no pool, or no default among them.
    """

    def __init__(self, pools: Mapping[str, AsyncPool], settings: GatewaySettings | None = None) -> None:
        self.settings = settings or GatewaySettings()
        self._pools = dict(pools)
        default = self.settings.default or next(iter(self._pools), "")
        if default not in self._pools:
            named = ", ".join(self._pools) or "none"
            raise ConfigurationError(f"default is {default!r}; the pools are {named}", field="default")
        self._clients = Clients(self.settings.limits)
        self._health = Health(self._pools, default)
        self._service = BridgeService(self._pools, default, self._clients, self.settings.limits)
        self._server: Any = None
        self._watcher: asyncio.Task[None] | None = None
        self.address = ""

    async def start(self) -> None:
        """Start the pools, then listen; `address` says where.

        Raises:
            ConfigurationError: the address cannot be had, or a TLS file is not what it should be.
        """
        credentials = _credentials(self.settings.tls) if self.settings.tls is not None else None
        await asyncio.gather(*(pool.start() for pool in self._pools.values()))
        self._health.look()
        settings = self.settings
        door = Door(Guests(settings.tokens), self._clients, settings.limits, tracebacks=settings.tracebacks)
        server = self._server = grpc.aio.server(interceptors=(door,), options=_options(settings.limits))
        snakepit_pb2_grpc.add_BridgeServiceServicer_to_server(self._service, server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        served = [words.SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(served, server)
        self.address = _bound(server, settings, credentials)
        await server.start()
        _log.info("listens on %s: %s", self.address, _in_short(settings, self._pools))
        self._watcher = asyncio.get_running_loop().create_task(self._health.follow(), name="snakepit-gateway-health")

    async def drain(self) -> dict[str, Drained]:
        """Health becomes NOT_SERVING, then the pools take no more calls and let those end that they have, within `drain_timeout`."""
        self._health.leave()
        await asyncio.sleep(self.settings.notice)
        timeout = self.settings.drain_timeout
        _log.info("drains: %s open requests have %g s to end", self._clients.calls, timeout)
        drained = await asyncio.gather(*(pool.drain(timeout) for pool in self._pools.values()))
        return dict(zip(self._pools, drained, strict=True))

    async def close(self) -> None:
        """Listen no more, and end what is open. The pools are left as they are. Twice is fine."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            await asyncio.wait([watcher])
        server, self._server = self._server, None
        if server is not None:
            self._health.leave()
            await server.stop(_GRACE)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        await self.close()


def _in_short(settings: GatewaySettings, pools: Mapping[str, AsyncPool]) -> str:
    """What it serves and to whom, for the log."""
    tls = "no TLS" if settings.tls is None else "TLS" if settings.tls.client_ca is None else "TLS with certificates of clients"
    limits = ", ".join(f"{name} {value:g}" for name, value in dataclasses.asdict(settings.limits).items())
    return f"pools {', '.join(pools)}; {tls}; {len(settings.tokens)} tokens; limits: {limits}"


def _options(limits: Limits) -> list[tuple[str, Any]]:
    """What gRPC itself is told. Clients of all languages may ping as often as their libraries let them (Go: every 10 s)."""
    queue = min(max(2 * limits.all_calls, _FEWEST_WAITING), _MOST_WAITING)
    return [
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", limits.message_bytes),
        ("grpc.max_concurrent_streams", min(limits.all_calls, limits.calls) + 100),  # beyond the limit, which is to be told
        # Requests that this process has not looked at yet, those whose clients are gone among them. What does not fit here, gRPC ends
        # with a bare CANCELLED (from 1,000 on, unless told otherwise), as if the client had wanted it: so it fits, and is told why not.
        ("grpc.server.max_pending_requests", queue),
        ("grpc.server.max_pending_requests_hard_limit", queue),
        ("grpc.so_reuseport", 0),  # two gateways on one port would take turns
        ("grpc.keepalive_time_ms", 30_000),  # a client that has vanished without a word is noticed
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_connection_idle_ms", 600_000),
    ]


def _bound(server: Any, settings: GatewaySettings, credentials: Any) -> str:
    """Bind; where it listens."""
    address = settings.address
    try:
        port = server.add_secure_port(address, credentials) if credentials is not None else server.add_insecure_port(address)
    except (RuntimeError, ValueError) as error:
        hint = "is something listening there already? port 0 takes any free one"
        raise ConfigurationError(f"the gateway cannot listen on {address}: {error}", hint=hint, field="address") from None
    if address.startswith("unix:"):
        return address
    if not port:
        raise ConfigurationError(f"the gateway cannot listen on {address}", field="address")
    return f"{address.rpartition(':')[0]}:{port}"


def _credentials(tls: Tls) -> Any:
    cert, key = checked_pair(tls.cert, tls.key, server=True)
    authorities = checked_authorities("client_ca", tls.client_ca) if tls.client_ca is not None else None
    return grpc.ssl_server_credentials([(key, cert)], authorities, require_client_auth=authorities is not None)
