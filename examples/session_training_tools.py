"""The tools of `session_training.py`: a model that lives in a session, on one worker, from call to call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from snakepit_bridge.base_adapter import BaseAdapter, tool
from softmax_network import Network

#: Shares of the digits: what is learnt from, what is only measured.
_TRAINING_ROWS = 1_400


class SessionTrainer(BaseAdapter):
    """Trains a small network on scikit-learn's digits; the data belongs to the worker, the network to the session."""

    def initialize(self) -> None:
        """Load the data once per worker, for all sessions."""
        images, labels = load_digits(return_X_y=True)
        self._images, self._labels = images / 16.0, labels

    @tool(description="Make a fresh model for this session")
    def initialize_model(self, hidden: int = 32, seed: int = 0) -> dict[str, Any]:
        """Make the session's network; an earlier one of the same session is replaced.

        Args:
            hidden: units of the hidden layer.
            seed: of the first weights.
        """
        network = Network.fresh([self._images.shape[1], hidden, 10], seed=seed)
        self.session.state.update(network=network, epochs=0)
        return {"session": self.session.id, "worker_id": self.context.worker_id, "parameters": len(network.values)}

    @tool(description="Train this session's model, epoch by epoch", supports_streaming=True)
    def train_model(self, epochs: int = 5, learning_rate: float = 0.01, batch_size: int = 50) -> Iterator[dict[str, Any]]:
        """Go on training where the session's last call stopped; one chunk per epoch."""
        network: Network | None = self.session.state.get("network")
        if network is None:
            raise RuntimeError("this session has no model: call initialize_model first, with the same session_id")
        state = self.session.state
        images, labels = self._images[:_TRAINING_ROWS], self._labels[:_TRAINING_ROWS]
        for _ in range(epochs):
            dice = np.random.default_rng(state["epochs"])
            network = network.trained(images, labels, learning_rate=learning_rate, batch_size=batch_size, dice=dice)
            state["network"] = network
            state["epochs"] += 1
            loss, accuracy = network.evaluate(self._images[_TRAINING_ROWS:], self._labels[_TRAINING_ROWS:])
            yield {
                "epoch": state["epochs"],
                "loss": float(loss),
                "accuracy": float(accuracy),
                "session": self.session.id,
                "worker_id": self.context.worker_id,
                "is_final": False,
            }
