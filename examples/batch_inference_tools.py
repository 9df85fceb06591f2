"""A tool that names the digit on each image with a scikit-learn model, one chunk per image as soon as it is known.

Images are those that scikit-learn ships (`digit_0000` to `digit_1796`), or files of 8 by 8 brightness values from 0 to 16:
`.npy`, or `.txt`/`.csv` with one row of pixels per line. Model files are pickles: name only such that you trust.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from snakepit_bridge.base_adapter import BaseAdapter, tool

PIXELS = 64
BRIGHTEST = 16.0
#: The model learns from the images from this number on; those below are new to it.
FIRST_TRAINING_IMAGE = 900


class InferenceAdapter(BaseAdapter):
    """Offers `batch_inference`. Keeps the images and each model it has loaded for as long as its worker lives."""

    def initialize(self) -> None:
        """Load the images once."""
        digits = load_digits()
        self.images = digits.data / BRIGHTEST
        self.labels = digits.target
        self.models: dict[str | None, Any] = {}

    @tool(description="Batch inference with streaming results", supports_streaming=True)
    def batch_inference(
        self, items: list[str] | None = None, model_path: str | None = None, batch_items: list[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Name the digit on each image.

        Args:
            items: image ids or image files.
            model_path: a saved classifier; trained and saved there if there is no such file. None: trained in memory.
            batch_items: another name for `items`.

        Yields:
            Per image `item`, `index`, `prediction`, `confidence` (the model's probability, 0 to 1), `progress`, `total`;
            for an image that cannot be read `error` instead of prediction and confidence. At the end `total_processed`.
        """
        if (items is None) == (batch_items is None):
            raise ValueError("items: give the images either as items or as batch_items")
        names = items if items is not None else batch_items or []
        model = self._model(model_path)
        done = 0
        for index, item in enumerate(names):
            chunk = {"item": item, "index": index, "progress": index + 1, "total": len(names), "is_final": False}
            try:
                chunk.update(_predict(model, self._image(item)))
                done += 1
            except (OSError, EOFError, ValueError) as error:
                chunk["error"] = str(error)
            yield chunk
        failed = f", {len(names) - done} could not be read" if done < len(names) else ""
        yield {"is_final": True, "total_processed": done, "message": f"Processed {done} items successfully{failed}"}

    def _model(self, path: str | None) -> Any:
        if path not in self.models:
            if path is not None and Path(path).exists():
                self.models[path] = _load_model(path)
            else:
                self.models[path] = self._train()
                if path is not None:
                    _save_model(self.models[path], path)
        return self.models[path]

    def _train(self) -> LogisticRegression:
        known = slice(FIRST_TRAINING_IMAGE, None)
        return LogisticRegression(max_iter=1000).fit(self.images[known], self.labels[known])

    def _image(self, item: str) -> np.ndarray:
        """The pixels of one item, as one row of values from 0 to 1."""
        if match := re.fullmatch(r"digit_(\d+)", item):
            number = int(match[1])
            if number >= len(self.images):
                raise ValueError(f"{item}: the set has digit_0000 to digit_{len(self.images) - 1:04d}")
            return np.asarray(self.images[number])
        pixels = _read_pixels(Path(item))
        if pixels.size != PIXELS:
            raise ValueError(f"{item}: got {pixels.size} pixels, expected {PIXELS} (8 by 8)")
        return pixels.reshape(PIXELS).astype(float) / BRIGHTEST


def _predict(model: Any, image: np.ndarray) -> dict[str, Any]:
    probabilities = model.predict_proba(image.reshape(1, -1))[0]
    best = int(np.argmax(probabilities))
    label = model.classes_[best]
    return {
        "prediction": label.item() if isinstance(label, np.generic) else label,
        "confidence": float(probabilities[best]),
    }


def _read_pixels(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    if path.suffix in {".txt", ".csv"}:
        return np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None)
    raise ValueError(f"{path}: expected digit_0000 and so on, or a file ending in .npy, .txt or .csv")


def _load_model(path: str) -> Any:
    model = joblib.load(path)
    if not hasattr(model, "predict_proba") or getattr(model, "n_features_in_", PIXELS) != PIXELS:
        raise ValueError(f"model_path: {path} holds {type(model).__name__}, expected a classifier of {PIXELS} pixels with predict_proba")
    return model


def _save_model(model: Any, path: str) -> None:
    """Another worker may do the same at once: write beside it and rename, so that nobody reads half a file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    unfinished = f"{path}.{os.getpid()}.tmp"
    joblib.dump(model, unfinished)
    Path(unfinished).replace(path)
