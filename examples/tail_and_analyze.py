"""Watch a log as it grows: `python examples/tail_and_analyze.py --log /var/log/app.log`.

Without `--log` a log is made in a temporary folder, and a thread writes to it and rotates it meanwhile. The stream has no
end of its own; `chunk_timeout` ends it when nothing has matched for a while.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import snakepit

ADAPTER = f"{Path(__file__).with_name('tail_and_analyze_tools.py')}:LogAdapter"
EMOJI = {"FATAL": "💀", "ERROR": "🚨", "WARN": "⚠️"}
STORY = [
    ["INFO service up", "INFO 14 clients", "ERROR Database connection failed: timeout after 30s", "INFO retrying"],
    ["WARN High memory usage detected: 85% of heap used", "INFO collecting"],
    ["FATAL OutOfMemoryError: Java heap space exceeded", "INFO restarted", "ERROR Database connection failed: refused"],
]


def watch(log_path: str, patterns: list[str], context_lines: int, quiet_seconds: float, seen: threading.Semaphore) -> None:
    """Print each match, and count it in `seen`, until none has come for `quiet_seconds`."""
    arguments = {"log_path": log_path, "patterns": patterns, "context_lines": context_lines}
    with snakepit.Pool(ADAPTER, size=1) as pool:
        try:
            for chunk in pool.stream("tail_and_analyze", arguments, timeout=None, chunk_timeout=quiet_seconds):
                if chunk["is_final"]:
                    print("📊 Log analysis session ended")
                    continue
                for line in chunk["context"]:
                    print(f"   {line[:80]}")
                emoji = EMOJI.get(chunk["severity"], "🔹")
                print(f"{emoji} [{chunk['timestamp']}] {chunk['pattern_matched']}: {chunk['log_line'][:80]}")
                seen.release()
        except snakepit.ChunkTimeout:
            print(f"📊 Nothing matched for {quiet_seconds:g} s: stopped watching")


def write_story(path: Path, pause: float, seen: threading.Semaphore) -> None:
    """Write a short life of a service to a log. Each part goes to a new file, once a match of the one before was seen."""
    for number, part in enumerate(STORY):
        if number:
            if not seen.acquire(timeout=60):
                return
            path.rename(path.with_suffix(f".{number}"))
        with path.open("a", encoding="utf-8") as file:
            for line in part:
                print(time.strftime("%Y-%m-%dT%H:%M:%S"), line, file=file, flush=True)
                time.sleep(pause)


def main() -> None:
    """Watch the log that was named, or one of our own."""
    parser = argparse.ArgumentParser(description="Stream the lines of a growing log that match a pattern.")
    parser.add_argument("--log", help="the log to watch (default: one made for the occasion)")
    parser.add_argument("--patterns", nargs="+", default=["ERROR", "WARN", "FATAL", "OutOfMemoryError"])
    parser.add_argument("--context", type=int, default=1, help="lines to show before each match")
    parser.add_argument("--quiet-seconds", type=float, default=3.0, help="stop when nothing matched for so long")
    options = parser.parse_args()

    seen = threading.Semaphore(0)
    if options.log:
        watch(options.log, options.patterns, options.context, options.quiet_seconds, seen)
        return
    with tempfile.TemporaryDirectory(prefix="snakepit-example-") as folder:
        log = Path(folder, "app.log")
        log.touch()
        writer = threading.Thread(target=write_story, args=(log, 0.1, seen), daemon=True)
        writer.start()
        watch(str(log), options.patterns, options.context, options.quiet_seconds, seen)
        writer.join()


if __name__ == "__main__":
    main()
