"""Runs the host tools of one pool: begun when a worker asks, ended with the call that asked."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from snakepit._channel.connection import Connection
from snakepit._pool.arguments import bind, check
from snakepit._pool.binary import check_binary
from snakepit._pool.call import Call
from snakepit._pool.tools import ToolSpec, did_you_mean
from snakepit._workers.known_secrets import KnownSecrets
from snakepit._workers.worker import Worker
from snakepit.errors import InvalidParameter
from snakepit_bridge.binary_parameters import received
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.wire import frames

from .context import HostCallContext
from .endings import described, failure
from .masking import Masking
from .offers import Function, Offers
from .offspring import Offspring
from .run import AsyncRun, Run
from .thread_run import ThreadRun
from .threads import HostThreads

#: How long the pool's end waits for host tools that are being cancelled (seconds).
_CLOSE_SECONDS = 1.0


class HostTools:
    """Runs what is offered. Lives on the engine's loop.

    Args:
        offers: the functions.
        run_id: names this run of the pool.
        threads: how many sync host tools may run at once, per depth.
        redactor: masks what is told of them.
    """

    def __init__(self, offers: Offers, run_id: str, threads: int, redactor: Redactor) -> None:
        self._offers = offers
        self._run_id = run_id
        self._threads = HostThreads(threads)
        self._redactor = redactor
        self._runs: dict[tuple[str, int], Run] = {}  # (worker, its number for the call)
        self._of_parent: dict[int, set[tuple[str, int]]] = {}
        self._offspring: dict[int, Offspring] = {}  # by the call whose host tools have made it

    # Running ----------------------------------------------------------------------------------------------------------------------

    def worker_event(
        self, worker: Worker, event: frames.HostCall | frames.Credit | frames.Cancel, find: Callable[[Worker, int], Call | None]
    ) -> None:
        """Something about host tools came over a worker's channel. `find`: an open call that runs there, by its number."""
        if isinstance(event, frames.HostCall):
            parent = event.options.get("parent")
            ours = find(worker, parent) if isinstance(parent, int) else None
            self.begin(worker.id, worker.connection, event, ours, worker.secrets)
        elif isinstance(event, frames.Credit):
            self.credit(worker.id, event)
        else:
            self.cancel(worker.id, event)

    def begin(self, worker_id: str, connection: Connection, event: frames.HostCall, parent: Call | None, secrets: KnownSecrets) -> None:
        """A tool asks. It gets exactly one answer. `secrets`: what the worker knows, and learns by it."""
        masking = Masking(self._redactor, secrets, event)

        def refuse(info: dict[str, Any]) -> None:
            connection.answer_error(event.call_id, masking.masked(info))

        if parent is None or parent.over:
            refuse(failure("cancelled", "the call that asks has ended"))
            return
        if not event.name:
            connection.answer(event.call_id, [_shown(spec) for spec in self._offers.known(parent.session_id)], {})
            return
        found = self._offers.find(event.name, parent.session_id)
        if found is None:
            refuse(self._unknown(event.name, parent.session_id))
            return
        spec = found[0]
        try:
            function = _bound(*found, event)
        except InvalidParameter as error:
            refuse(failure(error.code, str(error)))
            return
        except Exception as error:  # a fault here, or in what the function's annotations name, must not cost the worker its channel
            refuse(described(error))
            return
        key = worker_id, event.call_id
        kind = AsyncRun if spec.asynchronous else ThreadRun
        context = self._context(spec, worker_id, parent)
        run = kind(connection, event.call_id, parent.id, context, function, masking, functools.partial(self._ended, key))
        self._runs[key] = run
        self._of_parent.setdefault(parent.id, set()).add(key)
        if isinstance(run, AsyncRun):
            run.start()
        elif not self._threads.submit(context.depth, run.work()):
            refuse(failure("too_many_host_calls", "too many calls of host tools wait for a thread; raise host_tool_threads"))
            self._ended(key, run)

    def _context(self, spec: ToolSpec, worker_id: str, parent: Call) -> HostCallContext:
        ancestors = (*parent.ancestors, (self._run_id, parent.id))
        offspring = self._offspring.setdefault(parent.id, Offspring())
        return HostCallContext(spec.name, parent.tool, worker_id, parent.session_id, parent.correlation_id, ancestors, offspring)

    def credit(self, worker_id: str, event: frames.Credit) -> None:
        """A tool has taken items of a host tool."""
        run = self._runs.get((worker_id, event.call_id))
        if run is not None:
            run.credit()

    def cancel(self, worker_id: str, event: frames.Cancel) -> None:
        """A tool has no more use for a call."""
        run = self._runs.get((worker_id, event.call_id))
        if run is not None:
            run.cancel()

    def parent_ended(self, call_id: int) -> None:
        """A call has ended, or nobody waits for it: so do its calls of host tools, and what those have called."""
        for key in tuple(self._of_parent.get(call_id, ())):
            self._runs[key].cancel()
        offspring = self._offspring.pop(call_id, None)
        if offspring is not None:
            offspring.end()

    def cancel_all(self) -> None:
        """Nobody waits for anything any more."""
        for run in list(self._runs.values()):
            run.cancel()

    async def close(self) -> None:
        """Cancel what runs. Sync functions cannot be interrupted: those still at it are left to their (daemon) threads."""
        self.cancel_all()
        tasks = [run.task for run in self._runs.values() if isinstance(run, AsyncRun) and run.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)
        threads = self._threads.close()
        for _ in range(int(_CLOSE_SECONDS / 0.005)):
            if not any(thread.is_alive() for thread in threads):
                break
            await asyncio.sleep(0.005)

    def _ended(self, key: tuple[str, int], run: Run) -> None:
        self._runs.pop(key, None)
        siblings = self._of_parent.get(run.parent)
        if siblings is not None:
            siblings.discard(key)
            if not siblings:
                del self._of_parent[run.parent]

    def _unknown(self, name: str, session_id: str) -> dict[str, Any]:
        known = [spec.name for spec in self._offers.known(session_id)]
        there = "there are: " + ", ".join(sorted(known)[:20]) if known else "it offers none; see pool.register_tool"
        hint = " ".join(part for part in (did_you_mean(name, known), there) if part)
        return failure("unknown_tool", f"the application offers no tool named {name!r}; {hint}")


def _bound(spec: ToolSpec, function: Function, event: frames.HostCall) -> Callable[[], Any]:
    """The function with its arguments, checked as those of tools are.

    Raises:
        InvalidParameter: they do not fit.
    """
    args, kwargs = event.args.get("args"), event.args.get("kwargs")
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise InvalidParameter(f"host tool {spec.name!r} was asked with malformed arguments", tool=spec.name)
    binary = event.options.get("binary")
    named = bind(spec, args, kwargs)
    sent = {} if binary is None else check_binary(spec, named, binary)
    check(spec, named, sent)
    return functools.partial(function, *args, **kwargs, **received(sent, function))


def _shown(spec: ToolSpec) -> dict[str, Any]:
    parameters = [{"name": item.name, "required": item.required, "annotation": item.annotation} for item in spec.parameters]
    return {"name": spec.name, "description": spec.description, "streaming": spec.streaming, "parameters": parameters}
