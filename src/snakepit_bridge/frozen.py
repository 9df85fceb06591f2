"""Dicts and lists that nobody can change, for what is given out as a picture. They read, print and serialize like their bases.

A copy (`copy`, `deepcopy`, `pickle`, `dict(...)`, `dataclasses.asdict` of what holds it) is a plain one, and whoever made it may
change it. Used by both sides.
"""

import copy
from typing import Any, Dict, List, NoReturn, Tuple


def _refuse(self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
    raise TypeError("this picture is frozen, it does not support item assignment or any other change; change a copy: copy.deepcopy(...)")


class FrozenDict(Dict[str, Any]):
    """A dict that refuses every change. `freeze` alone makes them: even `__init__` would be a way to change one."""

    __slots__ = ()
    __init__ = __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """A plain dict: who makes another one of this type, as `dataclasses.asdict` does, makes a copy."""
        return dict(*args, **kwargs)

    def __copy__(self) -> Dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: Dict[int, Any]) -> Dict[str, Any]:
        return {key: copy.deepcopy(value, memo) for key, value in self.items()}

    def __reduce__(self) -> Tuple[Any, ...]:
        return dict, (dict(self),)


class FrozenList(List[Any]):
    """A list that refuses every change. `freeze` alone makes them."""

    __slots__ = ()
    __init__ = __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __new__(cls, *args: Any) -> Any:
        """A plain list; see `FrozenDict`."""
        return list(*args)

    def __copy__(self) -> List[Any]:
        return list(self)

    def __deepcopy__(self, memo: Dict[int, Any]) -> List[Any]:
        return [copy.deepcopy(value, memo) for value in self]

    def __reduce__(self) -> Tuple[Any, ...]:
        return list, (list(self),)


def freeze(value: Any) -> Any:
    """A copy whose dicts and lists are frozen, at any depth."""
    if isinstance(value, dict):
        mapping = dict.__new__(FrozenDict)
        dict.update(mapping, {key: freeze(item) for key, item in value.items()})
        return mapping
    if isinstance(value, list):
        sequence = list.__new__(FrozenList)
        list.extend(sequence, map(freeze, value))
        return sequence
    return tuple(map(freeze, value)) if isinstance(value, tuple) else value
