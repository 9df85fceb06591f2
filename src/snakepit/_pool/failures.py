"""From what a worker reports, or how it died, to the error its caller gets. Pure."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable
from typing import Any

from snakepit._workers.ends import Death, StartFailure
from snakepit._workers.stacks import innermost
from snakepit.errors import (
    AdapterError,
    CallCancelled,
    ChannelError,
    CircuitOpen,
    ConfigurationError,
    HangTimeout,
    InvalidParameter,
    NestingTooDeep,
    PayloadTooLarge,
    PoolBroken,
    PoolClosed,
    PoolDeadlock,
    PoolDraining,
    PoolForked,
    PoolStartFailed,
    ProtocolUnavailable,
    QueueFull,
    QueueTimeout,
    SerializationError,
    SessionStoreError,
    SnakepitError,
    ToolError,
    UnknownTool,
    WorkerBusy,
    WorkerCrashed,
    WorkerTimeout,
    WorkerTraceback,
    WrongCallStyle,
)
from snakepit_bridge import redaction
from snakepit_bridge.wire.payload import CODE, TooLarge, at_least
from snakepit_bridge.wire.plain import Unserialisable

from .call import Call

#: How many of a worker's last lines a message shows; the error's `details` hold more.
_SHOWN_LINES = 8


def again(error: SnakepitError) -> SnakepitError:
    """The same for another call, with details of its own."""
    other = copy.copy(error)
    other.details = dict(error.details)
    return other


def from_worker(
    call: Call, info: dict[str, Any], redactor: redaction.Redactor = redaction.DEFAULT, known: Iterable[str] = ()
) -> SnakepitError:
    """The error for an error frame, without the secrets that its texts may quote: those of the call, and what is known of its worker."""
    told = {key: value for key, value in info.items() if key != "snapshot"}  # which is no text for people, and may be large
    info = redactor.masked(told, [*redactor.secrets_in([call.args, dict(call.binary or {})]), *known])
    code, message, chunk = info.get("code"), str(info.get("message", "")), info.get("chunk")
    where: dict[str, Any] = {"tool": call.tool, "worker_id": call.worker_id, "chunk": chunk}
    if code == "cancelled":
        return CallCancelled(f"{call.tool!r} was cancelled in the worker", **where)
    if code == "unserializable":
        what = f"tool {call.tool!r} gave something that cannot travel: {message}"
        hint = f"convert it before it is returned; {_SENDABLE}"
        return SerializationError(what, hint=hint, path=info.get("path", ""), value_type=info.get("type", ""), **where)
    if code == CODE:
        sizes = (int(info.get(key) or 0) for key in ("size", "max_payload"))
        return payload_too_large(TooLarge(str(info.get("what", "")), *sizes, beside=bool(info.get("beside"))), **where)
    if code == "invalid_parameter":
        facts = {key: info.get(key, "") for key in ("parameter", "expected", "got")}
        return InvalidParameter(message, hint=str(info.get("hint", "")), **facts, **where)
    if code == "tool_streams":
        return streams_error(call.tool)
    if code == "unknown_tool":
        return UnknownTool(message, **where)
    kind = str(info.get("type", "")) or "Exception"
    if code == "session_hook_error":
        return _hook_error(call, info, kind, message)
    at = f" at chunk {chunk}" if chunk is not None else ""
    return ToolError(
        f"tool {call.tool!r} raised {kind}{at}: {message}",
        type=kind,
        traceback=str(info.get("traceback", "")),
        chunk=chunk,
        tool=call.tool,
        worker_id=call.worker_id,
    )


def _hook_error(call: Call, info: dict[str, Any], kind: str, message: str) -> ToolError:
    """A hook of the adapter failed before the tool ran."""
    hook, session_id = str(info.get("hook", "")), call.session_id
    return ToolError(
        f"{hook} of session {session_id!r} raised {kind}: {message}, before {call.tool!r} ran",
        code="session_hook_error",
        hint=f"pool.rebind_session({session_id!r}) lets the session go on, with an empty state" if hook == "restore" else "",
        type=kind,
        traceback=str(info.get("traceback", "")),
        hook=hook,
        tool=call.tool,
        session_id=session_id,
        worker_id=call.worker_id,
    )


def streams_error(tool: str) -> WrongCallStyle:
    """`execute` was used where chunks come."""
    hint = f"read it with: for chunk in pool.stream({tool!r}, ...)"
    return WrongCallStyle(f"tool {tool!r} gives a stream of chunks, not one result", hint=hint, tool=tool)


_SENDABLE = (
    "what travels: None, numbers, text, bytes, lists, tuples, sets and dicts, dates, Decimal, UUID, paths, arrays, frames, dataclasses, "
    "and objects with model_dump() or to_dict()"
)


def unsendable(call: Call, error: Unserialisable) -> SnakepitError:
    """An argument cannot travel, or all of them are too large; nothing was sent."""
    if isinstance(error, TooLarge):
        return payload_too_large(error, tool=call.tool)
    # The frame is [kind, id, tool, args, ...]: the path begins with the place of the arguments in it.
    return argument_error(call.tool, error.path.removeprefix("[3]"), error, call.no_pickle)


def argument_error(tool: str, path: str, error: Unserialisable, no_pickle: str = "") -> SerializationError:
    """An argument cannot travel. `no_pickle` says why it does not as a pickle, where either side speaks of pickles."""
    hint = no_pickle or f"{_SENDABLE}; with allow_pickle=True others, where the tool asks for them"
    kind = error.type_name if path else "dict"  # of the frame as a whole something is said that is true of the arguments
    message = f"an argument of {tool!r} cannot travel: args{path} is a {kind}: {error.reason}"
    return SerializationError(message, hint=hint, path=path, value_type=kind, tool=tool)


def plainly_too_large(call: Call, limit: int) -> PayloadTooLarge | None:
    """A call that need not wait for a worker to be told so. Others are measured when one takes them, as they are encoded."""
    size = at_least(call.args.values()) + (at_least(call.binary.values()) if call.binary else 0)
    return payload_too_large(TooLarge("arguments", size, limit), tool=call.tool) if size > limit else None


def payload_too_large(error: TooLarge, *, tool: str, chunk: int | None = None, **where: Any) -> PayloadTooLarge:
    """More at once than the pool allows: of a call to its worker, or of a worker's answer."""
    facts = {"what": error.what, "size": error.size, "max_payload": error.limit, "tool": tool, "chunk": chunk, **where}
    return PayloadTooLarge(error.told(f"of {tool!r}", chunk), hint=error.hint, **facts)


