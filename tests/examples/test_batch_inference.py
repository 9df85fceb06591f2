"""The inference tool, driven directly: true probabilities, a saved model is used again, bad items do not end the batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ITEM_KEYS = {"item", "index", "prediction", "confidence", "progress", "total", "is_final"}


@pytest.fixture
def tools(example: Callable[..., ModuleType]) -> ModuleType:
    """The module under test."""
    return example("batch_inference_tools", "sklearn", "numpy")


@pytest.fixture
def adapter(tools: ModuleType) -> Any:
    """An adapter as a worker would hold it."""
    adapter = tools.InferenceAdapter()
    adapter.initialize()
    return adapter


def test_items_give_chunks_with_the_keys_of_the_guide(adapter: Any) -> None:
    """One chunk per item, in order, then a summary; the confidence is the model's probability of what it predicts."""
    *chunks, final = adapter.batch_inference(["digit_0001", "digit_0006"])
    assert [set(chunk) for chunk in chunks] == [ITEM_KEYS, ITEM_KEYS]
    assert [(chunk["item"], chunk["index"], chunk["progress"], chunk["total"]) for chunk in chunks] == [
        ("digit_0001", 0, 1, 2),
        ("digit_0006", 1, 2, 2),
    ]
    model = adapter.models[None]
    expected = model.predict_proba(adapter.images[[1, 6]])
    assert [chunk["confidence"] for chunk in chunks] == pytest.approx(list(expected.max(axis=1)))
    assert [chunk["prediction"] for chunk in chunks] == list(model.classes_[expected.argmax(axis=1)])
    assert final == {"is_final": True, "total_processed": 2, "message": "Processed 2 items successfully"}


def test_batch_items_is_another_name_for_items(adapter: Any) -> None:
    """The guide's callers say batch_items and its tool says items: both give the same chunks."""
    assert list(adapter.batch_inference(batch_items=["digit_0003"])) == list(adapter.batch_inference(items=["digit_0003"]))
    with pytest.raises(ValueError, match="either as items or as batch_items"):
        list(adapter.batch_inference())
    with pytest.raises(ValueError, match="either as items or as batch_items"):
        list(adapter.batch_inference(items=[], batch_items=[]))


def test_the_model_reads_digits_it_has_not_seen(adapter: Any, tools: ModuleType) -> None:
    """Nine of ten images that the model did not learn from are named right."""
    unseen = range(0, tools.FIRST_TRAINING_IMAGE, 3)
    chunks = list(adapter.batch_inference([f"digit_{number:04d}" for number in unseen]))[:-1]
    right = sum(chunk["prediction"] == adapter.labels[number] for chunk, number in zip(chunks, unseen, strict=True))
    assert right / len(chunks) >= 0.9


def test_a_missing_model_is_trained_saved_and_used_again(
    tools: ModuleType, adapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call makes the model file; a later worker loads it instead of training, and says the same."""
    path = str(tmp_path / "models" / "digits.pkl")
    first = list(adapter.batch_inference(["digit_0002"], model_path=path))
    assert [entry.name for entry in (tmp_path / "models").iterdir()] == ["digits.pkl"]
    later = tools.InferenceAdapter()
    later.initialize()
    monkeypatch.setattr(later, "_train", lambda: pytest.fail("trained although the model was saved"))
    assert list(later.batch_inference(["digit_0002"], model_path=path)) == first
    (tmp_path / "models" / "digits.pkl").unlink()
    assert list(later.batch_inference(["digit_0002"], model_path=path)) == first  # kept in memory


def test_images_may_be_files(adapter: Any, tmp_path: Path) -> None:
    """An image saved as .npy, .txt or .csv is read as the image it is."""
    import numpy as np

    pixels = adapter.images[5].reshape(8, 8) * 16
    np.save(tmp_path / "five.npy", pixels)
    np.savetxt(tmp_path / "five.txt", pixels)
    np.savetxt(tmp_path / "five.csv", pixels, delimiter=",")
    items = ["digit_0005", *(str(tmp_path / f"five.{ending}") for ending in ("npy", "txt", "csv"))]
    chunks = list(adapter.batch_inference(items))[:-1]
    assert len({chunk["prediction"] for chunk in chunks}) == 1
    assert [chunk["confidence"] for chunk in chunks] == pytest.approx([chunks[0]["confidence"]] * 4)


def test_an_unreadable_item_does_not_end_the_batch(adapter: Any, tmp_path: Path) -> None:
    """Each bad item gives a chunk with its error, the others their prediction, and the summary counts both."""
    (tmp_path / "small.txt").write_text("1 2\n3 4\n", encoding="utf-8")
    (tmp_path / "empty.npy").write_bytes(b"")
    bad = ["photo.jpg", "digit_9999", str(tmp_path / "none.npy"), str(tmp_path / "small.txt"), str(tmp_path / "empty.npy")]
    *chunks, good, final = adapter.batch_inference([*bad, "digit_0001"])
    errors = [chunk["error"] for chunk in chunks]
    assert ["prediction" in chunk for chunk in chunks] == [False] * 5
    assert "expected digit_0000" in errors[0]
    assert "digit_1796" in errors[1]
    assert "No such file" in errors[2]
    assert "got 4 pixels, expected 64" in errors[3]
    assert good["prediction"] == 1
    assert final["total_processed"] == 1
    assert "5 could not be read" in final["message"]


def test_a_file_that_is_no_classifier_is_refused(tools: ModuleType, adapter: Any, tmp_path: Path) -> None:
    """A model file that holds something else is named with what it holds."""
    path = str(tmp_path / "list.pkl")
    tools.joblib.dump([1, 2], path)
    with pytest.raises(ValueError, match=r"list\.pkl holds list, expected a classifier"):
        list(adapter.batch_inference(["digit_0001"], model_path=path))
