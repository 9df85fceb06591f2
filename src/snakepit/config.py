"""The settings of a pool: names, types, bounds, and what is said when one of them is wrong.

`PoolSettings` is what callers may write, `PoolConfig` the checked, frozen result. Times are float seconds.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import pathlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal, TypeAlias, TypedDict

from snakepit_bridge.wire.coding import BINARY_THRESHOLD
from snakepit_bridge.wire.payload import MAX_PAYLOAD, MIN_PAYLOAD
from snakepit_bridge.wire.plain import MANY_BYTES

from ._cpus import usable_cpus
from ._setting_checks import (
    check_command,
    check_directory,
    check_environment,
    check_flag,
    check_instance_name,
    check_interpreter,
    check_patterns,
    check_store,
    check_text,
    check_texts,
    check_trace,
    check_ttl,
)
from ._settings_together import check_together
from .circuit_breaker import CircuitBreaker, check_circuit_breaker
from .errors import ConfigurationError, InvalidParameter
from .events import TelemetryEvent, check_on_event
from .heartbeat import Heartbeat, check_heartbeat
from .retries import RetryPolicy, check_retry

#: What may be given as an adapter; `None` is the showcase.
Adapter: TypeAlias = str | pathlib.Path | type | ModuleType | Callable[..., Any] | Sequence[Callable[..., Any]] | None

_MAX_PORT = 65535

#: What other libraries call these things.
_BY_OTHER_NAMES = {
    **dict.fromkeys(("max_workers", "workers", "num_workers", "processes", "n_jobs", "concurrency"), "the number of workers is size="),
    "timeout": "each call has its own: pool.execute(..., timeout=5)",
    **dict.fromkeys(("threads", "num_threads", "n_threads"), "calls at once in one worker are threads_per_worker=, with profile='thread'"),
    "initializer": "give the adapter a method initialize()",
    **dict.fromkeys(("port", "grpc_port"), "the first port to try is base_port="),
}
#: How a session sticks to its worker: prefers it; waits for it; refuses at once when it is busy.
AFFINITIES = ("hint", "strict_queue", "strict_fail_fast")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_PROTOCOLS = ("grpc", "msgpack", "json")
_OUTPUTS = ("auto", "stderr", "log", "discard")


class PoolSettings(TypedDict, total=False):
    """The keyword arguments of `Pool` and `AsyncPool`; times in seconds.

    size: workers; by default the usable CPUs, container limits counted.
    launcher: "spawn": each worker is a fresh interpreter. "template": workers are forked from one that has imported the adapter.
    spares: ready workers beyond `size`, of which one takes the place of a worker that is lost, at once.
    protocol: "grpc", "msgpack", "json"; a list of them, best first; "auto": the best there is. "bridge": command starts Snakepit's server.
    python: interpreter of the workers, a path, a name on PATH, or a virtual environment's directory; by default this one.
    command: starts a worker that serves on its stdin and stdout, such as ["ssh", "gpu-1", "python3", "-m", "snakepit_bridge", "--stdio"].
    env: environment variables of the workers, beside the host's own.
    cwd: working directory of the workers.
    profile: "process": tools on the worker's main thread. "thread": several at once on threads of one worker.
    threads_per_worker: calls at once in one worker; more than 1 needs profile="thread".
    base_port: TCP on loopback, from this port on; 0 takes any free one. By default a private unix socket.
    port_range: how many ports above base_port may be tried.
    start_timeout: until a worker is ready. connection_timeout: until its channel stands.
    stream_timeout: deadline of `stream` calls that give none.
    queue_size: calls that may wait. queue_timeout: how long one may; None: until its deadline.
    max_concurrent_streams: streams that may run at once; None: as many as there are workers.
    cancel_timeout: how long a cancelled call may take to end before its worker is killed.
    hang_timeout: how long a tool on the main thread may run no line of Python, and give no sign; then it is cancelled. None: for ever.
    heartbeat: a `Heartbeat`, its fields as a dict, or False: how it is noticed that a worker no longer answers.
    close_timeout: how long workers may clean up when the pool closes.
    max_calls, max_age, max_memory: how many calls, seconds and bytes a worker may serve, live and hold before another takes its place.
    memory_limit: a worker that holds more bytes than this is killed, whatever it runs.
    max_restarts: useless starts within `restart_window` before a slot is quarantined, or a pool of which no worker serves gives up.
    retry: a `RetryPolicy`, its fields as a dict, or False: which calls run once more when they fail.
    circuit_breaker: a `CircuitBreaker`, its fields as a dict, or True: refuse calls of tools that keep failing; None: do not.
    window_chunks, window_bytes: how far a stream may run ahead of its consumer.
    binary_threshold: from so many bytes on, arrays, frames, bytes and lists of floats travel beside their call or result.
    allow_pickle: give arguments as pickles to tools that say so, each for its own parameters; tools then run what callers give.
    pipelining: short calls are sent ahead to workers that are busy with short ones; see `docs/design/pipelining.md`.
    strict_serialization: a result or chunk that holds what cannot travel is an error; else a marker that names its type stands there.
    max_payload: how many bytes a call's arguments, a result or a chunk may have, encoded; larger ones raise `PayloadTooLarge`.
    shared_memory_limit: how much memory a worker and the host may share for that, in either direction (bytes); 0: none.
    worker_output: "auto", "stderr", "log", "discard", or a function (worker_id, stream, line).
    on_event: called with each `TelemetryEvent` that a tool emits; None: none is sent.
    affinity: how sessions stick to their worker: "hint", "strict_queue" or "strict_fail_fast".
    session_store: where sessions are kept: None (memory), "sqlite:///path", "redis://host:port/db", or a `SessionStore`.
    session_ttl: lifetime of a session without calls. max_sessions, max_programs_per_session: quotas.
    host_tool_threads: how many sync host tools may run at once. max_call_depth: how deep tools and host tools may call each other.
    instance_name, instance_token: tell pools on one machine apart: leftovers of dead ones of the same name and token are ended.
    log_level: of the library, on both sides, such as "DEBUG"; None: `SNAKEPIT_LOG_LEVEL`, else as logging is set up.
    trace_frames: calls whose frames are logged (`snakepit.frames`): "*", a call's number or correlation id; None: `SNAKEPIT_TRACE_FRAMES`.
    secret_names, secret_patterns: further names (of keys) and regular expressions of what is never shown.
    """

    size: int | None
    launcher: Literal["spawn", "template"]
    spares: int
    protocol: str | Sequence[str]
    python: str | os.PathLike[str] | None
    command: Sequence[str] | None
    env: Mapping[str, str] | None
    cwd: str | os.PathLike[str] | None
    profile: Literal["process", "thread"]
    threads_per_worker: int
    base_port: int | None
    port_range: int
    start_timeout: float
    connection_timeout: float
    stream_timeout: float | None
    queue_size: int
    queue_timeout: float | None
    max_concurrent_streams: int | None
    cancel_timeout: float
    hang_timeout: float | None
    heartbeat: Heartbeat | Mapping[str, Any] | bool | None
    close_timeout: float
    max_calls: int | None
    max_age: float | None
    max_memory: int | None
    memory_limit: int | None
    max_restarts: int
    restart_window: float
    retry: RetryPolicy | Mapping[str, Any] | bool | None
    circuit_breaker: CircuitBreaker | Mapping[str, Any] | bool | None
    window_chunks: int
    window_bytes: int
    binary_threshold: int
    pipelining: bool
    strict_serialization: bool
    max_payload: int
    allow_pickle: bool
    shared_memory_limit: int
    worker_output: Literal["auto", "stderr", "log", "discard"] | Callable[[str, str, str], None]
    on_event: Callable[[TelemetryEvent], Any] | None
    affinity: Literal["hint", "strict_queue", "strict_fail_fast"]
    session_store: Any
    session_ttl: float
    max_sessions: int
    max_programs_per_session: int
    host_tool_threads: int
    max_call_depth: int
    instance_name: str
    instance_token: str
    log_level: str | int | None
    trace_frames: str | Sequence[str] | None
    secret_names: Sequence[str]
    secret_patterns: Sequence[str | re.Pattern[str]]


@dataclasses.dataclass(frozen=True, slots=True)
class PoolConfig:
    """A pool's settings, checked. `PoolSettings` says what each means."""

    size: int
    launcher: str = "spawn"
    spares: int = 0
    protocol: str | tuple[str, ...] = "auto"
    python: str | None = None
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cwd: str | None = None
    profile: str = "process"
    threads_per_worker: int = 1
    base_port: int | None = None
    port_range: int = 100
    start_timeout: float = 30.0
    connection_timeout: float = 10.0
    stream_timeout: float | None = 300.0
    queue_size: int = 10_000
    queue_timeout: float | None = None
    max_concurrent_streams: int | None = None
    cancel_timeout: float = 2.0
    hang_timeout: float | None = None
    heartbeat: Heartbeat = dataclasses.field(default_factory=Heartbeat)
    close_timeout: float = 5.0
    max_calls: int | None = None
    max_age: float | None = None
    max_memory: int | None = None
    memory_limit: int | None = None
    max_restarts: int = 5
    restart_window: float = 60.0
    retry: RetryPolicy = dataclasses.field(default_factory=RetryPolicy)
    circuit_breaker: CircuitBreaker | None = None
    window_chunks: int = 1024
    window_bytes: int = 4 * 1024 * 1024
    binary_threshold: int = BINARY_THRESHOLD
    pipelining: bool = True
    strict_serialization: bool = False
    max_payload: int = MAX_PAYLOAD
    allow_pickle: bool = False
    shared_memory_limit: int = 1024 * 1024 * 1024
    worker_output: Any = "auto"
    on_event: Callable[[TelemetryEvent], Any] | None = None
    affinity: str = "hint"
    session_store: Any = dataclasses.field(default=None, repr=False)  # its url may hold a password
    session_ttl: float = 3600.0
    max_sessions: int = 10_000
    max_programs_per_session: int = 1_000
    host_tool_threads: int = 16
    max_call_depth: int = 8
    instance_name: str = ""
    instance_token: str = dataclasses.field(default="", repr=False)
    log_level: str | int | None = None
    trace_frames: tuple[str, ...] | None = None
    secret_names: tuple[str, ...] = ()
    secret_patterns: tuple[str, ...] = ()


