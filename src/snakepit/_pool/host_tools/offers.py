"""The functions that an application offers to tools: to all of a pool, or to one session's. From any thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from snakepit._pool.registry import ToolRegistry, spec_of
from snakepit._pool.tools import ToolSpec
from snakepit.errors import InvalidToolSpec

Function: TypeAlias = Callable[..., Any]


class Offers:
    """Functions by name; their specs are in the registry, which refuses what cannot be offered."""

    def __init__(self) -> None:
        self.registry = ToolRegistry()
        self._functions: dict[tuple[str, str], Function] = {}

    def register(self, function: Function, name: str | None, description: str, session_id: str) -> ToolSpec:
        """Offer a function; to one session's calls if a session is named.

        Raises:
            InvalidToolSpec: it is no function, or its name is taken or malformed.
        """
        spec = spec_of(function, name=name, description=description, session_id=session_id)
        self.registry.add_host_tool(spec, session_id)
        self._functions[session_id, spec.name] = function
        return spec

    def unregister(self, tool: str | Function, session_id: str) -> bool:
        """Offer it no more; False if it was not offered. Calls that run go on.

        Raises:
            InvalidToolSpec: it is neither a name nor a function.
        """
        if not isinstance(tool, str):
            if not callable(tool):
                message = f"a host tool is taken back by its name or its function, not by a {type(tool).__name__}"
                raise InvalidToolSpec(message, hint='pool.unregister_tool("rate")', field="tool")
            names = [name for (owner, name), function in list(self._functions.items()) if owner == session_id and function == tool]
            return any([self.unregister(name, session_id) for name in names])  # noqa: C419 - all of them, not up to the first
        name = tool
        self._functions.pop((session_id, name), None)
        return bool(self.registry.remove_host_tool(name, session_id))

    def drop_session(self, session_id: str) -> None:
        """A session is over, and with it what was offered to it alone."""
        for spec in self.registry.host_tools(session_id):
            self._functions.pop((session_id, spec.name), None)
        self.registry.drop_session(session_id)

    def find(self, name: str, session_id: str) -> tuple[ToolSpec, Function] | None:
        """What a call of this session gets by this name: the session's own first. None: nothing."""
        spec = self.registry.host_tool(name, session_id)
        function = self._functions.get((spec.session_id, spec.name)) if spec is not None else None
        return None if spec is None or function is None else (spec, function)

    def known(self, session_id: str) -> tuple[ToolSpec, ...]:
        """All that a call of this session may use."""
        return self.registry.host_tools(session_id)
