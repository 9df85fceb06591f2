"""Starts each worker by a command of the user's, such as `ssh host python3 -m snakepit_bridge --stdio`.

The channel runs over the command's stdin and stdout; what the worker prints comes back on its stderr. The worker ends when its
stdin does: however the command, the line to another machine or this host ends.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from . import LaunchSpec, PlainLauncher
from .process import Handed, WorkerProcess, guardian_for, started


class CommandLauncher(PlainLauncher):
    """Starts workers by a command line.

    Args:
        run: names the run in the environment of what it starts.
    """

    name = "command"

    def __init__(self, run: str) -> None:
        self._guardian = guardian_for(run)

    def start(self, spec: LaunchSpec, on_output: Callable[[str, str, str], None]) -> WorkerProcess:
        """Start one worker; see `Launcher.start`."""
        # Two, not one: else whoever holds its stdin open would hide that its stdout has ended.
        writes, stdin = socket.socketpair()
        reads, stdout = socket.socketpair()
        return started(
            self._guardian,
            command_line(spec),
            on_output,
            Handed({0: stdin, 1: stdout}, channel=(reads, writes)),
            env={**os.environ, **spec.env},
            cwd=spec.cwd,
            run_directory="",
        )

    async def close(self) -> None:
        """End what is left of what it started."""
        if self._guardian is not None:
            await self._guardian.close()


def command_line(spec: LaunchSpec) -> list[str]:
    """The command with what the user left to the pool: the adapter, unless the command names one, its threads, its id."""
    command = list(spec.command)
    if not has_option(command, "--adapter"):
        command += [arg for ref in spec.adapter for arg in ("--adapter", ref)]
    if spec.threads and not has_option(command, "--threads"):
        command += ["--threads", str(spec.threads)]
    if spec.silence and not has_option(command, "--leave-after-silence"):
        command += ["--leave-after-silence", f"{spec.silence:g}"]
    return command if has_option(command, "--worker-id") else [*command, "--worker-id", spec.worker_id]


def has_option(command: list[str], option: str) -> bool:
    """Does it give the option itself, in one word (`--threads=4`) or in two?"""
    return any(word == option or word.startswith(f"{option}=") for word in command)
