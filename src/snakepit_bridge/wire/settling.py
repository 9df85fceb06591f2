"""Before a value goes to another thread to be encoded there: its objects are asked in this one what they say of themselves.

Their code may be slow, or fail. On the loop of all calls it would hold up every other call, and its deadline; here it costs its own
caller alone. Keys, and what is in sets, stay as they are.
"""

from typing import Any, Dict

from . import rich
from .markers import name_of
from .marking import copied
from .own_words import is_missing
from .plain import MAX_LEVELS, Unserialisable, find_culprit, is_numeric, look, to_plain
from .typed import Pickled, packer_of

_PLAIN = frozenset((str, int, float, bool, type(None))) | rich.LEAVES
_SETS = frozenset((set, frozenset))


def settled(value: Any, *, forgiving: bool = False) -> Any:
    """The same value, with what they say of themselves in the place of objects. Containers are copied where they hold such.

    Args:
        forgiving: objects that say nothing stay where they are, as the encoder has markers for them.

    Raises:
        Unserialisable: an object has no plain form, or its own code failed. The error says where it is.
    """
    if look(value):  # plain values alone
        return value
    try:
        return _Settling(forgiving=forgiving).value(value, MAX_LEVELS)
    except RecursionError:
        return value  # the encoder knows what to say of it
    except Exception as error:
        raise find_culprit(value, error) from error
    except (SystemExit, GeneratorExit) as error:  # an object's own code: to leave is not for it to say
        raise Unserialisable("", name_of(type(value)), "the code of a part of it raised %s" % type(error).__name__) from error


class _Settling:
    def __init__(self, *, forgiving: bool) -> None:
        self._forgiving = forgiving

    def value(self, value: Any, room: int) -> Any:
        """A part of it, with room for so many levels below."""
        kind = type(value)
        if kind in _PLAIN or kind in _SETS:
            return value
        if room <= 0:
            raise RecursionError
        if kind is dict:
            return self._dict(value, room - 1)
        if kind is list or kind is tuple:
            items = [self.value(item, room - 1) for item in value]
            return kind(items) if any(new is not old for new, old in zip(items, value)) else value
        if kind is Pickled and room < MAX_LEVELS - 1:  # those that are an argument by themselves are judged where they arrive
            raise TypeError("it is a pickle, inside of a value, which nobody reads; give its object as an argument by itself")
        if packer_of(kind) is not None or is_missing(value) or is_numeric(value):
            return value
        try:
            plainer = self._plainer(value)
        except RecursionError:
            raise
        except Exception:
            if self._forgiving:
                return value
            raise
        return value if plainer is value else self.value(plainer, room - 1)

    @staticmethod
    def _plainer(value: Any) -> Any:
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            return copied(value)
        return value if rich.taken(value) is not None else to_plain(value)

    def _dict(self, value: Dict[Any, Any], room: int) -> Any:
        items = [self.value(item, room) for item in value.values()]
        return dict(zip(value, items)) if any(new is not old for new, old in zip(items, value.values())) else value
