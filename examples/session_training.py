"""Two conversations with workers at once: `python examples/session_training.py`.

Each session makes a model and trains it in rounds. The model stays in the session's worker between the calls; the rounds of
the two sessions take turns, and each goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import snakepit

ADAPTER = f"{Path(__file__).with_name('session_training_tools.py')}:SessionTrainer"


def main() -> None:
    """Train one model per session, their rounds interleaved."""
    parser = argparse.ArgumentParser(description="Train a model in each of two sessions, round by round.")
    parser.add_argument("--rounds", type=int, default=2, help="calls of train_model per session")
    parser.add_argument("--epochs", type=int, default=3, help="epochs per call")
    options = parser.parse_args()

    with snakepit.Pool(ADAPTER, size=2, affinity="strict_queue") as pool, pool.session("small") as small, pool.session("large") as large:
        for session, hidden in ((small, 8), (large, 64)):
            made = session.execute("initialize_model", {"hidden": hidden})
            print(f"🧠 {session.id}: {made['parameters']} parameters, on {made['worker_id']}")
        for _ in range(options.rounds):
            for session in (small, large):
                for chunk in session.stream("train_model", {"epochs": options.epochs}):
                    if not chunk["is_final"]:
                        figures = f"loss={chunk['loss']:.3f}, accuracy={chunk['accuracy']:.1%}"
                        print(f"📈 {chunk['session']:>5}  epoch {chunk['epoch']} on {chunk['worker_id']}: {figures}")


if __name__ == "__main__":
    main()
