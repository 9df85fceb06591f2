"""Who plays: this project's faces and its peers, what they are called in tables, and which pages of their documentation they follow."""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
from pathlib import Path

from benchmarks import peers
from benchmarks.peers.run import OURS, PEERS

_LABELS = {
    "pool": "Pool",
    "pool_grpc": "Pool, gRPC",
    "pool_asyncio": "Pool, without uvloop",
    "pool_map": "Pool.map",
    "pool_map_grpc": "Pool.map, gRPC",
    "pool_at_once": "Pool.execute, all at once",
    "pool_template": "Pool, template",
    "pool_spare": "Pool, a spare",
    "async_pool": "AsyncPool",
    "async_pool_grpc": "AsyncPool, gRPC",
    "async_pool_uvloop": "AsyncPool, uvloop",
    "async_pool_map": "AsyncPool.map",
    "executor": "ProcessPoolExecutor, spawn",
    "executor_fork": "ProcessPoolExecutor, fork",
    "pipe": "pipes by hand",
    "pyzmq": "pyzmq + msgspec by hand",
    "ray": "Ray",
    "grpc": "bare grpc.aio",
    "pebble": "Pebble",
    "loky": "loky",
    "mpire": "mpire",
    "pyro5": "Pyro5",
    "pyro5_batch": "Pyro5, batches",
    "rpyc": "RPyC",
    "dask": "Dask distributed",
    "dask_actors": "Dask distributed, actors",
}
#: Whom all ratios are to.
REFERENCE = "pool"


@dataclasses.dataclass(frozen=True, slots=True)
class Contestant:
    """One of those who play.

    Attributes:
        name: in `peers.run`; label: in tables; ours: is it a face of this project?
        pages: what it follows.
    """

    name: str
    label: str
    ours: bool
    pages: tuple[str, ...]


@functools.cache
def contestants() -> dict[str, Contestant]:
    """By name; ours first."""
    return {
        name: Contestant(name, _LABELS.get(name, name), name in OURS, _pages(module)) for name, (module, _) in {**OURS, **PEERS}.items()
    }


def _pages(module: str) -> tuple[str, ...]:
    """The links in its module's docstring: it cannot be imported here."""
    source = (Path(peers.__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    return tuple(re.findall(r"https://[^\s,]+|\.\./\S+\.md", ast.get_docstring(ast.parse(source)) or ""))
