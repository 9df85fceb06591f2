"""Attributes that tools read and never assign: who tries is told what to do instead. Type checkers take them for properties."""

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from builtins import property as read_only
else:

    class read_only(property):  # noqa: N801 - used as `property` is
        """A property whose errors name the way. Its hint is in `HINTS`, by its name."""

        def __set__(self, owner: Any, _value: Any) -> NoReturn:
            name = self.fget.__name__
            raise AttributeError("%s.%s cannot be assigned: %s" % (type(owner).__name__, name, HINTS.get(name, "it is given to you")))

        def __delete__(self, owner: Any) -> NoReturn:
            name = self.fget.__name__
            raise AttributeError("%s.%s cannot be deleted: %s" % (type(owner).__name__, name, HINTS.get(name, "it is given to you")))


#: What to do instead, by the name of the attribute.
HINTS = {
    "session": "it belongs to the call; keep things in self.session.state[...], or under another name on self",
    "state": "change it instead: session.state[...] = ..., session.state.update(...), session.state.clear()",
    "metadata": "it is the application's; keep things in session.state[...], or change it there by session.update(...)",
    "id": "it is the application's",
    "context": "it belongs to the call; use another name on self for things of your own",
    "host_tools": "they belong to the call; use another name on self for things of your own",
}

__all__ = ["HINTS", "read_only"]
