"""The driver of the data-parallel training on a real pool: several workers serve it, and what they learn adds up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import snakepit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


@pytest.fixture
def driver(example: Callable[..., ModuleType]) -> ModuleType:
    """The module under test."""
    return example("distributed_training", "numpy", "sklearn")


def test_two_workers_train_one_model(driver: ModuleType, example: Callable[..., ModuleType], tmp_path: Path) -> None:
    """Both workers serve shards, the averaged loss falls, and the checkpoint is as good as its best epoch."""
    training = {"epochs": 200, "learning_rate": 0.005, "output_dir": str(tmp_path)}
    chunks, served = [], set()
    with snakepit.Pool(driver.ADAPTER, size=2) as pool:
        for chunk in driver.train_on_shards(pool, 2, {}, training, "digits"):
            chunks.append(chunk)
            served |= set(chunk["workers"])
            if len(served) == 2 and len(chunks) >= 4:  # the second worker may become ready later than the first
                break
        best = max(chunk["val_acc"] for chunk in chunks)
        saved = driver.pack(example("distributed_training_tools").read_checkpoint(tmp_path / "mlp_best.npz"))
        assert pool.execute("evaluate", {"parameters": saved, "dataset_path": "digits"})["val_acc"] == best
    assert served == {"worker-1", "worker-2"}
    losses = [chunk["train_loss"] for chunk in chunks[:4]]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


def test_one_shard_gives_the_chunks_of_the_stream(driver: ModuleType, tmp_path: Path) -> None:
    """The driver with one shard and the one-worker stream give the same keys and, but for rounding, the same numbers."""
    training = {"epochs": 2, "output_dir": str(tmp_path)}
    arguments = {"model_config": {}, "training_config": training, "dataset_path": "digits"}
    with snakepit.Pool(driver.ADAPTER, size=1) as pool:
        streamed = list(pool.stream("distributed_training", arguments).values())
        driven = list(driver.train_on_shards(pool, 1, {}, training, "digits"))
    assert [chunk.pop("workers", None) for chunk in driven] == [["worker-1"], ["worker-1"], None]
    assert driven == [pytest.approx(chunk) for chunk in streamed]
