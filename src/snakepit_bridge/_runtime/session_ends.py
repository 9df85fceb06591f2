"""Runs `on_session_end` hooks, each for a bounded time: a hook must not take a worker away.

One that takes longer than a cancelled call may is named on stderr and interrupted like such a call. If it has not ended as long
again after that, this process ends, and the host starts another worker in its place. Called by `sessions`, on the main thread.
"""

import faulthandler
import inspect
import os
import sys
import threading
from types import TracebackType
from typing import Any, Callable, List, Optional, Type

from .._without_asyncio import is_task_cancelled
from ..call_context import Cancelled
from ..session_context import SessionContext
from . import failures
from .cancel import Knocker, async_border, border
from .main_loop import AsyncioLoop, QueueLoop

#: A hook that holds the interpreter keeps every thread of this process from ending it; the watchdog in C gets this much longer (seconds).
_SLACK_SECONDS = 0.5


class EndHooks:
    """The end hooks of one worker's adapter.

    Args:
        main: what the main thread does between calls.
        interrupter: interrupts hooks that take too long.
        may_exit: the process is the worker's own, and ends if even that does not end a hook.

    Attributes:
        hooks: what is called for each session that ends; set once the adapter's objects have been made.
    """

    def __init__(self, main: "QueueLoop | AsyncioLoop", interrupter: Knocker, worker_id: str, *, may_exit: bool = True) -> None:
        self.hooks: List[Callable[..., Any]] = []
        self._main = main
        self._interrupter = interrupter
        self.visit_by = interrupter.visit_by
        self._worker_id = worker_id
        self._may_exit = may_exit
        self._watched: Optional[_Running] = None

    def run(self, session: SessionContext, patience: float) -> None:
        """Run them for a session, or start the task that does.

        Args:
            patience: seconds that each may take, and as many again once it has been interrupted.
        """
        if isinstance(self._main, AsyncioLoop) and self.hooks:
            self._main.spawn(self._run_async(session, patience))
            return
        for hook in self.hooks:
            running = _Running(self, hook, session, patience)
            with running:
                answer = border(running, hook, session)
                if inspect.iscoroutine(answer):
                    border(running, self._main.complete, answer)

    def run_at_exit(self, session: SessionContext) -> None:
        """Run them while the worker leaves, for which the host has a bound of its own."""
        for hook in self.hooks:
            try:
                self._main.complete(hook(session))
            except (Exception, SystemExit) as error:
                _say_raised(hook, session, error)

    async def _run_async(self, session: SessionContext, patience: float) -> None:
        import asyncio

        for hook in self.hooks:
            running = _Running(self, hook, session, patience)
            with running:
                answer = border(running, hook, session)
                if inspect.isawaitable(answer):
                    running.task = asyncio.current_task()
                    await async_border(running, answer)

    def watch(self, running: "_Running") -> None:
        """Let the watchdog end this process should the hook hold the interpreter until then. There is one per process."""
        if not self._may_exit:
            return
        self._watched = running
        faulthandler.dump_traceback_later(2 * running.patience + _SLACK_SECONDS, exit=True, file=2)

    def ended(self, running: "_Running") -> None:
        """A hook has left the stack."""
        if self._watched is running:
            self._watched = None
            faulthandler.cancel_dump_traceback_later()
        self._interrupter.call_ended(running)

    def too_long(self, running: "_Running") -> None:
        """On a thread of its own: interrupt a hook, and end this process if it does not end for that."""
        told = (running.name, running.session.id, self._worker_id, running.patience)
        _say("%s of session %r on %s has not ended within %g s: it is being interrupted" % told)
        self._interrupter.interrupt(running, running.has_ended, running.patience)
        self._main.post(running.cancel)
        if not running.over.wait(running.patience):
            what = "the worker ends" if self._may_exit else "the worker waits for it"
            _say("%s of session %r on %s has not ended within %g s of being interrupted: %s" % (*told, what))
            if self._may_exit:
                os._exit(1)


class _Running:
    """One hook while it runs. In the borders of `cancel` it stands for a call.

    Attributes:
        cleaning: True once its task has been cancelled: it is not cut short at once.
        over: set when it has left the stack.
        task: the asyncio task that runs it, if it is async.
    """

    def __init__(self, owner: EndHooks, hook: Callable[..., Any], session: SessionContext, patience: float) -> None:
        self.session = session
        self.name = getattr(hook, "__name__", "on_session_end")
        self.patience = patience
        self.cleaning = False
        self.over = threading.Event()
        self.task: Optional[Any] = None
        self.visit_by, self.visit = owner.visit_by, None
        self._owner = owner
        self._hook = hook
        self._timer = threading.Timer(patience, owner.too_long, [self])
        self._timer.daemon = True

    def has_ended(self) -> bool:
        """Has it left the stack?"""
        return self.over.is_set()

    def cancel(self) -> None:
        """On the main thread: cancel its task, if it is async and has not ended."""
        if self.task is not None and not self.over.is_set():
            self.cleaning = True
            self.task.cancel()

    def __enter__(self) -> None:
        self._timer.start()
        self._owner.watch(self)

    def __exit__(self, _kind: Optional[Type[BaseException]], error: Optional[BaseException], _tb: Optional[TracebackType]) -> bool:
        self._timer.cancel()
        self.over.set()
        self._owner.ended(self)
        if isinstance(error, (Exception, SystemExit)):
            _say_raised(self._hook, self.session, error)
            return True
        return isinstance(error, Cancelled) or (self.cleaning and is_task_cancelled(error))


def _say_raised(hook: Callable[..., Any], session: SessionContext, error: BaseException) -> None:
    _say("%s of session %r raised:\n%s" % (getattr(hook, "__name__", "a hook"), session.id, failures.traceback_of(error).rstrip()))


def _say(text: str) -> None:
    print("snakepit: " + text, file=sys.stderr, flush=True)
