"""Tools that train a digit classifier: a whole training as one stream, or one shard of one epoch per call.

`distributed_training` does all in one worker. `train_shard` and `evaluate` are the parts of a data-parallel training
whose driver (`distributed_training.py`) averages the parameters of several workers after each epoch. Both run the same
code, so a driver with one shard gets the same numbers (but for rounding).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snakepit_bridge.base_adapter import BaseAdapter, tool
from softmax_network import Array, Network

VALIDATION_SHARE = 0.2
MODEL_KEYS = {"architecture": "mlp", "layers": 1, "hidden_size": 32, "output_dir": None}
TRAINING_KEYS = {"epochs": 100, "batch_size": 32, "learning_rate": 0.001, "lr_decay": 0.95, "seed": 7, "output_dir": None}


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows to learn from and rows to validate with; features from -1 to 1, labels from 0."""

    inputs: Array
    labels: Array
    validation_inputs: Array
    validation_labels: Array

    def shard(self, number: int, count: int) -> tuple[Array, Array]:
        """Every `count`-th row to learn from, beginning at row `number`."""
        return self.inputs[number::count], self.labels[number::count]


class TrainingAdapter(BaseAdapter):
    """Offers `distributed_training`, `train_shard`, `evaluate` and `save_checkpoint`. Keeps each dataset it has read."""

    def __init__(self) -> None:
        super().__init__()
        self._datasets: dict[str, Dataset] = {}

    @tool(description="Train model with streaming epoch updates", supports_streaming=True)
    def distributed_training(
        self, model_config: dict[str, Any], training_config: dict[str, Any], dataset_path: str = "digits"
    ) -> Iterator[dict[str, Any]]:
        """Train in this worker and report each epoch.

        Args:
            model_config: `architecture` ("mlp"), `layers` (hidden ones), `hidden_size`, `output_dir`.
            training_config: `epochs`, `batch_size`, `learning_rate`, `lr_decay` (factor per epoch), `seed`, `output_dir`.
            dataset_path: a .npz file with `x` and `y`, or "digits" for the set that scikit-learn ships.

        Yields:
            Per epoch loss and accuracy on both parts of the data; at the end the checkpoint of the best epoch. It lies in
            `output_dir`, else beside the dataset, else in a new temporary folder.
        """
        training, data = with_defaults("training_config", training_config, TRAINING_KEYS), self._dataset(dataset_path)
        network = self._fresh(model_config, training, data)
        path = checkpoint_path(model_config, training_config, dataset_path)
        best = -1.0
        for epoch in range(1, training["epochs"] + 1):
            rate = learning_rate(training, epoch)
            network = _one_pass(network, *data.shard(0, 1), training, epoch, shard=0)
            train_loss, train_acc = network.evaluate(data.inputs, data.labels)
            val_loss, val_acc = network.evaluate(data.validation_inputs, data.validation_labels)
            if val_acc > best:
                best = val_acc
                write_checkpoint(path, network)
            yield epoch_chunk(epoch, training, (train_loss, train_acc), (val_loss, val_acc), rate)
        yield final_chunk(path, best, training)

    @tool(description="Make the parameters a training starts from")
    def fresh_parameters(self, model_config: dict[str, Any], training_config: dict[str, Any], dataset_path: str) -> dict[str, Any]:
        """Random parameters that fit model and dataset, as `train_shard` takes them."""
        training = with_defaults("training_config", training_config, TRAINING_KEYS)
        return pack(self._fresh(model_config, training, self._dataset(dataset_path)))

    @tool(description="Train one epoch on one shard of the data")
    def train_shard(
        self, parameters: dict[str, Any], shard: int, shards: int, epoch: int, training_config: dict[str, Any], dataset_path: str
    ) -> dict[str, Any]:
        """Learn from shard number `shard` of `shards`; give the parameters after it and the rows it had."""
        training = with_defaults("training_config", training_config, TRAINING_KEYS)
        inputs, labels = self._dataset(dataset_path).shard(shard, shards)
        network = _one_pass(unpack(parameters), inputs, labels, training, epoch, shard)
        return {"parameters": pack(network), "rows": len(labels), "shard": shard, "worker_id": self.context.worker_id}

    @tool(description="Measure parameters on the data", idempotent=True)
    def evaluate(self, parameters: dict[str, Any], dataset_path: str) -> dict[str, float]:
        """Loss and accuracy on the rows to learn from and on those to validate with."""
        network, data = unpack(parameters), self._dataset(dataset_path)
        train_loss, train_acc = network.evaluate(data.inputs, data.labels)
        val_loss, val_acc = network.evaluate(data.validation_inputs, data.validation_labels)
        return {"train_loss": train_loss, "train_acc": train_acc, "val_loss": val_loss, "val_acc": val_acc}

    def _fresh(self, model_config: Mapping[str, Any], training: Mapping[str, Any], data: Dataset) -> Network:
        model = with_defaults("model_config", model_config, MODEL_KEYS)
        if model["architecture"] != "mlp":
            raise ValueError(f"model_config: architecture is {model['architecture']!r}, allowed is 'mlp'")
        classes = int(max(data.labels.max(), data.validation_labels.max())) + 1
        return Network.fresh([data.inputs.shape[1], *[model["hidden_size"]] * model["layers"], classes], training["seed"])

    def _dataset(self, path: str) -> Dataset:
        if path not in self._datasets:
            self._datasets[path] = load_dataset(path)
        return self._datasets[path]


