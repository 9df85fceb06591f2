"""A small network on NumPy: dense layers with ReLU, a softmax at the end, trained by Adam. No process, no file, no pool.

`distributed_training_tools.py` runs it in workers; its driver averages what they learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Network:
    """Parameters as one flat row, so that they travel and average as they are.

    Attributes:
        sizes: inputs, hidden units of each layer, classes.
        values: weights and biases of all layers, one after the other.
    """

    sizes: tuple[int, ...]
    values: Array

    @classmethod
    def fresh(cls, sizes: Sequence[int], seed: int) -> Network:
        """Random weights scaled to the layer's inputs (He), biases 0."""
        dice = np.random.default_rng(seed)
        parts = []
        for inputs, outputs in pairwise(sizes):
            parts.append(dice.normal(0.0, np.sqrt(2.0 / inputs), inputs * outputs))
            parts.append(np.zeros(outputs))
        return cls(tuple(sizes), np.concatenate(parts))

    def layers(self, values: Array | None = None) -> list[tuple[Array, Array]]:
        """Views of `values` (the network's own by default) as weights and biases of each layer."""
        row = self.values if values is None else values
        found, start = [], 0
        for inputs, outputs in pairwise(self.sizes):
            middle = start + inputs * outputs
            found.append((row[start:middle].reshape(inputs, outputs), row[middle : middle + outputs]))
            start = middle + outputs
        return found

    def evaluate(self, inputs: Array, labels: Array) -> tuple[float, float]:
        """Mean cross-entropy and the share of right answers."""
        log_probabilities = self._forward(inputs)[1]
        loss = -log_probabilities[np.arange(len(labels)), labels].mean()
        return float(loss), float((log_probabilities.argmax(axis=1) == labels).mean())

    def trained(self, inputs: Array, labels: Array, *, learning_rate: float, batch_size: int, dice: np.random.Generator) -> Network:
        """The network after one pass over the rows, in an order that `dice` shuffles. Adam starts anew in each pass."""
        network = Network(self.sizes, self.values.copy())
        momentum, scale = np.zeros_like(self.values), np.zeros_like(self.values)
        order = dice.permutation(len(labels))
        for step, start in enumerate(range(0, len(order), batch_size), 1):
            rows = order[start : start + batch_size]
            slope = network._gradient(inputs[rows], labels[rows])
            momentum += 0.1 * (slope - momentum)
            scale += 0.001 * (slope**2 - scale)
            step_size = learning_rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            network.values[:] -= step_size * momentum / (np.sqrt(scale) + 1e-8)
        return network

    def _forward(self, inputs: Array) -> tuple[list[Array], Array]:
        """What enters each layer, and the logarithms of the class probabilities."""
        entering, signal = [], inputs
        layers = self.layers()
        for number, (weights, biases) in enumerate(layers, 1):
            entering.append(signal)
            signal = signal @ weights + biases
            if number < len(layers):
                signal = np.maximum(signal, 0.0)
        signal = signal - signal.max(axis=1, keepdims=True)
        return entering, signal - np.log(np.exp(signal).sum(axis=1, keepdims=True))

    def _gradient(self, inputs: Array, labels: Array) -> Array:
        entering, log_probabilities = self._forward(inputs)
        slope = np.exp(log_probabilities)
        slope[np.arange(len(labels)), labels] -= 1.0
        slope /= len(labels)
        gradient = np.empty_like(self.values)
        layers = list(zip(self.layers(), self.layers(gradient), entering, strict=True))
        for (weights, _), (weights_slope, biases_slope), signal in reversed(layers):
            weights_slope[:] = signal.T @ slope
            biases_slope[:] = slope.sum(axis=0)
            slope = (slope @ weights.T) * (signal > 0)
        return gradient


def average(networks: Sequence[Network], weights: Sequence[float]) -> Network:
    """The mean of networks of one shape, each weighted (by the rows it learned from, say)."""
    return Network(networks[0].sizes, np.average([network.values for network in networks], axis=0, weights=weights))
