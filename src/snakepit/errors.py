"""The errors of settings, pools, sessions and calls, as one tree. The leaf says who erred; `code` says it for programs.

SnakepitError
├── ConfigurationError (ValueError)        a setting or argument of a Pool is wrong            invalid_configuration
├── PlatformUnsupported                    this operating system cannot run a pool             platform_unsupported
├── ProtocolUnavailable                    a protocol's library is missing                     grpc_unavailable, ...
├── InvalidToolSpec (ValueError)           a tool is too large, malformed, or there already    invalid_tool_spec
├── AdapterError                           the adapter cannot be imported or has no tools      adapter_error
├── CallError                              the call was wrong before anything was sent
│   ├── UnknownTool (LookupError)                                                              unknown_tool
│   ├── InvalidParameter (ValueError)                                                          invalid_parameter
│   │   └── InvalidBinaryParameter         not bytes, named twice, or no bytes wanted          invalid_binary_parameter
│   └── WrongCallStyle (TypeError)         execute() on a tool that streams                    tool_streams
├── PoolError                              the pool cannot take the call
│   ├── PoolClosed (RuntimeError)                                                              pool_closed
│   │   └── PoolDraining               it lets what it has end, and takes nothing new           pool_draining
│   ├── PoolBroken (RuntimeError)          its workers cannot be started any more              pool_broken
│   ├── PoolForked (RuntimeError)          used in a forked child                              pool_forked
│   ├── PoolStartFailed (RuntimeError)     no worker became ready                              pool_start_failed
│   ├── NestingTooDeep (RecursionError)    tools and host tools call each other too deeply     nesting_too_deep
│   ├── PoolDeadlock (RuntimeError)        every worker waits for the call that asks           pool_deadlock
│   ├── WorkerBusy                         the session's worker is busy (strict_fail_fast)     worker_busy
│   ├── CircuitOpen                        its tool, or the pool, has failed too often             circuit_open
│   ├── QueueFull                          more calls wait than the queue holds                queue_full
│   └── QueueTimeout (TimeoutError)        no worker was free in time                          queue_timeout
├── SessionError                           the session cannot serve the call
│   ├── SessionLost (RuntimeError)         its worker is gone, and its state with it           session_lost
│   ├── SessionEnded (RuntimeError)        it was ended, or its lifetime is over               session_ended
│   ├── SessionQuotaExceeded               as many sessions as are allowed                     session_quota_exceeded
│   ├── ProgramQuotaExceeded               as many programs of one session as are allowed      program_quota_exceeded
│   └── SessionStoreError                  the store cannot be reached, or lost what it held   session_store_error
├── WorkerError                            the worker, not the tool, failed
│   ├── WorkerTimeout (TimeoutError)       the call's deadline has passed                      worker_timeout
│   │   ├── ChunkTimeout                   too long between two chunks                         chunk_timeout
│   │   └── HangTimeout                    its tool hung: no line of it ran for too long       hang_timeout
│   ├── WorkerCrashed (RuntimeError)       the process died while it ran the call              worker_crashed
│   └── ChannelError (ConnectionError)     the channel broke or carried nonsense               channel_error
├── GatewayError                           of clients of a gateway
│   ├── GatewayUnavailable (ConnectionError) it cannot be reached, or does not serve this      gateway_unavailable
│   ├── AccessDenied (PermissionError)     no token, a wrong one, or not for this tool         unauthenticated, access_denied
│   └── LimitExceeded                      more than one client may have at once               limit_exceeded
├── CallCancelled                          somebody cancelled the call                         call_cancelled
├── ToolError                              the tool itself raised, or a hook of its session    tool_error, session_hook_error
├── PayloadTooLarge (ValueError)           more bytes at once than max_payload                 payload_too_large
└── SerializationError (TypeError)         a value cannot travel                               unserializable
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from snakepit_bridge import redaction


class SnakepitError(Exception):
    """Base of all errors of this library. What looks like a secret in its texts is masked when it is made.

    Attributes:
        code: a stable name for programs (`worker_timeout`, `unknown_tool`, ...).
        details: facts behind the message, by name.
        hint: how to mend it, or an empty string.
    """

    code = "snakepit_error"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "", **details: Any) -> None:
        self.message = redaction.mask(message)
        super().__init__(self.message)
        self.hint = redaction.mask(hint) if hint else hint
        self.details: dict[str, Any] = redaction.masked(details)
        if code is not None:
            self.code = code

    def mask_more(self, redactor: redaction.Redactor, extra: Iterable[str] = ()) -> None:
        """Mask also what a pool's own redactor finds, and secrets that are known."""
        extra = tuple(extra)
        self.message = redactor.mask(self.message, extra)
        self.args = (self.message,)
        self.hint = redactor.mask(self.hint, extra)
        self.details = redactor.masked(self.details, extra)

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call __init__ without the keyword arguments and lose them.
        return _rebuild, (type(self), self.message, self.__dict__)


