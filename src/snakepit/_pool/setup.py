"""From a checked configuration to a supervisor: launcher, protocol, interpreter, adapter references, addresses, the run's secret."""

from __future__ import annotations

import functools
import hashlib
import os
import pathlib
import secrets
import sys
import time
from collections.abc import Callable

from snakepit._channel.negotiate import BRIDGE, INSIDE, Selection, chain_of, select, select_bridge
from snakepit._cpus import usable_cpus
from snakepit._sessions import open_store
from snakepit._sessions.records import Limits
from snakepit._sessions.store import SessionStore
from snakepit._setting_checks import check_trace
from snakepit._workers import descriptors
from snakepit._workers.adapter_reference import resolve
from snakepit._workers.interpreters import ask, hand_over_sdk, this_interpreter
from snakepit._workers.launchers import Launcher, LaunchSpec
from snakepit._workers.launchers.command import CommandLauncher
from snakepit._workers.launchers.spawn import SpawnLauncher
from snakepit._workers.launchers.template import TemplateLauncher
from snakepit._workers.restarts import RestartLimits
from snakepit._workers.run_directory import STATUS_SOCKET, RunDirectory
from snakepit._workers.supervisor import Listener, Supervisor, SupervisorSettings
from snakepit.config import Adapter, PoolConfig
from snakepit.heartbeat import VARIABLE as HEARTBEAT_VARIABLE
from snakepit.telemetry.logs import LEVEL_VARIABLE, apply_log_level, library_logger
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.redaction.handover import handed_over

from .in_thread import in_thread
from .status import PoolFacts, adapter_text
from .status_server import StatusServer

_log = library_logger("snakepit.pool")

