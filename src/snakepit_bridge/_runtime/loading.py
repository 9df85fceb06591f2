"""From adapter references to tools that can be called: `load` imports, checks and lists them.

Classes need not derive from `BaseAdapter`; any class with `@tool` methods is an adapter. Nothing is instantiated before
`LoadedAdapter.instantiate`. The worker's program and `--check` call this.
"""

import inspect
import sys
from types import ModuleType
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..base_adapter import BaseAdapter
from ..call_context import current_call
from ..tool_specs import call_kind, describe, mark_of
from .conversion import ArgumentConversion, conversion_for
from .load_errors import AdapterLoadError, blame, did_you_mean
from .references import Found, found_here, load_reference

__all__ = ["DEFAULT_REFERENCE", "AdapterLoadError", "LoadedAdapter", "LoadedTool", "blame", "load"]

#: What a worker offers when no adapter was named.
DEFAULT_REFERENCE = "snakepit_bridge.adapters.showcase:ShowcaseAdapter"

#: What an adapter may have beside its tools; one that is `async def` needs the loop.
_HOOKS = ("initialize", "cleanup", "on_session_start", "on_session_end", "snapshot", "restore")
_LIFECYCLES = ("worker", "request")
#: Adapters written for Snakepit may have this in the place of tools.
DISPATCH = "execute_tool"
_MARK_HINT = "put @tool (from snakepit_bridge.base_adapter import tool) above the functions or methods it should offer"


class LoadedTool(NamedTuple):
    """One tool: its spec for the host, and where the function is found.

    `owner` is the index of its class among the adapter's instances, or None for a plain function. `target` is the
    function itself, or for a class the name of the attribute: what an instance or a subclass puts there is what runs.
    `conversion` makes its arguments what they are annotated with; None where they come so.
    """

    name: str
    spec: Dict[str, Any]
    call_kind: str
    owner: Optional[int]
    target: Any
    reference: str
    conversion: Optional[ArgumentConversion]


class LoadedAdapter:
    """Everything the references of one worker offer.

    Attributes:
        tools: by name.
        classes: the adapter classes, in the order of their references; `instantiate` makes one instance of each.
        lifecycle: `worker` or `request`.
        concurrency: how many calls of async tools may run at once.
        has_async: is there anything that needs an event loop?
        not_thread_safe: its classes, and modules of functions, that do not say `thread_safe = True`: what people would call them.
        dispatcher: the index of the class whose `execute_tool(name, arguments, context)` runs tools of any name; None: there is none.
    """

    def __init__(self) -> None:
        self.tools: Dict[str, LoadedTool] = {}
        self.classes: List[type] = []
        self.lifecycle = "worker"
        self.concurrency = 1
        self.has_async = False
        self.not_thread_safe: List[str] = []
        self.dispatcher: Optional[int] = None

    def tool(self, name: str) -> Optional[LoadedTool]:
        """The tool of a name; None if there is none."""
        tool = self.tools.get(name)
        if tool is None and self.dispatcher is not None:
            kind = call_kind(getattr(self.classes[self.dispatcher], DISPATCH))
            asynchronous = kind in ("coroutine", "async_generator")
            spec = {"name": name, "parameters": [], "streaming": True, "asynchronous": asynchronous}
            tool = LoadedTool(name, spec, kind, self.dispatcher, DISPATCH, "", None)
        return tool

    def instantiate(self) -> List[Any]:
        """Make one instance of each adapter class. What their `__init__` raises goes through unchanged."""
        return [kind() for kind in self.classes]

    def thread_warnings(self, threads: int) -> List[str]:
        """What the pool should know before so many calls run at once."""
        if threads < 2 or not self.not_thread_safe:
            return []
        return [
            "%s: no word that it is thread-safe, and %d calls run at once in each worker; write `thread_safe = True` in it once it is "
            "(snakepit_bridge.base_adapter_threaded.ThreadSafeAdapter helps), or choose profile='process'"
            % (" and ".join(self.not_thread_safe), threads)
        ]

    def bound(self, name: str, instances: Sequence[Any]) -> Callable[..., Any]:
        """What runs for a tool, given the instances that `instantiate` made.

        Raises:
            KeyError: no such tool.
        """
        tool = self.tool(name)
        if tool is None:
            raise KeyError(name)
        if tool.owner is not None and tool.target == DISPATCH and name not in self.tools:
            dispatch = getattr(instances[tool.owner], DISPATCH)
            return lambda **arguments: dispatch(name, arguments, current_call().session)
        return tool.target if tool.owner is None else getattr(instances[tool.owner], tool.target)  # type: ignore[no-any-return]


