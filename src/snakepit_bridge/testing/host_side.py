"""The application's side of one tool that is run by itself: functions that stand for host tools, called where the tool runs."""

import asyncio
import inspect
import traceback
from typing import Any, AsyncIterator, Callable, Dict, Iterator, Mapping, NoReturn, Tuple

from ..host_tools import HostToolError
from ..tool_specs import describe


class Offered:
    """What a tool finds behind `self.host_tools`.

    Args:
        functions: by the names that tools call them by.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._functions = dict(functions)

    def call(self, context: Any, name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any], options: Dict[str, Any]) -> Any:
        """Call one for a sync tool; a coroutine runs in a loop of its own."""
        if not name:
            return self._specs()
        context.check()
        try:
            value = self._function(name)(*args, **kwargs, **options.get("binary_parameters", {}))
            if inspect.iscoroutine(value):
                return asyncio.run(value)
            if inspect.isasyncgen(value):
                return iter(asyncio.run(_listed(value)))
        except Exception as error:
            _fail(name, error)
        return _guarded(name, value) if inspect.isgenerator(value) else value

    async def call_async(self, context: Any, name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any], options: Dict[str, Any]) -> Any:
        """Call one for an async tool."""
        if not name:
            return self._specs()
        context.check()
        try:
            value = self._function(name)(*args, **kwargs, **options.get("binary_parameters", {}))
            if inspect.isawaitable(value):
                return await value
        except Exception as error:
            _fail(name, error)
        if inspect.isgenerator(value) or inspect.isasyncgen(value):
            return _guarded_async(name, value)
        return value

    def _function(self, name: str) -> Callable[..., Any]:
        if name not in self._functions:
            known = ", ".join(sorted(self._functions)) or "none"
            raise HostToolError(name, "the test offers no host tool of this name; there are: %s" % known, code="unknown_tool")
        return self._functions[name]

    def _specs(self) -> Any:
        return [describe(function, name=name) for name, function in sorted(self._functions.items())]


def _fail(name: str, error: Exception) -> NoReturn:
    """Raise what a tool gets when a host tool raises."""
    if isinstance(error, HostToolError):
        raise error
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    raise HostToolError(name, str(error), type=type(error).__name__, traceback=text) from error


def _guarded(name: str, items: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from items
    except Exception as error:
        _fail(name, error)


async def _guarded_async(name: str, items: Any) -> AsyncIterator[Any]:
    try:
        if inspect.isasyncgen(items):
            async for item in items:
                yield item
        else:
            for item in items:
                yield item
    except Exception as error:
        _fail(name, error)


async def _listed(items: Any) -> Any:
    return [item async for item in items]
