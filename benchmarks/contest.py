"""Contestants, each in a process of its own, and rounds in which they play in turn.

A process each, because they would not leave each other alone in one: grpc.aio wakes every event loop of a process for each
event. A contestant is a context manager function, named `module:function`, that gives a function to be called each round.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent

Play = Callable[..., Any]


class Contestant:
    """Plays when told to; what it measured comes back as JSON.

    Args:
        python: the interpreter that it runs in; None: this one.
    """

    def __init__(self, factory: Callable[..., Any], *, python: str | None = None, **options: Any) -> None:
        self.name = f"{factory.__module__}:{factory.__name__}"
        command = [python or sys.executable, "-m", "benchmarks.contest", self.name, json.dumps(options)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout

    def play(self, *args: Any) -> Any:
        """One round."""
        with contextlib.suppress(BrokenPipeError):  # Then there is no answer either.
            self._orders.write(json.dumps(args) + "\n")
            self._orders.flush()
        answer = self._answers.readline()
        if not answer:
            raise RuntimeError(f"{self.name} ended with code {self._process.wait()}; its last words are above")
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._orders.close()
        self._process.wait()
        self._answers.close()


def in_turn(rounds: int, *contestants: Contestant, args: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """What each contestant measured, round by round; a first round warms up and does not count."""
    results = [tuple(contestant.play(*args) for contestant in contestants) for _ in range(rounds + 1)]
    return list(zip(*results[1:], strict=True))


@contextlib.contextmanager
def on_loop(manager: Any) -> Iterator[tuple[asyncio.Runner, Any]]:
    """Enter an async context manager for a contestant that is called from outside its loop."""
    with asyncio.Runner() as runner:
        value = runner.run(manager.__aenter__())
        try:
            yield runner, value
        finally:
            runner.run(manager.__aexit__(None, None, None))


def _main(name: str, options: str) -> None:
    module, _, function = name.partition(":")
    factory = getattr(importlib.import_module(module), function)
    with factory(**json.loads(options)) as play:
        for line in sys.stdin:
            print(json.dumps(play(*json.loads(line))), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