def pool_config(settings: Mapping[str, Any]) -> PoolConfig:
    """Check a pool's settings.

    Raises:
        ConfigurationError: an unknown name, a wrong type, or a value out of range; the message names the field.
    """
    check_names(settings, PoolSettings.__annotations__, "setting")
    given = dict(settings)
    if given.get("size") is None:
        given["size"] = usable_cpus()
    if given.get("env") is None:
        given.pop("env", None)
    for name, check in _CHECKS.items():
        if name in given:
            given[name] = check(name, given[name])
    check_together(given)
    return PoolConfig(**given)


def check_names(given: Mapping[str, Any], known: Mapping[str, Any], what: str) -> None:
    """Refuse names that nobody knows, with near ones.

    Raises:
        ConfigurationError: a name is not in `known`.
    """
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), list(known), n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "known: " + ", ".join(sorted(known))
            hint = _BY_OTHER_NAMES.get(str(name), hint)
            raise ConfigurationError(f"no {what} is named {name!r}", hint=hint, field=name)


def check_timeout(
    name: str, value: Any, *, optional: bool = True, error: type[ConfigurationError | InvalidParameter] = ConfigurationError
) -> float | None:
    """A time in seconds above 0, or None where that means "no bound".

    Raises:
        ConfigurationError: not a number, not above 0, or not finite (or `error`, where it is a call's argument).
    """
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= sys.float_info.max:
        allowed = "a number of seconds above 0" + (", or None for no bound" if optional else "")
        raise error(f"{name} is {value!r}; allowed is {allowed}", field=name, value=value)
    return float(value)


