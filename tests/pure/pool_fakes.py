"""What the tests of the pool's parts share."""

from __future__ import annotations

from snakepit._pool.host_tools.context import HostCallContext
from snakepit._pool.host_tools.masking import Masking
from snakepit._pool.host_tools.offspring import Offspring
from snakepit._workers.known_secrets import KnownSecrets
from snakepit_bridge.redaction import DEFAULT
from snakepit_bridge.wire import frames


def host_call_context() -> HostCallContext:
    """Of a host tool that the first call of a pool has called."""
    return HostCallContext("name", "caller", "worker-1", "", "run-1", (("run", 1),), Offspring())


def masking() -> Masking:
    """Of a call without arguments, in a pool without rules of its own."""
    return Masking(DEFAULT, KnownSecrets(DEFAULT, [], []), frames.HostCall(7, "name", {}, {}))
