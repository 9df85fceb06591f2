"""The sessions this worker holds: made by the first call of each, ended by the host's word, carried on by snapshots.

The table changes on the carrier's thread only, in the order of the frames; hooks of the adapter run where its tools run.
The adapter may have, each sync or async: `on_session_start(session)`, `on_session_end(session)`, and both of
`snapshot(session)` and `restore(session, data)`. Adapters with lifecycle "request" have no instance that could be asked.
"""

import asyncio
import inspect
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..session_context import SessionContext
from . import failures
from .cancel import async_border, border
from .instances import Instances
from .main_loop import AsyncioLoop, QueueLoop

START, END, SNAPSHOT, RESTORE = "on_session_start", "on_session_end", "snapshot", "restore"


class HeldSession:
    """A session in this worker's table.

    Attributes:
        restore: what the host brought along from another worker; None once it has been restored.
        started: its start hooks have run.
        starting: done when the task that runs them has ended; they run once, however many calls wait.
    """

    __slots__ = ("context", "restore", "started", "starting")

    def __init__(self, context: SessionContext) -> None:
        self.context = context
        self.restore: Optional[Dict[str, Any]] = None
        self.started = False
        self.starting: Optional[asyncio.Future[None]] = None


class Sessions:
    """All sessions of one worker.

    Args:
        instances: the adapter's objects, whose hooks are called.
        main: what the main thread does between calls.
    """

    def __init__(self, instances: Instances, main: "QueueLoop | AsyncioLoop") -> None:
        self._instances = instances
        self._main = main
        self.keeps_snapshots = False
        self._held: Dict[str, HeldSession] = {}
        self._starts: List[Callable[..., Any]] = []
        self._ends: List[Callable[..., Any]] = []
        self._keepers: Dict[str, Any] = {}  # those that have both `snapshot` and `restore`, by number

    # On the carrier's thread ---------------------------------------------------------------------------------------------

    def of(self, options: Dict[str, Any]) -> Optional[HeldSession]:
        """The session that a call's options name; made if it is new here. None for a call without one."""
        told = options.get("session")
        if not isinstance(told, dict) or not isinstance(told.get("id"), str):
            return None
        held = self._held.get(told["id"])
        if held is None or told.get("fresh"):  # fresh: what an earlier visit left here is out of date
            held = self._held[told["id"]] = HeldSession(SessionContext(told["id"]))
        if isinstance(told.get("metadata"), dict):
            held.context.update_metadata(told["metadata"])
        if isinstance(told.get("restore"), dict):
            held.restore = told["restore"]
        return held

    def end(self, session_id: str, busy: bool) -> None:
        """The host says that a session is over: its state leaves now, its end hooks run as soon as the main thread can.

        Args:
            busy: does the main thread run a tool? Without hooks nothing has to wait for it.
        """
        held = self._held.pop(session_id, None)
        if held is None:
            return
        if self._ends or not busy:
            # Posted, not dropped here: what the state holds may insist on being destroyed where it was made.
            self._main.post(lambda: self._end_hooks(held))

    # Where tools run -------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """The adapter's objects have been made: see which hooks they have, once, because every call of a session asks."""
        objects = list(enumerate(self._instances.objects or ()))
        self._starts = [getattr(item, START) for _, item in objects if callable(getattr(item, START, None))]
        self._ends = [getattr(item, END) for _, item in objects if callable(getattr(item, END, None))]
        for number, item in objects:
            if callable(getattr(item, SNAPSHOT, None)) and callable(getattr(item, RESTORE, None)):
                self._keepers[str(number)] = item
        self.keeps_snapshots = bool(self._keepers)

    def needs_hooks(self, held: HeldSession) -> bool:
        """Must something run before a call of this session, or after it?"""
        return self.keeps_snapshots or (bool(self._starts) and not held.started)

    def begin(self, call: Any, held: HeldSession) -> None:
        """Run what a session's first call here needs, for a sync call. Raises what the hooks raise."""
        for hook, args in self._beginning(held):
            _refuse_awaitable(border(call, hook, *args), hook)
        held.started, held.restore = True, None

    async def begin_async(self, call: Any, held: HeldSession) -> None:
        """`begin` in a task; other calls of the session wait until it is done."""
        while held.starting is not None:
            await asyncio.wait([held.starting])
        if held.started and held.restore is None:
            return
        held.starting = asyncio.get_event_loop().create_future()
        try:
            for hook, args in self._beginning(held):
                answer = border(call, hook, *args)
                if inspect.isawaitable(answer):
                    await async_border(call, answer)
            held.started, held.restore = True, None
        finally:
            held.starting.set_result(None)
            held.starting = None

    def snapshot(self, call: Any, held: HeldSession) -> Dict[str, Any]:
        """What the adapter's objects want kept of a session, by the number of the object."""
        found = {}
        for number, item in self._keepers.items():
            found[number] = _refuse_awaitable(border(call, getattr(item, SNAPSHOT), held.context), getattr(item, SNAPSHOT))
        return found

    async def snapshot_async(self, call: Any, held: HeldSession) -> Dict[str, Any]:
        """`snapshot` in a task."""
        found = {}
        for number, item in self._keepers.items():
            answer = border(call, getattr(item, SNAPSHOT), held.context)
            found[number] = await async_border(call, answer) if inspect.isawaitable(answer) else answer
        return found

    def end_all(self) -> None:
        """On the main thread, before the worker leaves: every session it holds ends here."""
        while self._held:
            self._finish(self._held.popitem()[1])

    def _beginning(self, held: HeldSession) -> "List[Tuple[Callable[..., Any], Tuple[Any, ...]]]":
        steps: List[Tuple[Callable[..., Any], Tuple[Any, ...]]] = []
        if not held.started:
            steps += [(hook, (held.context,)) for hook in self._starts]
        for number, data in (held.restore or {}).items():
            if number in self._keepers:
                steps.append((getattr(self._keepers[number], RESTORE), (held.context, data)))
        return steps

    def _end_hooks(self, held: HeldSession) -> None:
        if isinstance(self._main, AsyncioLoop) and held.started and self._ends:
            self._main.spawn(self._finish_async(held))
        else:
            self._finish(held)

    def _finish(self, held: HeldSession) -> None:
        for hook in self._ends if held.started else ():
            try:
                self._main.complete(hook(held.context))
            except (Exception, SystemExit) as error:
                print(failures.traceback_of(error), file=sys.stderr)

    async def _finish_async(self, held: HeldSession) -> None:
        for hook in self._ends if held.started else ():
            try:
                answer = hook(held.context)
                if inspect.isawaitable(answer):
                    await answer
            except (Exception, SystemExit) as error:
                print(failures.traceback_of(error), file=sys.stderr)


def _refuse_awaitable(answer: Any, hook: Callable[..., Any]) -> Any:
    """An adapter with a hook that is `async def` has a loop, and its sessions' calls run there."""
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError("%s returned a coroutine: write it as `async def`" % getattr(hook, "__qualname__", "a hook"))
    return answer
