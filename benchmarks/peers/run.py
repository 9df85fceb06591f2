"""`python -m benchmarks.peers.run PEER`: plays one peer, or one face of this project, in the environment it needs, until stdin closes.

A request is a line of JSON: `{"scenario": "in_flight", "window": 64, "count": 5000}`; `workers` is 2 where it is not said.
The answer is a line too: `{"seconds": 0.41, "figures": {...}}`, what is measured being named in `player`; with `cannot` and the
reason where the peer has no such thing, with `failed` and what was raised where it went wrong. `rest` closes the pool that
stays open between rounds, so that its workers leave the machine to others.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

#: The module and the options of each peer's player.
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "executor": ("executor", {}),
    "executor_fork": ("executor", {"method": "fork"}),
    "pipe": ("pipe", {}),
    "pyzmq": ("pyzmq_sockets", {}),
    "ray": ("ray_actors", {}),
    "grpc": ("grpc_aio", {}),
    "pebble": ("pebble_pool", {}),
    "loky": ("loky_executor", {}),
    "mpire": ("mpire_pool", {}),
    "pyro5": ("pyro5_proxies", {}),
    "pyro5_batch": ("pyro5_proxies", {"batch": True}),
    "rpyc": ("rpyc_services", {}),
    "dask": ("dask_client", {}),
    "dask_actors": ("dask_client", {"actors": True}),
}
#: The same of what this project plays itself, in its own environment.
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "pool": ("ours", {}),
    "pool_grpc": ("ours", {"protocol": "grpc"}),
    "pool_asyncio": ("ours", {"loop": "asyncio"}),
    "pool_map": ("ours", {"mapped": True}),
    "pool_map_grpc": ("ours", {"mapped": True, "protocol": "grpc"}),
    "pool_template": ("ours", {"launcher": "template"}),
    "pool_spare": ("ours", {"spares": 1}),
    "pool_at_once": ("ours", {"at_once": True}),
    "async_pool": ("ours_async", {}),
    "async_pool_grpc": ("ours_async", {"protocol": "grpc"}),
    "async_pool_uvloop": ("ours_async", {"uvloop": True}),
    "async_pool_map": ("ours_async", {"mapped": True}),
}


class Program:
    """Answers requests; keeps a pool for the scenarios whose rounds share one."""

    def __init__(self, player: Any) -> None:
        self._player = player
        self._open = contextlib.ExitStack()
        self._pool: Any = None
        self._workers = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        import time
        import traceback

        from .player import Cannot

        began = time.perf_counter()
        try:
            figures = self._play(**request)
        except Cannot as reason:
            return {"seconds": time.perf_counter() - began, "figures": reason.figures, "cannot": str(reason)}
        except Exception as error:
            traceback.print_exc()
            self.rest()
            return {"seconds": time.perf_counter() - began, "failed": f"{type(error).__name__}: {error}"}
        return {"seconds": time.perf_counter() - began, "figures": figures}

    def rest(self) -> None:
        from . import work

        self._open.close()
        self._workers = 0
        work.forget()  # Workers that are forked would share it, and count it as theirs.

    def _play(self, scenario: str, workers: int = 2, **options: Any) -> Any:
        player = self._player
        if scenario in player.STANDING:
            return getattr(player, scenario)(self._standing(workers), workers=workers, **options)
        self.rest()
        if scenario in player.FRESH:
            return getattr(player, scenario)(workers=workers, **options)
        if scenario != "rest":
            raise ValueError(f"no scenario is called {scenario!r}")
        return {}

    def _standing(self, workers: int) -> Any:
        if self._workers != workers:
            self.rest()
            self._pool = self._open.enter_context(self._player.opened(workers))
            self._player.warm(self._pool, workers)
            self._workers = workers
        return self._pool


def main(name: str) -> None:
    import json
    import os

    # What libraries print must not come between the answers; nor may a worker keep their pipe open.
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    module, options = {**PEERS, **OURS}[name]
    program = Program(importlib.import_module(f".{module}", __package__).Player(**options))
    try:
        for line in sys.stdin:
            answers.write(json.dumps(program.answer(json.loads(line))) + "\n")
    finally:
        program.rest()


if __name__ == "__main__":
    main(sys.argv[1])
