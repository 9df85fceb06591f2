"""pyzmq and msgspec by hand: a DEALER here deals requests out to a DEALER in each worker, over one IPC socket; a number on each
tells which reply is whose. A stream is many replies to one request. Arrays travel uncopied, as a part of their own.

https://zguide.zeromq.org/docs/chapter3/, https://pyzmq.readthedocs.io/en/latest/howto/serialization.html
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import zmq

from . import player, servers, work

_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
#: What a worker says when it has connected.
_HELLO = -1


class Player(servers.Player):
    """What does not come is waited for in `Peer.ask` only."""

    no_session = "a request goes to whichever worker is next"

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[_Pool]:
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket, contextlib.ExitStack() as stack:
            socket.linger = 0
            pool = _Pool(socket)
            path = f"{stack.enter_context(tempfile.TemporaryDirectory(prefix='peer-'))}/s"
            socket.bind(f"ipc://{path}")
            stack.enter_context(servers.started(__name__, [path] * workers))
            for _ in range(workers):
                pool.reply(_HELLO)
            yield pool

    def submit(self, pool: _Pool, tool: Callable[..., Any], *args: Any) -> Any:
        return pool, pool.request(tool.__name__, args)

    def result(self, handle: Any) -> Any:
        pool, number = handle
        return pool.reply(number)

    def crash(self, *, workers: int, patience: float = 0.0) -> player.Figures:
        raise player.Cannot("nobody learns that a worker died: its reply does not come")

    def chunks(self, pool: _Pool, count: int, size: int = 0) -> Iterable[dict[str, Any]]:
        number = pool.request("chunks", (count, size))
        while (chunk := pool.reply(number)) is not None:
            yield chunk

    def up(self, pool: _Pool, value: Any) -> float:
        return float(pool.reply(pool.request("up", (), value)))

    def down(self, pool: _Pool, count: int) -> Any:
        pool.request("down", (count,))
        return _array(pool.socket.recv_multipart(copy=False)[1])


class _Pool:
    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self._numbers = itertools.count()
        self._arrived: dict[int, Any] = {}

    def request(self, name: str, args: tuple[Any, ...], value: Any = None) -> int:
        number = next(self._numbers)
        message = _encode((number, name, args))
        if value is None:
            self.socket.send(message)
        else:
            self.socket.send(message, zmq.SNDMORE)
            self.socket.send(value, copy=False)
        return number

    def reply(self, number: int) -> Any:
        if number in self._arrived:
            return self._arrived.pop(number)
        while True:
            which, value = _decode(self.socket.recv())
            if which == number:
                return value
            self._arrived[which] = value


def _serve(path: str) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(f"ipc://{path}")
        socket.send(_encode((_HELLO, None)))
        servers.say_ready()
        while True:
            number, name, args = _decode(socket.recv())
            if name == "chunks":
                for chunk in work.chunks(*args):
                    socket.send(_encode((number, chunk)))
                socket.send(_encode((number, None)))
            elif name == "up":
                socket.send(_encode((number, work.total(_array(socket.recv(copy=False))))))
            elif name == "down":
                socket.send(_encode((number, None)), zmq.SNDMORE)
                socket.send(work.numbers(*args), copy=False)
            else:
                socket.send(_encode((number, getattr(work, name)(*args))))


def _array(frame: Any) -> Any:
    import numpy

    return numpy.frombuffer(frame.buffer)


if __name__ == "__main__":
    _serve(sys.argv[1])
