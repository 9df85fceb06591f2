"""A worker inside this process: the whole runtime over a channel of plain queues, without a process, a socket or a signal.

What `snakepit.testing` puts a pool on. Tools run on threads of this process, so what blocks in C cannot be interrupted, and a
tool that ends the process ends the test.
"""

import queue
import threading
import traceback
from typing import Any, Callable, Dict, Optional, Sequence

from .._runtime.executor import Executor
from .._runtime.link import Link
from .._runtime.loading import AdapterLoadError, load
from ..wire.codecs import available_codecs, codec_named

#: A worker to which no host attaches ends after so long (seconds).
_ATTACH_WITHIN = 60.0
#: Workers that load the same file at the same moment would find half a module.
_LOADING = threading.Lock()


class MemoryWorker:
    """One worker: a thread that takes the place of a process's main thread, one that carries, and those that run tools.

    Args:
        adapter: classes, functions and modules of this process, or references, as a worker's command line takes them.
        threads: how many sync tools run at once, in the thread profile; 0: one at a time, in the process profile.
        report: told once how the start went: `{"ready": ...}` or `{"failed": ...}`.
        send: takes a message for the host.
        ended: told once that it is over: 0, or -9 if it was killed. All three are called on threads of this worker.
    """

    sure = True  # see `Writer`

    def __init__(
        self,
        adapter: Sequence[Any],
        worker_id: str,
        threads: int,
        report: Callable[[Dict[str, Any]], None],
        send: Callable[[bytes], None],
        ended: Callable[[int], None],
    ) -> None:
        self._adapter = adapter
        self._worker_id = worker_id
        self._threads = threads
        self._report = report
        self._send = send
        self._ended = ended
        self._executor: Optional[Executor] = None
        self._link: Optional[Link] = None
        self._killed = self._over = False
        self._inbox: queue.SimpleQueue[Optional[bytes]] = queue.SimpleQueue()  # from the host; empty: look what waits for it
        self._carrier = threading.Thread(target=self._carry, name="snakepit-memory-carrier", daemon=True)
        self._main = threading.Thread(target=self._run, name="snakepit-memory-" + worker_id, daemon=True)

    def start(self) -> None:
        """Load the adapter, then serve; returns at once."""
        self._main.start()

    def attach(self, codec: str) -> None:
        """The host opens the channel."""
        executor = self._executor
        assert executor is not None, "the host attaches once the worker has said that it is ready"
        self._link = Link(codec_named(codec), self)
        self._carrier.start()
        executor.attach(self._link)

    def receive(self, message: bytes) -> None:
        """A message from the host."""
        self._inbox.put(message)

    def hang_up(self) -> None:
        """The host has gone: what runs is cancelled, then the worker leaves."""
        self._over = True
        if self._executor is not None:
            self._executor.closed("the channel was closed")

    def kill(self) -> None:
        """End as a killed process does, as far as threads can: nothing more is said, and what runs is given up."""
        if not self._killed:
            self._killed = True
            self._ended(-9)
            self.hang_up()

    # The writing half of the carrier: see `Link` -----------------------------------------------------------------------------

    def wake(self) -> None:
        self._inbox.put(b"")

    wake_for_chunk = wake_for_flood = wake

    # Its threads -------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with _LOADING:
                adapter = load(self._adapter)
            self._executor = executor = Executor(adapter, self._worker_id, self._threads, own_process=False)
            executor.set_up()
        except AdapterLoadError as error:
            self._fail(error.message, error.hint, error.traceback)
            return
        except BaseException as error:  # told to who waits for the worker
            message = "the adapter's initialization failed: %s: %s" % (type(error).__name__, error)
            self._fail(message, "", traceback.format_exc())
            return
        if self._over:  # before there was anything that could have been told
            executor.closed("the channel was closed")
        self._report({"ready": "memory", "codecs": available_codecs()})
        try:
            executor.run(_ATTACH_WITHIN)
        finally:
            self._inbox.put(None)
            if self._carrier.ident is not None:
                self._carrier.join()
            if not self._killed:
                self._ended(0)

    def _fail(self, message: str, hint: str, text: str) -> None:
        self._report({"failed": {"kind": "adapter", "message": message, "hint": hint, "traceback": text}})
        if not self._killed:
            self._ended(1)

    def _carry(self) -> None:
        executor, link = self._executor, self._link
        assert executor is not None
        assert link is not None
        going = True
        while going:
            message = self._inbox.get()
            going = message is not None
            # Once the host has gone nobody would end what it had still sent.
            fault = executor.receive(message) if message and not self._over else None
            if fault:
                executor.closed(fault)
            while True:  # before the end too: the goodbye
                out = link.next_message()
                if out is None:
                    break
                if not self._killed:
                    self._send(out)
