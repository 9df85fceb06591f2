"""Looks at a machine and at interpreters as a pool would, and starts nothing but those interpreters, to ask them.

Whatever it decides, the pool's own code decides: `config` about settings, `negotiate` about protocols, `RunDirectory` about
where sockets lie. Called by `doctor_command`; gives `findings`.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Sequence

from snakepit._channel.negotiate import Interpreter, chain_of, select
from snakepit._cpus import usable_cpus
from snakepit._workers.interpreters import ask, libraries, this_interpreter
from snakepit._workers.run_directory import RunDirectory
from snakepit.config import pool_config
from snakepit.errors import SnakepitError
from snakepit_bridge.wire.installed import install_command

from .findings import Findings, Problem, Python, Workers
from .limits import examine_limits
from .surroundings import default_settings, examine_surroundings

_WINDOWS = Problem("a pool needs Linux or macOS", "on Windows, run it under WSL")
#: What a protocol cannot do without: any one of these.
_LIBRARIES = {"grpc": ("grpcio",), "msgpack": ("msgspec", "msgpack")}


def examine_machine() -> Findings:
    """Platform, CPUs, directory and the host's own interpreter; workers are added by whoever asks for them."""
    host = python_of(this_interpreter())
    if sys.platform == "win32":
        return Findings(f"Windows {platform.release()}", usable_cpus(), "", host, problems=(_WINDOWS,))
    directory, error = _run_directory()
    cpus = usable_cpus()
    checks = (*examine_surroundings(), *examine_limits(cpus))
    settings = tuple(default_settings(os.environ))
    return Findings(platform_text(), cpus, directory, host, no_directory=error, checks=checks, settings=settings)


def platform_text() -> str:
    """The operating system, and what its users can count on."""
    name = f"{platform.system()} {platform.release()} on {platform.machine()}"
    if sys.platform == "linux":
        return f"{name}: all that is promised holds"
    return f"{name}: not tested, and what a tool has started may outlive its worker"


def python_of(interpreter: Interpreter) -> Python:
    """An interpreter with its libraries.

    Raises:
        ConfigurationError: it does not answer.
    """
    return Python(interpreter.executable, interpreter.python, *libraries(interpreter.executable), pip=interpreter.pip)


def examine_workers(wanted: str, setting: str | Sequence[str], machine: Findings) -> Workers:
    """Workers of one interpreter.

    Args:
        wanted: a path, a name on PATH or a virtual environment's directory; empty: the host's own interpreter.
        setting: the pool's `protocol`.
        machine: what has been found about it.
    """
    here = this_interpreter()
    try:
        path = pool_config({"python": wanted or None}).python
        own = path in (None, sys.executable)
        there = here if own else ask(str(path), {}, None)
        theirs = machine.host if own else python_of(there)
    except SnakepitError as error:
        return Workers(wanted, problems=(Problem(error.message, error.hint),))
    protocol, passed_over = _negotiated(setting, here, there)
    shown = None if own else theirs
    if not protocol:
        problem = Problem("no protocol that is allowed can be used", "allow another one: protocol='auto' always finds one")
        return Workers(wanted, shown, passed_over=passed_over, problems=(problem,))
    problems = [_broken(protocol, side) for side in ((theirs,) if own else (machine.host, theirs))]
    if machine.no_directory and (protocol == "grpc" or not own):  # for a socket, or for the link to the worker's half
        cure = "set TMPDIR to a directory with a short path that can be written to"
        problems.append(Problem(f"no run directory: {machine.no_directory}", cure))
    return Workers(wanted, shown, protocol, passed_over, tuple(problem for problem in problems if problem is not None))


def _negotiated(setting: str | Sequence[str], here: Interpreter, there: Interpreter) -> tuple[str, tuple[Problem, ...]]:
    """The protocol that a pool would use, or an empty text; and why none of those before it."""
    passed_over: list[Problem] = []
    for protocol in chain_of(setting):
        try:
            return select(protocol, here, there).protocol, tuple(passed_over)
        except SnakepitError as error:
            passed_over.append(Problem(error.message, error.hint, protocol))
    return "", tuple(passed_over)


def _broken(protocol: str, python: Python) -> Problem | None:
    """A library that lies there, so that the protocol is chosen, and does not import, so that it fails."""
    needed = _LIBRARIES.get(protocol, ())
    broken = [name for name in needed if name in python.broken]
    if not broken or any(name in python.libraries for name in needed):
        return None
    name = broken[0]
    command = install_command(python.executable, f"--force-reinstall {name}", has_pip=python.pip)
    cure = f"{command}; or choose another protocol"
    return Problem(f"{name} does not import in {python.executable}: {python.broken[name]}", cure)


def _run_directory() -> tuple[str, str]:
    """Where a pool would put its sockets, tried with the longest name that a worker's has; or an empty text, and what is wrong."""
    directory = RunDirectory()
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(directory.socket("worker-99999").removeprefix("unix:"))
        return str(directory.path.parent), ""
    except OSError as error:
        return "", str(error)
    finally:
        directory.remove()
