"""`python -m benchmarks.profile.play PATH`: opens a path and plays as it is told, a line at a time, until its stdin closes.

It says which processes it consists of, then answers each number of calls with the seconds that they took.
"""

from __future__ import annotations

import json
import os
import sys
import time

from snakepit._channel import connection

from .paths import FLOORS, PATHS


def main(name: str, loop: str = "asyncio", slower: str = "1") -> None:
    """`slower`: so many times slower is this process, for being counted: what is done now and then is not to be seen as often."""
    connection._LOOK_SECONDS *= float(slower)
    if loop == "uvloop":
        import asyncio

        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    with {**PATHS, **FLOORS}[name]() as subject:
        print(json.dumps({"host": [os.getpid()], "worker": subject.workers}), flush=True)
        for line in sys.stdin:
            began = time.perf_counter()
            subject.play(int(line))
            print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
