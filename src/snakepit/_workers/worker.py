"""One worker: its process, its channel, its state, and how it ended.

Owned by the supervisor's task of its slot. Everything here runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from snakepit._channel import negotiate
from snakepit._channel.carrier import Carrier
from snakepit._channel.connection import Connection
from snakepit._channel.frame_trace import FrameTrace, connect
from snakepit.errors import ChannelError, ProtocolUnavailable
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.shared.store import Store
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.codecs import codec_named
from snakepit_bridge.wire.installed import install_command, is_installed

from . import lifecycle
from .asked_stacks import AskedStacks
from .ends import Death, StartFailure, cause_of
from .info import WorkerInfo
from .introduction import Introduction
from .known_secrets import KnownSecrets
from .launchers import Launcher, LaunchSpec, Process
from .lifecycle import Event, State
from .memory_gauge import MemoryGauge
from .oom import OomCounts, oom_counts
from .output import OutputSetting, WorkerOutput
from .stacks import innermost

#: After a channel has closed, the process usually ends within milliseconds; its status is the better evidence (seconds).
_STATUS_WITHIN = 0.5
#: After SIGTERM, before SIGKILL (seconds).
_TERM_SECONDS = 0.5
#: After SIGKILL the kernel needs a moment (seconds); more than this means the process cannot be killed at all.
_KILL_SECONDS = 5.0


class Worker:
    """One worker process and the channel to it.

    Args:
        redactor: masks secrets in what it prints.
        on_event: called with each event of its channel. on_condemned: called with why it is about to be killed, before it is;
            with an empty text when it has ended by itself, before `lost` says how.
        trace: the calls whose frames are logged.

    Attributes:
        says: what it has said of itself, once it is ready.
        secrets: what must be masked in its output, told by who gives it calls.
        selection: the protocol that was chosen on its report; None where that was known before.
        serving: set when it takes calls, or waits to as a spare no longer.
        worn: set to why another one is to take its place; succeeded: one has been started for that.
        retiring: why it is to leave when its calls have ended; empty: it is not.
        words: how many events its channel has brought: signs of life; heard: when the last of them came (`time.monotonic`); 0.0: never.
        missed_beats: heartbeats in a row that it has not answered in time.
        condemned: why it is being killed; empty: it is not.
        tainted: a lock may be held there for good; it gets no further call.
    """

    def __init__(
        self,
        spec: LaunchSpec,
        launcher: Launcher,
        output: OutputSetting,
        redactor: Redactor,
        on_event: Callable[[Worker, frames.HostEvent], None],
        on_condemned: Callable[[Worker, str], None],
        trace: Sequence[str] = (),
    ) -> None:
        self.id = spec.worker_id
        self.state = State.NEW
        self.says = Introduction()
        self.selection: negotiate.Selection | None = None
        self.calls_served = self.words = self.missed_beats = 0
        self.heard = 0.0
        self.running: dict[int, str] = {}  # the calls it runs, with their correlation ids
        self._spec = spec
        self._launcher = launcher
        self.secrets = KnownSecrets(redactor, [os.environ, spec.env], [spec.secret])
        self._redactor = redactor
        self._output = WorkerOutput(spec.worker_id, output, redactor, self.secrets, self._correlation_id)
        self._on_event = on_event
        self._on_condemned = on_condemned
        self._trace = FrameTrace(trace, spec.worker_id, redactor, self.secrets) if trace else None
        self._process: Process | None = None
        self._connection: Connection | None = None
        self._endpoint = self._codec = ""
        self._hello: asyncio.Future[dict[str, Any]] | None = None
        self._closed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.retiring = ""
        self.serving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.succeeded = self.tainted = False
        self.worn: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._gauge = MemoryGauge(own=launcher.name == "template")
        self.asked_stacks = AskedStacks()
        self.condemned = self._stacks = self._farewell = ""
        self._oom: OomCounts | None = None
        self._began = time.time()

    # Starting ------------------------------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start the process; `attach` follows.

        Raises:
            StartFailure: the process cannot be started.
        """
        try:
            self._process = self._launcher.start(self._spec, self._output.line)
        except OSError as error:
            raise StartFailure("start", f"{self._spec.python} cannot be started: {error}") from error
        self._oom = oom_counts()
        self._step(Event.LAUNCHED)

    async def attach(self, create_task: Callable[..., asyncio.Task[None]], start_timeout: float, connect_timeout: float) -> None:
        """Wait until the worker is ready, open its channel, learn its tools.

        Raises:
            StartFailure: it reported why not, died, or took longer than `start_timeout` seconds.
        """
        assert self._process is not None
        exited = self._process.exited
        try:
            async with asyncio.timeout(start_timeout) as limit:
                report = await self._report()
                self._endpoint = str(report["ready"])

                def give_up(_: object) -> None:
                    with contextlib.suppress(RuntimeError):  # the channel stood in the same moment
                        limit.reschedule(0.0)

                exited.add_done_callback(give_up)  # else a worker that dies now would be waited for until the timeout
                try:
                    await self._open(report, create_task, connect_timeout)
                finally:
                    exited.remove_done_callback(give_up)
        except TimeoutError:
            kept = self._output.last_lines
            if exited.done():
                cause = self._death_of(exited.result()).cause
                raise StartFailure("start", f"{self.id} ended before its channel stood: {cause}", stderr=kept) from None
            stacks = await self.stacks()
            where = innermost(stacks)
            message = f"{self.id} was not ready within {start_timeout:g} s" + (f": it was in {where}" if where else "")
            hint = "raise start_timeout if the adapter needs longer to load"
            raise StartFailure("timeout", message, hint=hint, stderr=kept, stacks=stacks) from None
        except ChannelError as error:
            raise StartFailure("channel", error.message, stderr=self._output.last_lines) from error
        except ProtocolUnavailable as error:
            raise StartFailure("protocol", error.message, hint=error.hint, code=error.code) from error
        except ImportError as error:
            hint = install_command(sys.executable, "--force-reinstall grpcio", has_pip=is_installed("pip"))
            raise StartFailure("protocol", f"grpc cannot be imported by {sys.executable}: {error}", hint=hint) from error
        self._step(Event.ATTACHED)

    def judged(self, failure: StartFailure | None) -> bool:
        """It has become ready, or has not: is another to be started at once? See `Launcher.judged`."""
        return self._process is not None and self._launcher.judged(self._process, failure)

    async def _report(self) -> dict[str, Any]:
        assert self._process is not None
        report = await asyncio.shield(self._process.report)
        if report is None:
            await self._process.close()  # its last words are still on their way
            death = self._death_of(await asyncio.shield(self._process.exited))
            raise StartFailure("start", f"{self.id} ended before it was ready: {death.cause}", stderr=death.stderr)
        failed = report.get("failed")
        if isinstance(failed, dict) or "ready" not in report:
            failed = failed if isinstance(failed, dict) else {}
            secrets = self.secrets()
            words = {key: self._redactor.mask(str(failed.get(key, "")), secrets) for key in ("kind", "message", "hint", "traceback")}
            raise StartFailure(**words, stderr=self._output.last_lines)
        return report

    async def _open(self, report: dict[str, Any], create_task: Callable[..., asyncio.Task[None]], timeout: float) -> None:
        if self._spec.listen:
            self._codec = negotiate.codec_for_grpc(report)
        else:
            self.selection = negotiate.select_on_report(self._spec.protocols, report)
            self._codec = negotiate.codec_of(self.selection.protocol)
        carrier = await self._carrier(timeout)
        self._hello = asyncio.get_running_loop().create_future()
        self._connection = connect(self._trace, carrier, codec_named(self._codec), self._take, self._channel_closed)
        self._connection.start(create_task, self.id)
        spec = self._spec
        self._connection.set_up(spec.binary_threshold, spec.shared_memory, spec.max_payload, strict=spec.strict, ahead=spec.ahead)
        hello: asyncio.Future[Any] = self._hello
        await asyncio.wait({hello, self._closed}, return_when=asyncio.FIRST_COMPLETED)
        if not hello.done():
            raise ChannelError(f"{self.id}: {self._closed.result()}")
        self.says = Introduction.of(self._hello.result())
        if self.says.protocol != frames.PROTOCOL_VERSION:
            theirs, ours = self.says.protocol, frames.PROTOCOL_VERSION
            raise ChannelError(f"{self.id} speaks version {theirs} of the channel, this host {ours}: install the same snakepit-bridge")

    async def _carrier(self, timeout: float) -> Carrier:
        channel = self._process.channel if self._process is not None else None
        if channel is not None:
            channel.begin(self._codec)
            return channel
        from snakepit._channel.grpc_carrier import GrpcCarrier  # grpc is imported when a pool needs it, not with the library

        return await GrpcCarrier.attach(self._endpoint, self._spec.secret, self._codec, timeout)

    # Serving ---------------------------------------------------------------------------------------------------------------

    @property
    def connection(self) -> Connection:
        """The open channel."""
        assert self._connection is not None, "a worker that is not ready has no channel"
        return self._connection

    @property
    def shared(self) -> Store | None:
        """The memory that it shares with the host, for its figures; None: none, or it has no channel yet."""
        return self._connection.shared if self._connection is not None else None

    def condemn(self, reason: str, *, look: bool = False, softly: float = 0.0) -> None:
        """Kill it; `lost` will say the reason. From here on nothing that comes from it counts.

        It gets no call any more, and what it says is dropped: the look may wake a tool out of a system call, whose result is then wrong.

        Args:
            look: first see where its threads are, which takes a tenth of a second at most.
            softly: SIGTERM first, and so many seconds until SIGKILL.
        """
        process = self._process
        if not self.condemned and process is not None:
            self.condemned = reason
            self._on_condemned(self, reason)

            def kill(stacks: str) -> None:
                self._stacks = stacks
                if softly > 0:
                    process.terminate()
                    timer = asyncio.get_running_loop().call_later(softly, process.kill)
                    process.exited.add_done_callback(lambda _exited: timer.cancel())
                else:
                    process.kill()

            process.look(kill) if look else kill("")

    def wear(self, reason: str) -> None:
        """It is to be replaced; `worn` is set to why."""
        if not self.worn.done():
            self.worn.set_result(reason)

    def memory(self, now: float) -> int:
        """The resident memory of its process (bytes), looked up now and then; 0: not known."""
        shared = self.shared.in_sight if self.shared is not None else 0
        return self._gauge.read(self._process.pid if self._process is not None else None, now, shared)

    async def stacks(self) -> str:
        """Where its threads are, by a signal: for one that is about to be ended. Empty if it does not tell."""
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if self._process is None:
            return ""
        self._process.look(lambda text: None if told.done() else told.set_result(text))
        return await told

    def kill(self) -> None:
        """End its process as if that had happened by itself; from any thread."""
        if self._process is not None:
            self._process.kill()

    @property
    def serves(self) -> bool:
        """Does it take calls? Not a spare, nor one that is about to end or has ended."""
        ended = self._closed.done() or (self._process is not None and self._process.exited.done())
        return self.state is State.READY and self.serving.done() and not self.condemned and not ended

    async def lost(self) -> Death:
        """Wait until the process or its channel has ended; how."""
        assert self._process is not None
        exited: asyncio.Future[Any] = self._process.exited
        await asyncio.wait({exited, self._closed}, return_when=asyncio.FIRST_COMPLETED)
        fault = self._connection is not None and self._connection.fault
        if not exited.done() and not fault:
            await asyncio.wait([exited], timeout=_STATUS_WITHIN)
        if not self.condemned:  # what it has said before counts
            self._on_condemned(self, "")
            await asyncio.wait([self._closed], timeout=_STATUS_WITHIN)
            if self._connection is not None:
                self._connection.recover(dead=True)
        if exited.done() and not (fault and exited.result() == 0):  # it may have left by now because what it sent was refused
            return self._death_of(exited.result())
        self._stacks = self._stacks or await self.stacks()
        return self._death(f"its channel broke: {self._closed.result()}", None, None)

    def info(self) -> WorkerInfo:
        """What is known of it now."""
        return WorkerInfo(
            id=self.id,
            state=self.state.value,
            pid=self._process.pid if self._process is not None else None,
            endpoint=self._endpoint,
            protocol=negotiate.protocol_of(self._endpoint, self._codec, self._spec.protocols, listens=bool(self._spec.listen)),
            codec=self._codec,
            python=self.says.python,
            executable=self.says.executable or self._spec.python,
            started=self._began,
            uptime=time.time() - self._began,
            calls_served=self.calls_served,
            running=len(self.running),
            free_threaded=self.says.free_threaded,
            gil_enabled=self.says.gil_enabled,
            spare=self.state is State.READY and not self.serving.done(),
        )

    # Ending ----------------------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Ask it to leave when its calls have ended."""
        if self.state in (State.STARTING, State.READY):
            ready = self.state is State.READY
            self._step(Event.DRAIN)
            if ready and self._connection is not None:
                self._connection.drain()
            else:
                self.condemn("the pool was closed while it started")

    async def end(self, patience: float) -> None:
        """Make sure that nothing of it is left: wait `patience` seconds, then SIGTERM, then SIGKILL."""
        process = self._process
        if process is not None:
            if patience > 0 and not process.exited.done():
                await asyncio.wait([process.exited], timeout=patience)
                if not (process.exited.done() or self.condemned):
                    self._stacks = await self.stacks()
                    self.condemned = f"it did not leave within {patience:g} s of being told to"
            for seconds, act in ((0.0, process.terminate), (_TERM_SECONDS, process.kill), (_KILL_SECONDS, lambda: None)):
                if seconds > 0 and not process.exited.done():
                    await asyncio.wait([process.exited], timeout=seconds)
                if not process.exited.done():
                    act()
        if self._connection is not None:
            await self._connection.close()
        if process is not None:
            await process.close()
        if not self._closed.done():
            self._closed.set_result("the worker has ended")
        self._step(Event.LOST)

    def _correlation_id(self) -> str:
        """Of the one call that runs here, whose output it must be; empty if several do, or none."""
        return next(iter(self.running.values())) if len(self.running) == 1 else ""

    def _take(self, event: frames.HostEvent) -> None:
        self.words += 1
        self.heard = time.monotonic()
        if isinstance(event, frames.Pong) or (self.condemned and not isinstance(event, frames.Hello | frames.Bye)):
            return
        if isinstance(event, frames.Stacks):
            self.asked_stacks.told(event)
            return
        if isinstance(event, frames.Hello):
            if self._hello is not None and not self._hello.done():
                self._hello.set_result(event.info)
        elif isinstance(event, frames.Bye):
            self._farewell = "" if event.reason == "done" else event.reason
            if self._process is not None and self._process.channel is not None:
                self._process.channel.finish()
        else:
            self._on_event(self, event)

    def _channel_closed(self, reason: str) -> None:
        if not self._closed.done():
            self._closed.set_result(reason)

    def _step(self, event: Event) -> None:
        self.state = lifecycle.after(self.state, event)

    def _death_of(self, status: int) -> Death:
        farewell = f"it left: {self._farewell}" if self._farewell and status == 0 else ""
        return self._death(*cause_of(status, self.condemned or farewell, lambda: self._oom.evidence() if self._oom is not None else ""))

    def _death(self, cause: str, exit_code: int | None, name: str | None, evidence: str = "") -> Death:
        return Death(
            cause,
            exit_code,
            name,
            stderr=self._output.last_lines,
            rss=self._process.rss if self._process is not None else 0,
            uptime=time.time() - self._began,
            calls_served=self.calls_served,
            evidence=evidence,
            stacks=self._stacks,
        )
