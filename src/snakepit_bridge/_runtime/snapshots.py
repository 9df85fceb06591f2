"""Takes along with a session's calls what the host needs for it to go on elsewhere: what the adapter's `snapshot(session)` gives.

A snapshot that fails does not fail the call. The host is told, so that it does not go on with an older one as if nothing had
happened since; the reason is told once, until a snapshot succeeds again.
"""

import inspect
import sys
from typing import Any, Callable, Dict, Iterable, List

from ..wire.plain import Unserialisable
from . import failures
from .cancel import async_border, border

SNAPSHOT, RESTORE = "snapshot", "restore"


class Snapshots:
    """The adapter's objects that keep sessions.

    Attributes:
        keepers: those that have both hooks, by number.
        warnings: what is wrong with the others.
    """

    def __init__(self) -> None:
        self.keepers: Dict[str, Any] = {}
        self.warnings: List[str] = []

    def prepare(self, objects: Iterable[Any]) -> None:
        """The adapter's objects have been made: see which hooks they have."""
        for number, item in enumerate(objects):
            there = [name for name in (SNAPSHOT, RESTORE) if callable(getattr(item, name, None))]
            if len(there) == 2:
                self.keepers[str(number)] = item
            elif there:
                missing = RESTORE if there == [SNAPSHOT] else SNAPSHOT
                told = (type(item).__name__, there[0], missing, missing)
                self.warnings.append("%s has %s() but no %s(): its sessions are lost with their worker; add %s()" % told)

    def wanted(self, call: Any) -> bool:
        """Not after a cancel, which would interrupt this too; not of a state that the host has given up.

        Nor of one that has not been restored: it would take the place of the snapshot that holds it.
        """
        held = call.session
        return bool(self.keepers) and held is not None and held.is_whole() and not call.context.cancelled

    def keep(self, call: Any, check: Callable[[Any], None]) -> None:
        """After a call's tool: put the snapshot among the call's facts. The next one waits until these have been told."""
        if not self.wanted(call):
            return
        call.session.take_turn(call)
        call.turn = call.session.turn
        try:
            found = {}
            for number, item in self.keepers.items():
                hook = getattr(item, SNAPSHOT)
                found[number] = _sendable(refuse_awaitable(border(call, hook, call.session.context), hook), check)
            _kept(call, found, check)
        except Exception as error:
            _say_not_kept(call, error)

    async def keep_async(self, call: Any, check: Callable[[Any], None]) -> None:
        """`keep` in a task."""
        if not self.wanted(call):
            return
        try:
            found = {}
            for number, item in self.keepers.items():
                answer = border(call, getattr(item, SNAPSHOT), call.session.context)
                found[number] = _sendable(await async_border(call, answer) if inspect.isawaitable(answer) else answer, check)
            _kept(call, found, check)
        except Exception as error:
            _say_not_kept(call, error)


class _Unsendable(Exception):
    """A snapshot cannot travel, and the result that carries it must not fail for it."""


def refuse_awaitable(answer: Any, hook: Callable[..., Any]) -> Any:
    """What a hook gave. An adapter with a hook that is `async def` has a loop, and its sessions' calls run there."""
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError("%s returned a coroutine: write it as `async def`" % getattr(hook, "__qualname__", "a hook"))
    return answer


def _sendable(data: Any, check: Callable[[Any], None]) -> Any:
    try:
        check(data)
    except Unserialisable as error:
        raise _Unsendable(str(error)) from None
    return data


def _kept(call: Any, found: Dict[str, Any], check: Callable[[Any], None]) -> None:
    if len(found) > 1:
        _sendable(found, check)  # together they are one payload
    call.facts["snapshot"] = found
    call.session.unkept = False


def _say_not_kept(call: Any, error: Exception) -> None:
    call.facts["snapshot"] = None
    told, call.session.unkept = call.session.unkept, True
    if told:
        return
    what = "snapshot() of session %r " % call.session.context.id
    if isinstance(error, _Unsendable):
        what += "returned what cannot travel: %s" % error
    else:
        what += "raised %s: %s" % (type(error).__name__, failures.text_of(error))
        print(failures.traceback_of(error), file=sys.stderr)
    call.facts["warning"] = "%s (after %r); if its worker is lost, so is the session" % (what, call.tool)