def _rebuild(kind: type[SnakepitError], message: str, state: dict[str, Any]) -> SnakepitError:
    error = kind.__new__(kind, message)
    error.__dict__.update(state)
    return error


class ConfigurationError(SnakepitError, ValueError):
    """A setting is wrong: unknown name, wrong type, or out of range."""

    code = "invalid_configuration"


class PlatformUnsupported(SnakepitError):
    """This operating system cannot run a pool."""

    code = "platform_unsupported"


class ProtocolUnavailable(SnakepitError):
    """A protocol was asked for whose library is missing on one side."""

    code = "protocol_unavailable"


class InvalidToolSpec(SnakepitError, ValueError):
    """A tool cannot be registered: its spec is malformed or too large, or its name is taken (code `duplicate_tool`)."""

    code = "invalid_tool_spec"


class AdapterError(SnakepitError):
    """The adapter does not import, does not start, or offers no tools."""

    code = "adapter_error"


class CallError(SnakepitError):
    """The call was wrong; nothing was sent to a worker."""


class UnknownTool(CallError, LookupError):
    """No worker of this pool offers a tool of that name."""

    code = "unknown_tool"


class InvalidParameter(CallError, ValueError):
    """An argument is missing, unknown, or of a type the tool does not take."""

    code = "invalid_parameter"


class InvalidBinaryParameter(InvalidParameter):
    """A value of `binary_parameters` is not bytes, its name is among the arguments too, or its parameter takes no bytes."""

    code = "invalid_binary_parameter"


class WrongCallStyle(CallError, TypeError):
    """`execute` was used on a tool that streams."""

    code = "tool_streams"


class PoolError(SnakepitError):
    """The pool cannot take the call."""


class PoolClosed(PoolError, RuntimeError):
    """The pool has been closed."""

    code = "pool_closed"


class PoolDraining(PoolClosed):
    """The pool takes no new calls; it lets those that it has end."""

    code = "pool_draining"


class PoolBroken(PoolError, RuntimeError):
    """Workers keep failing to start; the pool has given up and says why."""

    code = "pool_broken"


class PoolForked(PoolError, RuntimeError):
    """A pool was used in a forked child of the process that made it."""

    code = "pool_forked"


class PoolStartFailed(PoolError, RuntimeError):
    """No worker became ready."""

    code = "pool_start_failed"


class NestingTooDeep(PoolError, RecursionError):
    """Tools and host tools call each other more levels deep than `max_call_depth` allows."""

    code = "nesting_too_deep"


class PoolDeadlock(PoolError, RuntimeError):
    """A host tool asked for a call that no worker can ever take: each of them waits for a host tool that waits for this."""

    code = "pool_deadlock"


class WorkerBusy(PoolError):
    """The worker that the session sticks to has no free slot, and its affinity is `strict_fail_fast`."""

    code = "worker_busy"


class CircuitOpen(PoolError):
    """The tool, or the pool, has failed so often that calls are refused for a while: see `circuit_breaker`.

    `details` holds `tool` (of the call), `scope` (`tool` or `pool`), `retry_after` (seconds), `failures` and `cause` (the last of them).
    """

    code = "circuit_open"


class QueueFull(PoolError):
    """More calls are waiting than the pool's queue holds."""

    code = "queue_full"


class QueueTimeout(PoolError, TimeoutError):
    """The call waited longer in the queue than `queue_timeout` allows."""

    code = "queue_timeout"


class SessionError(SnakepitError):
    """The session cannot serve the call. `details["session_id"]` says which, but for a store that fails as a whole."""

    code = "session_error"


class SessionLost(SessionError, RuntimeError):
    """The session's worker is gone and its state with it.

    `details` holds `session_id`, `worker_id`, `reason`, and `at` (seconds since the epoch). `rebind()` gives the session another
    worker, with an empty state.
    """

    code = "session_lost"


class SessionEnded(SessionError, RuntimeError):
    """The session was ended, or its lifetime is over."""

    code = "session_ended"


class SessionQuotaExceeded(SessionError):
    """There are as many sessions as `max_sessions` allows; `details["session_id"]` is the one too many."""

    code = "session_quota_exceeded"


class ProgramQuotaExceeded(SessionError):
    """The session holds as many programs as `max_programs_per_session` allows; `details["session_id"]` says which."""

    code = "program_quota_exceeded"


