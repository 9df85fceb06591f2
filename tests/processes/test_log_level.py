"""`log_level` and `SNAKEPIT_LOG_LEVEL` set both sides; the root logger is never touched; lines carry the call's correlation id."""

from __future__ import annotations

import asyncio
import pathlib
import re
import subprocess
from typing import Any

import pytest

import snakepit
from pool_helpers import finished, script
from worker_faces import adapter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

PRINTING = adapter("printing", "Printing")

PROGRAM = """
    import logging, sys, snakepit
    {before}
    root = logging.getLogger()
    was = root.level, list(root.handlers)
    with snakepit.Pool({adapter!r}, size=1{settings}) as pool:
        pool.execute("say", {{"text": "hello"}})
    assert (root.level, root.handlers) == was, "the root logger was touched"
    print(len(logging.getLogger("snakepit").handlers))
"""


def run(settings: str = "", before: str = "", **variables: str) -> tuple[str, str]:
    """(stdout, stderr) of a program that runs a tool."""
    process: subprocess.Popen[str] = script(PROGRAM.format(adapter=PRINTING, settings=settings, before=before), **variables)
    code, out, err = finished(process)
    assert code == 0, err
    return out, err


@pytest.mark.parametrize(
    ("settings", "variables"),
    [(", log_level='DEBUG'", {}), ("", {"SNAKEPIT_LOG_LEVEL": "debug"}), (", log_level=10", {"SNAKEPIT_LOG_LEVEL": "ERROR"})],
    ids=["setting", "variable", "the setting wins"],
)
def test_both_sides_speak(settings: str, variables: dict[str, str]) -> None:
    """At DEBUG host and worker tell of the call, described and not quoted, with one correlation id."""
    out, err = run(settings, **variables)
    assert out == "1\n"  # one handler, on the library's own logger
    host = re.search(r"DEBUG snakepit\.pool \[(\S+)\] say goes to worker-1: dict\(1 key: text\)", err)
    worker = re.search(r"DEBUG snakepit_bridge \[(\S+)\] call \d+ received: say dict\(1 key: text\)", err)
    assert host is not None, err
    assert worker is not None, err
    assert host.group(1) == worker.group(1)
    assert re.search(r"call \d+ ended: say result int in \d", err)


def test_without_a_level_nothing_is_set_up() -> None:
    """The library stays quiet, and attaches no handler."""
    out, err = run()
    assert out == "0\n"
    assert "DEBUG" not in err


def test_a_program_with_its_own_logging_keeps_it() -> None:
    """Records go to the program's handlers, once, and their format may name the ids."""
    before = "logging.basicConfig(level=logging.WARNING, format='%(name)s <%(correlation_id)s %(worker_id)s> %(message)s')"
    out, err = run(", log_level='DEBUG', worker_output='discard'", before + "; logging.getLogger('asyncio').setLevel(60)")
    assert out == "0\n"
    assert len(re.findall(r"snakepit\.pool <\S+ worker-1> say goes to", err)) == 1


@pytest.mark.parametrize("level", ["LOUD", -1, 51, True, 1.5])
def test_a_bad_level_is_refused(level: object) -> None:
    """With the levels there are."""
    with pytest.raises(snakepit.ConfigurationError, match="log_level is .*; allowed is one of DEBUG, INFO, WARNING, ERROR, CRITICAL"):
        snakepit.Pool(PRINTING, size=1, log_level=level)  # type: ignore[arg-type]


def test_a_bad_level_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """It names the variable; what had been begun by then is undone, a store and the loop's thread among it."""
    monkeypatch.setenv("SNAKEPIT_LOG_LEVEL", "LOUD")
    settings: Any = {"size": 1, "session_store": tmp_path / "sessions.db"}
    with pytest.raises(snakepit.ConfigurationError, match="SNAKEPIT_LOG_LEVEL is 'LOUD'"), snakepit.Pool(PRINTING, **settings):
        pass

    async def use() -> None:
        async with snakepit.AsyncPool(PRINTING, **settings):
            pass

    with pytest.raises(snakepit.ConfigurationError, match="SNAKEPIT_LOG_LEVEL is 'LOUD'"):
        asyncio.run(use())
