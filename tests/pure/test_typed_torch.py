"""torch tensors arrive as they were, in memory of their own; what lies elsewhere is not packed. Runs where torch is installed."""

from __future__ import annotations

from typing import Any

import pytest

from snakepit_bridge.wire.typed import Malformed, pack, unpack

torch: Any = pytest.importorskip("torch")

_DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"]


def arrived(value: Any) -> Any:
    """What becomes of a value."""
    packed = pack(value)
    assert packed is not None
    return unpack(packed.kind, packed.meta, [bytes(part) for part in packed.buffers])


@pytest.mark.parametrize("name", _DTYPES)
def test_a_tensor_arrives_as_it_was(name: str):
    """Each dtype, in any shape and any strides."""
    value = torch.arange(12).reshape(3, 4).to(getattr(torch, name))
    for view in (value, value.t(), value[:, ::2], value[1, 1], value[:0], value.expand(2, 3, 4)):
        found = arrived(view)
        assert found.dtype == view.dtype
        assert found.shape == view.shape
        assert torch.equal(found, view)


def test_the_buffer_is_the_tensors_memory_and_what_arrives_is_its_own():
    """Nothing is copied to be packed; torch has no read-only tensors, so what arrives is copied once."""
    value = torch.zeros(10)
    packed = pack(value)
    assert packed is not None
    value[0] = 7
    found = unpack(*packed)
    assert found[0] == 7
    found[1] = 5
    assert value[1] == 0


def test_parameters_and_gradients_are_kept():
    """A parameter stays one, and whether gradients are asked for is kept; their graph is left behind."""
    for wants in (True, False):
        found = arrived(torch.nn.Parameter(torch.ones(2), requires_grad=wants))
        assert type(found) is torch.nn.Parameter
        assert found.requires_grad is wants
    found = arrived(torch.ones(2, requires_grad=True) * 2)
    assert found.requires_grad
    assert found.tolist() == [2, 2]
    assert arrived(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]


def test_what_lies_elsewhere_is_not_packed():
    """Tensors of other devices, and quantised ones."""
    assert pack(torch.empty(2, device="meta")) is None


@pytest.mark.parametrize(
    "meta",
    [None, ["float32", [2], False], ["float99", [2], False, False], ["load", [2], False, False], ["float32", [3], False, False],
     ["float32", [-2], False, False], ["float32", [2], 1, False], ["int64", [1], True, False], ["float32", [2**62, 4], False, False]],
)  # fmt: skip
def test_what_does_not_fit_is_malformed(meta: Any):
    """Other dtypes, shapes and flags than torch has or the bytes fit."""
    with pytest.raises(Malformed, match="torch"):
        unpack("torch.Tensor", meta, [bytes(8)])
