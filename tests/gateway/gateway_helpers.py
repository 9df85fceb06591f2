"""What tests of the gateway share: a gateway in the test's own process, and requests as clients in any language make them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from gateway_tools import GatewayTools
from snakepit import AsyncPool
from snakepit.gateway import Gateway, GatewaySettings
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc

STRING_VALUE = "type.googleapis.com/google.protobuf.StringValue"


class Served(NamedTuple):
    pool: AsyncPool
    gateway: Gateway
    channel: Any
    stub: Any


@contextlib.asynccontextmanager
async def served(size: int = 1, pool_settings: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Served]:
    async with (
        AsyncPool(GatewayTools, size=size, worker_output="discard", **(pool_settings or {})) as pool,
        Gateway({"main": pool}, GatewaySettings(**{"address": "127.0.0.1:0", **settings})) as gateway,
        grpc.aio.insecure_channel(gateway.address) as channel,
    ):
        yield Served(pool, gateway, channel, snakepit_pb2_grpc.BridgeServiceStub(channel))


def request(tool: str, session: str = "", binary: dict[str, bytes] | None = None, **args: Any) -> Any:
    parameters = {name: AnyMessage(type_url=STRING_VALUE, value=json.dumps(value).encode()) for name, value in args.items()}
    return pb.ExecuteToolRequest(session_id=session, tool_name=tool, parameters=parameters, binary_parameters=binary)


async def running(pool: AsyncPool, calls: int = 1) -> None:
    """Until so many calls run."""
    async with asyncio.timeout(20):
        while pool.stats().running != calls:  # noqa: ASYNC110 - a pool has no event for it
            await asyncio.sleep(0.01)


class Refused(NamedTuple):
    code: grpc.StatusCode
    reason: str
    message: str
    facts: dict[str, str]


async def refusal(call: Any) -> Refused:
    """The rich status with which a call ends."""
    try:
        if hasattr(call, "read"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        details = dict(tuple(error.trailing_metadata() or ())).get("grpc-status-details-bin")
        info = error_details_pb2.ErrorInfo()
        if details:
            status = status_pb2.Status.FromString(details)
            assert (status.code, status.message) == (error.code().value[0], error.details())
            assert status.details[0].Unpack(info)
        return Refused(error.code(), info.reason, error.details() or "", dict(info.metadata))
    raise AssertionError("it was not refused")
