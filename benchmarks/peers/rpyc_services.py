"""RPyC: a service for each worker on a unix socket. Dicts travel as JSON: as they are they would be references, and each look
into one a round trip. A generator is read by `buffiter`, calls in flight are `async_`, arrays travel as bytes, in parts, as its
own `upload` sends files: each write copies what is left to write, so that 100 MB at once take half a minute.

https://rpyc.readthedocs.io/en/latest/tutorial/tut5.html, https://rpyc.readthedocs.io/en/latest/api/utils_helpers.html
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import rpyc
from rpyc.core.channel import Channel
from rpyc.utils.factory import unix_connect
from rpyc.utils.helpers import buffiter
from rpyc.utils.server import ThreadedServer

from . import player, servers, work

_PART = 1024 * 1024
Channel.COMPRESSION_THRESHOLD = sys.maxsize  # Random numbers do not get smaller, and zlib takes ten times as long as all the rest.


class Player(servers.Player):
    """Calls go to the servers in turn."""

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[_Pool]:
        with servers.running(__name__, workers) as paths, contextlib.ExitStack() as stack:
            yield _Pool([stack.enter_context(unix_connect(path)) for path in paths])

    def call(self, pool: _Pool, tool: Callable[..., Any], *args: Any) -> Any:
        return json.loads(next(pool.turns).call(tool.__name__, json.dumps(args)))

    def submit(self, pool: _Pool, tool: Callable[..., Any], *args: Any) -> Any:
        return next(pool.turns).call_async(tool.__name__, json.dumps(args))

    def result(self, handle: Any) -> Any:
        return json.loads(handle.value)

    def chunks(self, pool: _Pool, count: int, size: int = 0) -> Iterable[dict[str, Any]]:
        return map(json.loads, buffiter(next(pool.turns).root.chunks(count, size)))

    def session(self, pool: _Pool) -> Callable[[], Any]:
        server, args = next(pool.turns), json.dumps([f"s{next(player.numbers)}"])
        return lambda: json.loads(server.call("count_up", args))

    def up(self, pool: _Pool, value: Any) -> float:
        server, view = next(pool.turns), memoryview(value).cast("B")
        for at in range(0, len(view), _PART):
            server.take(bytes(view[at : at + _PART]))
        return float(server.root.total())

    def down(self, pool: _Pool, count: int) -> Any:
        import numpy

        return numpy.frombuffer(b"".join(next(pool.turns).root.numbers(count)))


class _Server:
    """One server as a client sees it; its functions are looked up once, since each look is a round trip."""

    def __init__(self, connection: Any) -> None:
        self.root = connection.root
        self.call = self.root.call
        self.call_async = rpyc.async_(self.call)
        self.take = self.root.take


class _Pool:
    def __init__(self, connections: list[Any]) -> None:
        self.turns = itertools.cycle([_Server(connection) for connection in connections])


class _Tools(rpyc.Service):  # type: ignore[misc]
    """For one connection."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def exposed_call(self, name: str, args: str) -> str:
        return json.dumps(getattr(work, name)(*json.loads(args)))

    def exposed_chunks(self, count: int, size: int) -> Iterator[str]:
        return map(json.dumps, work.chunks(count, size))

    def exposed_take(self, data: bytes) -> None:
        self._parts.append(data)

    def exposed_total(self) -> float:
        import numpy

        data = b"".join(self._parts)
        self._parts.clear()
        return work.total(numpy.frombuffer(data))

    def exposed_numbers(self, count: int) -> Iterator[bytes]:
        view = memoryview(work.numbers(count)).cast("B")
        return (bytes(view[at : at + _PART]) for at in range(0, len(view), _PART))


def _serve(path: str) -> None:
    server = ThreadedServer(_Tools, socket_path=path)
    server._listen()  # Else it would say that it is ready before it is.
    servers.say_ready()
    server.start()


if __name__ == "__main__":
    _serve(sys.argv[1])
