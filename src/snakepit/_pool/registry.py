"""PROVISIONAL by the lead; its owner replaces it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from snakepit.errors import InvalidToolSpec
from snakepit_bridge.tool_specs import describe

from .tools import ToolSpec, parse_tool_specs


def spec_of(function: Any, name: str | None = None, description: str = "", session_id: str = "") -> ToolSpec:
    if not callable(function):
        raise InvalidToolSpec(f"a host tool is a function, not {type(function).__name__}")
    spec = parse_tool_specs([describe(function, name=name)])[0]
    object.__setattr__(spec, "session_id", session_id)
    return spec


class ToolRegistry:
    def __init__(self) -> None:
        self.worker_tools: Any = MappingProxyType({})
        self._host: dict[tuple[str, str], ToolSpec] = {}

    def set_worker_tools(self, specs: Any) -> None:
        self.worker_tools = MappingProxyType({spec.name: spec for spec in specs})

    def add_host_tool(self, spec: ToolSpec, session_id: str = "") -> None:
        if (session_id, spec.name) in self._host:
            raise InvalidToolSpec(f"there is a host tool {spec.name!r} already", code="duplicate_tool")
        self._host[session_id, spec.name] = spec

    def remove_host_tool(self, name: str, session_id: str = "") -> bool:
        return self._host.pop((session_id, name), None) is not None

    def drop_session(self, session_id: str) -> None:
        for key in [key for key in self._host if key[0] == session_id]:
            del self._host[key]

    def host_tool(self, name: str, session_id: str = "") -> ToolSpec | None:
        return self._host.get((session_id, name)) or self._host.get(("", name))

    def host_tools(self, session_id: str = "") -> tuple[ToolSpec, ...]:
        return tuple(spec for (owner, _), spec in self._host.items() if owner in ("", session_id))
