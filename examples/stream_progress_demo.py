"""Watch five updates stream from a worker: `python examples/stream_progress_demo.py`.

Needs no adapter: a pool that is given none offers the showcase, whose `stream_progress` this calls.
"""

from __future__ import annotations

import argparse

import snakepit


def main() -> None:
    """Stream the updates and print each as it arrives."""
    parser = argparse.ArgumentParser(description="Stream progress updates from a worker.")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--delay-ms", type=float, default=750, help="milliseconds between two updates")
    options = parser.parse_args()

    with snakepit.Pool(size=1) as pool:
        for chunk in pool.stream("stream_progress", {"steps": options.steps, "delay_ms": options.delay_ms}):
            print(f"📊 {chunk['progress']:5.1f}%  {chunk['message']}")
            if chunk["is_final"]:
                print(f"✅ All {chunk['total']} steps done")


if __name__ == "__main__":
    main()
