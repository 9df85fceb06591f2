"""Arrays through Ray's object store, as its documentation has it: `ray.put`, an actor's method, `ray.get`.

https://docs.ray.io/en/latest/ray-core/objects.html, https://docs.ray.io/en/latest/ray-core/actors.html
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy

from .ray_actors import cluster


@contextlib.contextmanager
def store() -> Iterator[Callable[[str, int], float]]:
    """Plays `up` and `down`: seconds for an array of so many floats."""
    with cluster() as ray:
        actor = ray.remote(_Tools).remote()
        values: dict[int, Any] = {}

        def play(direction: str, count: int) -> float:
            value = values.setdefault(count, numpy.random.default_rng(1).random(count))
            began = time.perf_counter()
            if direction == "up":
                ray.get(actor.total.remote(ray.put(value)))
            else:
                ray.get(actor.numbers.remote(count)).sum()
            return time.perf_counter() - began

        yield play


class _Tools:
    def __init__(self) -> None:
        self._values: dict[int, Any] = {}

    def total(self, value: Any) -> float:
        return float(value.sum())

    def numbers(self, count: int) -> Any:
        return self._values.setdefault(count, numpy.random.default_rng(1).random(count))
