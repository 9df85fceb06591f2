"""Starts each worker as a fresh interpreter with its output captured: this one's, or any other's that the pool names."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Callable

import snakepit_bridge

from . import LaunchSpec
from .process import WorkerProcess, guardian_for, started

_SECRET_VARIABLE = "SNAKEPIT_CHANNEL_SECRET"
_PATH_VARIABLE = "SNAKEPIT_HOST_PATH"

#: Finds the SDK where the host has it; after everything else, so that nothing is shadowed.
_BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from snakepit_bridge._runtime.main import main; sys.exit(main(sys.argv[1:]))"
#: Another interpreter takes the host's SDK, not one of its own that may be older; its directory holds nothing else.
_BOOT_ELSEWHERE = (
    "import sys; sdk = sys.argv.pop(1); sys.path.insert(0, sdk); import snakepit_bridge; sys.path.remove(sdk); "
    "from snakepit_bridge._runtime.main import main; sys.exit(main(sys.argv[1:]))"
)


class SpawnLauncher:
    """Starts workers as processes.

    Args:
        run: names the run in the environment of what it starts.
    """

    def __init__(self, run: str) -> None:
        self._guardian = guardian_for(run)

    def start(self, spec: LaunchSpec, on_output: Callable[[str, str, str], None]) -> WorkerProcess:
        """Start one worker; see `Launcher.start`."""
        lifeline, theirs = socket.socketpair()
        channel, inherited = (None, None) if spec.listen else socket.socketpair()
        stacks, reports = socket.socketpair()
        handed = [theirs, reports] if inherited is None else [theirs, reports, inherited]
        return started(
            self._guardian,
            _command(spec, theirs.fileno(), inherited.fileno() if inherited is not None else -1, reports.fileno()),
            on_output,
            env=_environment(spec),
            cwd=spec.cwd,
            run_directory=spec.run_directory,
            descriptors={sock.fileno(): sock for sock in handed},
            lifeline=lifeline,
            channel=None if channel is None else (channel, channel),
            stacks=stacks,
        )

    async def close(self) -> None:
        """End what is left of what it started."""
        if self._guardian is not None:
            await self._guardian.close()


def _command(spec: LaunchSpec, lifeline: int, channel: int, stacks: int) -> list[str]:
    options = [arg for ref in spec.adapter for arg in ("--adapter", ref)]
    options += ["--worker-id", spec.worker_id, "--lifeline-fd", str(lifeline), "--stacks-fd", str(stacks)]
    options += ["--channel-fd", str(channel)] if channel >= 0 else ["--listen", spec.listen]
    options += ["--threads", str(spec.threads)] if spec.threads else []
    options += ["--run-directory", spec.run_directory] if spec.run_directory else []
    title = ["-X", f"snakepit={spec.title}"]  # means nothing to Python, and stands in front where `ps` shows it
    if spec.python == sys.executable:
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
        return [spec.python, *title, *flags, "-c", _BOOT, str(pathlib.Path(snakepit_bridge.__file__).parent.parent), *options]
    return [spec.python, *title, "-c", _BOOT_ELSEWHERE, spec.sdk, *options]


def _environment(spec: LaunchSpec) -> dict[str, str]:
    env = {**os.environ, **spec.env}
    if spec.listen:
        env[_SECRET_VARIABLE] = spec.secret
    if spec.python == sys.executable:
        env[_PATH_VARIABLE] = json.dumps([entry for entry in sys.path if entry])
    return env
