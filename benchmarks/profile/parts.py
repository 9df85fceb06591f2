"""What the Python of a call belongs to, by the file that it stands in: the rows of the report."""

from __future__ import annotations

from collections.abc import Iterable

from .frames import Function

#: (how a file's path begins, the part), the first that fits.
_PARTS = (
    ("benchmarks/", "the caller and the tool themselves"),
    ("asyncio/", "event loop"),
    ("selectors.py", "event loop"),
    ("grpc/", "gRPC's Python"),
    ("snakepit/_pool/scheduler", "who runs it"),
    ("snakepit/_pool/free_workers", "who runs it"),
    ("snakepit/_pool/ahead_lines", "who runs it"),
    ("snakepit/_pool/waiting", "who runs it"),
    ("snakepit/_pool/seat", "who runs it"),
    ("snakepit/_pool/sent_ahead", "who runs it"),
    ("snakepit/_pool/pace", "who runs it"),
    ("snakepit/_workers/known_secrets", "secrets to mask"),
    ("snakepit_bridge/redaction/", "secrets to mask"),
    ("snakepit/_api/", "asking: arguments, call, thread border"),
    ("snakepit/_pool/arguments", "asking: arguments, call, thread border"),
    ("snakepit/_pool/engine", "asking: arguments, call, thread border"),
    ("snakepit/_pool/call.py", "asking: arguments, call, thread border"),
    ("snakepit/config", "asking: arguments, call, thread border"),
    ("snakepit/_channel/", "frames and carrier"),
    ("snakepit_bridge/wire/plain", "may it travel as it is?"),
    ("snakepit_bridge/wire/settling", "may it travel as it is?"),
    ("snakepit_bridge/wire/", "frames and carrier"),
    ("snakepit_bridge/shared/", "frames and carrier"),
    ("snakepit_bridge/_runtime/link", "frames and carrier"),
    ("snakepit_bridge/_runtime/stream_server", "frames and carrier"),
    ("snakepit_bridge/_runtime/grpc_server", "frames and carrier"),
    ("snakepit_bridge/", "running the tool"),
    ("snakepit/", "books: open calls, deadline, circuits, spans"),
)
_OTHER = "the rest of the standard library"


def shares(functions: Iterable[Function]) -> list[tuple[str, float]]:
    """The bytecode of each part, most first."""
    sums: dict[str, float] = {}
    for function in functions:
        part = next((part for begins, part in _PARTS if function.name.startswith(begins)), _OTHER)
        sums[part] = sums.get(part, 0.0) + function.opcodes
    return sorted(sums.items(), key=lambda item: -item[1])
