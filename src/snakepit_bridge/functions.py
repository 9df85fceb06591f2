"""Plain functions as tools: the adapter for `Pool.as_executor`. What it runs and gives back travels as pickles.

    with snakepit.Pool("snakepit_bridge.functions", allow_pickle=True).as_executor() as executor:
        executor.submit(math.factorial, 20).result()

Functions must be importable here under the name that they have where they are submitted, as for every pool of processes.
"""

import pickle
import traceback
from typing import Any, Callable, Dict, List, Tuple

from .base_adapter import tool
from .call_context import Cancelled

__all__ = ["call_function"]

#: Which executors' initializers have run in this process, and what they raised: text, or None.
_initialized: "Dict[str, Any]" = {}


@tool(pickled=["work"])
def call_function(work: Any) -> Any:
    """Run a function that came as a pickle.

    Args:
        work: the executor's name, its initializer or None and that one's arguments; the function, its arguments, and those by keyword.
            Without those by keyword (None), the function is run for each of several tuples of arguments.

    Returns:
        a list: `"result"`, `"error"` or `"broken"`; a pickle of what the function gave or raised, or why the initializer failed;
        the pickle's buffers; and for an error its traceback as text.
    """
    executor, initializer, initargs, function, args, kwargs = work
    failed = _initialize(executor, initializer, initargs) if initializer is not None else None
    if failed is not None:
        return ["broken", failed, [], ""]
    try:
        value = [function(*item) for item in args] if kwargs is None else function(*args, **kwargs)
        return ["result", *_pickled(value), ""]
    except (Cancelled, GeneratorExit):
        raise
    except BaseException as error:  # as `concurrent.futures` has it, SystemExit too
        text = traceback.format_exc()
        try:
            return ["error", *_pickled(error), text]
        except Exception as second:
            lost = TypeError("%s, which cannot be pickled: %s" % (type(error).__name__, second))
            return ["error", *_pickled(lost), text]


def _initialize(executor: str, initializer: Callable[..., Any], initargs: "Tuple[Any, ...]") -> Any:
    if executor not in _initialized:
        _initialized[executor] = None
        try:
            initializer(*initargs)
        except Exception:
            _initialized[executor] = traceback.format_exc()
    return _initialized[executor]


def _pickled(value: Any) -> "Tuple[bytes, List[Any]]":
    buffers: List[memoryview] = []

    def lies_beside(buffer: Any) -> bool:
        try:
            buffers.append(buffer.raw())
        except BufferError:  # one with steps: it goes into the pickle
            return True
        return False

    return pickle.dumps(value, protocol=5, buffer_callback=lies_beside), buffers
