"""The tools there are: the workers', as their `hello` told them, and the application's own, for all calls or one session's.

The registry alone changes what it holds; what it gives out is frozen. Read from any thread: each change swaps a whole mapping,
that of one session or that for all calls.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from snakepit.errors import ChannelError, InvalidToolSpec
from snakepit_bridge.tool_specs import describe

from .tool_limits import MAX_HOST_TOOLS, too_many_host_tools
from .tools import ParameterSpec, ToolSpec, parse_tool_specs


class OpenEnded(dict[str, ToolSpec]):
    """Tools of a foreign server, by name: of those that it does not tell, nothing is known but that they may be called."""

    def get(self, name: str, default: Any = None) -> Any:
        """The spec of a name; for one that was not told, one that takes anything."""
        return super().get(name) or ToolSpec(name, parameters=(ParameterSpec("more", "var_keyword", required=False),))


class ToolRegistry:
    """Tool specs by name. Workers' and host tools do not share names: tools are called by the application, host tools by tools."""

    def __init__(self) -> None:
        #: The workers' tools, by name: looked up on the way of every call.
        self.worker_tools: Mapping[str, ToolSpec] = MappingProxyType({})
        self._host: dict[str, Mapping[str, ToolSpec]] = {}  # by session, then by name; those for all calls under ""
        self._lock = threading.Lock()

    def set_worker_tools(self, specs: Iterable[ToolSpec], *, open_ended: bool = False) -> None:
        """A worker has told its tools; all workers of a pool have the same.

        Args:
            open_ended: it may have more; whether it has, it says when they are called.
        """
        told = {spec.name: spec for spec in specs}
        self.worker_tools = MappingProxyType(OpenEnded(told) if open_ended else told)

    def add_host_tool(self, spec: ToolSpec, session_id: str = "") -> None:
        """Offer a function, to all calls or those of one session.

        Raises:
            InvalidToolSpec: its name is taken there (code `duplicate_tool`), or there are too many.
        """
        with self._lock:
            offered = self._host.get(session_id, {})
            if spec.name in offered:
                where = f"session {session_id!r}" if session_id else "this pool"
                message = f"{where} has a host tool named {spec.name!r} already: {offered[spec.name].signature}"
                hint = "give it another name=, or unregister_tool() the other first"
                raise InvalidToolSpec(message, code="duplicate_tool", hint=hint, tool=spec.name, session_id=session_id)
            if len(offered) >= MAX_HOST_TOOLS:
                raise too_many_host_tools(spec.name, session_id)
            self._host[session_id] = {**offered, spec.name: spec}

    def remove_host_tool(self, name: str, session_id: str = "") -> bool:
        """Offer it no more; False if it was not offered."""
        with self._lock:
            offered = self._host.get(session_id, {})
            left = {key: spec for key, spec in offered.items() if key != name}
            if left or not session_id:
                self._host[session_id] = left
            else:
                self._host.pop(session_id, None)
        return name in offered

    def drop_session(self, session_id: str) -> None:
        """A session is over, and what was offered to it alone."""
        with self._lock:
            if session_id:
                self._host.pop(session_id, None)

    def host_tool(self, name: str, session_id: str = "") -> ToolSpec | None:
        """What a call of this session gets by this name: the session's own first."""
        return self._host.get(session_id, {}).get(name) or self._host.get("", {}).get(name)

    def host_tools(self, session_id: str = "") -> tuple[ToolSpec, ...]:
        """All that a call of this session may use, by name."""
        found = {**self._host.get("", {}), **self._host.get(session_id, {})}
        return tuple(found[name] for name in sorted(found))

    def snapshot(self, session_id: str = "") -> tuple[ToolSpec, ...]:
        """All tools: the workers', then the application's for this session."""
        return (*self.worker_tools.values(), *self.host_tools(session_id))


def spec_of(function: Callable[..., Any], name: str | None = None, description: str = "", session_id: str = "") -> ToolSpec:
    """The spec of a function that the application offers.

    Raises:
        InvalidToolSpec: it is no function, or its spec is malformed or too large.
    """
    _check_offer(function, name, description)
    told = describe(function, name=name)
    if description:
        told["description"] = description
    try:
        (spec,) = parse_tool_specs([told])
    except ChannelError as error:
        message = f"host tool {told['name']!r}: {error.message.removeprefix('the worker announced ')}"
        raise InvalidToolSpec(message, hint=error.hint) from None
    return dataclasses.replace(spec, source="host", session_id=session_id)


def _check_offer(function: Any, name: Any, description: Any) -> None:
    if isinstance(function, type) or not callable(function):
        what = f"the class {function.__qualname__}" if isinstance(function, type) else f"a {type(function).__name__}"
        hint = "pass the function itself: pool.register_tool(my_function); of an object, its method: pool.register_tool(desk.ask)"
        raise InvalidToolSpec(f"a host tool is a function, not {what}", hint=hint, field="function")
    if name is not None and not isinstance(name, str):
        raise InvalidToolSpec(f"a host tool's name is a {type(name).__name__}; allowed is text", field="name")
    if name == "" or (name is None and getattr(function, "__name__", "<partial>").startswith("<")):
        what = "its name is ''" if name == "" else f"{function!r} has no name of its own"
        raise InvalidToolSpec(f"a host tool needs a name, and {what}", hint='give it one: name="rate"', field="name")
    if not isinstance(description, str):
        message = f"a host tool's description is a {type(description).__name__}; allowed is text"
        raise InvalidToolSpec(message, field="description")
