"""Binary parameters as a tool gets them: the bytes that were sent, or a view of them where its signature asks for that.

For tools in workers and for those of the host alike.
"""

from typing import Any, Callable, Dict

from .tool_specs import annotations_of


def received(binary: Dict[str, bytes], function: Callable[..., Any]) -> Dict[str, Any]:
    """The arguments: `bytes`; a read-only `memoryview` or a `bytearray` for parameters annotated so."""
    hints = annotations_of(function)
    return {name: value if hints.get(name) not in (memoryview, bytearray) else hints[name](value) for name, value in binary.items()}
