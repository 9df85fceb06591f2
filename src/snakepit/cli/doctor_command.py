"""`snakepit doctor`: would a pool work here, and if not, why, and what mends it?

Looks at the machine and at each interpreter; with an adapter, or behind a command, it also starts one worker, which runs no
tool. Called by `app`.
"""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Sequence
from typing import Any

from snakepit._channel.negotiate import chain_of
from snakepit.config import pool_config
from snakepit.errors import ConfigurationError, PoolStartFailed, SnakepitError

from .command import Command
from .endings import DONE, FAILED, hint_of, worker_traceback
from .examination import examine_machine, examine_workers
from .findings import Findings, Problem, Workers, document, report
from .lines import json_line

#: How long a worker may take to be ready (seconds): the showcase behind a command, of which nothing may ever come; and tools of the
#: user's, which load as long as a pool gives them by default.
_SHOWCASE_SECONDS = 15.0
_TOOLS_SECONDS = 30.0


class DoctorCommand(Command):
    """One examination.

    Args:
        adapter: whose worker is started; None: none is, but behind a command, where it is the showcase's.
        pythons: interpreters of workers; none: the host's own.
        protocols: as the pool's `protocol`, each item one or several with commas between them; none: "auto".
        command: starts a worker on its stdin and stdout; empty: none.
    """

    def __init__(self, adapter: str | None, pythons: Sequence[str], protocols: Sequence[str], command: str, as_json: bool) -> None:
        super().__init__(adapter, 1, as_json)
        self._pythons = tuple(dict.fromkeys(pythons))
        self._protocol = _setting(protocols)
        self._command = command
        self._works = True

    def work(self) -> None:
        """Examine, start what is to be started, print."""
        command = self._command_words()
        findings = examine_machine()
        if not findings.problems:
            wanted = self._pythons or (() if command else ("",))
            workers = [self._started(examine_workers(python, self._protocol, findings)) for python in wanted]
            workers += [self._tried(Workers(self._command), command=command)] if command else []
            findings = dataclasses.replace(findings, workers=tuple(workers))
        self._tell(findings)

    def _attempt(self) -> tuple[str, int]:
        told, code = super()._attempt()
        return told, FAILED if code == DONE and not self._works else code

    def _command_words(self) -> list[str]:
        """The command as a pool takes it.

        Raises:
            ConfigurationError: it, or the protocol, is not what a pool takes.
        """
        pool_config({"protocol": self._protocol})
        try:
            words = shlex.split(self._command)
        except ValueError as error:
            raise ConfigurationError(f"--command: got {self._command!r}, allowed is what a shell would take: {error}") from error
        if words:
            pool_config({"protocol": self._protocol, "command": words})
        return words

    def _started(self, workers: Workers) -> Workers:
        """With what the start of one of them has shown, if there is an adapter and nothing speaks against it."""
        if self.adapter is None or workers.problems:
            return workers
        return self._tried(workers, python=workers.python.executable if workers.python is not None else None)

    def _tried(self, workers: Workers, **how: Any) -> Workers:
        began, limit = time.monotonic(), _SHOWCASE_SECONDS if self.adapter is None else _TOOLS_SECONDS
        try:
            with self.pool(protocol=self._protocol, max_restarts=0, start_timeout=limit, **how) as pool:
                seconds = time.monotonic() - began
                tools = tuple(sorted(tool.name for tool in pool.tool_specs()))
                stats = pool.stats()
        except SnakepitError as error:
            problem = Problem(error.message, hint_of(error), traceback=worker_traceback(error))
            if isinstance(error, PoolStartFailed) and time.monotonic() - began >= limit:
                problem = self._waited(error, "command" in how)
            return dataclasses.replace(workers, problems=(problem,))
        reasons = zip(chain_of(self._protocol), stats.protocol_reasons, strict=False)  # those at the chain's beginning have one each
        passed_over = workers.passed_over or tuple(Problem(reason, protocol=protocol) for protocol, reason in reasons)
        return dataclasses.replace(workers, protocol=stats.protocol, passed_over=passed_over, tools=tools, seconds=seconds)

    def _waited(self, error: SnakepitError, behind_command: bool) -> Problem:
        """Nothing came in time: what has been waited for."""
        if behind_command:
            told = f"{error.message}; the command was started, and the report that a worker writes to its stdout was waited for"
            return Problem(told, "run the command by hand: does it log in without a question, and does it start snakepit_bridge --stdio?")
        return Problem(f"{error.message}; the worker was started, and the import of {self.adapter} was waited for", hint_of(error))

    def _tell(self, findings: Findings) -> None:
        self._works = findings.works
        if self.as_json:
            self.output.line(json_line(document(findings)))
            return
        for line in report(findings):
            self.told += f"{line}\n"
            self.output.line(line)


def _setting(protocols: Sequence[str]) -> str | tuple[str, ...]:
    """What was written behind `--protocol` as a pool takes it."""
    chain = tuple(word.strip() for item in protocols for word in item.split(","))
    return chain if len(chain) > 1 else "".join(chain) or "auto"
