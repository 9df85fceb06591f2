"""The ways a channel can be carried, each in the same two steps: `open` it, `stop`.

The libraries they need are imported in `open`, which says what is missing. The worker's program chooses one.
"""

import contextlib
import gc
import importlib
import sys
from typing import TYPE_CHECKING, Any, Dict, Iterator, Optional, Protocol

from ..wire.installed import install_command, is_installed
from .executor import Executor
from .stream_server import StreamServer

if TYPE_CHECKING:
    from .grpc_server import GrpcServer


class Reporter(Protocol):
    """Who is told how the start went: a lifeline, or the channel itself."""

    def say(self, report: Dict[str, Any]) -> None:
        """Send `{"ready": endpoint, ...}` or `{"failed": ...}`."""


class CarrierError(Exception):
    """A channel cannot be opened. `kind`: `protocol`, a library is missing; `listen`: the address cannot be had."""

    def __init__(self, kind: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.hint = hint


class GrpcCarrier:
    """Listens on an address.

    Args:
        secret: what a host must present.
    """

    def __init__(self, listen: str, secret: str) -> None:
        self._listen = listen
        self._secret = secret
        self._server: Optional[GrpcServer] = None

    def open(self, executor: Executor) -> str:
        """Listen; the endpoint that a host dials."""
        try:
            with _uncollected():
                from .grpc_server import GrpcServer, Listen
        except ImportError as error:
            hint = install_command(sys.executable, "grpcio", has_pip=is_installed("pip"))
            raise CarrierError("protocol", "%s cannot import grpc: %s" % (sys.executable, error), hint) from error
        try:
            address = Listen(self._listen)
            self._server = GrpcServer(executor, self._secret)
            return self._server.start(address)
        except (OSError, RuntimeError, ValueError) as error:
            unix = self._listen.startswith("unix:")
            hint = "" if unix else "choose another base_port or a wider port_range; port 0 takes any free one"
            raise CarrierError("listen", str(error), hint) from error

    def stop(self) -> None:
        """Write what is left, close the server."""
        if self._server is not None:
            self._server.stop()


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Import much at once, without the garbage collector's looking through all of it a dozen times: a tenth of the time is that."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def preload() -> None:
    """Import what `GrpcCarrier` needs, for workers that will be forked. If that fails, `open` fails in them and says why."""
    with contextlib.suppress(Exception):
        importlib.import_module("snakepit_bridge._runtime.grpc_server")
        importlib.import_module("grpc._utilities")  # which it imports at its first use


class StreamCarrier:
    """Serves the host at the other end of two descriptors, which may be one.

    Args:
        endpoint: what they are, for people to read.
        grace: see `StreamServer`.
    """

    def __init__(self, endpoint: str, read_fd: int, write_fd: int, grace: Optional[float] = None) -> None:
        self._endpoint = endpoint
        self._server = StreamServer(read_fd, write_fd, grace)

    def open(self, executor: Executor) -> str:
        """Serve; nothing has to be waited for."""
        self._server.serve(executor)
        return self._endpoint

    def stop(self) -> None:
        """Write what is left."""
        self._server.stop()
