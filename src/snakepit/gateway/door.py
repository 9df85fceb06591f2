"""The door: every request of every service passes it. Who is it, may it come in, has its message come in time and whole?

Requests are taken as streams of bytes, whatever their method is, so that one whose message never comes counts from its first moment
and is bounded. What a handler raises becomes a status here, and nothing else leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio

from snakepit.errors import AccessDenied, InvalidParameter, SnakepitError, WorkerTimeout
from snakepit.remote import statuses
from snakepit.telemetry.logs import library_logger

from .clients import CURRENT, Clients
from .settings import Limits
from .tokens import Guests, Token

_log = library_logger("snakepit.gateway")

#: How long a stream of requests, such as reflection's, may be silent (seconds).
_SILENCE = 300.0


class Door(grpc.aio.ServerInterceptor):
    """Lets requests in.

    Args:
        tracebacks: tell clients the traceback of a tool that raised.
    """

    def __init__(self, guests: Guests, clients: Clients, limits: Limits, *, tracebacks: bool) -> None:
        self._guests = guests
        self._clients = clients
        self._limits = limits
        self._tracebacks = tracebacks

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """The handler of a request, behind the door."""
        try:
            token = self._guests.token_of(handler_call_details.invocation_metadata or ())
        except AccessDenied as error:
            return grpc.stream_stream_rpc_method_handler(_Refusal(error).run)  # which does not wait for a message
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        if handler.response_streaming:
            passage: Any = _Streaming(self, handler, token)
            return grpc.stream_stream_rpc_method_handler(passage.run, response_serializer=handler.response_serializer)
        passage = _Unary(self, handler, token)
        return grpc.stream_unary_rpc_method_handler(passage.run, response_serializer=handler.response_serializer)

    async def message(self, handler: Any, context: Any) -> Any:
        """The one message of a request.

        Raises:
            WorkerTimeout: it has not come in time. InvalidParameter: there is none, or it is not what the method takes.
        """
        seconds = self._limits.request_seconds
        try:
            async with asyncio.timeout(seconds):
                data = await context.read()
        except TimeoutError:
            error = WorkerTimeout(f"no request came within {seconds:g} s", hint="send it right after the headers", code="request_timeout")
            raise error from None
        return decoded(handler, data)

    async def tell(self, context: Any, error: BaseException) -> NoReturn:
        """End a request with what was raised in it."""
        if not isinstance(error, SnakepitError):
            _log.error("a request failed for a reason that is the gateway's own", exc_info=error)
            error = SnakepitError("the gateway failed at this request; its log says why", code="internal")
        code, message, details = statuses.rich_status(error, tracebacks=self._tracebacks)
        await context.abort(code, message, trailing_metadata=((statuses.DETAILS, details),))
        raise AssertionError("abort raises")

    @contextlib.asynccontextmanager
    async def passing(self, context: Any, token: Token | None, *, streaming: bool) -> AsyncIterator[None]:
        """Around the run of a handler: counted, and its errors told."""
        try:
            with self._clients.entered(_name_of(token, context), token, streaming=streaming) as client:
                CURRENT.set(client)
                yield
        except (grpc.aio.AbortError, grpc.aio.BaseError):
            raise
        except Exception as error:
            await self.tell(context, error)


class _Unary:
    def __init__(self, door: Door, handler: Any, token: Token | None) -> None:
        self._door, self._handler, self._token = door, handler, token

    async def run(self, _requests: Any, context: Any) -> Any:
        async with self._door.passing(context, self._token, streaming=False):
            if self._handler.request_streaming:
                return await self._handler.stream_unary(_messages(self._handler, context), context)
            return await self._handler.unary_unary(await self._door.message(self._handler, context), context)


class _Streaming:
    def __init__(self, door: Door, handler: Any, token: Token | None) -> None:
        self._door, self._handler, self._token = door, handler, token

    async def run(self, _requests: Any, context: Any) -> None:
        async with self._door.passing(context, self._token, streaming=True):
            if self._handler.request_streaming:
                answers = self._handler.stream_stream(_messages(self._handler, context), context)
            else:
                answers = self._handler.unary_stream(await self._door.message(self._handler, context), context)
            if not hasattr(answers, "__aiter__"):
                await answers  # it writes by itself
                return
            async with contextlib.aclosing(answers):
                async for answer in answers:
                    await context.write(answer)


class _Refusal:
    def __init__(self, error: SnakepitError) -> None:
        self._error = error

    async def run(self, _requests: Any, context: Any) -> None:
        code, message, details = statuses.rich_status(self._error)
        await context.abort(code, message, trailing_metadata=((statuses.DETAILS, details),))


def decoded(handler: Any, data: Any) -> Any:
    """A message from its bytes.

    Raises:
        InvalidParameter: there is none, or it is not what the method takes.
    """
    if not isinstance(data, bytes):
        raise InvalidParameter("the request has no message", code="malformed_request")
    try:
        return handler.request_deserializer(data)
    except Exception:  # protobuf's own
        raise InvalidParameter("the request is no message of this method's kind", code="malformed_request") from None


async def _messages(handler: Any, context: Any) -> AsyncIterator[Any]:
    """The messages of a client that sends several."""
    while True:
        try:
            async with asyncio.timeout(_SILENCE):
                data = await context.read()
        except TimeoutError:
            return
        if data is grpc.aio.EOF:
            return
        yield decoded(handler, data)


def _name_of(token: Token | None, context: Any) -> str:
    """Whom a request comes from."""
    if token is not None:
        return f"token {token.name}"
    known = context.auth_context()
    for key in ("x509_subject_alternative_name", "x509_common_name"):
        if known.get(key):
            return "certificate " + b" ".join(known[key]).decode("utf-8", "replace")
    kind, _, rest = str(context.peer()).partition(":")
    return f"address {rest.rpartition(':')[0] if kind in ('ipv4', 'ipv6') else kind}"