def queue_full(waiting: int, size: int) -> QueueFull:
    """No place for another waiting call."""
    hint = "wait for results before you submit more (each refused future has this error), raise queue_size, or add workers"
    return QueueFull(f"{waiting} calls wait already, and queue_size is {size}", hint=hint, waiting=waiting, queue_size=size)


def circuit_open(call: Call, tool: str, count: int, seconds: float, probing: bool, cause: str) -> CircuitOpen:
    """Calls of the tool (empty: of any) are refused for so many seconds; or until the call that was let through has ended."""
    who = f"{tool!r}" if tool else "this pool"
    when = "a call that shows whether it is well again runs now" if probing else f"one call is let through in {seconds:.3g} s"
    return CircuitOpen(
        f"{call.tool!r} is not run: {who} has failed {'once' if count == 1 else f'{count} times'}; {when}. The last failure: {cause}",
        hint="try again later; circuit_breaker= says after how many failures and for how long",
        tool=call.tool,
        scope="tool" if tool else "pool",
        retry_after=seconds,
        failures=count,
        cause=cause,
    )


def worker_busy(call: Call, worker_id: str) -> WorkerBusy:
    """A session's call that must not wait would have to."""
    busy = f"{worker_id}, which session {call.session_id!r} sticks to, is busy" if worker_id else "every worker is busy"
    hint = "try again later, or use affinity='strict_queue' to wait for it"
    return WorkerBusy(f"{call.tool!r} cannot run at once: {busy}", hint=hint, session_id=call.session_id, worker_id=worker_id)


def session_failed(call: Call, error: Exception) -> SnakepitError:
    """Why a call's session does not let it in."""
    if isinstance(error, SnakepitError):
        return error
    message = f"the session store failed at session {call.session_id!r}: {type(error).__name__}: {error}"
    return SessionStoreError(message, session_id=call.session_id)


def deadlock(call: Call, size: int) -> PoolDeadlock:
    """A host tool called back into a pool where nobody can take the call."""
    who = f"the worker of session {call.session_id!r} waits" if call.session_id else f"each of the {size} workers of this pool waits"
    return PoolDeadlock(
        f"{call.tool!r} could never run: {who} for the host tool that asks for it",
        hint="give the pool more workers, or use another pool inside host tools",
        tool=call.tool,
    )


def made_too_late(tool: str, host_tool: str, caller: str) -> CallCancelled:
    """A host tool calls the pool although the tool that called it has ended, or was cancelled."""
    return CallCancelled(
        f"{tool!r} is not called: the call of {caller!r} that led to it, by host tool {host_tool!r}, has ended or was cancelled",
        hint="start work that is to outlive the tool's call in a context of its own: contextvars.Context().run(...)",
        tool=tool,
    )


def too_deep(tool: str, depth: int, limit: int) -> NestingTooDeep:
    """Tools and host tools have called each other too often."""
    message = f"{tool!r} would be call number {depth} inside each other, and max_call_depth is {limit}"
    return NestingTooDeep(message, hint="do tools and host tools call each other in a circle? Else raise max_call_depth", tool=tool)


def queued_too_long(call: Call, seconds: float) -> QueueTimeout:
    """No worker was free in time."""
    message = f"{call.tool!r} waited {seconds:g} s for a worker, which is the queue_timeout"
    return QueueTimeout(message, hint="add workers, or raise queue_timeout", tool=call.tool)


