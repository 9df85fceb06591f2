"""Arguments as pickles: where the pool allows it, and only of the parameters of which the tool says so.

Pickled in the caller's thread, before anything is sent: what the caller changes afterwards does not reach them. Large buffers, such as
arrays in a model, lie beside the pickle (PEP 574) and travel as all that is binary.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

from snakepit.errors import InvalidParameter
from snakepit_bridge.wire.plain import look
from snakepit_bridge.wire.typed import Pickled

from .tools import ToolSpec


def pickled_arguments(spec: ToolSpec, args: Mapping[str, Any]) -> dict[str, Pickled]:
    """Those that go as pickles: of the parameters that may, all that the codecs would not carry as it is.

    Raises:
        InvalidParameter: one cannot be pickled.
    """
    own = {name: args[name] for name in spec.pickled if name in args and type(args[name]) is not Pickled}  # those the tool's end refuses
    return {name: _pickled(spec, name, value) for name, value in own.items() if not look(value)}


def refusal(spec: ToolSpec, *, allowed: bool) -> str:
    """Why a value of a call does not go as a pickle; empty: neither side speaks of pickles."""
    if spec.pickled and not allowed:
        names = ", ".join(sorted(spec.pickled))
        return f"{spec.name!r} takes {names} pickled, which this pool does not allow; Pool(..., allow_pickle=True) does"
    if allowed:
        return f"to be given as a pickle, a parameter must be named by its tool, of {spec.name!r} too: @tool(pickled=[...])"
    return ""


def dumped(value: Any) -> tuple[bytes, list[memoryview]]:
    """A pickle, and the buffers beside it: views of the value's own. Raises whatever the objects' own code raises."""
    buffers: list[memoryview] = []

    def lies_beside(buffer: pickle.PickleBuffer) -> bool:
        try:
            buffers.append(buffer.raw())
        except BufferError:  # one with steps: it goes into the pickle
            return True
        return False

    return pickle.dumps(value, protocol=5, buffer_callback=lies_beside), buffers


def _pickled(spec: ToolSpec, name: str, value: Any) -> Pickled:
    try:
        data, buffers = dumped(value)
    except Exception as error:  # whatever the object's own code raises
        message = f"{spec.name}(): {name!r}, a {type(value).__name__}, cannot be pickled: {type(error).__name__}: {error}"
        hint = "give what it is made from, or a path to it; functions must be importable, not lambdas or local ones"
        raise InvalidParameter(message, hint=hint, tool=spec.name, parameter=name, got=type(value).__name__) from error
    return Pickled(data, [memoryview(bytes(buffer)) for buffer in buffers])
