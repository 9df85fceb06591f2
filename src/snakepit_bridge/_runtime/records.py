"""Dataclasses and named tuples from what they travel as: a dict of fields, or a list of them.

`converters` makes one per class. The fields' own conversions are found when the first value comes, so that classes may
hold themselves.
"""

import dataclasses
import functools
import inspect
from typing import Any, Callable, Dict, Optional, Tuple

from .._annotations import hints_of
from .readings import Convert, Misfit

_FIELDS_SHOWN = 12


def record_for(kind: type, converter_for: Callable[[Any], Optional[Convert]]) -> Optional[Convert]:
    """What makes instances of a dataclass or named tuple; None for any other class."""
    if dataclasses.is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        return _record(kind, converter_for)
    return None


@functools.lru_cache(maxsize=None)
def _record(kind: type, converter_for: Callable[[Any], Optional[Convert]]) -> Convert:
    return _Record(kind, converter_for)


class _Record:
    """Makes instances of one class.

    `_given` holds the parameters of the class, `_late` the fields it sets by itself and that an instance sent here has all the
    same: each with its conversion. `_needed` are those without a default.
    """

    def __init__(self, kind: Any, converter_for: Callable[[Any], Optional[Convert]]) -> None:
        self._kind = kind
        self._converter_for = converter_for
        self._ready = False
        self._given: Dict[str, Optional[Convert]] = {}
        self._late: Dict[str, Optional[Convert]] = {}
        self._needed: Tuple[str, ...] = ()
        self._allowed = kind.__name__

    def __call__(self, value: Any) -> Any:
        """The instance; `Misfit` if a field is unknown, missing or does not fit, or the class refuses."""
        if isinstance(value, self._kind):
            return value
        if not self._ready:
            self._prepare()
        if isinstance(value, (list, tuple)) and issubclass(self._kind, tuple):
            if len(value) > len(self._given):
                raise Misfit(value, self._allowed, "it has %d fields, not %d" % (len(self._given), len(value)))
            named = dict(zip(self._given, value))
        elif isinstance(value, dict):
            named = value
        else:
            raise Misfit(value, self._allowed)
        return self._make(value, named)

    def _make(self, value: Any, named: Dict[Any, Any]) -> Any:
        for name in named:
            if name not in self._given and name not in self._late:
                raise Misfit(value, self._allowed, "%s has no field %r" % (self._kind.__name__, name))
        missing = [name for name in self._needed if name not in named]
        if missing:
            raise Misfit(value, self._allowed, "%s lacks %s" % (self._kind.__name__, " and ".join(map(repr, missing))))
        given = {name: self._field(self._given, name, item) for name, item in named.items() if name in self._given}
        late = {name: self._field(self._late, name, item) for name, item in named.items() if name in self._late}
        try:
            made = self._kind(**given)
            for name, item in late.items():
                object.__setattr__(made, name, item)
        except Exception as error:  # Its `__post_init__` refuses, in whatever way.
            raise Misfit(value, self._allowed, "%s: %s" % (type(error).__name__, error)) from None
        return made

    @staticmethod
    def _field(converters: Dict[str, Optional[Convert]], name: str, item: Any) -> Any:
        convert = converters[name]
        if convert is None:
            return item
        try:
            return convert(item)
        except Misfit as misfit:
            raise misfit.below(".%s" % name) from None

    def _prepare(self) -> None:
        hints = hints_of(self._kind)
        parameters = inspect.signature(self._kind).parameters
        names = [name for name, item in parameters.items() if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)]
        fields = [item.name for item in dataclasses.fields(self._kind)] if dataclasses.is_dataclass(self._kind) else []
        self._given = {name: self._convert_to(hints.get(name, Any), parameters[name].default) for name in names}
        self._late = {name: self._convert_to(hints.get(name, Any)) for name in fields if name not in self._given}
        self._needed = tuple(name for name in names if parameters[name].default is inspect.Parameter.empty)
        shown = ", ".join(names[:_FIELDS_SHOWN]) + (", ..." if len(names) > _FIELDS_SHOWN else "")
        self._allowed = "a %s, as a dict of its fields (%s)" % (self._kind.__name__, shown)
        self._ready = True

    def _convert_to(self, annotation: Any, default: Any = inspect.Parameter.empty) -> Optional[Convert]:
        if isinstance(annotation, dataclasses.InitVar):
            annotation = getattr(annotation, "type", Any)
        convert = self._converter_for(annotation)
        if convert is None or default is not None:
            return convert
        return lambda item: None if item is None else convert(item)  # `x: Path = None` takes None
