"""A session as its tools see it on this worker: id, metadata, and the state that lives from call to call.

Belongs to the call (`self.session`), not to the adapter instance. Made by the runtime; needs the standard library alone.
"""

from typing import Any, Dict, Mapping, Optional

from .frozen import freeze
from .read_only import read_only


class SessionContext:
    """One session on one worker. A call without a session has an anonymous one, which is false and ends with the call.

    Nothing of it can be assigned: what is to be kept goes into `state[...]`.
    """

    __slots__ = ("__weakref__", "_id", "_metadata", "_state")

    def __init__(self, session_id: str = "", metadata: Optional[Mapping[str, Any]] = None) -> None:
        self._id = session_id
        self._state: Dict[str, Any] = {}
        self._metadata: Mapping[str, Any] = freeze(dict(metadata or {}))

    @read_only
    def state(self) -> Dict[str, Any]:
        """Whatever tools keep between the calls of this session on this worker; any objects.

        It leaves the worker when the session ends or expires, and is lost with the worker unless the adapter has `snapshot` and
        `restore`.
        """
        return self._state

    @read_only
    def id(self) -> str:
        """The session's id; empty for the anonymous one."""
        return self._id

    @property
    def session_id(self) -> str:
        """The same, as adapters written for Snakepit ask for it."""
        return self._id

    @property
    def elixir_tools(self) -> Dict[str, Any]:
        """What the host of the running call offers, by name; the same as `host_tools.specs()`, as Snakepit's adapters ask for it."""
        return {spec["name"]: spec for spec in self._host_tools().specs()}

    def call_elixir_tool(self, tool_name: str, **kwargs: Any) -> Any:
        """`host_tools[tool_name](**kwargs)`, as Snakepit's adapters call it. In an event loop (async tools) it has to be awaited.

        Raises:
            RuntimeError: no call is running here.
            HostToolError: it raised, is not known, or does not take these arguments.
        """
        return self._host_tools()[tool_name](**kwargs)

    @staticmethod
    def _host_tools() -> Any:
        from .call_context import current_call  # that module knows this one

        return current_call().host_tools

    @read_only
    def metadata(self) -> Mapping[str, Any]:
        """What the application said of the session; read-only at every depth, as it was when the running call was sent."""
        return self._metadata

    def __bool__(self) -> bool:
        return bool(self.id)

    def __repr__(self) -> str:
        return "<session %r, %d in its state>" % (self.id, len(self.state)) if self.id else "<no session>"


def set_metadata(session: SessionContext, metadata: Mapping[str, Any]) -> None:
    """For the runtime alone: the application has changed it. No method: a tool would change its own view and nothing else."""
    session._metadata = freeze(dict(metadata))
