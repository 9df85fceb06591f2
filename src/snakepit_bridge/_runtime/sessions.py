"""The sessions this worker holds: made by the first call of each, ended by the host's word, carried on by snapshots.

The table changes on the carrier's thread only, in the order of the frames; hooks of the adapter run where its tools run, the end
hooks on the main thread.
The adapter may have, each sync or async: `on_session_start(session)`, `on_session_end(session)`, and both of
`snapshot(session)` and `restore(session, data)`. Adapters with lifecycle "request" have no instance that could be asked.
"""

import inspect
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Set, Tuple, Type

from ..session_context import SessionContext, set_metadata
from .cancel import async_border, border
from .instances import Instances
from .main_loop import AsyncioLoop, QueueLoop
from .session_ends import EndHooks
from .snapshots import RESTORE, Snapshots, refuse_awaitable

if TYPE_CHECKING:
    import asyncio

START, END = "on_session_start", "on_session_end"

#: How long an end hook may take where no call has said how long it may take to be cancelled (seconds).
_PATIENCE_SECONDS = 2.0
#: A call that waits for another's hooks looks this often whether it has been cancelled (seconds).
_TURN_SECONDS = 0.02


_Step = Tuple[Callable[..., Any], Tuple[Any, ...]]


class HookFailed(Exception):
    """A hook that runs before a call has raised what is its `__cause__`; the tool did not run."""

    def __init__(self, hook: str, session_id: str) -> None:
        super().__init__(hook, session_id)
        self.hook = hook
        self.session_id = session_id


class HeldSession:
    """A session in this worker's table.

    Attributes:
        restore: what the host brought along from another worker; None once it has been restored.
        started: its start hooks have run.
        starting: done when the task that runs them has ended; they run once, however many calls wait.
        turn: the same for threads: held by the call whose hooks run.
        calls: its calls that have not ended.
        over: it is no longer in the table: the host has said that it is over, or that its state is out of date.
        ending: its end hooks are to run when its last call has ended.
        unkept: its last snapshot failed, and this has been told.
        patience: how long each of its end hooks may take (seconds).
        version: of the metadata it has; visit: numbers the restored states that the host has given to workers.
    """

    __slots__ = ("calls", "context", "ending", "over", "patience", "restore", "started", "starting", "turn", "unkept", "version", "visit")

    def __init__(self, context: SessionContext, visit: int) -> None:
        self.context = context
        self.visit = visit
        self.version = -1
        self.restore: Optional[Dict[str, Any]] = None
        self.started = False
        self.starting: Optional[asyncio.Future[None]] = None
        self.turn = threading.Lock()
        self.calls: Set[int] = set()
        self.over = False
        self.ending = False
        self.unkept = False
        self.patience = _PATIENCE_SECONDS

    def is_whole(self) -> bool:
        """Is its state what the host takes it to be: begun, restored, and not given up?"""
        return self.started and self.restore is None and not self.over

    def take_turn(self, call: Any) -> None:
        """Wait until no other call's hooks of this session run.

        Raises:
            Cancelled: the call was cancelled meanwhile.
        """
        while not self.turn.acquire(timeout=_TURN_SECONDS):
            call.context.check()


