"""Name the digits on images, one line per image as soon as it is known: `python examples/batch_inference.py`.

The model is trained on the spot, or kept in a file with `--model`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import snakepit

ADAPTER = f"{Path(__file__).with_name('batch_inference_tools.py')}:InferenceAdapter"


def main() -> None:
    """Send a batch and print what comes back."""
    parser = argparse.ArgumentParser(description="Stream the predictions for a batch of images.")
    parser.add_argument("items", nargs="*", help="digit_0000 to digit_1796, or image files (default: the first few)")
    parser.add_argument("--count", type=int, default=10, help="how many images, when none are named")
    parser.add_argument("--model", help="file of the model; trained and saved there if it is missing")
    options = parser.parse_args()
    items = options.items or [f"digit_{number:04d}" for number in range(options.count)]

    with snakepit.Pool(ADAPTER, size=1) as pool:
        for chunk in pool.stream("batch_inference", {"model_path": options.model, "batch_items": items}):
            if chunk["is_final"]:
                print(f"🎉 Batch inference complete! {chunk['message']}")
            elif "error" in chunk:
                print(f"❌ {chunk['error']}")
            else:
                print(f"🧠 {chunk['item']}: {chunk['prediction']} ({chunk['confidence']:.0%} confidence)")


if __name__ == "__main__":
    main()
