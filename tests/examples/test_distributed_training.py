"""The training tools, driven directly: true gradients, falling loss, shards whose average learns, a real checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from snakepit_bridge import call_context

EPOCH_KEYS = {"epoch", "total_epochs", "train_loss", "train_acc", "val_loss", "val_acc", "learning_rate", "is_final"}
TRAINING = {"epochs": 4, "batch_size": 32, "learning_rate": 0.01}


@pytest.fixture
def tools(example: Callable[..., ModuleType]) -> ModuleType:
    """The module under test."""
    return example("distributed_training_tools", "numpy", "sklearn")


@pytest.fixture
def network(example: Callable[..., ModuleType]) -> ModuleType:
    """The network's module."""
    return example("softmax_network", "numpy")


@pytest.fixture
def running_call() -> Iterator[None]:
    """Tools that ask for their worker's id run inside this call."""
    token = call_context.enter(call_context.CallContext(1, "train_shard", "worker-7"))
    yield
    call_context.leave(token)


def test_the_gradient_is_the_slope_of_the_loss(network: ModuleType) -> None:
    """The gradient by the chain rule agrees with differences of the loss, for two hidden layers."""
    import numpy as np

    dice = np.random.default_rng(0)
    model = network.Network.fresh([3, 4, 4, 3], seed=1)
    inputs, labels = dice.normal(size=(6, 3)), np.array([0, 1, 2, 2, 1, 0])

    def loss(values: Any) -> float:
        return float(network.Network(model.sizes, values).evaluate(inputs, labels)[0])

    steps = np.eye(len(model.values)) * 1e-6
    slopes = [(loss(model.values + step) - loss(model.values - step)) / 2e-6 for step in steps]
    assert model._gradient(inputs, labels) == pytest.approx(np.array(slopes), abs=1e-6)


def test_average_weighs_by_rows(network: ModuleType) -> None:
    """The average of two networks lies between them as their weights say."""
    import numpy as np

    one, two = (network.Network((1, 1), np.array([value, value])) for value in (0.0, 4.0))
    assert network.average([one, two], [3, 1]).values.tolist() == [1.0, 1.0]


def test_a_training_streams_epochs_and_its_loss_falls(tools: ModuleType, tmp_path: Path) -> None:
    """Each epoch gives the guide's keys, the loss falls from epoch to epoch, and the rate follows its schedule."""
    config = {**TRAINING, "output_dir": str(tmp_path)}
    *epochs, final = tools.TrainingAdapter().distributed_training({"layers": 1, "hidden_size": 32}, config)
    assert [set(chunk) for chunk in epochs] == [EPOCH_KEYS] * 4
    assert [chunk["epoch"] for chunk in epochs] == [1, 2, 3, 4]
    losses = [chunk["train_loss"] for chunk in epochs]
    assert losses == sorted(losses, reverse=True)
    assert epochs[-1]["val_acc"] > 0.9
    assert [chunk["learning_rate"] for chunk in epochs] == pytest.approx([0.01, 0.0095, 0.009025, 0.00857375])
    assert set(final) == {"is_final", "final_model_path", "best_val_accuracy", "total_epochs", "message"}
    assert final["best_val_accuracy"] == max(chunk["val_acc"] for chunk in epochs)


def test_the_checkpoint_is_the_best_epoch(tools: ModuleType, tmp_path: Path) -> None:
    """The file named at the end holds a network that is as good as the best epoch said, and nothing else was left."""
    config = {**TRAINING, "output_dir": str(tmp_path / "models")}
    final = list(tools.TrainingAdapter().distributed_training({}, config))[-1]
    saved, data = tools.read_checkpoint(final["final_model_path"]), tools.load_dataset("digits")
    assert saved.evaluate(data.validation_inputs, data.validation_labels)[1] == final["best_val_accuracy"]
    assert [str(path) for path in (tmp_path / "models").iterdir()] == [final["final_model_path"]]


def test_a_dataset_file_is_used_and_gets_the_checkpoint_beside_it(tools: ModuleType, tmp_path: Path) -> None:
    """A .npz file with x and y is learned from; without output_dir the checkpoint lies in its folder."""
    import numpy as np

    dice = np.random.default_rng(3)
    labels = dice.integers(0, 2, 200)
    np.savez(tmp_path / "set.npz", x=dice.normal(size=(200, 2, 2)) + labels[:, None, None] * 3, y=labels)
    config = {"epochs": 20, "learning_rate": 0.02}
    final = list(tools.TrainingAdapter().distributed_training({}, config, str(tmp_path / "set.npz")))[-1]
    assert final["best_val_accuracy"] > 0.9
    assert final["final_model_path"] == str(tmp_path / "mlp_best.npz")
    np.savez(tmp_path / "other.npz", a=labels)
    with pytest.raises(ValueError, match=r"no array x, y \(found a\)"):
        list(tools.TrainingAdapter().distributed_training({}, config, str(tmp_path / "other.npz")))


@pytest.mark.usefixtures("running_call")
def test_one_shard_is_the_whole_training(tools: ModuleType, tmp_path: Path) -> None:
    """A driver with a single shard gets the numbers of the one-worker tool, but for rounding."""
    adapter = tools.TrainingAdapter()
    whole = list(adapter.distributed_training({}, {**TRAINING, "output_dir": str(tmp_path)}))[:-1]
    parameters = adapter.fresh_parameters({}, TRAINING, "digits")
    for chunk in whole:
        parameters = adapter.train_shard(parameters, 0, 1, chunk["epoch"], TRAINING, "digits")["parameters"]
        measured = adapter.evaluate(parameters, "digits")
        assert measured == pytest.approx({key: chunk[key] for key in measured})


@pytest.mark.usefixtures("running_call")
def test_averaged_shards_learn(tools: ModuleType, network: ModuleType) -> None:
    """Three shards together hold every row once, say who served them, and their average has a lower loss after each epoch."""
    adapter = tools.TrainingAdapter()
    parameters = adapter.fresh_parameters({}, TRAINING, "digits")
    losses = [adapter.evaluate(parameters, "digits")["train_loss"]]
    for epoch in (1, 2, 3):
        results = [adapter.train_shard(parameters, shard, 3, epoch, TRAINING, "digits") for shard in range(3)]
        assert {result["worker_id"] for result in results} == {"worker-7"}
        rows = [result["rows"] for result in results]
        assert sum(rows) == len(tools.load_dataset("digits").labels)
        parameters = tools.pack(network.average([tools.unpack(result["parameters"]) for result in results], rows))
        losses.append(adapter.evaluate(parameters, "digits")["train_loss"])
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ({"architecture": "transformer"}, {}, "architecture is 'transformer', allowed is 'mlp'"),
        ({"width": 3}, {}, "model_config: unknown 'width', allowed are architecture"),
        ({}, {"epoch": 3}, "training_config: unknown 'epoch', allowed are epochs"),
        ({}, {"epochs": 0}, "training_config: epochs is 0, allowed is 1 or more"),
    ],
)
def test_wrong_configs_are_named(tools: ModuleType, model: dict[str, Any], training: dict[str, Any], message: str) -> None:
    """A setting that is not there or cannot be is named with what is allowed."""
    with pytest.raises(ValueError, match=message):
        list(tools.TrainingAdapter().distributed_training(model, training))
