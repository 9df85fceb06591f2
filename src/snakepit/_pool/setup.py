"""From a checked configuration to a supervisor: interpreter, adapter references, addresses, the run's secret.

The seam where another launcher would be chosen.
"""

from __future__ import annotations

import functools
import pathlib
import secrets
import sys

from snakepit._sessions import open_store
from snakepit._sessions.records import Limits
from snakepit._sessions.store import SessionStore
from snakepit._workers.adapter_reference import resolve
from snakepit._workers.launchers import LaunchSpec
from snakepit._workers.launchers.spawn import SpawnLauncher
from snakepit._workers.restarts import RestartLimits
from snakepit._workers.run_directory import RunDirectory
from snakepit._workers.supervisor import Listener, Supervisor, SupervisorSettings
from snakepit.config import Adapter, PoolConfig
from snakepit.telemetry.logs import LEVEL_VARIABLE, apply_log_level
from snakepit_bridge.redaction import Redactor

from .sessions.access import opened


class PoolSetup:
    """What one pool's workers have in common. Made once per pool, removed with it.

    Raises:
        ConfigurationError: the adapter cannot be handed to a worker.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._directory = RunDirectory()
        self._secret = secrets.token_hex(32)
        self.run_id = secrets.token_hex(4)
        try:
            self._references = resolve(adapter, lambda: self._directory.path)
        except BaseException:
            self._directory.remove()
            raise

    def supervisor(self, config: PoolConfig, redactor: Redactor, listener: Listener) -> Supervisor:
        """The supervisor of this pool's workers; it starts nothing yet."""
        settings = SupervisorSettings(
            size=config.size,
            start_timeout=config.start_timeout,
            connection_timeout=config.connection_timeout,
            close_timeout=config.close_timeout,
            restarts=RestartLimits(max_restarts=config.max_restarts, window=config.restart_window),
            output=config.worker_output,
            redactor=redactor,
        )
        level = apply_log_level(config.log_level)
        env = dict(config.env) if level is None else {**config.env, LEVEL_VARIABLE: str(level)}

        def spec_for(worker_id: str) -> LaunchSpec:
            return LaunchSpec(
                worker_id=worker_id,
                python=config.python or sys.executable,
                adapter=self._references,
                listen=_address(config) or self._directory.socket(worker_id),
                secret=self._secret,
                env=env,
                cwd=config.cwd,
                run_directory=self._directory.made,
            )

        return Supervisor(settings, SpawnLauncher(), spec_for, listener)

    @staticmethod
    async def session_store(config: PoolConfig) -> SessionStore:
        """The pool's session store; where a file or a server has to be reached, the loop goes on meanwhile.

        Raises:
            ConfigurationError, SessionStoreError: there is no such store, or it cannot be opened.
        """
        limits = Limits(config.max_sessions, config.max_programs_per_session)
        opening = functools.partial(open_store, config.session_store, limits)
        return await opened(opening) if isinstance(config.session_store, (str, pathlib.Path)) else opening()

    def remove(self) -> None:
        """Remove what it put on disk."""
        self._directory.remove()


def _address(config: PoolConfig) -> str:
    if config.base_port is None:
        return ""
    if config.base_port == 0:
        return "127.0.0.1:0"
    return f"127.0.0.1:{config.base_port}-{min(65535, config.base_port + config.port_range)}"
