"""A host through which one stream of large arrays goes, either way, and which then says what became of it.

Run as a program by `test_large_streams.py`, which looks at its memory meanwhile: a test runner's moves for reasons of its own. Says who
is who, waits for a line, does the work and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import snakepit
from large_stream_tools import LargeStreams, is_right


def arrays(chunks: int) -> Iterator[Any]:
    """The host tool whose stream a worker reads."""
    yield from LargeStreams.arrays(None, chunks)  # type: ignore[arg-type]


def main() -> None:
    way, protocol, limit, chunks, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
    with snakepit.Pool(LargeStreams, size=1, protocol=protocol, shared_memory_limit=limit) as pool:
        pool.register_tool(arrays)
        for _ in range(3):  # which settles also whether memory is shared
            pool.execute("ready")
        print(json.dumps({"host": os.getpid(), "worker": pool.workers()[0].pid, "window": pool._config.window_bytes}), flush=True)
        sys.stdin.readline()
        if way == "up":
            right = pool.execute("read", {"chunks": chunks, "pause": pause}, timeout=None)
        else:
            stream = pool.stream("arrays", {"chunks": chunks}, timeout=None).values()
            right = sum(is_right(number, value, pause) for number, value in enumerate(stream))
        stats = pool.stats()
        print(json.dumps({"right": right, "shared": stats.shared_transfers, "fallbacks": stats.shared_fallbacks}), flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main()
