"""Decides what this worker's threads do: runs calls as they come, cancels them, leaves when it is told to.

The carrier hands in the link when the host attaches and then events from its own thread; everything that touches a tool is
posted to the main thread, in the thread profile to one of several (what is async then still goes to the main thread's loop).
Ends when the host drains it or the channel closes.
"""

import functools
import os
import sys
import threading
import time
import traceback
import weakref
from typing import Any, Callable, Dict, Iterable, Optional, Union

from .. import __version__
from ..wire import frames
from ..wire.event_filter import EventFilter
from . import failures, vanished
from .ahead import Ahead
from .calls import CallRunner
from .cancel import Interrupter, Knocker
from .cancel_threads import ThreadInterrupter, raises_by_itself, shielded
from .events import Events
from .hangs import HangWatch
from .host_calls import HostCalls
from .inherited import Inherited
from .instances import Instances
from .interpreter import is_free_threaded, is_gil_enabled
from .link import Link
from .loading import LoadedAdapter
from .main_loop import AsyncioLoop, QueueLoop
from .running import RunningCall
from .session_ends import EndHooks
from .sessions import Sessions
from .soft_end import SoftEnd
from .thread_stacks import thread_stacks
from .tool_threads import ToolThreads


class Executor:
    """Runs the calls of one worker. Made and `run` on one thread, called main here; everything else may come from the carrier's.

    Attributes:
        heard: when the host was last heard, by `time.monotonic()`.

    Args:
        threads: how many sync tools run at once, on threads of this worker. 0: one at a time on the main thread.
        own_process: this worker has a process to itself, and the thread that makes this is its main thread. Else even one sync
            tool at a time runs on a thread of its own: only the process's main thread can be interrupted by a signal.
    """

    def __init__(self, adapter: LoadedAdapter, worker_id: str, threads: int = 0, *, own_process: bool = True) -> None:
        self._adapter = adapter
        self._worker_id = worker_id
        self._main = AsyncioLoop() if adapter.has_async else QueueLoop()
        self._slots = threads
        self._threads = ToolThreads(threads or 1) if threads or not own_process else None
        self._interrupter: Knocker = Interrupter() if self._threads is None else ThreadInterrupter()
        self._link: Optional[Link] = None
        self._runner: Optional[CallRunner] = None
        self._host_calls: Optional[HostCalls] = None
        self._calls: Dict[int, RunningCall] = {}  # received and not ended; added by the carrier, removed by who ran it
        self._ahead = Ahead()
        self._inherited = Inherited() if own_process else None
        self._draining = self._closed = False
        self._farewell = "done"
        self.heard = time.monotonic()
        self._attached = threading.Event()
        self._events = Events()
        self._instances = Instances(adapter, self._main)
        ends = EndHooks(self._main, self._interrupter, worker_id, may_exit=own_process)
        self._sessions = Sessions(self._instances, self._main, ends)
        self._own_process = own_process
        self._soft_end = SoftEnd(())
        self._unwatch: Callable[[], None] = lambda: None
        self._hangs = HangWatch(self._interrupter, self._signs, self._hung) if isinstance(self._interrupter, Interrupter) else None

    def set_up(self) -> None:
        """Make and initialize the adapter, before the host is told that this worker is ready."""
        self._events.on_main_thread()
        try:
            self._instances.set_up()
        except BaseException:
            self._events.close()
            raise
        self._sessions.prepare()
        if self._own_process:
            self._soft_end = SoftEnd(self._instances.objects or ())
            self._soft_end.install()
            self._unwatch = vanished.watch(self._interrupter.vanished)  # last: what the adapter has installed is told the rest

    # From the carrier's thread ---------------------------------------------------------------------------------------------

    def attach(self, link: Link) -> None:
        """The host has opened its channel: introduce this worker."""
        self._link = link
        # Hooks that may be async make a task of each call: several that were sent ahead would run at once.
        link.takes_ahead = self._threads is None and (self._instances.lifelong or not self._adapter.has_async)
        link.takes_sessions = not (self._adapter.has_async and self._sessions.has_hooks)
        parts = self._main, self._interrupter, self._instances, self._sessions, self._threads
        self._runner = CallRunner(self._adapter, link, *parts)
        self._host_calls = HostCalls(link)
        _forget_in_children(link)
        link.carry(self._events)
        link.hello(self._hello())
        self._attached.set()

    def receive(self, message: bytes) -> Optional[str]:
        """Take a message in; what is wrong with it, if it is not the protocol."""
        self.heard = time.monotonic()
        link = self._link
        if link is None:
            return "a message came before the channel was attached"
        return self._take(link.receive(message))

    def closed(self, reason: str) -> None:
        """The channel has ended: give up what runs, then leave."""
        self._draining = self._closed = True
        for call in list(self._calls.values()):
            self._cancel(call)
        if self._link is not None:
            self._link.channel_ended()
        self._main.post(self._leave_if_idle)

    def _take(self, events: Iterable[frames.WorkerEvent]) -> Optional[str]:
        for event in events:
            if isinstance(event, (frames.Call, frames.Calls)):
                self._begin(event)
            elif isinstance(event, frames.Cancel):
                running = self._calls.get(event.call_id)
                if running is not None:
                    self._cancel(running)
            elif isinstance(event, frames.Recall):
                self._recall(event)
            elif isinstance(event, frames.EndSession):
                self._sessions.end(event.session_id, busy=self._threads is None and bool(self._calls))
            elif isinstance(event, (frames.Look, frames.Telemetry)):
                self._answer(event)
            elif isinstance(event, frames.Drain):
                self._draining = True
                self._main.post(self._leave_if_idle)
            elif isinstance(event, frames.Fault):
                self._farewell = "what the host sent is not the protocol: %s" % event.reason
                if self._link is not None:
                    self._link.fall_silent()
                return event.reason
            elif isinstance(event, frames.Unknown):
                print("snakepit: a frame of unknown kind %r was ignored; is the host newer?" % (event.kind,), file=sys.stderr)
        return None

    def _answer(self, event: Union[frames.Look, frames.Telemetry]) -> None:
        """What the host wants to see of this worker."""
        if isinstance(event, frames.Telemetry):
            self._events.obey(EventFilter.read(event.settings))
        elif self._link is not None:
            self._link.stacks(event.token, thread_stacks() if self._own_process else "")

    def _begin(self, event: Union[frames.Call, frames.Calls]) -> None:
        self._events.first_call()
        if isinstance(event, frames.Calls):
            self._take_turns(self._ahead.came_together(event))
            return
        call, link = self._made(event), self._link
        if event.options.get("ahead") and link is not None and link.tickets is not None:
            self._take_turns(self._ahead.came(call))
            return
        self._watch_hangs(call)
        self._hand_over(call)

    def _made(self, event: frames.Call) -> RunningCall:
        call = RunningCall(event, self._worker_id, self._sessions.of(event.options))
        self._calls[call.call_id] = call
        call.context.listener = self._events.emit
        self._sessions.call_begun(call)
        call.hang_timeout = event.options.get("hang_timeout")
        call.visit_by = self._interrupter.visit_by
        call.context.raise_through(raises_by_itself)
        return call

    def _watch_hangs(self, call: RunningCall) -> None:
        if call.hang_timeout is not None and self._hangs is not None and is_gil_enabled():  # else its stack cannot be read
            self._hangs.begin(call, float(call.hang_timeout))

    def _recall(self, event: frames.Recall) -> None:
        """The host has calls run elsewhere that had been sent ahead; and others may run, whose turn came while their tickets were away."""
        gone, turns = self._ahead.recalled(event.numbers)
        for call in gone:
            call.ended = True  # nothing of it is to be interrupted
            self._calls.pop(call.call_id, None)
            self._sessions.call_ended(call)
        self._take_turns(turns)

    def _take_turns(self, count: int) -> None:
        for _ in range(count):
            self._main.post(self._run_next)

    def _hand_over(self, call: RunningCall) -> None:
        """Have a call run where it belongs."""
        place: QueueLoop | AsyncioLoop | ToolThreads = self._main
        if self._threads is not None and self._runner is not None:
            call.on_loop = self._runner.needs_loop(call)
            place = self._main if call.on_loop else self._threads
        place.post(functools.partial(self._run, call))

    def _cancel(self, call: RunningCall) -> None:
        call.context.mark_cancelled()
        if call.task is not None:
            self._main.post(functools.partial(_cancel_task, call))
        self._interrupter.interrupt(call, call.has_ended, call.kill_after)

    def _hello(self) -> Dict[str, Any]:
        return {
            "protocol": frames.PROTOCOL_VERSION,
            "sdk": __version__,
            "python": "%d.%d.%d" % sys.version_info[:3],
            "executable": sys.executable,
            "pid": os.getpid(),
            "worker_id": self._worker_id,
            "concurrency": self._slots or self._adapter.concurrency,
            "threads": self._slots,
            "free_threaded": is_free_threaded(),
            "gil_enabled": is_gil_enabled(),
            "lifecycle": self._adapter.lifecycle,
            "soft_end": bool(self._soft_end),
            "snapshots": bool(self._sessions.snapshots.keepers),
            "warnings": self._sessions.snapshots.warnings + self._adapter.thread_warnings(self._slots),
            "tools": [tool.spec for tool in self._adapter.tools.values()],
        }

    # On the main thread ------------------------------------------------------------------------------------------------------

    def run(self, attach_within: float) -> None:
        """Serve until drained or cut off; then clean up. Leaves too if no host attaches within so many seconds."""
        timer = threading.Timer(attach_within, self._nobody_came)
        timer.daemon = True
        timer.start()
        try:
            self._main.run()
        finally:
            timer.cancel()
            if self._threads is not None:
                self._threads.stop()
            if self._hangs is not None:
                self._hangs.stop()
            self._unwatch()
            self._interrupter.stop()
            self._sessions.end_all()
            self._instances.clean_up()
            self._main.close()
            self._events.close()
            if self._link is not None:
                self._link.bye(self._farewell)

    def _nobody_came(self) -> None:
        if not self._attached.is_set():
            self.closed("no host attached")

    # Where calls run ---------------------------------------------------------------------------------------------------------

    def _run_next(self) -> None:
        """Run the next of the calls that were sent ahead; not if the host has taken its ticket."""
        link = self._link
        if link is None or link.tickets is None:
            return
        link.secure()  # should the call end the process, nobody else is to lose by that
        if self._interrupter.tainted:  # nothing more begins here: the host takes back what it has sent, and replaces this worker
            link.flush()
            return
        call, turns = self._ahead.take(link.tickets)
        self._take_turns(turns)
        if call is None:
            link.flush()
            return
        if isinstance(call, frames.Call):
            if self._closed:
                return  # nobody is there for whom it would run
            call = self._made(call)
            if not link.is_wanted(call.call_id):  # cancelled since its ticket was taken
                call.context.mark_cancelled()
        call.began = time.perf_counter()
        self._watch_hangs(call)
        self._run(call)

    def _run(self, call: RunningCall) -> None:
        runner = self._runner
        if runner is None:
            return
        call_id, as_chunk, link = call.call_id, call.streaming, self._link
        if link is not None and self._host_calls is not None:
            call.context.ask_through(self._host_calls)

            def report(payload: Dict[str, Any]) -> None:  # not through `call`, which holds it: its session's state would outlive it
                running = self._calls.get(call_id)
                if running is not None:
                    running.reports += 1
                shielded(link.progress, call_id, payload, as_chunk)

            call.context.report_to(report)
        try:
            runner.run(call)
        except BaseException as error:
            if self._threads is None or link is None:
                raise
            traceback.print_exc()  # a fault of ours on one of several threads: its caller must not wait for ever
            link.error(call_id, failures.describe(error))
        finally:
            if call.task is None:
                self._ended(call)
            else:
                call.task.add_done_callback(lambda _task: self._ended(call))

    def _ended(self, call: RunningCall) -> None:
        self._sessions.call_ended(call)  # first: what it posts must not come behind the end
        self._calls.pop(call.call_id, None)
        if self._inherited is not None and not call.together:
            self._inherited.reap()
        if self._hangs is not None:
            self._hangs.end(call)
        if self._draining:
            self._main.post(self._leave_if_idle)

    # On the thread that watches for calls that hang ----------------------------------------------------------------------

    def _signs(self, call: RunningCall) -> int:
        """Changes with each report and each chunk."""
        return call.reports + (self._link.chunks_sent(call.call_id) if self._link is not None and call.streaming else 0)

    def _hung(self, call: RunningCall, info: Dict[str, Any]) -> None:
        if self._link is not None:
            self._link.stalled(call.call_id, info)

    def _leave_if_idle(self) -> None:
        if self._draining and not self._calls:
            self._main.stop()


def _forget_in_children(link: Link) -> None:
    """What is registered is never given back: the link must not live as long as that."""
    forget = weakref.WeakMethod(link.after_fork_in_child)

    def after_fork() -> None:
        function = forget()
        if function is not None:
            function()

    os.register_at_fork(after_in_child=after_fork)


def _cancel_task(call: RunningCall) -> None:
    if call.task is not None and call.entered and not (call.ended or call.on_thread or call.leaving):
        left = call.context.shielded_for()
        if left > 0:  # its end raises; unless it takes longer than it may
            call.task.get_loop().call_later(left, _cancel_task, call)
            return
        call.cleaning = True
        call.closing()
        call.task.cancel()
