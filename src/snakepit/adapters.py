"""The guide's protocol names: `configure(adapter_module=snakepit.adapters.GRPCPython)` is `configure(protocol="grpc")`."""

from __future__ import annotations


class GRPCPython:
    """Channels over gRPC."""

    protocol = "grpc"


class GenericPythonMsgpack:
    """Channels over an inherited socket, in MessagePack."""

    protocol = "msgpack"


class GenericPythonV2:
    """Channels over an inherited socket, in JSON: nothing has to be installed for it."""

    protocol = "json"