def deadline_passed(call: Call) -> WorkerTimeout:
    """The call did not end in time."""
    waited = "while it waited for a worker" + (", or for the store of its session" if call.session_id else "")
    where = f"on {call.worker_id}" if call.worker_id else waited
    hint = "the time in the queue counts; give it a larger timeout=, or None for no deadline"
    message = f"{call.tool!r} did not end within {call.timeout:g} s ({where})"
    return WorkerTimeout(message, hint=hint, tool=call.tool, worker_id=call.worker_id, chunks=call.chunks)


def hung(call: Call, seconds: float, where: str, stacks: str) -> HangTimeout:
    """No sign of life of the call's tool for too long, though its worker answers."""
    at = f": it hangs in {where}" if where else ""
    message = f"{call.tool!r} ran no line of Python for {seconds:g} s, the hang_timeout, on {call.worker_id}{at}"
    hint = "a tool that waits or computes so long at one place on purpose reports meanwhile (self.progress), or needs a larger hang_timeout"
    return HangTimeout(message, hint=hint, tool=call.tool, worker_id=call.worker_id, chunks=call.chunks, where=where, stacks=stacks)


def closed() -> PoolClosed:
    """The pool takes no calls any more."""
    return PoolClosed("the pool is closed", hint="make a new one, or keep the call inside the `with` block")


def draining() -> PoolDraining:
    """The pool takes no new calls."""
    return PoolDraining(
        "the pool is draining: it takes no new calls, and lets those that it has end",
        hint="drain() or the end of the script has been asked for; use another pool, or leave",
    )


def drained_under(call: Call, timeout: float | None) -> PoolDraining:
    """The pool was drained, and the call did not end in time."""
    bound = "in time" if timeout is None else f"within {timeout:g} s"
    return PoolDraining(
        f"the pool was drained, and {call.tool!r} did not end {bound}", hint="give drain() a larger timeout", tool=call.tool
    )


def forked(parent: int) -> PoolForked:
    """Used in a forked child of the process that made it."""
    return PoolForked(
        f"this pool was made by process {parent} and is used in its forked child {os.getpid()}",
        hint="start such children by multiprocessing's spawn method; they can have pools of their own",
    )


def closed_under(call: Call) -> PoolClosed:
    """The pool was closed while the call was open."""
    return PoolClosed(
        f"the pool was closed before {call.tool!r} ended", hint="read results before leaving the `with` block", tool=call.tool
    )


def broken(cause: SnakepitError) -> PoolBroken:
    """The pool has given up starting workers."""
    then = "when that is mended, make a new pool: this one has given up for good"
    hint = f"{cause.hint}; {then}" if cause.hint else then
    return PoolBroken(f"the pool is broken: its workers do not start any more: {cause.message}", hint=hint, **cause.details)


def crashed(call: Call, worker_id: str, pid: int | None, death: Death) -> SnakepitError:
    """The worker died under a call."""
    lines = "".join(f"\n  {worker_id} stderr: {line}" for line in _telling(death.stderr))
    where: dict[str, Any] = {"tool": call.tool, "worker_id": worker_id, "pid": pid, "stderr": death.stderr, "chunks": call.chunks}
    where |= {"rss": death.rss, "uptime": death.uptime, "calls_served": death.calls_served, "oom": death.evidence, "stacks": death.stacks}
    if call.retried is not None:
        where |= {"retried": dict(call.retried), "runs": call.runs}
    if death.exit_code is None and death.signal is None:
        return ChannelError(f"{worker_id} was lost while it ran {call.tool!r}: {death.cause}{lines}", **where)
    place = innermost(death.stacks)
    at = f"; its main thread was in {place}" if place else ""
    message = f"{worker_id} (pid {pid}) died while it ran {call.tool!r}: {death.cause}{at}{lines}"
    return WorkerCrashed(message, exit_code=death.exit_code, signal=death.signal, **where)


def _telling(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines that a message shows: a fatal error from its first line on, else the last ones."""
    for index, line in enumerate(lines):
        if "Fatal Python error" in line:
            return tuple(item for item in lines[index:] if item and "/snakepit_bridge/_runtime/" not in item)[:_SHOWN_LINES]
    return lines[-_SHOWN_LINES:]


def start_error(failure: StartFailure) -> SnakepitError:
    """Why no worker could be started."""
    lines = "".join(f"\n  worker stderr: {line}" for line in failure.stderr)
    if failure.kind == "adapter":
        error: SnakepitError = AdapterError(failure.message, hint=failure.hint, traceback=failure.traceback)
        if failure.traceback:
            error.__cause__ = WorkerTraceback(failure.traceback)
        return error
    if failure.kind == "protocol":
        return ProtocolUnavailable(failure.message, code=failure.code, hint=failure.hint)
    if failure.kind == "listen":
        return ConfigurationError(failure.message, hint=failure.hint)
    hint = failure.hint or "`snakepit doctor --adapter A` starts one worker by itself, and shows all that it says"
    return PoolStartFailed(failure.message + lines, hint=hint, stderr=failure.stderr, stacks=failure.stacks)
