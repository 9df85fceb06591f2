"""The scenarios, timed alike for all peers. The module of a peer derives a `Player` from this one, says how its pool is opened
and called, and overrides the scenarios that its library plays in another way. All times are in seconds.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from statistics import median
from typing import Any

from . import processes, work
from .sampler import Sampler
from .watch import Watch

Figures = dict[str, float | bool | None]

#: 100 MB of floats.
_LARGE = 100_000_000 // 8
#: What a worker has loaded before one of its calls is cancelled: numbers.
_MODEL = 1000
#: A pool that has not recovered by then, or a call that has not ended, never will: seconds.
_PATIENCE = 10.0


#: For sessions that no other has had.
numbers = itertools.count()


class Cannot(Exception):
    """The peer has no such thing, and why; `figures` are what could be measured all the same."""

    def __init__(self, reason: str, figures: Figures | None = None) -> None:
        super().__init__(reason)
        self.figures = figures or {}


class Player:
    """One peer."""

    #: Played on a pool that stays open between the rounds; the others open one each time.
    STANDING = ("sequential", "in_flight", "stream", "first_chunk", "transfer", "sessions")
    FRESH = ("start", "crash", "cancel", "memory", "slow_consumer", "csv", "images")

    #: In place of a stream, a session or a cancel, why there is none.
    no_stream = "its functions return once"
    no_session = "a call goes to whichever worker is free, and may not find what the one before it left"
    no_cancel = "its calls cannot be cancelled"

    # ---- what a peer says of itself ----

    def opened(self, workers: int) -> AbstractContextManager[Any]:
        """A pool; its workers may still be starting."""
        raise NotImplementedError

    def submit(self, pool: Any, tool: Callable[..., Any], *args: Any) -> Any:
        """Hand over a call without waiting for it."""
        raise NotImplementedError

    def result(self, handle: Any) -> Any:
        """Wait for it, bounded."""
        raise NotImplementedError

    def call(self, pool: Any, tool: Callable[..., Any], *args: Any) -> Any:
        return self.result(self.submit(pool, tool, *args))

    def chunks(self, pool: Any, count: int, size: int = 0) -> Iterable[dict[str, Any]]:
        raise Cannot(self.no_stream)

    def pieces(self, pool: Any, tool: Callable[..., Any], *args: Any) -> Iterable[dict[str, Any]]:
        """What a long piece of work gives: as it comes where the library can do this, else all when it is done."""
        found: list[dict[str, Any]] = self.call(pool, work.AT_ONCE[tool], *args)
        return found

    def session(self, pool: Any) -> Callable[[], Any]:
        """Calls `work.count_up` at always the same worker."""
        raise Cannot(self.no_session)

    def pause(self, pool: Any, seconds: float) -> None:
        """Do nothing for a while, as a consumer does who is busy with something else."""
        time.sleep(seconds)

    def up(self, pool: Any, value: Any) -> float:
        return float(self.call(pool, work.total, value))

    def down(self, pool: Any, count: int) -> Any:
        return self.call(pool, work.numbers, count)

    def wait_ended(self, pool: Any, watch: Watch, patience: float) -> bool:
        return watch.wait_ended(patience)

    def after_cancel(self, pool: Any, workers: int) -> Figures:
        """Further figures, of the pool whose call was cancelled: it still holds what its workers had at hand."""
        return {}

    def cancel_one(self, pool: Any, handle: Any) -> None:
        """End a call that runs, as the library has it."""
        raise Cannot(self.no_cancel)

    # ---- scenarios ----

    def warm(self, pool: Any, workers: int) -> None:
        """Until all workers are up and have answered some calls."""
        self.everywhere(pool, workers, 0, 0.05)
        for _ in self.many(pool, 16, 100):
            pass

    def sequential(self, pool: Any, *, workers: int, count: int) -> Figures:
        times = []
        for i in range(count):
            value = {"x": i}
            began = time.perf_counter()
            answer = self.call(pool, work.echo, value)
            times.append(time.perf_counter() - began)
            check(answer, value)
        return {"p50": median(times)}

    def in_flight(self, pool: Any, *, workers: int, window: int, count: int) -> Figures:
        began, seen = time.perf_counter(), 0
        for answer in self.many(pool, window, count):
            check(answer, {"x": seen})
            seen += 1
        seconds = time.perf_counter() - began
        check(seen, count)
        return {"rate": count / seconds}

    def stream(self, pool: Any, *, workers: int, count: int) -> Figures:
        began, first, seen = time.perf_counter(), 0.0, 0
        for chunk in self.chunks(pool, count):
            check(chunk, {"x": seen})
            first = first or time.perf_counter() - began
            seen += 1
        seconds = time.perf_counter() - began
        check(seen, count)
        return {"rate": count / seconds, "first": first}

    def first_chunk(self, pool: Any, *, workers: int, streams: int, count: int) -> Figures:
        """Of so many streams, each read to its end."""
        return {"p50": median(float(self.stream(pool, workers=workers, count=count)["first"] or 0) for _ in range(streams))}

    def transfer(self, pool: Any, *, workers: int, count: int = _LARGE) -> Figures:
        value = work.numbers(count)
        self.everywhere(pool, workers, count, 0.3)
        began = time.perf_counter()
        there = self.up(pool, value)
        up = time.perf_counter() - began
        began = time.perf_counter()
        here = self.down(pool, count).sum()
        down = time.perf_counter() - began
        for found in (there, here):
            check(round(float(found), 3), round(float(value.sum()), 3))
        return {"up": up, "down": down}

    def sessions(self, pool: Any, *, workers: int, count: int) -> Figures:
        call, times = self.session(pool), []
        for i in range(count):
            began = time.perf_counter()
            answer = call()
            times.append(time.perf_counter() - began)
            check(answer, i + 1)
        return {"p50": median(times)}

    def start(self, *, workers: int) -> Figures:
        began = time.perf_counter()
        with self.opened(workers) as pool:
            check(self.call(pool, work.echo, {"x": 0}), {"x": 0})
            first = time.perf_counter() - began
        return {"first": first, "closed": time.perf_counter() - began}

    def crash(self, *, workers: int, patience: float = _PATIENCE) -> Figures:
        with self.opened(workers) as pool:
            self.warm(pool, workers)
            began = time.perf_counter()
            try:
                self.call(pool, work.die)
            except Exception:
                figures: Figures = {"error": time.perf_counter() - began, "next": None}
            else:
                raise RuntimeError("a worker died, and its caller was told a result")
            reason = ""
            while time.perf_counter() - began < patience:
                try:
                    check(self.call_again(pool), {"x": 1})
                except Cannot as error:
                    raise Cannot(str(error), figures) from None
                except Exception as error:
                    reason = f"{type(error).__name__}: {error}"
                    time.sleep(0.001)
                else:
                    return {**figures, "next": time.perf_counter() - began}
            raise Cannot(f"no good result within {patience:g} s of a crash: {reason}", figures)

    def call_again(self, pool: Any) -> Any:
        """After a crash."""
        return self.call(pool, work.echo, {"x": 1})

    def cancel(self, *, workers: int, kind: str, patience: float = _PATIENCE) -> Figures:
        if type(self).cancel_one is Player.cancel_one:
            raise Cannot(self.no_cancel)
        with self.opened(workers) as pool, Watch() as watch:
            self.warm(pool, workers)
            self.everywhere(pool, workers, _MODEL, 0.3)
            handle = self.submit(pool, work.hang, kind, watch.path)
            watch.wait_begun(_PATIENCE)
            time.sleep(0.1)  # By now it sleeps or reads.
            began = time.perf_counter()
            self.cancel_one(pool, handle)
            if not self.wait_ended(pool, watch, patience):
                raise Cannot(f"the call still ran {patience:g} s after it was cancelled")
            ended = time.perf_counter() - began
            return {"ended": ended, "lived": watch.worker_lives(), **self.after_cancel(pool, workers)}

    def slow_consumer(self, *, workers: int, count: int = 20_000, size: int = 10_000, seconds: float = 2.0) -> Figures:
        """What a consumer costs who reads a few chunks of 10 kB and then nothing: 200 MB are to come."""
        if type(self).chunks is Player.chunks:
            raise Cannot(self.no_stream)
        with self.opened(workers) as pool:
            self.warm(pool, workers)
            deque(self.chunks(pool, 100, size), maxlen=0)  # What is made when it is first used counts for nobody.
            with Sampler() as sampler, contextlib.closing(self._closable(self.chunks(pool, count, size))) as chunks:
                for i in range(10):
                    check(next(chunks)["x"], i)
                self.pause(pool, seconds)
            return {"host": sampler.host, "others": sampler.others}

    def csv(self, *, workers: int, path: str, rows: int) -> Figures:
        with self.opened(workers) as pool:
            self.warm(pool, workers)
            figures, last = self._piecewise(pool, work.read_csv, path)
            check(last["rows"], rows)
            return figures

    def images(self, *, workers: int, count: int = 1000) -> Figures:
        with self.opened(workers) as pool:
            self.warm(pool, workers)
            self.everywhere(pool, workers, _MODEL, 0.3)  # NumPy is loaded.
            figures, last = self._piecewise(pool, work.label_images, count)
            check((last["i"], last["image"].shape), (count - 1, (256, 256, 3)))
            return figures

    def memory(self, *, workers: int, settle: float = 1.0) -> Figures:
        """Ask it of a peer that has played nothing else: what is forked shares what its parent has come to hold."""
        with self.opened(workers) as pool:
            self.warm(pool, workers)
            time.sleep(settle)
            members = processes.family(os.getpid())
            held, own = processes.held(members), processes.find(os.getpid())
            return {"mib": held, "processes": len(members), "all": held + processes.held([own] if own else [])}

    # ---- what scenarios share ----

    def _piecewise(self, pool: Any, tool: Callable[..., Any], *args: Any) -> tuple[Figures, Any]:
        """Each piece is looked at and forgotten; the figures, and the last of them."""
        first, last = 0.0, None
        with Sampler() as sampler:
            began = time.perf_counter()
            for piece in self.pieces(pool, tool, *args):
                first = first or time.perf_counter() - began
                last = piece
            seconds = time.perf_counter() - began
        return {"first": first, "seconds": seconds, "grown": sampler.all}, last

    @staticmethod
    def _closable(chunks: Iterable[dict[str, Any]]) -> Generator[dict[str, Any]]:
        """Whatever iterates, as something that can be left early."""
        yield from chunks

    def many(self, pool: Any, window: int, count: int) -> Iterator[Any]:
        """The results of so many calls in order, a window of them under way."""
        waiting: deque[Any] = deque()
        for i in range(count):
            if len(waiting) == window:
                yield self.result(waiting.popleft())
            waiting.append(self.submit(pool, work.echo, {"x": i}))
        while waiting:
            yield self.result(waiting.popleft())

    def everywhere(self, pool: Any, workers: int, count: int, seconds: float) -> None:
        """Each worker has an array of so many numbers at hand; for this takes so long that each gets one of the calls."""
        for handle in [self.submit(pool, work.prepare, count, seconds) for _ in range(workers)]:
            self.result(handle)


def check(found: Any, expected: Any) -> None:
    """Raises RuntimeError."""
    if found != expected:
        raise RuntimeError(f"something else came back: {found!r} for {expected!r}")
