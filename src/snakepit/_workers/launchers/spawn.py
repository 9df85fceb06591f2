"""Starts each worker as a fresh interpreter with its output captured: this one's, or any other's that the pool names."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

import snakepit_bridge
from snakepit._workers.guardian import Guardian

from . import LaunchSpec, PlainLauncher
from .process import Handed, WorkerProcess, guardian_for, started

SECRET_VARIABLE = "SNAKEPIT_CHANNEL_SECRET"
_PATH_VARIABLE = "SNAKEPIT_HOST_PATH"

#: The worker's program, with the interpreter's garbage collector off while it is imported: it would look through all that is there a dozen
#: times, which takes a tenth of the start, and find nothing to collect. What is there then is not looked through later either.
_PROGRAM = (
    "collects = gc.isenabled(); gc.disable(); from snakepit_bridge._runtime.main import main; gc.freeze(); "
    "collects and gc.enable(); del collects, gc; sys.exit(main(sys.argv[1:]))"
)
#: Finds the SDK where the host has it; after everything else, so that nothing is shadowed.
_BOOT = "import gc, sys; sys.path.append(sys.argv.pop(1)); " + _PROGRAM
#: Another interpreter takes the host's SDK, not one of its own that may be older; its directory holds nothing else.
_BOOT_ELSEWHERE = (
    "import gc, sys; sdk = sys.argv.pop(1); sys.path.insert(0, sdk); import snakepit_bridge; sys.path.remove(sdk); " + _PROGRAM
)


class SpawnLauncher(PlainLauncher):
    """Starts workers as processes.

    Args:
        run: names the run in the environment of what it starts.
        guardian: another launcher's, which closes it; by default one of its own.
    """

    name = "spawn"

    def __init__(self, run: str, guardian: Guardian | None = None) -> None:
        self._guardian = guardian or guardian_for(run)
        self._owned = guardian is None

    def start(self, spec: LaunchSpec, on_output: Callable[[str, str, str], None]) -> WorkerProcess:
        """Start one worker; see `Launcher.start`."""
        handed, names = handed_to_worker(spec)
        return started(
            self._guardian,
            command_line(spec, [item for name, place in names.items() for item in (f"--{name}-fd", str(place))]),
            on_output,
            handed,
            env=environment(spec),
            cwd=spec.cwd,
            run_directory=spec.run_directory,
        )

    async def close(self) -> None:
        """End what is left of what it started."""
        if self._guardian is not None and self._owned:
            await self._guardian.close()


def handed_to_worker(spec: LaunchSpec) -> tuple[Handed, dict[str, int]]:
    """What a worker of this machine is given; and the place of each thing, which is its descriptor's number here."""
    lifeline, theirs = socket.socketpair()
    stacks, reports = socket.socketpair()
    given = {"lifeline": theirs, "stacks": reports}
    channel = None
    if not spec.listen:
        channel, given["channel"] = socket.socketpair()
    handed = Handed({sock.fileno(): sock for sock in given.values()}, lifeline, None if channel is None else (channel, channel), stacks)
    return handed, {name: sock.fileno() for name, sock in given.items()}


def command_line(spec: LaunchSpec, options: Sequence[str]) -> list[str]:
    """Starts the worker's program, of this interpreter or another one, with further options."""
    arguments = [*worker_options(spec), *options]
    title = ["-X", f"snakepit={spec.title}"]  # means nothing to Python, and stands in front where `ps` shows it
    if spec.python == sys.executable:
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
        return [spec.python, *title, *flags, "-c", _BOOT, str(pathlib.Path(snakepit_bridge.__file__).parent.parent), *arguments]
    return [spec.python, *title, "-c", _BOOT_ELSEWHERE, spec.sdk, *arguments]


def worker_options(spec: LaunchSpec) -> list[str]:
    """What the worker's program is told, but its descriptors."""
    options = [arg for ref in spec.adapter for arg in ("--adapter", ref)]
    options += ["--worker-id", spec.worker_id]
    options += ["--listen", spec.listen] if spec.listen else []
    options += ["--threads", str(spec.threads)] if spec.threads else []
    return options + (["--run-directory", spec.run_directory] if spec.run_directory else [])


def environment(spec: LaunchSpec) -> dict[str, str]:
    """What a worker finds in its environment."""
    env = {**os.environ, **spec.env}
    if spec.listen:
        env[SECRET_VARIABLE] = spec.secret
    if spec.python == sys.executable:
        env[_PATH_VARIABLE] = json.dumps([entry for entry in sys.path if entry])
    return env
