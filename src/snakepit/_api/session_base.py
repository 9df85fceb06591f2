"""What `Session` and `AsyncSession` share: what they were asked to be, and what is wrong with how they are used."""

from __future__ import annotations

import inspect
import os
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from snakepit._pool.call import Opening
from snakepit._pool.sessions.keeper import ended
from snakepit._sessions.records import shown
from snakepit._setting_checks import check_ttl
from snakepit.errors import InvalidParameter

from .options import SessionHandle

if TYPE_CHECKING:
    from .base import PoolBase

Metadata = Mapping[str, Any]
_UPDATE = "for example session.update(lambda metadata: {**metadata, 'step': 3})"


class _InTheStore:
    """An attribute that a session does not have, because what it would say is in the store, where others may change it.

    Args:
        read, write: how it is read and changed.
    """

    def __init__(self, read: str, write: str) -> None:
        self._read, self._write = read, write

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, session: object, _owner: type) -> Any:
        if session is None:
            return self
        raise AttributeError(f"a session has no attribute {self._name!r}: its {self._name} is in the store, read it with {self._read}")

    def __set__(self, _session: object, _value: Any) -> NoReturn:
        raise AttributeError(f"the {self._name} of a session cannot be assigned: change it with {self._write}")


class SessionBase(SessionHandle):
    """One session, as it was asked for, and how far it has come."""

    metadata = _InTheStore("session.info().metadata", "session.update(lambda metadata: {**metadata, ...})")
    ttl = _InTheStore("session.info().ttl", "pool.session(id, ttl=...).open()")

    def __init__(self, session_id: str | None, ttl: float | None, metadata: Metadata | None, affinity: str | None) -> None:
        super().__init__(uuid.uuid4().hex if session_id is None else session_id, affinity)
        if metadata is not None and not isinstance(metadata, Mapping):
            message = f"metadata is {shown(metadata)}; allowed is a dict of plain values"
            raise InvalidParameter(message, field="metadata", expected="dict", got=type(metadata).__name__)
        self._ttl = None if ttl is None else check_ttl("ttl", ttl, InvalidParameter)
        self._metadata = metadata
        self._opened = False
        self._made = False  # this handle opened it: leaving its `with` block ends it
        self._ended = False

    def _opening(self) -> Opening | None:
        self._usable()
        return None if self._opened else Opening(self._ttl, self._metadata, self._note)

    def _note(self, created: bool) -> None:
        """It has been opened: by `open`, or on the pool's loop thread by a call."""
        self._opened, self._made = True, self._made or created

    def _ends_with_its_block(self, pool: PoolBase) -> bool:
        """Is it to be ended when its `with` block is left? Not in a forked child: there it is the parent's, as the workers are."""
        return self._made and pool._engine is not None and not pool._closed and pool._pid == os.getpid()

    def _usable(self) -> None:
        if self._ended:
            raise ended(self.id)

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open" if self._opened else "not opened yet"
        return f"<{type(self).__name__} {self.id!r}, {state}>"


def checked_change(change: Any) -> Callable[[dict[str, Any]], Metadata]:
    """A function for `update`, which is told if it gives something else than metadata.

    Raises:
        InvalidParameter: it is no function; later, that it gave something else.
    """
    if not callable(change):
        message = f"update takes a function from the old metadata to the new, not {shown(change)}"
        raise InvalidParameter(message, hint=_UPDATE, field="change")

    def checked(old: dict[str, Any]) -> Metadata:
        new = change(old)
        if isinstance(new, Mapping):
            return new
        if inspect.iscoroutine(new):
            new.close()  # it will never be awaited
        cure = "write it as a plain def" if inspect.isawaitable(new) else "it must return the new dict"
        raise InvalidParameter(f"the function given to update returned {shown(new)}; {cure}", hint=_UPDATE, field="change")

    return checked
