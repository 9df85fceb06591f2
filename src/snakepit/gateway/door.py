"""The door: every request of every service passes it. Who is it, may it come in, has its message come in time and whole?

Requests are taken as streams of bytes, whatever their method is, so that one whose message never comes counts from its first moment
and is bounded. What a handler raises becomes a status here, and nothing else leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio

from snakepit.errors import AccessDenied, LimitExceeded, SnakepitError, WorkerTimeout
from snakepit.remote import statuses

from .clients import CURRENT, Clients, Entry
from .identity import name_of, prefix_of
from .receiving import Receiving
from .refusals import Refusals
from .settings import Limits
from .telling import outside
from .tokens import Guests, Token

#: With so much left of a client's own deadline, it is not that which has passed (seconds).
_NOT_YET = 0.1


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
        self._refusals = Refusals()

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """The handler of a request, behind the door."""
        try:
            token = self._guests.token_of(handler_call_details.invocation_metadata or ())
        except AccessDenied as error:
            return grpc.stream_stream_rpc_method_handler(_Refusal(self, error).run)  # which does not wait for a message
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        if handler.response_streaming:
            passage: Any = _Streaming(self, handler, token)
            return grpc.stream_stream_rpc_method_handler(passage.run, response_serializer=self.sized(handler))
        passage = _Unary(self, handler, token)
        return grpc.stream_unary_rpc_method_handler(passage.run)  # it gives bytes

    def sized(self, handler: Any) -> Callable[[Any], bytes]:
        """A method's answers as bytes; one that is too large raises LimitExceeded."""
        return functools.partial(_sized, handler.response_serializer, self._limits.message_bytes)

    async def tell(self, context: Any, error: BaseException, who: str, prefix: str = "") -> NoReturn:
        """End a request with what was raised in it.

        Args:
            who: its client's name. prefix: of its sessions' ids.
        """
        left = context.time_remaining()
        if type(error) is WorkerTimeout and "limit" not in error.details and (left is None or left > _NOT_YET):
            error.details |= {"limit": "call_seconds", "allowed": self._limits.call_seconds}
        self._refusals.note(who, error)
        code, message, details = statuses.rich_status(outside(error, prefix), tracebacks=self._tracebacks)
        await context.abort(code, message, trailing_metadata=((statuses.DETAILS, details),))
        raise AssertionError("abort raises")

    @contextlib.asynccontextmanager
    async def passing(self, context: Any, token: Token | None, *, streaming: bool) -> AsyncIterator[tuple[Entry, Receiving]]:
        """Around the run of a handler: its errors told, and counted until all of its answer has left or its client is gone."""
        who, prefix = name_of(token, context), ""
        try:
            entry = self._clients.enter(who, token, streaming=streaming)
            task = asyncio.current_task()
            assert task is not None
            task.add_done_callback(entry.leave)  # gRPC's, which sends the answer after the handler
            CURRENT.set(entry.client)
            prefix = prefix_of(entry.client)
            yield entry, Receiving(self._clients, entry, self._limits)
        except (grpc.aio.AbortError, grpc.aio.BaseError):
            raise
        except Exception as error:
            _let_go(error)
            await self.tell(context, error, who, prefix)


class _Unary:
    def __init__(self, door: Door, handler: Any, token: Token | None) -> None:
        self._door, self._handler, self._token = door, handler, token

    async def run(self, _requests: Any, context: Any) -> Any:
        async with self._door.passing(context, self._token, streaming=False) as (entry, receiving):
            return await self._answer(entry, receiving, context)

    async def _answer(self, entry: Entry, receiving: Receiving, context: Any) -> bytes:
        if self._handler.request_streaming:
            answer = await self._handler.stream_unary(receiving.each(self._handler, context), context)
        else:
            answer = await self._handler.unary_unary(await receiving.only(self._handler, context), context)
        data = self._door.sized(self._handler)(answer)
        entry.hold(len(data), "answer")
        return data


class _Streaming:
    def __init__(self, door: Door, handler: Any, token: Token | None) -> None:
        self._door, self._handler, self._token = door, handler, token

    async def run(self, _requests: Any, context: Any) -> None:
        async with self._door.passing(context, self._token, streaming=True) as (_, receiving):
            await self._answer(receiving, context)

    async def _answer(self, receiving: Receiving, context: Any) -> None:
        if self._handler.request_streaming:
            answers = self._handler.stream_stream(receiving.each(self._handler, context), context)
        else:
            answers = self._handler.unary_stream(await receiving.only(self._handler, context), context)
        if not hasattr(answers, "__aiter__"):
            await answers  # it writes by itself
            return
        async with contextlib.aclosing(answers):
            async for answer in answers:
                await context.write(answer)


class _Refusal:
    def __init__(self, door: Door, error: SnakepitError) -> None:
        self._door, self._error = door, error

    async def run(self, _requests: Any, context: Any) -> None:
        await self._door.tell(context, self._error, str(context.peer()))


def _sized(serializer: Callable[[Any], bytes], allowed: int, answer: Any) -> bytes:
    data = serializer(answer)
    if len(data) > allowed:
        message = f"the answer has {len(data)} bytes, and limits.message_bytes of the gateway is {allowed}"
        hint = "let the tool give it in parts, as a stream, or have the limit raised"
        raise LimitExceeded(message, hint=hint, limit="message_bytes", allowed=allowed)
    return data


def _let_go(error: BaseException | None) -> None:
    """Empty the frames that an error went through: gRPC's abort makes a cycle with them, which would keep messages for a while."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
