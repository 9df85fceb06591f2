"""The guide's protocol names: `configure(adapter_module=snakepit.adapters.GRPCPython)` is `configure(protocol="grpc")`."""

from __future__ import annotations


class GRPCPython:
    """Channels over gRPC."""

    protocol = "grpc"
