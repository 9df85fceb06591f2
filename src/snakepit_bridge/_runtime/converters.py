"""From an annotation to what makes such a value of what came: containers and alternatives; `readings` has the rest.

`conversion` asks once per parameter, `records` once per field. What an annotation does not tell stays as it came.
"""

import collections
import collections.abc
import enum
import typing
from typing import Any, Callable, Iterable, List, Optional, Sequence, Tuple

from .._annotations import is_union, unwrapped
from .readings import Convert, Misfit, reading_for, short_repr
from .records import record_for

#: Deeper annotations are not converted; recursive aliases end here.
_MAX_DEPTH = 8

_LISTS = (list, *(getattr(collections.abc, name) for name in ("Sequence", "MutableSequence", "Iterable", "Collection")))  # type: Any
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)  # type: Any
_SETS = {collections.abc.Set: set, collections.abc.MutableSet: set}  # type: Any
#: Annotated so, an array is meant as a list; as a sequence it will do as it is.
_EXACT_LISTS = (list, collections.abc.MutableSequence)
_CAME_AS_LIST = (list, tuple, set, frozenset)

#: What arrives as it was sent: a value that is none of these may still be meant for another class in a union.
_ARRIVING = (type(None), bool, int, float, str, bytes, *_LISTS, *_DICTS)  # type: Any


def converter_for(annotation: Any) -> Optional[Convert]:
    """What makes annotated values of those that came; raises `Misfit`. None: they stay as they come."""
    try:
        return _converter(annotation, 0)
    except Exception:  # An annotation is any object at all, with any behaviour.
        return None


def _converter(annotation: Any, depth: int) -> Optional[Convert]:
    annotation = unwrapped(annotation)
    if depth > _MAX_DEPTH or annotation is Any:
        return None
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if is_union(origin):
        return _union(arguments, depth)
    if origin is typing.Literal:
        return _literal(arguments)
    kind = annotation if origin is None else origin
    if not isinstance(kind, type):
        return None
    if kind in _DICTS:
        return _dict(arguments, depth) if len(arguments) == 2 else None
    if kind in _LISTS:
        convert = _converter(arguments[0], depth + 1) if arguments else None
        return items_of(list, convert) if convert else _as_list if kind in _EXACT_LISTS else None
    if issubclass(kind, (set, frozenset, collections.deque)) or kind in _SETS:
        return items_of(_SETS.get(kind, kind), _converter(arguments[0], depth + 1) if arguments else None)
    if issubclass(kind, tuple) and not hasattr(kind, "_fields"):
        return _tuple(kind, annotation, arguments, depth)
    return record_for(kind, converter_for) or reading_for(kind)


def _literal(choices: Sequence[Any]) -> Optional[Convert]:
    """Members of an enum came as their values; without any there is nothing to do."""
    if not any(isinstance(choice, enum.Enum) for choice in choices):
        return None

    def convert(value: Any) -> Any:
        for choice in choices:
            plain = choice.value if isinstance(choice, enum.Enum) else choice
            if value is choice or (type(value) is type(plain) and value == plain):
                return choice
        raise Misfit(value, "one of %s" % ", ".join(map(short_repr, choices)))

    return convert


# Alternatives --------------------------------------------------------------------------------------------------------


def _union(options: Sequence[Any], depth: int) -> Optional[Convert]:
    """A value that is one of the plain alternatives stays; else the first alternative that can be made of it counts."""
    pairs = [(unwrapped(option), _converter(option, depth + 1)) for option in options]
    converters = [convert for _option, convert in pairs if convert]
    plain = [_fit(option) for option, convert in pairs if not convert]
    closed = all(known for _fits, known in plain)
    none = [" or None"] if any(option is None or option is type(None) for option, _convert in pairs) else [""]

    def convert(value: Any) -> Any:
        if any(fits(value) for fits, _known in plain):
            return value
        misfits = []
        for converter in converters:
            try:
                return converter(value)
            except Misfit as misfit:
                misfits.append(misfit)
        if not closed:
            return value
        deepest = max(misfits, key=lambda item: len(item.where))  # The alternative that got furthest was meant.
        if deepest.where:
            raise deepest
        reasons = [misfit.reason for misfit in misfits if misfit.reason]
        raise Misfit(value, " or ".join(misfit.allowed for misfit in misfits) + none[0], "; ".join(reasons))

    return convert if converters else None