class Sessions:
    """All sessions of one worker.

    Args:
        instances: the adapter's objects, whose hooks are called.
        main: what the main thread does between calls.
        ends: runs end hooks.
    """

    def __init__(self, instances: Instances, main: "QueueLoop | AsyncioLoop", ends: EndHooks) -> None:
        self._instances = instances
        self._main = main
        self._ends = ends
        self.snapshots = Snapshots()
        self._held: Dict[str, HeldSession] = {}
        self._counting = threading.Lock()  # around `calls` and `ending` of each
        self._leaving: List[HeldSession] = []  # no longer held, and their end hooks have still to run
        self._starts: List[Callable[..., Any]] = []

    # On the carrier's thread ---------------------------------------------------------------------------------------------

    def of(self, options: Dict[str, Any]) -> Optional[HeldSession]:
        """The session that a call's options name; made if it is new here. None for a call without one."""
        told = options.get("session")
        if not isinstance(told, dict) or not isinstance(told.get("id"), str):
            return None
        session_id, visit, version = told["id"], int(told.get("visit", 0)), int(told.get("version", 0))
        held = self._held.get(session_id)
        if held is not None and visit > held.visit:  # it comes back from another worker: what it left here is out of date
            self.end(session_id, busy=True)
            held = None
        if held is None:
            held = self._held[session_id] = HeldSession(SessionContext(session_id), visit)
            held.restore = told["restore"] if isinstance(told.get("restore"), dict) else None
        held.patience = float(options.get("kill_after") or _PATIENCE_SECONDS)
        # A large call is overtaken by smaller ones: what it tells may be told already, and out of date.
        if isinstance(told.get("metadata"), dict) and version >= held.version:
            held.version = version
            set_metadata(held.context, told["metadata"])
        return held

    def end(self, session_id: str, busy: bool) -> None:
        """The host says that a session is over: its state leaves now, its end hooks run when its calls have ended.

        Args:
            busy: does the main thread run a tool? Without hooks nothing has to wait for it.
        """
        held = self._held.pop(session_id, None)
        if held is None:
            return
        held.over = True
        if self._ends.hooks:
            self._leaving.append(held)
        if self._ends.hooks or not busy:
            # Posted, not dropped here: what the state holds may insist on being destroyed where it was made.
            self._main.post(lambda: self._end_hooks(held))

    def call_begun(self, call: Any) -> None:
        """A call has come, and is about to run somewhere."""
        if call.session is not None:
            with self._counting:
                call.session.calls.add(call.call_id)

    # Where tools run -------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """The adapter's objects have been made: see which hooks they have, once, because every call of a session asks."""
        objects = list(self._instances.objects or ())
        self._starts = [getattr(item, START) for item in objects if callable(getattr(item, START, None))]
        self._ends.hooks = [getattr(item, END) for item in objects if callable(getattr(item, END, None))]
        self.snapshots.prepare(objects)

    def call_ended(self, call: Any) -> None:
        """A call's code has left the stack, and its answer has been told."""
        held = call.session
        if held is None:
            return
        if call.turn is not None:
            call.turn.release()
            call.turn = None
        with self._counting:
            held.calls.discard(call.call_id)
            last = held.ending and not held.calls
            if last:
                held.ending = False
        if last:
            self._main.post(lambda: self._end_hooks(held))

    @property
    def has_hooks(self) -> bool:
        """Does the adapter have hooks that run around calls of sessions?"""
        return bool(self.snapshots.keepers or self._starts)

    def needs_hooks(self, held: HeldSession) -> bool:
        """Must something run before a call of this session, or after it?"""
        return bool(self.snapshots.keepers) or (bool(self._starts) and not held.started)

    def begin(self, call: Any, held: HeldSession) -> None:
        """Run what a session's first call here needs, for a sync call; others of the session wait until that is done.

        Raises:
            HookFailed: a hook raised.
        """
        if held.started and held.restore is None:
            return
        held.take_turn(call)
        try:
            for hook, args in self._starting(held):
                with _Blamed(hook, held):
                    refuse_awaitable(border(call, hook, *args), hook)
            held.started = True
            for hook, args in self._restoring(held):
                with _Blamed(hook, held):
                    refuse_awaitable(border(call, hook, *args), hook)
            held.restore = None
        finally:
            held.turn.release()

    async def begin_async(self, call: Any, held: HeldSession) -> None:
        """`begin` in a task; other calls of the session wait until it is done."""
        import asyncio

        while held.starting is not None:
            await asyncio.wait([held.starting])
        if held.started and held.restore is None:
            return
        held.starting = asyncio.get_event_loop().create_future()
        try:
            for hook, args in self._starting(held):
                await _run_async(call, hook, args, held)
            held.started = True
            for hook, args in self._restoring(held):
                await _run_async(call, hook, args, held)
            held.restore = None
        finally:
            held.starting.set_result(None)
            held.starting = None

    def end_all(self) -> None:
        """On the main thread, before the worker leaves: every session it holds ends here."""
        while self._held or self._leaving:
            held = self._held.popitem()[1] if self._held else self._leaving.pop(0)
            if held.started:
                self._ends.run_at_exit(held.context)

    def _starting(self, held: HeldSession) -> List[_Step]:
        return [] if held.started else [(hook, (held.context,)) for hook in self._starts]

    def _restoring(self, held: HeldSession) -> List[_Step]:
        keepers = self.snapshots.keepers
        kept = [(keepers[number], data) for number, data in (held.restore or {}).items() if number in keepers]
        return [(getattr(item, RESTORE), (held.context, data)) for item, data in kept]

    def _end_hooks(self, held: HeldSession) -> None:
        """Its state is no longer in the table; what the hooks let go must not be taken from under a call."""
        with self._counting:
            held.ending = bool(held.calls)
        if not held.ending and held in self._leaving:  # else the worker leaves, and has run them
            self._leaving.remove(held)
            if held.started:
                self._ends.run(held.context, held.patience)


class _Blamed:
    """Around a hook that runs before a call: what it raises is not the tool's doing."""

    __slots__ = ("_held", "_hook")

    def __init__(self, hook: Callable[..., Any], held: HeldSession) -> None:
        self._hook = hook
        self._held = held

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: Optional[Type[BaseException]], error: Optional[BaseException], _tb: Optional[TracebackType]) -> None:
        if isinstance(error, (Exception, SystemExit)):
            raise HookFailed(getattr(self._hook, "__name__", "a hook"), self._held.context.id) from error


async def _run_async(call: Any, hook: Callable[..., Any], args: Tuple[Any, ...], held: HeldSession) -> None:
    with _Blamed(hook, held):
        answer = border(call, hook, *args)
        if inspect.isawaitable(answer):
            await async_border(call, answer)