#: Says whose frames are logged where no setting does.
TRACE_VARIABLE = "SNAKEPIT_TRACE_FRAMES"
#: How many threads OpenBLAS, MKL, OpenMP, numexpr and Apple's Accelerate may use.
_BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class PoolSetup:
    """What one pool's workers have in common. Made once per pool, removed with it.

    Args:
        inside: starts workers inside this process, and knows the adapter; None: they are processes, as the configuration says.

    Raises:
        ConfigurationError: the adapter cannot be handed to a worker.
    """

    def __init__(self, adapter: Adapter, inside: Launcher | None = None) -> None:
        self._inside = inside
        self._directory = RunDirectory()
        self._secret = secrets.token_hex(32)
        self.run_id = secrets.token_hex(4)
        try:
            self._references: tuple[str, ...] = () if inside is not None else resolve(adapter, lambda: self._directory.path)
        except BaseException:
            self._directory.remove()
            raise

    async def selection(self, config: PoolConfig) -> Selection:
        """The protocol of the pool's channels. Empty where it is chosen when a worker, which a command has started, has reported.

        Raises:
            ProtocolUnavailable, PoolForked: none that is allowed can be used.
            ConfigurationError: the interpreter of the workers is none that they can run on.
        """
        if self._inside is not None:
            return Selection(INSIDE)
        if config.protocol == BRIDGE:
            return select_bridge(this_interpreter())
        if config.command:
            return Selection("")
        here = this_interpreter()
        if config.python in (None, sys.executable):
            return select(config.protocol, here, here)
        asking = functools.partial(ask, config.python, config.env, config.cwd)
        return select(config.protocol, here, await in_thread(asking, "snakepit-ask-python"))

    def supervisor(self, config: PoolConfig, selection: Selection, redactor: Redactor, listener: Listener) -> Supervisor:
        """The supervisor of this pool's workers; it starts nothing yet."""
        settings = SupervisorSettings(
            size=config.size,
            spares=config.spares,
            start_timeout=config.start_timeout,
            connection_timeout=config.connection_timeout,
            close_timeout=config.close_timeout,
            restarts=RestartLimits(max_restarts=config.max_restarts, window=config.restart_window),
            output=config.worker_output,
            redactor=redactor,
            heartbeat=config.heartbeat,
            max_age=config.max_age,
            memory_limit=config.memory_limit,
            loads_grpc=selection.protocol == "grpc",
            trace=_traced(config),
        )
        level = apply_log_level(config.log_level)
        env = {**_thread_limits(config), **config.env, **handed_over(config.secret_names, config.secret_patterns)}
        env[HEARTBEAT_VARIABLE] = config.heartbeat.as_json()
        if level is not None:
            env[LEVEL_VARIABLE] = str(level)
        python = config.python or sys.executable

        def spec_for(worker_id: str) -> LaunchSpec:
            listens = selection.protocol == "grpc"
            return LaunchSpec(
                worker_id=worker_id,
                python=python,
                protocols=chain_of(config.protocol) if selection.protocol in ("", INSIDE) else (selection.protocol,),
                adapter=self._references,
                listen=(_address(config) or self._directory.socket(worker_id)) if listens else "",
                secret=self._secret,
                env=env,
                cwd=config.cwd,
                threads=config.threads_per_worker if config.profile == "thread" else 0,
                sdk="" if python == sys.executable or config.command else hand_over_sdk(self._directory.path),
                run_directory=self._directory.made,
                command=config.command,
                silence=config.heartbeat.longest_silence,
                shared_memory=0 if config.command or self._inside is not None else config.shared_memory_limit,
                binary_threshold=config.binary_threshold,
                strict=config.strict_serialization,
                ahead=self._inside is None and _pipelined(config),
                max_payload=config.max_payload,
                title=f"{config.instance_name or self.run_id}/{worker_id}",
            )

        if self._inside is None:
            descriptors.warn_if_few(config.size + config.spares)
        run = _run_name(config)
        return Supervisor(settings, self._inside or self._launcher(config, run), spec_for, listener)

    def _launcher(self, config: PoolConfig, run: str) -> Launcher:
        if config.protocol == BRIDGE:
            from snakepit._workers.launchers.bridge import BridgeLauncher  # needs grpc and protobuf, as such a pool does

            return BridgeLauncher(run, lambda: self._directory.path)
        kind = CommandLauncher if config.command else TemplateLauncher if config.launcher == "template" else SpawnLauncher
        return kind(run)

    def facts(self, config: PoolConfig) -> PoolFacts:
        """What is told of the pool to who asks for its status."""
        name = config.instance_name
        return PoolFacts(name, self.run_id, "in memory" if self._inside is not None else adapter_text(self._references), time.time())

    def status_server(self, answer: Callable[[], bytes]) -> StatusServer | None:
        """Answers who asks for the pool's status; None where it cannot: that must not keep a pool from starting."""
        if self._inside is not None:
            return None
        try:
            return StatusServer(str(self._directory.path / STATUS_SOCKET), answer)
        except OSError as error:
            _log.info("`snakepit status` will not show this pool: %s", error)
            return None

    @staticmethod
    async def session_store(config: PoolConfig) -> SessionStore:
        """The pool's session store; where a file or a server has to be reached, the loop goes on meanwhile.

        Raises:
            ConfigurationError, SessionStoreError: there is no such store, or it cannot be opened.
        """
        limits = Limits(config.max_sessions, config.max_programs_per_session)
        redactor = Redactor(config.secret_names, config.secret_patterns)
        opening = functools.partial(open_store, config.session_store, limits, redactor)
        if not isinstance(config.session_store, (str, pathlib.Path)):
            return opening()
        return await in_thread(opening, "snakepit-open-store", lambda store: store.close())

    def remove(self) -> None:
        """Remove what it put on disk."""
        self._directory.remove()


def _run_name(config: PoolConfig) -> str:
    """The name of runs whose leftovers this one may end; its token is not to be read in the environment of its workers."""
    token = hashlib.sha256(config.instance_token.encode()).hexdigest()[:16] if config.instance_token else ""
    return "-".join(filter(None, ("snakepit", config.instance_name, token)))


def _pipelined(config: PoolConfig) -> bool:
    """May calls be sent ahead? Not to threads, which are many, nor where a worker may serve so many calls and no more."""
    return (
        config.pipelining and config.profile != "thread" and config.max_calls is None and not config.command and config.protocol != BRIDGE
    )


def _traced(config: PoolConfig) -> tuple[str, ...]:
    """The calls whose frames are logged.

    Raises:
        ConfigurationError: the environment says something else than what can be one.
    """
    if config.trace_frames is not None:
        return config.trace_frames
    return check_trace(TRACE_VARIABLE, os.environ.get(TRACE_VARIABLE)) or ()


def _thread_limits(config: PoolConfig) -> dict[str, str]:
    """The workers share the CPUs: without a limit, each would start as many threads for linear algebra as there are CPUs."""
    count = str(max(1, usable_cpus() // config.size))
    return {name: count for name in _BLAS_VARIABLES if name not in os.environ}


def _address(config: PoolConfig) -> str:
    if config.base_port is None:
        return ""
    if config.base_port == 0:
        return "127.0.0.1:0"
    return f"127.0.0.1:{config.base_port}-{min(65535, config.base_port + config.port_range)}"
