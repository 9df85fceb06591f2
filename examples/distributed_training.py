"""Train one model on several workers at once: `python examples/distributed_training.py --workers 2`.

Each epoch every worker learns from its own shard of the data, all starting from the same parameters; then the parameters
are averaged, weighted by rows, and measured. `--single` streams the whole training from one worker instead; both give
the same chunks.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import snakepit
from distributed_training_tools import (
    TRAINING_KEYS,
    checkpoint_path,
    epoch_chunk,
    final_chunk,
    learning_rate,
    pack,
    unpack,
    with_defaults,
    write_checkpoint,
)
from softmax_network import average

ADAPTER = f"{Path(__file__).with_name('distributed_training_tools.py')}:TrainingAdapter"


def train_on_shards(
    pool: snakepit.Pool, shards: int, model_config: dict[str, Any], training_config: dict[str, Any], dataset_path: str
) -> Iterator[dict[str, Any]]:
    """Train by shards on the workers of `pool`; the chunks are those of the tool `distributed_training`.

    Yields:
        Also `workers` in each epoch's chunk: the ids of those that served it.
    """
    data, training = {"dataset_path": dataset_path}, with_defaults("training_config", training_config, TRAINING_KEYS)
    path = checkpoint_path(model_config, training_config, dataset_path)
    parameters = pool.execute("fresh_parameters", {"model_config": model_config, "training_config": training_config, **data})
    best = -1.0
    for epoch in range(1, training["epochs"] + 1):
        work = {"parameters": parameters, "shards": shards, "epoch": epoch, "training_config": training_config, **data}
        running = [pool.submit("train_shard", {"shard": shard, **work}) for shard in range(shards)]
        done = [call.result() for call in running]
        network = average([unpack(part["parameters"]) for part in done], [part["rows"] for part in done])
        parameters = pack(network)
        found = pool.execute("evaluate", {"parameters": parameters, **data})
        if found["val_acc"] > best:
            best = found["val_acc"]
            write_checkpoint(path, network)
        train, validation = (found["train_loss"], found["train_acc"]), (found["val_loss"], found["val_acc"])
        chunk = epoch_chunk(epoch, training, train, validation, learning_rate(training, epoch))
        yield {**chunk, "workers": sorted({part["worker_id"] for part in done})}
    yield final_chunk(path, best, training)


def show(chunk: dict[str, Any]) -> None:
    """Print one chunk of a training."""
    if chunk["is_final"]:
        print(f"🎯 Training complete! Best accuracy: {chunk['best_val_accuracy']:.2f}")
        print(f"💾 Model saved: {chunk['final_model_path']}")
        return
    served = f" on {', '.join(chunk['workers'])}" if "workers" in chunk else ""
    print(f"📈 Epoch {chunk['epoch']}/{chunk['total_epochs']}{served}:")
    print(f"   Train: loss={chunk['train_loss']:.3f}, acc={chunk['train_acc']:.3f}")
    print(f"   Val:   loss={chunk['val_loss']:.3f}, acc={chunk['val_acc']:.3f}")
    print(f"   LR: {chunk['learning_rate']:.6f}")


def main() -> None:
    """Train as the flags say, and print each epoch."""
    parser = argparse.ArgumentParser(description="Train a small network, data-parallel over several workers.")
    parser.add_argument("--workers", type=int, default=2, help="workers, and shards of the data")
    parser.add_argument("--single", action="store_true", help="one worker, one stream")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=0.005)
    parser.add_argument("--hidden-size", type=int, default=32)
    parser.add_argument("--dataset", default="digits", help="'digits', or a .npz file with x and y")
    parser.add_argument("--output-dir", help="folder of the checkpoint (default: beside the dataset, or a temporary one)")
    options = parser.parse_args()
    model = {"hidden_size": options.hidden_size}
    training = {"epochs": options.epochs, "learning_rate": options.learning_rate, "output_dir": options.output_dir}

    with snakepit.Pool(ADAPTER, size=1 if options.single else options.workers) as pool:
        if options.single:
            arguments = {"model_config": model, "training_config": training, "dataset_path": options.dataset}
            for chunk in pool.stream("distributed_training", arguments):
                show(chunk)
        else:
            for chunk in train_on_shards(pool, options.workers, model, training, options.dataset):
                show(chunk)


if __name__ == "__main__":
    main()
