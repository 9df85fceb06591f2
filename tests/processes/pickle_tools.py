"""Tools that take objects as pickles, for some of their parameters."""

from __future__ import annotations

import fractions
import os
from collections.abc import Iterator
from typing import Any

import numpy

from snakepit_bridge import BaseAdapter, tool


class Model:
    """An object that only a pickle carries, with arrays in it."""

    def __init__(self, weights: Any) -> None:
        self.weights = weights


class Mine:
    """Runs code where it is read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


class Far:
    """Cannot be read where it arrives."""

    def __reduce__(self) -> Any:
        return fractions.Fraction, (1, 0)


class PickleTools(BaseAdapter):
    """See the module."""

    @tool(pickled=["model"])
    def predict(self, model: Model, x: Any = 1) -> tuple[str, Any, Any]:
        """What it is given."""
        weights = getattr(model, "weights", model)
        return type(model).__name__, float(numpy.sum(weights)), type(x).__name__

    @tool(pickled=["model"])
    def train(self, model: Model) -> float:
        """Writes to what it was given."""
        model.weights += 1
        return float(model.weights.sum())

    @tool(pickled=["models"])
    def each(self, models: Any) -> Iterator[Any]:
        """The same of several, as chunks."""
        for model in models:
            yield {"sum": float(numpy.sum(model.weights))}

    @tool
    def takes(self, model: Any) -> str:
        """Says nothing of pickles."""
        return type(model).__name__
