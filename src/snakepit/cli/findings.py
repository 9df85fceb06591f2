"""What `snakepit doctor` has found, as lines for people and as one document for programs.

Pure. `examination` makes these values, `doctor_command` prints them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_WIDTH = 15

#: What carries a channel or its frames: the names of the distributions.
_MESSAGEPACK = ("msgspec", "msgpack")


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong or missing; and its cure, if one is known.

    Attributes:
        protocol: the one that is passed over for it; empty: no pool would start.
        traceback: the worker's, where its start raised.
    """

    message: str
    cure: str = ""
    protocol: str = ""
    traceback: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing about the machine or its surroundings.

    Attributes:
        text: how it is. cure: what mends it; empty: nothing has to be mended.
        serious: no pool would start, or none would work.
    """

    name: str
    text: str
    cure: str = ""
    serious: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Python:
    """One interpreter and the libraries that it can import, with their versions; and those that do not import, with the error.

    Attributes:
        pip: has it got what installs more?
    """

    executable: str
    version: str
    libraries: Mapping[str, str]
    broken: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pip: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Workers:
    """Workers of one interpreter, or behind one command.

    Attributes:
        wanted: what was asked for; empty: workers of the host's own interpreter.
        python: that interpreter; None: it is the host's, or not known.
        protocol: the one that a pool would use; empty: none, or not known.
        passed_over: why not a better one. problems: why not at all.
        tools: what a worker offered that was started; None: none was. seconds: until it was ready.
    """

    wanted: str
    python: Python | None = None
    protocol: str = ""
    passed_over: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    tools: tuple[str, ...] | None = None
    seconds: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """The whole examination.

    Attributes:
        platform: its name, and what that means here.
        directory: where a pool would put its sockets; empty: nowhere, for which `no_directory` has the reason.
        problems: of the machine; those of workers stand with them.
        checks: limits, permissions and the like. settings: of a pool that is told nothing, each with name, value and source.
    """

    platform: str
    cpus: int
    directory: str
    host: Python
    workers: tuple[Workers, ...] = ()
    problems: tuple[Problem, ...] = ()
    no_directory: str = ""
    checks: tuple[Check, ...] = ()
    settings: tuple[Mapping[str, Any], ...] = ()

    @property
    def works(self) -> bool:
        """Would a pool start, with each of these workers?"""
        sound = not self.problems and not any(check.serious for check in self.checks)
        return sound and not any(workers.problems for workers in self.workers)


def report(findings: Findings) -> list[str]:
    """The findings, one screen of lines."""
    count = f"{findings.cpus} worker{'s' if findings.cpus > 1 else ''}"
    lines = [
        _line("platform", findings.platform),
        _line("cpus", f"{findings.cpus} usable: {count} by default"),
        _line("run directory", f"{findings.directory}: unix sockets fit" if findings.directory else f"none: {findings.no_directory}"),
        *_check_lines(findings.checks),
        _line("host", python_text(findings.host)),
    ]
    lines += _problem_lines(findings.problems)
    for workers in findings.workers:
        lines += _workers_lines(workers)
    return [*lines, "a pool would start" if findings.works else "a pool would not start"]


def document(findings: Findings) -> dict[str, Any]:
    """The findings as plain data; `works` says what the exit code says."""
    return {"works": findings.works, **dataclasses.asdict(findings)}


def python_text(python: Python) -> str:
    """Path, version and libraries of an interpreter, in one line."""
    had = python.libraries
    words = [f"{name} {version}".rstrip() for name, version in had.items()]
    words += [f"{name} that does not import" for name in python.broken]
    missing = [] if "grpcio" in had or "grpcio" in python.broken else ["grpcio"]
    missing += [] if any(name in had or name in python.broken for name in _MESSAGEPACK) else ["MessagePack library"]
    return f"{python.executable}: " + ", ".join([f"CPython {python.version}", *words, *(f"no {name}" for name in missing)])


def _workers_lines(workers: Workers) -> Iterator[str]:
    about = workers.wanted or "the same Python"
    yield _line("workers", python_text(workers.python) if workers.python is not None else about)
    if workers.protocol:
        yield _line("  protocol", workers.protocol)
    yield from _problem_lines(workers.passed_over)
    yield from _problem_lines(workers.problems)
    if workers.tools is not None:
        yield _line("  started", f"ready after {workers.seconds:.2f} s, tools: {', '.join(workers.tools)}")


def _check_lines(checks: Iterable[Check]) -> Iterator[str]:
    for check in checks:
        yield _line(check.name, check.text)
        if check.cure:
            yield _line("  cure", check.cure)


def _problem_lines(problems: Iterable[Problem]) -> Iterator[str]:
    for problem in problems:
        yield _line(f"  not {problem.protocol}" if problem.protocol else "  problem", problem.message)
        if problem.cure:
            yield _line("    cure", problem.cure)
        yield from problem.traceback.splitlines()


def _line(label: str, text: str) -> str:
    return f"{label.ljust(_WIDTH)}{text}"
