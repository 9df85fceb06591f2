"""The words that a gateway and its Python clients use beside the messages of BridgeService: headers, keys, the exact encoding. Pure.

Clients in other languages need none of them but the name of a pool and a token.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from snakepit_bridge.wire.codecs import MsgpackCodec

SERVICE = "snakepit.bridge.BridgeService"

# Headers of a request: metadata in gRPC's words.
TOKEN = "authorization"
POOL = "x-snakepit-pool"
CORRELATION = "x-snakepit-correlation-id"
#: The client reads values as `exact` writes them; whoever does not say so gets JSON.
ENCODING = "x-snakepit-encoding"
AFFINITY = "x-snakepit-affinity"
RETRY = "x-snakepit-retry"
SESSION_TTL = "x-snakepit-session-ttl"
#: The session has been opened before, and the call does not open it.
SESSION_OPEN = "x-snakepit-session-open"
#: In an answer: the session is a new one.
SESSION_CREATED = "x-snakepit-session-created"

#: The key under which a map of texts holds the whole, as `whole` writes it, for clients that read `exact`.
WHOLE = "snakepit.whole"
#: The keys of a chunk's metadata for them: what came beside the payload; and that the call has ended with this value.
EXTRA, ENDED = "extra", "ended"
MSGPACK = "msgpack"
EXACT = "type.googleapis.com/snakepit.msgpack"

#: Of an error, this much of its message travels (characters), and this much of each fact: a status has to fit into a header.
MOST_MESSAGE = 1_000
MOST_FACT = 400

CODEC = MsgpackCodec()


def as_text(value: Any) -> str:
    """JSON of plain values, as headers and maps of texts have it."""
    return json.dumps(value, separators=(",", ":"), default=_plainer)


def whole(value: Any) -> str:
    """Any value as text, for clients of ours: what JSON does not tell apart stays apart."""
    return CODEC.encode(value).hex()


def read_whole(text: str) -> Any:
    """The value of `whole`.

    Raises:
        ValueError, Malformed: the text is none.
    """
    return CODEC.decode(bytes.fromhex(text))


def header(headers: Iterable[tuple[str, Any]], name: str) -> str:
    """A header's text; empty if it is not there."""
    for key, value in headers:
        if key == name:
            return value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")
    return ""


def _plainer(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, (tuple, set, frozenset)) else str(value)
