"""Forks each worker from a template: a process that has imported the adapter once, and calls nothing of it.

Workers are ready in milliseconds and share the template's memory. Where a template does not do, for the adapter's sake or the platform's,
workers are spawned, and `reasons` says why. A template that dies harms no worker; the next start makes another.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import functools
import json
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

from snakepit._workers.ends import StartFailure
from snakepit._workers.guardian import Guardian, Ward
from snakepit.telemetry.logs import library_logger

from . import LaunchSpec, Process
from .process import Body, Handed, WorkerProcess, assembled, guardian_for, started
from .spawn import SECRET_VARIABLE, SpawnLauncher, command_line, environment, handed_to_worker, worker_options

_log = library_logger("snakepit.workers")

#: So many templates may die one after the other, without a ready worker in between, before workers are spawned.
_MOST_DEATHS = 3
#: How long a killed template may take to end (seconds).
_END_SECONDS = 3.0

_Output = Callable[[str, str, str], None]


class TemplateLauncher:
    """Starts workers by forking a template, or by spawning them where that cannot be.

    Args:
        run: names the run in the environment of what it starts.
    """

    def __init__(self, run: str) -> None:
        self._guardian = guardian_for(run)
        self._spawn = SpawnLauncher(run, self._guardian)
        self._template: _Template | None = None
        self._of: dict[Process, _Template] = {}  # workers that are not ready yet
        self._deaths = 0
        self._fit = False  # a template of this adapter has given a worker that became ready
        self._closing = False
        self._closings: set[asyncio.Task[None]] = set()
        self.reasons: tuple[str, ...] = () if self._guardian is not None else ("workers are spawned: templates need Linux",)

    @property
    def name(self) -> str:
        """How it starts workers now."""
        return "spawn" if self.reasons else "template"

    def start(self, spec: LaunchSpec, on_output: _Output) -> WorkerProcess:
        """Start one worker; see `Launcher.start`."""
        if self._guardian is None or self.reasons:
            return self._spawn.start(spec, on_output)
        if self._template is None:
            self._template = _Template(self._guardian, spec, on_output)
            self._template.process.report.add_done_callback(functools.partial(self._reported, self._template))
            self._template.process.exited.add_done_callback(functools.partial(self._ended, self._template))
        process = self._template.fork(spec, on_output)
        self._of[process] = self._template
        return process

    def judged(self, process: Process, failure: StartFailure | None) -> bool:
        """See `Launcher.judged`. The first worker of a template shows whether it is fit."""
        template = self._of.pop(process, None)
        if template is None:
            return False
        if failure is None:
            template.proven = self._fit = True
            self._deaths = 0
            return False
        if failure.kind == "template":
            return True
        if template.proven and failure.kind == "timeout" and process.pid is None:  # it has not forked at all: it hangs
            _log.warning("the template does not fork any more; it is ended, and another one started")
            template.process.kill()
            return True
        if template.failed or template.proven:  # the adapter's own fault, and no other way would mend it
            return False
        if not template.ready:  # the import takes too long, as it would in a worker of its own
            template.process.kill()
            return False
        self._fall_back(f"the first worker that was forked did not become ready: {failure.message}")
        return True

    async def close(self) -> None:
        """End the template, and what is left of what was started."""
        self._closing = True
        template = self._template
        if template is not None:
            template.process.kill()
            await asyncio.wait([template.process.exited], timeout=_END_SECONDS)
            await asyncio.sleep(0)  # its callback begins to close it
        if self._closings:
            await asyncio.wait(self._closings)
        if self._guardian is not None:
            await self._guardian.close()

    # Inside -----------------------------------------------------------------------------------------------------------------

    def _fall_back(self, reason: str) -> None:
        if self.reasons:
            return
        self.reasons = (f"workers are spawned, not forked from a template: {reason}",)
        _log.warning("%s", self.reasons[0])
        if self._template is not None:
            self._template.process.kill()

    def _reported(self, template: _Template, report: asyncio.Future[dict[str, Any] | None]) -> None:
        told = report.result()
        if told is None:
            return  # `_ended` says more
        failed = told.get("failed")
        if not isinstance(failed, dict):
            template.ready = True
            threads = told.get("threads")
            if isinstance(threads, list) and threads:
                what = "libraries of the adapter have started threads of their own, which forked workers do not have: %s"
                _log.info(what, ", ".join(map(str, threads)))
        else:
            template.failed = True
            if failed.get("kind") == "template":
                self._fall_back(str(failed.get("message")))
            template.fail(failed)

    def _ended(self, template: _Template, exited: asyncio.Future[int]) -> None:
        if self._template is template:
            self._template = None
        self._deaths += 1
        if self._closing:
            pass
        elif not template.ready and not template.failed and not self._fit:
            self._fall_back(f"the template has ended while it imported the adapter: {_how(exited.result())}")
        elif self._deaths > _MOST_DEATHS:
            self._fall_back(f"one template after the other has ended: {_how(exited.result())}")
        elif not template.failed and not self.reasons:
            _log.warning("the template has ended, another one will be started: %s", _how(exited.result()))
        template.fail({"kind": "template", "message": "the template has ended"})
        closing = asyncio.get_running_loop().create_task(template.process.close(), name="close-template")
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)


class _Template:
    """One template process.

    Attributes:
        ready: it has imported the adapter; failed: it has said why it cannot be used. proven: a worker of it has become ready.

    Args:
        spec, on_output: of the worker for which it is started: what the import prints is that one's output.
    """

    def __init__(self, guardian: Guardian, spec: LaunchSpec, on_output: _Output) -> None:
        self.ready = self.failed = self.proven = False
        self._guardian = guardian
        self._waiting: list[WorkerProcess] = []
        lifeline, theirs = socket.socketpair()
        place = theirs.fileno()
        options = ["--lifeline-fd", str(place), "--template-fd", str(place + 1)]
        options += ["--preload-grpc"] if spec.listen else []
        own = dataclasses.replace(spec, worker_id="template", title=f"{spec.title.rpartition('/')[0]}/template", listen="")
        env = environment(own)
        env.pop(SECRET_VARIABLE, None)
        self.process = started(
            guardian,
            command_line(own, options),
            functools.partial(_without_end, on_output),
            Handed({place: theirs}, lifeline),
            env=env,
            cwd=spec.cwd,
            run_directory=spec.run_directory,
            template=place + 1,
        )

    def fork(self, spec: LaunchSpec, on_output: _Output) -> WorkerProcess:
        """Have a worker forked, as soon as the adapter is imported."""
        handed, names = handed_to_worker(spec)
        by_place = {0: "stdin", 1: "stdout", 2: "stderr", **{place: name for name, place in names.items()}}

        def begin(places: Mapping[int, int], fail: Callable[[dict[str, Any]], None]) -> Body:
            request = {"argv": worker_options(spec), "env": environment(spec), "title": spec.title}
            content = json.dumps({**request, "names": [by_place[place] for place in places]}).encode()
            ward = self.process.body
            assert isinstance(ward, Ward)
            return self._guardian.fork(ward, content, list(places.values()), functools.partial(_not_forked, fail))

        process = assembled(begin, on_output, handed)
        self._waiting = [waiting for waiting in self._waiting if not waiting.report.done()]
        self._waiting.append(process)
        return process

    def fail(self, failed: dict[str, Any]) -> None:
        """Tell those that have not been forked yet."""
        for process in self._waiting:
            if process.pid is None:
                process.fail(failed)


def _not_forked(fail: Callable[[dict[str, Any]], None], error: OSError) -> None:
    kind = "template" if error.errno in (errno.EPIPE, errno.ECANCELED) else "start"
    fail({"kind": kind, "message": f"the template could not fork a worker: {error.strerror}", "hint": "", "traceback": ""})


def _without_end(on_output: _Output, stream: str, text: str, state: str) -> None:
    """The end of the template's output is not the end of the worker's."""
    if state != "end":
        on_output(stream, text, state)
    elif text:
        on_output(stream, text, "line")


def _how(status: int) -> str:
    if status >= 0:
        return f"exited with code {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"