def load(references: "Sequence[Any]", *, dispatching: bool = False) -> LoadedAdapter:
    """Import the adapters that the references name, and merge their tools.

    Args:
        references: `pkg.mod:Class`, `pkg.mod.Class`, `pkg.mod`, `pkg.mod:function`, `file.py` or `file.py:Name`. None: the showcase.
            Also classes, functions and modules that are in this process already.
        dispatching: a class without tools may have `execute_tool`, which runs all.

    Raises:
        AdapterLoadError: one is not there, raised while it was imported, offers no tools, or collides with another.
    """
    adapter = LoadedAdapter()
    for reference in dict.fromkeys(references or [DEFAULT_REFERENCE]):
        found = load_reference(reference) if isinstance(reference, str) else found_here(reference)
        known = len(adapter.classes)
        if dispatching and isinstance(found.target, type) and not _marked(found.target) and callable(getattr(found.target, DISPATCH, None)):
            adapter.dispatcher = known
            adapter.classes.append(found.target)
            continue
        tools = _tools_of(found, adapter.classes)
        for tool in tools:
            other = adapter.tools.get(tool.name)
            if other is not None:
                raise _collision(tool, other)
            adapter.tools[tool.name] = tool
        silent = ["class %s" % kind.__qualname__ for kind in adapter.classes[known:] if not _is_thread_safe(kind, found.module)]
        functions = [tool.target for tool in tools if tool.owner is None]
        silent += ["module %s" % found.module.__name__ for item in functions if not _is_thread_safe(item, found.module)]
        adapter.not_thread_safe = list(dict.fromkeys(adapter.not_thread_safe + silent))
    _settle(adapter)
    return adapter


def _is_thread_safe(target: Any, module: ModuleType) -> bool:
    """Does a class or function say so itself, or the module it is from, or the one that was named?"""
    own = getattr(target, "thread_safe", None)
    if own is not None:
        return own is True
    home = sys.modules.get(str(getattr(target, "__module__", "")))
    return any(getattr(item, "__dict__", {}).get("thread_safe") is True for item in (home, module))


def _collision(tool: LoadedTool, other: LoadedTool) -> AdapterLoadError:
    if tool.reference == other.reference:
        where = "%r has two tools named %r: %s and %s" % (tool.reference, tool.name, _target_name(other), _target_name(tool))
    else:
        where = "two adapters have a tool named %r: %r and %r" % (tool.name, other.reference, tool.reference)
    return AdapterLoadError(where, 'give one of them another name: @tool(name="...")')


def _target_name(tool: LoadedTool) -> str:
    return tool.target if isinstance(tool.target, str) else getattr(tool.target, "__qualname__", tool.name)


def _tools_of(found: Found, classes: List[type]) -> List[LoadedTool]:
    target = found.target
    if isinstance(target, ModuleType):
        return _tools_of_module(found, classes)
    if isinstance(target, type):
        return _tools_of_class(found.reference, target, classes)
    if isinstance(target, BaseAdapter) or not callable(target):
        raise AdapterLoadError(
            "adapter %r is an object of type %s" % (found.reference, type(target).__name__),
            "name a class with @tool methods, a function, or a module of @tool functions",
        )
    if isinstance(found.parent, type) and inspect.isfunction(inspect.getattr_static(found.parent, found.name, None)):
        raise AdapterLoadError(
            "%r is a method and needs an instance" % (found.reference,), "name its class, %s, instead" % found.parent.__qualname__
        )
    return [_function_tool(found.reference, target, found.name)]


def _function_tool(reference: str, function: Callable[..., Any], attribute: str) -> LoadedTool:
    name = (mark_of(function) or {}).get("name") or attribute
    spec = describe(function, name=name)
    return LoadedTool(name, spec, call_kind(function), None, function, reference, conversion_for(function, spec))


def _tools_of_module(found: Found, classes: List[type]) -> List[LoadedTool]:
    tools = []
    for attribute, value in list(vars(found.module).items()):  # A lazy value may add names when it is looked at.
        mark = None if isinstance(value, type) else mark_of(value)
        if mark is not None and callable(value) and not (mark.get("name") or attribute).startswith("_"):
            tools.append(_function_tool(found.reference, value, attribute))
    return tools or _tools_of_class(found.reference, _only_class(found), classes)