def _fit(option: Any) -> Tuple[Callable[[Any], bool], bool]:
    """(does a value fit this alternative as it came?, are those all that could?)."""
    kind = typing.get_origin(option) or (type(None) if option is None else option)
    if kind is typing.Literal:
        choices = typing.get_args(option)
        return lambda value: any(type(value) is type(choice) and value == choice for choice in choices), True
    if not isinstance(kind, type) or kind in (Any, object):
        return lambda value: False, False
    if kind is float:
        return lambda value: isinstance(value, (float, int)), True
    if kind.__module__ == "collections.abc":  # Text is a sequence too, but never meant as one.
        return lambda value: isinstance(value, kind) and not isinstance(value, (str, bytes)), kind in _ARRIVING
    try:
        isinstance(None, kind)
    except TypeError:  # a protocol
        return lambda value: False, False
    return lambda value: isinstance(value, kind), kind in _ARRIVING


# Containers ----------------------------------------------------------------------------------------------------------


def _listed(kind: Any, value: Any) -> Iterable[Any]:
    if isinstance(value, _CAME_AS_LIST):
        return value
    if hasattr(value, "dtype") and isinstance(_as_list(value), list):
        return _as_list(value)  # type: ignore[no-any-return]
    raise Misfit(value, "a list (for a %s)" % kind.__name__ if kind is not list else "a list")


def _as_list(value: Any) -> Any:
    """The items of an array, a tuple or a set, which arrive as such; what is none stays.

    Raises:
        Misfit: it is meant for another of several annotations.
    """
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    if value is None or isinstance(value, (bool, int, float, str, bytes, dict)):
        raise Misfit(value, "a list")
    return value.tolist() if hasattr(value, "dtype") and hasattr(value, "tolist") else value


def _converted(values: Iterable[Tuple[str, Any, Optional[Convert]]]) -> List[Any]:
    """Each of some (step, value, converter), converted; a misfit tells the step."""
    found = []
    for step, value, convert in values:
        try:
            found.append(value if convert is None else convert(value))
        except Misfit as misfit:
            raise misfit.below(step) from None
    return found


def items_of(kind: Any, item: Optional[Convert]) -> Convert:
    hashed = issubclass(kind, (set, frozenset))

    def convert(value: Any) -> Any:
        if item is None and isinstance(value, kind):
            return value
        items = _converted(("[%d]" % index, part, item) for index, part in enumerate(_listed(kind, value)))
        if not hashed:
            return items if kind is list else kind(items)
        try:
            return kind(map(_hashable, items))
        except TypeError as error:
            raise Misfit(value, "a list (for a %s)" % kind.__name__, str(error)) from None

    return convert


def _hashable(value: Any) -> Any:
    """In a set there was no list: it was a tuple when it was sent."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _tuple(kind: Any, annotation: Any, arguments: Sequence[Any], depth: int) -> Convert:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return items_of(kind, _converter(arguments[0], depth + 1))
    if not arguments and "[" not in str(annotation):
        return items_of(kind, None)
    parts = [] if arguments == ((),) else [_converter(item, depth + 1) for item in arguments]
    allowed = "a list of %d" % len(parts)

    def convert(value: Any) -> Any:
        listed = list(_listed(kind, value))
        if len(listed) != len(parts):
            raise Misfit(value, allowed, "there are %d" % len(listed))
        return tuple(_converted(("[%d]" % index, item, part) for index, (item, part) in enumerate(zip(listed, parts))))

    return convert


def _dict(arguments: Sequence[Any], depth: int) -> Optional[Convert]:
    of_key, of_value = (_converter(item, depth + 1) for item in arguments)

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Misfit(value, "a dict")
        keys = _converted((" key %r" % (key,), key, of_key) for key in value)
        return dict(zip(keys, _converted(("[%r]" % (key,), item, of_value) for key, item in value.items())))

    return convert if of_key or of_value else None