class SessionStoreError(SessionError):
    """The session store cannot be reached or cannot be read; the message says which and why."""

    code = "session_store_error"


class WorkerError(SnakepitError):
    """The worker failed, not the tool."""


def _rung(error: SnakepitError) -> str:
    """How far the end of the call in its worker has come: `pending` while it has not ended, then what ended it.

    `queued`: its tool never ran. `flag`: the tool saw `context.cancelled`, or ended by itself after the cancel. `close`: its
    generator was closed, or its task cancelled. `exception`: `Cancelled` was raised in it. `terminate`, `kill`: its worker was
    ended, by SIGTERM or SIGKILL. `finished`: it had ended before the cancel came. `crashed`: its worker died by itself.
    """
    return str(error.details.get("rung", ""))


class WorkerTimeout(WorkerError, TimeoutError):
    """The call did not end before its deadline; it is being cancelled in the worker, as far as `rung` says."""

    code = "worker_timeout"

    @property
    def rung(self) -> str:
        """How far the end of the call in its worker has come; see the page on how to end a call early."""
        return _rung(self)


class ChunkTimeout(WorkerTimeout):
    """The tool took longer than `chunk_timeout` for its next chunk."""

    code = "chunk_timeout"


class HangTimeout(WorkerTimeout):
    """The tool gave no sign for `hang_timeout`. `details` holds `where` it hung, and `stacks`: where all threads of its worker were."""

    code = "hang_timeout"


class WorkerCrashed(WorkerError, RuntimeError):
    """The worker process died while it ran this call.

    `details` holds `worker_id`, `pid`, `exit_code` or `signal` (a name such as `SIGKILL`) and `stderr` (its last lines).
    """

    code = "worker_crashed"


class ChannelError(WorkerError, ConnectionError):
    """The channel to a worker broke, or carried something that is not the protocol."""

    code = "channel_error"


class GatewayError(SnakepitError):
    """The gateway between a client and the pools did not let the call through."""


class GatewayUnavailable(GatewayError, ConnectionError):
    """The gateway cannot be reached, or does not serve what was asked for (code `unimplemented`)."""

    code = "gateway_unavailable"


class AccessDenied(GatewayError, PermissionError):
    """The client has no token that the gateway knows (code `unauthenticated`), or its token is not for this tool or pool."""

    code = "access_denied"


class LimitExceeded(GatewayError):
    """A client has as much at once as it may. `details` holds `limit`, its name in the gateway's settings, and `allowed`, its value."""

    code = "limit_exceeded"


class CallCancelled(SnakepitError):
    """The call was cancelled before it ended; `rung` says how far that has come in its worker."""

    code = "call_cancelled"

    @property
    def rung(self) -> str:
        """How far the end of the call in its worker has come; see the page on how to end a call early."""
        return _rung(self)


class WorkerTraceback(Exception):
    """The worker's own traceback as text, its secrets masked; it is the `__cause__` of what the host raises."""

    def __init__(self, text: str) -> None:
        super().__init__(redaction.mask(text))

    def __str__(self) -> str:
        return "\n" + str(self.args[0]).rstrip()


class ToolError(SnakepitError):
    """The tool raised an exception; or a hook of its session did, before the tool ran (code `session_hook_error`, `details["hook"]`).

    Attributes:
        type: the exception's class name in the worker (`ValueError`, `my_app.errors.NoModel`).
        traceback: the worker's traceback as text; also shown as `__cause__`.
        chunk: for a stream, the number of the chunk the tool was making; else None.
    """

    code = "tool_error"

    def __init__(self, message: str, *, type: str = "", traceback: str = "", chunk: int | None = None, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.type = type
        self.traceback = redaction.mask(traceback)
        self.chunk = chunk
        if traceback:
            self.__cause__ = WorkerTraceback(self.traceback)

    def mask_more(self, redactor: redaction.Redactor, extra: Iterable[str] = ()) -> None:
        """Mask also in its traceback."""
        extra = tuple(extra)
        super().mask_more(redactor, extra)
        self.traceback = redactor.mask(self.traceback, extra)
        if isinstance(self.__cause__, WorkerTraceback):
            self.__cause__ = WorkerTraceback(self.traceback)


class PayloadTooLarge(SnakepitError, ValueError):
    """Arguments, a result or a chunk has more bytes than `max_payload`. `details` holds `what`, `size`, `max_payload`, `tool`, `chunk`."""

    code = "payload_too_large"


class SerializationError(SnakepitError, TypeError):
    """A value holds something that no codec can carry. The message names its type and the path to it."""

    code = "unserializable"
