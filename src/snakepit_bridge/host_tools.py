"""Functions of the application, as a tool calls them: `self.host_tools["name"](...)`. Needs the standard library alone.

    rate = self.host_tools["exchange_rate"]("EUR", day=today)        # a function; `await` it in async tools
    for row in self.host_tools["rows"](table="users"):               # a generator; `async for row in await ...` in async tools
        ...

They run in the host, over the channel of the call, while the call runs; what belongs to a session is offered to its calls only.
"""

import math
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ._without_asyncio import in_loop

try:
    from typing import Protocol
except ImportError:  # pragma: no cover - every Python this runs on has it
    Protocol = object  # type: ignore[assignment,unused-ignore]


class HostToolError(Exception):
    """A host tool raised, or cannot be called.

    Attributes:
        tool: the host tool's name; code: `host_tool_error` if it raised, else why it was not run (`unknown_tool`, ...).
        type: the class of what it raised; message: its text; traceback: the host's traceback as text.
    """

    def __init__(self, tool: str, message: str, *, code: str = "host_tool_error", type: str = "", traceback: str = "") -> None:
        raised = "raised %s: " % type if type else ": "
        super().__init__("host tool %r %s%s" % (tool, raised, message) if type else "host tool %r: %s" % (tool, message))
        self.tool = tool
        self.message = message
        self.code = code
        self.type = type
        self.traceback = traceback
        if traceback:
            self.__cause__ = HostTraceback(traceback)


class HostToolTimeout(HostToolError, TimeoutError):
    """A host tool took longer than the `timeout` that its call was given."""


class HostTraceback(Exception):
    """The host's own traceback as text; it is the `__cause__` of what the tool sees."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0]).rstrip()


class HostAsker(Protocol):
    """What the runtime offers for calling the host."""

    def call(self, context: Any, name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any], options: Dict[str, Any]) -> Any: ...

    def call_async(self, context: Any, name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any], options: Dict[str, Any]) -> Any: ...


class HostTools:
    """The host's functions that one call may use, by name. `in`, `len` and iteration ask the host which there are.

    In an event loop (async tools) those three block it for a moment; `await names()` does not.
    """

    def __init__(self, context: Any, asker: Optional[HostAsker]) -> None:
        self._context = context
        self._asker = asker
        self._specs: Optional[List[Dict[str, Any]]] = None

    def __getitem__(self, name: str) -> "HostTool":
        if not isinstance(name, str) or not _is_text(name):
            came = "%r, which is no Unicode text" % name if isinstance(name, str) else "a %s" % type(name).__name__
            raise TypeError('a host tool\'s name is %s; allowed is text: self.host_tools["name"](...)' % came)
        if self._asker is None:
            raise RuntimeError("there is no host here: host tools can be called by a tool that a pool runs")
        return HostTool(self._context, self._asker, name, {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError("host tools are called by name in brackets: self.host_tools[%r](...)" % name)

    def specs(self) -> List[Dict[str, Any]]:
        """What the host offers: name, description, streaming, parameters."""
        if self._specs is None:
            tool = self[""]
            self._specs = tool._asker.call(tool._context, "", (), {}, {})
        return self._specs or []

    def __iter__(self) -> Iterator[str]:
        return iter([spec["name"] for spec in self.specs()])

    def __contains__(self, name: object) -> bool:
        return any(spec["name"] == name for spec in self.specs())

    def __len__(self) -> int:
        return len(self.specs())

    def __repr__(self) -> str:
        return "<host tools of the call of %r>" % self._context.tool


#: Stands for an option that was not given.
_UNCHANGED = object()  # type: Any


class HostTool:
    """One function of the host. Calling it gives its result; of a generator, an iterator whose end cancels it when left early."""

    def __init__(self, context: Any, asker: HostAsker, name: str, options: Dict[str, Any]) -> None:
        self._context = context
        self._asker = asker
        self._name = name
        self._options = options

    def options(self, *, timeout: Optional[float] = _UNCHANGED, binary_parameters: Optional[Dict[str, bytes]] = _UNCHANGED) -> "HostTool":
        """The same function with options; those that are not given stay as they are.

        Args:
            timeout: seconds it may take until its answer, or its next item, comes; None: as long as it takes. The call's own
                deadline holds anyway.
            binary_parameters: arguments that travel untouched: bytes by parameter name; None: none.

        Raises:
            ValueError, TypeError: an option is of the wrong kind; the message says what is allowed.
        """
        given = dict(self._options)  # type: Dict[str, Any]
        if timeout is not _UNCHANGED:
            given["timeout"] = _checked_timeout(timeout)
        if binary_parameters is not _UNCHANGED:
            given["binary_parameters"] = _checked_binary(binary_parameters)
        return HostTool(self._context, self._asker, self._name, given)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it: its result; in an event loop, an awaitable of it.

        Raises:
            HostToolError: it raised, is not known, or does not take these arguments.
            HostToolTimeout: it took too long.
            Cancelled: the tool's own call was cancelled meanwhile.
        """
        call = self._asker.call_async if in_loop() else self._asker.call
        return call(self._context, self._name, args, kwargs, self._options)

    def __repr__(self) -> str:
        return "<host tool %r>" % self._name


def _is_text(name: str) -> bool:
    """Can it travel? Lone surrogates cannot."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _checked_timeout(timeout: Any) -> Optional[float]:
    if timeout is None:
        return None
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    try:
        fits = number and timeout > 0 and math.isfinite(timeout)
    except OverflowError:  # an int beyond all floats
        fits = False
    if not fits:
        raise ValueError("timeout is %.60r; allowed is a finite number of seconds above 0, or None for no limit" % (timeout,))
    return float(timeout)


def _checked_binary(parameters: Any) -> Dict[str, bytes]:
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise TypeError("binary_parameters is a %s; allowed is a dict of bytes by parameter name" % type(parameters).__name__)
    given = {}
    for key, value in parameters.items():
        if not isinstance(key, str) or not _is_text(key):
            came = "%r, which is no Unicode text" % key if isinstance(key, str) else "a %s" % type(key).__name__
            raise TypeError("a key of binary_parameters is %s; allowed are names of parameters" % came)
        if not isinstance(value, (bytes, bytearray, memoryview)):
            kind = type(value).__name__
            raise TypeError("binary_parameters[%r] is a %s; allowed are bytes, bytearray and memoryview" % (key, kind))
        try:
            given[key] = bytes(value)
        except ValueError:
            raise TypeError("binary_parameters[%r] is a memoryview that has been released; give it before its release" % key) from None
    return given
