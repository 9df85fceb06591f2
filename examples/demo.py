"""The product in half a minute, on real work: `make demo`, or `python examples/demo.py`.

Two workers. A million rows of CSV stream back while they are worked on, with another stream beside them; a stream is
cancelled midway; a worker is killed under two running streams. What was measured on the way stands in the
last line.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import snakepit
from demo_view import Bar, View, make_view
from sales_csv import make_sales_csv

ADAPTER = f"{Path(__file__).with_name('demo_tools.py')}:DemoAdapter"
#: Longest wait for a worker to become ready or free (seconds).
PATIENCE = 20.0


class Demo:
    """The acts, in order; what they measure gathers in `figures`."""

    def __init__(self, pool: snakepit.Pool, view: View, folder: str, rows: int) -> None:
        self.pool = pool
        self.view = view
        self.path = f"{folder}/sales.csv"
        self.rows = rows
        self.figures: dict[str, str] = {}
        self.threads = ThreadPoolExecutor(2)

    def run(self) -> None:
        """All acts."""
        with self.threads:
            self.make_file()
            self.two_streams()
            self.cancel_midway()
            self.kill_a_worker()
        self.view.say(next_step())
        self.view.figures(self.figures)

    def make_file(self) -> None:
        """Real input, made on the spot."""
        self.view.act(f"A CSV of {self.rows:,} rows")
        started = time.perf_counter()
        dirt = make_sales_csv(self.path, self.rows)
        size = Path(self.path).stat().st_size / 1e6
        self.view.say(f"{size:.0f} MB made in {time.perf_counter() - started:.1f} s; {dirt.total:,} rows of it are dirty")
        wait_until(lambda: all(worker.info().state == "ready" for worker in self.pool.workers()))
        self.view.say(f"{len(self.pool.workers())} workers are ready")

    def two_streams(self) -> None:
        """Chunks arrive while the tools work, from both workers at once."""
        self.view.act("Two streams at once, each from its own worker")
        with self.view.bars("process_large_dataset", "stream_progress") as (rows, steps):
            updates = self.threads.submit(self.stream_steps, steps)
            started = time.perf_counter()
            chunks, final = self.stream_rows(rows)
            seconds = time.perf_counter() - started
            first_ms = updates.result()
        for region, sums in final["aggregates"].items():
            self.view.say(f"{region:<6} {sums['rows']:>9,} orders {sums['revenue']:>16,.2f} revenue")
        self.figures["rows/s"] = f"{self.rows / seconds:,.0f}"
        self.figures["chunks"] = str(chunks)
        self.figures["first chunk"] = f"{first_ms:.1f} ms"

    def stream_rows(self, bar: Bar, stop: Callable[[float], bool] = lambda _: False) -> tuple[int, dict[str, Any]]:
        """Process the file; chunks and the last of them. Leaves the stream, which cancels it, when `stop(percent)` says so."""
        count, chunk = 0, dict[str, Any]()
        started = time.perf_counter()
        for count, chunk in enumerate(self.pool.stream("process_large_dataset", {"file_path": self.path}), 1):
            if not chunk["is_final"]:
                rate = chunk["processed_rows"] / (time.perf_counter() - started)
                bar.update(chunk["progress_percent"], f"{rate:,.0f} rows/s · {chunk['memory_usage_mb']:.0f} MB in its worker")
                if stop(chunk["progress_percent"]):
                    return count, chunk
        stats = chunk["final_stats"]
        bar.end("✔", f"{stats['processed']:,} rows, {stats['skipped']:,} dirty ones left out")
        return count, chunk

    def stream_steps(self, bar: Bar) -> float:
        """Five updates; milliseconds until the first was here."""
        started, first = time.perf_counter(), 0.0
        for chunk in self.pool.stream("stream_progress", {"steps": 5, "delay_ms": 200}):
            first = first or 1000 * (time.perf_counter() - started)
            bar.update(chunk["progress"], chunk["message"])
        bar.end("✔", f"5 updates; the first after {first:.1f} ms")
        return first

    def cancel_midway(self) -> None:
        """Leaving a stream's loop cancels it in the worker, which then serves the next call."""
        self.view.act("A stream is cancelled midway; its worker serves the next call")
        with self.view.bars("process_large_dataset", "its neighbour") as (rows, other):
            held: list[Any] = []

            def stop(percent: float) -> bool:
                if not held:  # the first chunk is here, and no other call runs: the busy worker is this stream's
                    held.extend((self.busy_pid(), self.occupy(other)))
                return percent >= 50

            self.stream_rows(rows, stop)
            left = time.perf_counter()
            wait_until(lambda: self.pool.execute("ping")["pid"] == held[0])
            milliseconds = 1000 * (time.perf_counter() - left)
            rows.end("✘", "cancelled")
            held[1].result()
        self.view.say(f"its worker (pid {held[0]}) answered the next call {milliseconds:.1f} ms after the cancel")
        self.figures["cancel"] = f"{milliseconds:.1f} ms"

    def kill_a_worker(self) -> None:
        """A dead worker costs the call it ran, and nothing else."""
        self.view.act("A worker is killed under two running streams; only its own stream fails")
        half_done = threading.Event()

        def tell(percent: float) -> bool:
            if percent >= 50:
                half_done.set()
            return False

        with self.view.bars("on the killed worker", "process_large_dataset") as (doomed, rows):
            other: Future[Any] | None = None
            pid, killed, cause = 0, 0.0, "nothing happened to it"
            try:
                for chunk in self.pool.stream("stream_progress", {"steps": 1000, "delay_ms": 10}):
                    doomed.update(chunk["progress"], chunk["message"])
                    if other is None:
                        pid, other = self.busy_pid(), self.threads.submit(self.stream_rows, rows, tell)
                    elif half_done.is_set() and not killed:
                        killed = time.perf_counter()
                        os.kill(pid, signal.SIGKILL)
            except snakepit.WorkerCrashed as error:
                milliseconds = 1000 * (time.perf_counter() - killed)
                cause = error.message.splitlines()[0]
                doomed.end("✘", "failed")
                self.figures["kill to error"] = f"{milliseconds:.1f} ms"
            assert other is not None
            other.result()
        self.view.say(cause)
        product = self.pool.execute("compute", {"operation": "multiply", "a": 6, "b": 7})
        self.view.say(f"the next call is served: 6 x 7 = {product}")

    def busy_pid(self) -> int:
        """The process of the one worker that runs a call now."""
        (busy,) = (worker.info() for worker in self.pool.workers() if worker.info().running)
        assert busy.pid is not None
        return busy.pid

    def occupy(self, bar: Bar) -> Future[None]:
        """Keep the other worker busy with a stream for a while."""

        def stream() -> None:
            for chunk in self.pool.stream("stream_progress", {"steps": 40, "delay_ms": 40}):
                bar.update(chunk["progress"], chunk["message"])
            bar.end("✔", "went on to its end")

        return self.threads.submit(stream)