def _only_class(found: Found) -> type:
    """The one adapter class of a module without tool functions; of several, the one that is not a base of the others."""
    known = [value for name, value in list(vars(found.module).items()) if isinstance(value, type) and not name.startswith("_")]
    offering = [kind for kind in dict.fromkeys(known) if _marked(kind) and not inspect.isabstract(kind)]
    own = [kind for kind in offering if kind.__module__ == found.module.__name__] or offering
    leaves = [kind for kind in own if not any(other is not kind and issubclass(other, kind) for other in own)]
    if len(leaves) == 1:
        return leaves[0]
    if not leaves:
        raise AdapterLoadError("%r has no tools" % (found.reference,), _MARK_HINT)
    names = ", ".join(kind.__name__ for kind in leaves)
    example = "%s:%s" % (found.reference, leaves[0].__name__)
    raise AdapterLoadError("%r has several adapter classes: %s" % (found.reference, names), "say which one, for example %s" % example)


def _marked(kind: type) -> List[Tuple[str, Dict[str, Any]]]:
    """Attributes of a class that are tools, with what `@tool` was told; overrides need not be decorated again."""
    found: Dict[str, Dict[str, Any]] = {}
    for base in reversed(kind.__mro__):
        for attribute, value in vars(base).items():
            mark = None if isinstance(value, type) else mark_of(value)
            if mark is not None:
                found[attribute] = mark
            elif attribute in found and not callable(getattr(kind, attribute, None)):
                del found[attribute]  # A subclass says `name = None` to withdraw a tool.
    return list(found.items())


def _tools_of_class(reference: str, kind: type, classes: List[type]) -> List[LoadedTool]:
    marked = _marked(kind)
    if not marked:
        raise AdapterLoadError("%r: class %s has no tools, no method of it is marked with @tool" % (reference, kind.__name__), _MARK_HINT)
    _check_class(reference, kind)
    owner = len(classes)
    classes.append(kind)
    tools = []
    for attribute, mark in marked:
        raw = inspect.getattr_static(kind, attribute)
        method = hasattr(type(raw), "__get__") and not isinstance(raw, (staticmethod, classmethod))
        function, name = getattr(kind, attribute), mark.get("name") or attribute
        spec = describe(function, name=name, mark=mark, method=method)
        tools.append(LoadedTool(name, spec, call_kind(function), owner, attribute, reference, conversion_for(function, spec)))
    return tools


def _check_class(reference: str, kind: type) -> None:
    lifecycle, concurrency = getattr(kind, "lifecycle", "worker"), getattr(kind, "concurrency", 1)
    if not isinstance(lifecycle, str) or lifecycle not in _LIFECYCLES:
        near = did_you_mean(str(lifecycle), _LIFECYCLES)
        raise AdapterLoadError('%r: lifecycle is %r, allowed are "worker" and "request"' % (reference, lifecycle), near)
    if type(concurrency) is not int or concurrency < 1:
        raise AdapterLoadError("%r: concurrency is %r, allowed is a whole number of at least 1" % (reference, concurrency))
    if getattr(kind, "thread_safe", None) not in (True, False, None):
        raise AdapterLoadError("%r: thread_safe is %r, allowed are True and False" % (reference, getattr(kind, "thread_safe", None)))
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
        raise AdapterLoadError("%r: class %s is abstract: it lacks %s" % (reference, kind.__name__, missing))
    try:
        needed = [item.name for item in inspect.signature(kind).parameters.values() if item.default is item.empty and item.kind < 2]
    except (TypeError, ValueError):  # Not every class written in C tells.
        return
    if needed:
        raise AdapterLoadError(
            "%r: %s() needs arguments (%s), and a worker has none to give" % (reference, kind.__name__, ", ".join(needed)),
            "give them default values, or set them up in initialize()",
        )


def _settle(adapter: LoadedAdapter) -> None:
    """What holds for the adapter as a whole."""
    lifecycles = {getattr(kind, "lifecycle", "worker"): kind.__name__ for kind in adapter.classes}
    if len(lifecycles) > 1:
        told = " and ".join("%s of %s" % item for item in lifecycles.items())
        raise AdapterLoadError("adapters of one worker have one lifecycle, not %s" % told)
    adapter.lifecycle = next(iter(lifecycles), "worker")
    adapter.concurrency = min((getattr(kind, "concurrency", 1) for kind in adapter.classes), default=1)
    hooks = [getattr(kind, name, None) for kind in adapter.classes for name in _HOOKS]
    adapter.has_async = any(tool.spec["asynchronous"] for tool in adapter.tools.values()) or any(
        hook is not None and inspect.iscoroutinefunction(hook) for hook in hooks
    )
