"""A pool's tools as functions: `pool.tools.add(2, b=3)`, `pool.tools.add.options(timeout=5)(2, b=3)`.

They give what the function would: its result, or a stream of exactly what it yields. Options go through `options`, so a
tool may have a parameter named `timeout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from snakepit._pool.arguments import bind
from snakepit._pool.tools import ToolSpec, unknown_tool
from snakepit.errors import UnknownTool


class NoSuchTool(UnknownTool, AttributeError):
    """`UnknownTool` where a tool is looked up as an attribute, so that `hasattr` and `getattr` with a default do what they should."""


class Caller(Protocol):
    """What a pool offers to its tools' functions; both faces do."""

    def execute(self, tool: str, args: Mapping[str, Any] | None = None) -> Any: ...

    def stream(self, tool: str, args: Mapping[str, Any] | None = None) -> Any: ...

    def _started_specs(self) -> tuple[ToolSpec, ...]: ...

    def _specs(self) -> tuple[ToolSpec, ...]: ...


class _ToolsBase:
    """The tools by name, as a mapping would have them and as attributes."""

    def __init__(self, pool: Caller) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> ToolFunction:
        # Notebooks and debuggers probe for names that begin so: that must not start a pool.
        if name.startswith("_") and name not in self._known():
            raise AttributeError(name)
        try:
            return self[name]
        except UnknownTool as error:
            raise NoSuchTool(error.message, hint=error.hint, **error.details) from None

    def __getitem__(self, name: str) -> ToolFunction:
        specs = {spec.name: spec for spec in self._pool._started_specs()}
        if name not in specs:
            raise unknown_tool(name, specs)
        return ToolFunction(self._pool, specs[name], {})

    def __iter__(self) -> Iterator[str]:
        return iter([spec.name for spec in self._pool._started_specs()])

    def __contains__(self, name: object) -> bool:
        return any(spec.name == name for spec in self._pool._started_specs())

    def __len__(self) -> int:
        return len(self._pool._started_specs())

    def __bool__(self) -> bool:
        return True  # not by the number of tools, which only a pool that has been started knows

    def __repr__(self) -> str:
        return f"<tools: {', '.join(self._known()) or 'the pool has not been started'}>"

    def __dir__(self) -> list[str]:
        return self._known()

    def _known(self) -> list[str]:
        return [spec.name for spec in self._pool._specs()]


class Tools(_ToolsBase):
    """Tools as plain functions: they give the result, or a `Stream`."""


class AsyncTools(_ToolsBase):
    """Tools as coroutine functions; those that stream give an `AsyncStream`."""


class ToolFunction:
    """One tool of a pool, called like the function it is."""

    def __init__(self, pool: Caller, spec: ToolSpec, options: Mapping[str, Any]) -> None:
        self._pool = pool
        self._spec = spec
        self._options = options
        self.__name__ = spec.name
        self.__doc__ = spec.doc or spec.description or f"{spec.name}{spec.signature}: a tool of the pool's workers."
        self.__signature__ = spec.signature

    def options(self, **options: Any) -> ToolFunction:
        """The same tool with options of `execute` or `stream`, such as `timeout=5`."""
        return ToolFunction(self._pool, self._spec, {**self._options, **options})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        arguments = bind(self._spec, args, kwargs)
        if self._spec.streaming:
            return self._pool.stream(self._spec.name, arguments, **self._options).as_values()
        return self._pool.execute(self._spec.name, arguments, **self._options)

    def __repr__(self) -> str:
        return f"<tool {self._spec.name}{self._spec.signature}>"
