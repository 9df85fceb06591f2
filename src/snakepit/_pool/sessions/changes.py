"""How a session's metadata is changed by the user's code: outside the store, then swapped in if nobody was faster.

Inside a store's thread or transaction it could hold up all sessions of the pool, or wait for itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from snakepit._sessions.records import MAX_TRIES, SessionInfo, changed_by_others, encode, session_ended, thaw

from .access import StoreAccess

Change = Callable[[dict[str, Any]], Mapping[str, Any]]


async def update(access: StoreAccess, session_id: str, change: Change, note: Callable[[SessionInfo], SessionInfo]) -> SessionInfo:
    """Change a session's metadata in one step; `change` is asked again when another was faster.

    Args:
        note: called with the new picture when it comes; gives what is returned. See `StoreAccess.noted`.

    Raises:
        SessionEnded: the session is gone.
        InvalidParameter: the result cannot be kept, or `change` raised what is no Exception.
        SessionStoreError: it was overtaken too often, or the store fails.
    """
    store = access.store
    for _ in range(MAX_TRIES):
        info = await access.answer(functools.partial(store.get, session_id))
        if info is None:
            raise session_ended(session_id)
        changed = await access.run(functools.partial(change, thaw(info.metadata)), "change")
        try:
            return await access.noted(functools.partial(store.update, session_id, _Swap(info.metadata, changed)), note)
        except _Overtaken:
            continue
    raise changed_by_others(session_id)


class _Overtaken(Exception):
    """The metadata is no longer what the change was made of."""


class _Swap:
    """The change that the store itself sees: quick, and it asks nobody."""

    def __init__(self, before: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
        self._before = encode(before, "metadata")  # compared as bytes: a NaN is the same as before
        self._changed = changed

    def __call__(self, now: dict[str, Any]) -> Mapping[str, Any]:
        if encode(now, "metadata") != self._before:
            raise _Overtaken
        return self._changed
