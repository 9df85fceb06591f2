"""`StreamChunk` and `Tool`, at the place where Snakepit's adapters look for them."""

from typing import Any, Callable

from ...base_adapter import StreamChunk

__all__ = ["StreamChunk", "Tool"]


class Tool:
    """A function with its name.

    Attributes:
        func: the function. name: its own.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.name = func.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.func(*args, **kwargs)
