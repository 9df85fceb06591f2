"""Plain functions as tools: the adapter for `Pool.as_executor`. What it runs and gives back travels as pickles.

    with snakepit.Pool("snakepit_bridge.functions", allow_pickle=True).as_executor() as executor:
        executor.submit(math.factorial, 20).result()

Functions and classes must be importable here under the name that they have where they are submitted; those of the program's own
file are, as with `multiprocessing`: it is imported here under the name `__mp_main__`.
"""

import pickle
import traceback
from typing import Any, List, Tuple

from .base_adapter import tool
from .call_context import Cancelled
from .function_starts import begun, loaded
from .wire.work import Work

__all__ = ["call_function"]


@tool(pickled=["work"])
def call_function(work: Any) -> Any:
    """Run a function that came as a pickle.

    Args:
        work: a `Work`.

    Returns:
        a list: `"result"`, `"error"`, `"lost"` or `"broken"`; a pickle of what the function gave or raised, with its buffers, or why
        the initializer failed; and of an error its traceback, its type's name and its message, which alone are left of a lost one.
    """
    if type(work) is not Work:
        raise TypeError("work is a %s; allowed is what Pool.as_executor() sends" % type(work).__name__)
    failed = begun(work.executor)
    if failed is not None:
        return ["broken", failed, [], "", "", ""]
    function, args, kwargs = loaded(work.data, work.buffers)
    try:
        value = [function(*item) for item in args] if kwargs is None else function(*args, **kwargs)
        return ["result", *_pickled(value), "", "", ""]
    except (Cancelled, GeneratorExit):
        raise
    except BaseException as error:  # as `concurrent.futures` has it, SystemExit too
        facts = [traceback.format_exc(), _name(type(error)), _text(error)]
        try:
            return ["error", *_pickled(error), *facts]
        except Exception as second:
            return ["lost", "it cannot be pickled: %s" % _text(second), [], *facts]


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else "%s.%s" % (kind.__module__, kind.__qualname__)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # its own code fails
        return "(its text cannot be made)"


def _pickled(value: Any) -> "Tuple[bytes, List[Any]]":
    buffers: List[memoryview] = []

    def lies_beside(buffer: Any) -> bool:
        try:
            buffers.append(buffer.raw())
        except BufferError:  # one with steps: it goes into the pickle
            return True
        return False

    return pickle.dumps(value, protocol=5, buffer_callback=lies_beside), buffers
