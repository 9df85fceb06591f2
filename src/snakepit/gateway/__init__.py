"""The gateway: a server for clients outside of the host process, in any language that gRPC knows.

`snakepit.bridge.BridgeService` in front of pools, with health, reflection, tokens, TLS and limits per client. `snakepit serve` is
its command; a program of one's own puts it beside its pools:

    async with AsyncPool("my_app.tools") as pool, Gateway({"main": pool}, GatewaySettings()) as gateway:
        print(gateway.address)

The way of a call: `door` (who is it, may it come in, has the request come) -> `service` (BridgeService) -> `calls` -> the pool.
"""

from snakepit._channel.grpc_loading import without_fork_support
from snakepit.remote import missing

try:
    with without_fork_support():
        from .server import Gateway
except ImportError as error:
    raise missing(error) from None
from .files import Plan, read_plan
from .settings import GatewaySettings, Limits, Tls
from .tokens import Token

__all__ = ["Gateway", "GatewaySettings", "Limits", "Plan", "Tls", "Token", "read_plan"]