def _seconds(name: str, value: Any) -> float | None:
    return check_timeout(name, value, optional=False)


def _whole(low: int, high: int | None = None, *, optional: bool = False, unit: str = "") -> Callable[[str, Any], int | None]:
    def check(name: str, value: Any) -> int | None:
        if value is None and optional:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            bounds = f"from {low} to {high}" if high is not None else f"of at least {low}"
            allowed = f"a whole number{f' of {unit}' if unit else ''} {bounds}{' or None' if optional else ''}"
            hint = "200 MiB are 200 * 1024**2" if unit == "bytes" and isinstance(value, str) else ""
            raise ConfigurationError(f"{name} is {value!r}; allowed is {allowed}", hint=hint, field=name, value=value)
        return value

    return check


def _one_of(*allowed: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in allowed:
            raise ConfigurationError(f"{name} is {value!r}; allowed is one of {', '.join(allowed)}", field=name, value=value)
        return str(value)

    return check


def check_affinity(name: str, value: Any, error: type[ConfigurationError | InvalidParameter] = ConfigurationError) -> str:
    """How a session sticks to its worker.

    Raises:
        ConfigurationError: it is none of the three ways (or `error`, where it is a call's argument).
    """
    if value not in AFFINITIES:
        raise error(f"{name} is {value!r}; allowed is one of {', '.join(AFFINITIES)}", field=name, value=value)
    return str(value)


def check_log_level(name: str, value: Any) -> int | None:
    """A level of logging, by name or as a number; None for none.

    Raises:
        ConfigurationError: there is no such level.
    """
    if value is None or value == "":
        return None
    text = value.strip().upper() if isinstance(value, str) else ""
    level = int(text) if text.isdecimal() else logging.getLevelNamesMapping().get(text) if text else value
    if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= logging.CRITICAL:
        allowed = f"one of {', '.join(_LEVELS)}, or a number up to {logging.CRITICAL}"
        raise ConfigurationError(f"{name} is {value!r}; allowed is {allowed}", hint="DEBUG tells of every call", field=name)
    return level


def _output(name: str, value: Any) -> Any:
    if not callable(value) and value not in _OUTPUTS:
        allowed = ", ".join(_OUTPUTS)
        raise ConfigurationError(f"{name} is {value!r}; allowed is one of {allowed}, or a function (worker_id, stream, line)", field=name)
    return value


def _protocol(name: str, value: Any) -> str | tuple[str, ...]:
    if value in _PROTOCOLS or value in ("auto", "bridge"):
        return str(value)
    chain = tuple(value) if isinstance(value, (list, tuple)) else ()
    if not chain or len(set(map(str, chain))) < len(chain) or not all(item in _PROTOCOLS for item in chain):
        allowed = f"one of auto, {', '.join(_PROTOCOLS)}, bridge, or a list of different ones but auto and bridge, best first"
        raise ConfigurationError(f"{name} is {value!r}; allowed is {allowed}", field=name, value=value)
    return chain


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "size": _whole(1, 10_000),
    "launcher": _one_of("spawn", "template"),
    "spares": _whole(0, 1_000),
    "protocol": _protocol,
    "python": check_interpreter,
    "command": check_command,
    "env": check_environment,
    "cwd": check_directory,
    "profile": _one_of("process", "thread"),
    "threads_per_worker": _whole(1, 1_000),
    "base_port": _whole(0, _MAX_PORT, optional=True),
    "port_range": _whole(0, _MAX_PORT),
    "start_timeout": _seconds,
    "connection_timeout": _seconds,
    "stream_timeout": check_timeout,
    "queue_size": _whole(0),
    "queue_timeout": check_timeout,
    "max_concurrent_streams": _whole(1, optional=True),
    "cancel_timeout": _seconds,
    "hang_timeout": check_timeout,
    "heartbeat": check_heartbeat,
    "close_timeout": _seconds,
    "max_calls": _whole(1, optional=True),
    "max_age": check_timeout,
    "max_memory": _whole(1024 * 1024, optional=True, unit="bytes"),
    "memory_limit": _whole(1024 * 1024, optional=True, unit="bytes"),
    "max_restarts": _whole(0),
    "restart_window": _seconds,
    "retry": check_retry,
    "circuit_breaker": check_circuit_breaker,
    "window_chunks": _whole(1),
    "window_bytes": _whole(1),
    "binary_threshold": _whole(MANY_BYTES, unit="bytes"),
    **dict.fromkeys(("pipelining", "strict_serialization"), check_flag),
    "max_payload": _whole(MIN_PAYLOAD, unit="bytes"),
    "allow_pickle": check_flag,
    "shared_memory_limit": _whole(0, unit="bytes"),
    "worker_output": _output,
    "on_event": check_on_event,
    "affinity": check_affinity,
    "session_store": check_store,
    "session_ttl": check_ttl,
    "max_sessions": _whole(1),
    "max_programs_per_session": _whole(0),
    "host_tool_threads": _whole(1, 1_000),
    "max_call_depth": _whole(1, 100),
    "instance_name": check_instance_name,
    "instance_token": check_text,
    "log_level": check_log_level,
    "trace_frames": check_trace,
    "secret_names": check_texts,
    "secret_patterns": check_patterns,
}
