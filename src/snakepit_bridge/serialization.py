"""Values as the public service has them, by the names that Snakepit's adapters use: `TypeSerializer`, `GracefulJSONEncoder`.

What it does is in `bridge.plain` and `bridge.values`. Nothing is ever pickled, nor unpickled.
"""

import json
from typing import Any, Optional, Tuple

from .bridge import values
from .bridge.plain import dumps, plain
from .wire.markers import MARKER, REPR_KEY, TYPE_KEY, is_unserializable

__all__ = ["REPR_KEY", "TYPE_KEY", "UNSERIALIZABLE_KEY", "GracefulJSONEncoder", "TypeSerializer", "is_unserializable"]

UNSERIALIZABLE_KEY = MARKER


class GracefulJSONEncoder(json.JSONEncoder):
    """For `json.dumps(value, cls=...)`: what JSON does not know goes in its plainer form, at worst as a marker of its type."""

    def default(self, o: Any) -> Any:
        """The plainer form."""
        return plain(o)


class TypeSerializer:
    """Values to `Any` messages and back."""

    @staticmethod
    def encode_any(value: Any, var_type: str) -> "Tuple[Any, Optional[bytes]]":
        """(an `Any` message whose type ends in `var_type`, what goes beside it as bytes).

        Args:
            var_type: such as `float`, `integer`, `string`, `boolean`, `map`, `list`, `embedding`, `tensor`.

        Raises:
            ValueError: the value is none of that type.
        """
        from google.protobuf.any_pb2 import Any as AnyMessage

        if isinstance(value, (bytes, bytearray, memoryview)):
            return AnyMessage(type_url="type.googleapis.com/snakepit.binary", value=b"null"), bytes(value)
        return AnyMessage(type_url="type.googleapis.com/snakepit." + var_type, value=dumps(_normal(value, var_type))), None

    @staticmethod
    def decode_any(any_msg: Any, binary_data: Optional[bytes] = None) -> Any:
        """The value of an `Any` message.

        Raises:
            ValueError: it is no JSON, or not what its type says; or the bytes beside it are a pickle, which is never read.
        """
        if binary_data is not None:
            if any_msg.type_url.endswith(".binary") and _says_pickle(any_msg.value):
                raise ValueError(
                    "the bytes beside %s are pickled, which runs code when it is read: send them as they are" % any_msg.type_url
                )
            return binary_data
        return values.argument("value", any_msg.type_url, any_msg.value)


def _normal(value: Any, var_type: str) -> Any:
    if var_type == "float":
        return float(value)
    if var_type == "integer":
        if int(value) != value:
            raise ValueError("expected a whole number, got %r" % (value,))
        return int(value)
    if var_type == "boolean" and not isinstance(value, bool):
        raise ValueError("expected a boolean, got a %s" % type(value).__name__)
    if var_type == "tensor" and not isinstance(value, dict):
        return {"shape": list(getattr(value, "shape", ())), "data": plain(value)}
    return str(value) if var_type in ("string", "choice", "module") else value


def _says_pickle(data: bytes) -> bool:
    try:
        return bool(json.loads(data).get("binary_format") == "pickle")
    except (ValueError, AttributeError):
        return False
