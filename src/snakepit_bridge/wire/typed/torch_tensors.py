"""torch tensors in the processor's memory. What arrives is a copy: torch knows no read-only memory, and would write into a view.

Only dense ones of torch's own class and its `Parameter`; None for tensors of other devices, sparse and quantised ones. A graph of
gradients stays behind, whether a tensor asks for gradients does not.
"""

import math
from typing import Any, Callable, Dict, List, Optional

import torch

from ..malformed import Malformed
from .packed import Packed, check_size, fields, flag, joined, shape, text

_DTYPES = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "complex64", "complex128"]
_DTYPES += ["bfloat16", "float16", "float32", "float64"]
_DTYPES += ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"]
_BY_NAME = {name: getattr(torch, name) for name in _DTYPES if hasattr(torch, name)}
_NAMES = {dtype: name for name, dtype in _BY_NAME.items()}


def types() -> Dict[type, Callable[[Any, int], Optional[Packed]]]:
    """What is packed here, by its type."""
    return {torch.Tensor: pack, torch.nn.Parameter: pack}


def pack(value: Any, threshold: int = 0) -> Optional[Packed]:
    """A tensor; its own memory where that is contiguous."""
    name = _NAMES.get(value.dtype)
    if name is None or value.device.type != "cpu" or value.layout != torch.strided or value.is_quantized:
        return None
    wants, parameter = bool(value.requires_grad), type(value) is torch.nn.Parameter
    plain = value.detach().resolve_conj().resolve_neg().contiguous()
    meta = [name, list(value.shape), wants, parameter]
    if not plain.numel():
        return Packed("torch.Tensor", meta, [memoryview(b"")])
    try:
        data = memoryview(plain.reshape(-1).view(torch.uint8).numpy())
    except (RuntimeError, TypeError):  # torch without NumPy; numbers that cannot be seen as bytes
        return None
    return Packed("torch.Tensor", meta, [data])


def unpack(meta: Any, buffers: List[memoryview]) -> Any:
    """A tensor of its own."""
    name, lengths, wants, parameter = fields(meta, 4)
    lengths, dtype = shape(lengths), _BY_NAME.get(text(name))
    if dtype is None:
        raise Malformed("this torch has no dtype %.40r" % name)
    data = joined(buffers)
    check_size(data, math.prod(lengths) * dtype.itemsize)
    if data.nbytes:
        tensor = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(dtype).reshape(lengths)
    else:
        tensor = torch.empty(lengths, dtype=dtype)
    if flag(parameter):
        return torch.nn.Parameter(tensor, requires_grad=flag(wants))
    return tensor.requires_grad_() if flag(wants) else tensor
