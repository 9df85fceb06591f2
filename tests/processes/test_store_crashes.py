"""A host that is killed while it writes: what it had been told is done is there, and nothing is half there."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest

import snakepit
from snakepit._sessions.records import Limits
from store_servers import redis_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

LIMITS = Limits(10**6, 10)
#: Sessions that are there before; steps that the host has done at least when it is killed.
BEFORE, STEPS = 1_500, 300

#: What the host does with each number, which it tells when the store has answered.
WRITES = {
    "open": 'store.open(f"new {n}", ttl=600.0, metadata={"n": n, "pad": "x" * 500}); store.put_program(f"new {n}", "p", n)',
    "update": 'store.update("0", lambda metadata: {"n": n, "pad": [n] * 200})',
    "delete": "store.delete(str(n))",
    "touch": "now[0] = 1_000_000.0 + n / 100; store.touch([str(item) for item in range(100)])",
}


def _store(target: str, clock: Any) -> Any:
    if target.startswith("unix:"):
        return snakepit.RedisSessionStore(target, LIMITS, clock)
    return snakepit.SQLiteSessionStore(target, LIMITS, clock)


def _killed_host(target: str, write: str) -> int:
    """Run a host that writes as fast as it can and kill it; the last number that it has told."""
    text = f"""
        import test_store_crashes as tests
        BEFORE, now = tests.BEFORE, [1_000_000.0]
        store = tests._store({target!r}, lambda: now[0])
        for n in range(BEFORE if {write!r} == "delete" else 10**6):
            {WRITES[write]}
            print(n, flush=True)
    """
    paths = [str(pathlib.Path(snakepit.__file__).parent.parent), str(pathlib.Path(__file__).parent)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], env=env, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(STEPS)]
        child.send_signal(signal.SIGKILL)
        told += [int(line) for line in child.stdout if line.endswith("\n") and line.strip()]
    assert told == list(range(len(told)))
    return told[-1]


def _fill(store: Any) -> None:
    for number in range(BEFORE):
        store.open(str(number), ttl=600.0, metadata={"n": number})
        if number % 5 == 0:
            store.put_program(str(number), "p", number)


def _check_open(store: Any, last: int) -> None:
    for number in range(last + 1):
        found = store.get(f"new {number}")
        assert found is not None, f"session {number} of {last} is lost"
        assert found.metadata["n"] == number
        assert store.get_program(f"new {number}", "p") == number
    assert store.count() - BEFORE in (last + 1, last + 2)


def _check_update(store: Any, last: int) -> None:
    metadata = store.get("0").metadata
    assert metadata["n"] in (last, last + 1)
    assert metadata["pad"] == [metadata["n"]] * 200


def _check_delete(store: Any, last: int) -> None:
    there = {info.id: info for info in store.sessions()}
    assert not any(str(number) in there for number in range(last + 1)), "an ended session is back"
    for number in range(last + 2, BEFORE):
        assert there[str(number)].programs == (number % 5 == 0)
    assert store.count() == len(there)
    for number in range(0, last + 1, 5):
        store.open(str(number), ttl=600.0, metadata=None)
        assert store.programs(str(number)) == (), "a program outlived its session"


def _check_touch(store: Any, last: int) -> None:
    used = {store.get(str(number)).last_used for number in range(100)}
    assert len(used) == 1, "some were touched, and others of the same step were not"
    assert used.pop() in (1_000_000.0 + last / 100, 1_000_000.0 + (last + 1) / 100)
    assert all(info.expires == info.last_used + 600 for info in store.sessions())


CHECKS = {"open": _check_open, "update": _check_update, "delete": _check_delete, "touch": _check_touch}


@pytest.mark.parametrize("write", list(WRITES))
def test_a_killed_host_loses_nothing_in_a_file(write: str, tmp_path: pathlib.Path) -> None:
    """Each step that was acknowledged is there, the one that was cut off is there whole or not at all."""
    target = str(tmp_path / "killed.db")
    store = _store(target, lambda: 1_000_000.0)
    try:
        _fill(store)
        last = _killed_host(target, write)
        CHECKS[write](store, last)
        (damage,) = store._db.execute("PRAGMA integrity_check").fetchone()
        assert damage == "ok"
    finally:
        store.close()


@pytest.mark.parametrize("write", list(WRITES))
def test_a_killed_host_and_server_lose_nothing(write: str, tmp_path: pathlib.Path) -> None:
    """The same in Redis where each step is written down before it is answered: the server is killed as well, and goes on from its file."""
    with redis_server(tmp_path) as url:
        store = _store(url, lambda: 1_000_000.0)
        _fill(store)
        store.close()
        last = _killed_host(url, write)
    with redis_server(tmp_path) as url:
        store = _store(url, lambda: 1_000_000.0)
        try:
            CHECKS[write](store, last)
        finally:
            store.close()