def wait_until(holds: Callable[[], bool]) -> None:
    """Ask again and again until it holds."""
    give_up = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError(f"waited {PATIENCE:g} s")
        time.sleep(0.001)


def next_step() -> str:
    """What to do now; the command that this environment has, if it has it."""
    command = Path(sys.executable).with_name("snakepit")
    if not command.exists():
        return 'next: README.md, "Five minutes"'
    here = Path.cwd()
    shown = command.relative_to(here) if command.is_relative_to(here) else command
    return f'next: README.md, "Five minutes"; {shown} run stream_progress'


def main() -> int:
    """Run the demo; 2 if something it needs is missing, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(description="Show live streams, cancellation and a killed worker on real work.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the CSV that is made")
    options = parser.parse_args()
    if not importlib.util.find_spec("pandas"):
        print("the demo needs pandas: pip install 'snakepit-bridge[examples]'", file=sys.stderr)
        return 2
    logging.getLogger("snakepit").setLevel(logging.ERROR)  # the killed worker's end is part of the show
    try:
        with tempfile.TemporaryDirectory(prefix="snakepit-demo-") as folder, snakepit.Pool(ADAPTER, size=2) as pool:
            Demo(pool, make_view(), folder, options.rows).run()
    except KeyboardInterrupt:
        print("\nInterrupted; the workers and the file are gone.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