def with_defaults(name: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`given` over `defaults`; an unknown key, or a number that cannot be, is an error."""
    if unknown := sorted(set(given).difference(defaults)):
        raise ValueError(f"{name}: unknown {', '.join(map(repr, unknown))}, allowed are {', '.join(defaults)}")
    for key in ("epochs", "batch_size", "hidden_size"):
        if given.get(key, 1) < 1:
            raise ValueError(f"{name}: {key} is {given[key]!r}, allowed is 1 or more")
    return {**defaults, **given}


def load_dataset(path: str) -> Dataset:
    """Read a dataset and split it: the same rows every time, a fifth of them to validate with."""
    if path == "digits":
        from sklearn.datasets import load_digits  # a second to import, and a .npz file does without

        inputs, labels = load_digits(return_X_y=True)
    else:
        with np.load(path, allow_pickle=False) as file:
            if missing := {"x", "y"}.difference(file.files):
                raise ValueError(f"dataset_path: {path} has no array {', '.join(sorted(missing))} (found {', '.join(file.files)})")
            inputs, labels = file["x"], file["y"]
    inputs = inputs.reshape(len(labels), -1) / max(1e-12, float(np.abs(inputs).max()))
    order = np.random.default_rng(0).permutation(len(labels))
    inputs, labels = inputs[order], labels[order].astype(int)
    cut = max(1, int(len(labels) * VALIDATION_SHARE))
    return Dataset(inputs[cut:], labels[cut:], inputs[:cut], labels[:cut])


def learning_rate(training: Mapping[str, Any], epoch: int) -> float:
    """The rate of an epoch, counted from 1."""
    return float(training["learning_rate"] * training["lr_decay"] ** (epoch - 1))


def _one_pass(network: Network, inputs: Array, labels: Array, training: Mapping[str, Any], epoch: int, shard: int) -> Network:
    return network.trained(
        inputs,
        labels,
        learning_rate=learning_rate(training, epoch),
        batch_size=training["batch_size"],
        dice=np.random.default_rng([training["seed"], epoch, shard]),
    )


def epoch_chunk(
    epoch: int, training: Mapping[str, Any], train: tuple[float, float], validation: tuple[float, float], rate: float
) -> dict[str, Any]:
    """The chunk of one epoch; `train` and `validation` are loss and accuracy."""
    return {
        "epoch": epoch,
        "total_epochs": training["epochs"],
        "train_loss": train[0],
        "train_acc": train[1],
        "val_loss": validation[0],
        "val_acc": validation[1],
        "learning_rate": rate,
        "is_final": False,
    }


def final_chunk(path: Path, best: float, training: Mapping[str, Any]) -> dict[str, Any]:
    """The last chunk of a training."""
    return {
        "is_final": True,
        "final_model_path": str(path),
        "best_val_accuracy": best,
        "total_epochs": training["epochs"],
        "message": "Training complete",
    }


def pack(network: Network) -> dict[str, Any]:
    """A network as plain values that any protocol carries."""
    return {"sizes": list(network.sizes), "values": network.values.tolist()}


def unpack(parameters: Mapping[str, Any]) -> Network:
    """What `pack` made, as a network again."""
    return Network(tuple(parameters["sizes"]), np.array(parameters["values"], dtype=float))


def checkpoint_path(model_config: Mapping[str, Any], training_config: Mapping[str, Any], dataset_path: str) -> Path:
    """Where the best network goes: `output_dir` of either config, else the dataset's folder, else a new temporary one."""
    folder = training_config.get("output_dir") or model_config.get("output_dir")
    if folder is None and dataset_path != "digits":
        folder = Path(dataset_path).resolve().parent
    if folder is None:
        folder = tempfile.mkdtemp(prefix="snakepit-training-")
    return Path(folder) / "mlp_best.npz"


def write_checkpoint(path: Path, network: Network) -> None:
    """Write beside it and rename, so that a reader never finds half a file. `read_checkpoint` reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp.npz")
    np.savez(unfinished, sizes=np.array(network.sizes), values=network.values)
    unfinished.replace(path)


def read_checkpoint(path: str | Path) -> Network:
    """The network in a checkpoint file."""
    with np.load(path, allow_pickle=False) as file:
        return Network(tuple(int(size) for size in file["sizes"]), file["values"])
