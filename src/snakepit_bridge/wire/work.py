"""What `Pool.as_executor` sends to `snakepit_bridge.functions`."""

from typing import Any, List, NamedTuple


class Work(NamedTuple):
    """A function to run. It travels as a pickle; nothing else that arrives becomes one, and so nobody else's pickle is read.

    Attributes:
        executor: the name of the host tool that gives what the executor's functions need before they run.
        data: a pickle of the function, its arguments, and those by keyword; without these (None), the function is run for each of
            several tuples of arguments.
        buffers: the pickle's.
    """

    executor: str
    data: Any
    buffers: List[Any]
