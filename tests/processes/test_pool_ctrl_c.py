"""Ctrl-C: SIGINT to a script while it waits for a call. The call is cancelled in the worker, and the script ends at once."""

from __future__ import annotations

import os
import pathlib
import signal
import textwrap

import pytest

from pool_helpers import Marks, finished, is_alive, script

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

_HEAD = """
import asyncio, sys
import snakepit
folder = sys.argv[1]
"""

_CASES = {
    "execute": """
with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
    print(pool.execute("pid"), flush=True)
    try:
        pool.execute("hold", {"folder": folder}, timeout=None)
    except KeyboardInterrupt:
        print(pool.execute("add", {"a": 1}), flush=True)
        raise
""",
    "stream": """
with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
    print(pool.execute("pid"), flush=True)
    try:
        for chunk in pool.stream("hold_stream", {"folder": folder}, timeout=None):
            pass
    except KeyboardInterrupt:
        print(pool.execute("add", {"a": 1}), flush=True)
        raise
""",
    "stream with chunk_timeout": """
with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
    print(pool.execute("pid"), flush=True)
    try:
        for chunk in pool.stream("hold_stream", {"folder": folder}, chunk_timeout=600):
            pass
    except KeyboardInterrupt:
        print(pool.execute("add", {"a": 1}), flush=True)
        raise
""",
    "future": """
with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
    print(pool.execute("pid"), flush=True)
    pool.submit("hold", {"folder": folder}, timeout=None).result()
""",
    "end of with": """
with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
    print(pool.execute("pid"), flush=True)
    pool.submit("hold", {"folder": folder}, timeout=None)
""",
    "without with": """
pool = snakepit.Pool("pool_tools:PoolTools", size=1)
print(pool.execute("pid"), flush=True)
pool.execute("hold", {"folder": folder}, timeout=None)
""",
    "callback": """
snakepit.configure("pool_tools:PoolTools", size=1)
print(snakepit.execute("pid"), flush=True)
snakepit.execute_stream("hold_stream", {"folder": folder}, lambda chunk: None, timeout=None)
""",
    "async": """
async def main():
    async with snakepit.AsyncPool("pool_tools:PoolTools", size=1) as pool:
        print(await pool.execute("pid"), flush=True)
        await pool.execute("hold", {"folder": folder}, timeout=None)
asyncio.run(main())
""",
    "async for": """
async def main():
    async with snakepit.AsyncPool("pool_tools:PoolTools", size=1) as pool:
        print(await pool.execute("pid"), flush=True)
        async for chunk in pool.stream("hold_stream", {"folder": folder}, timeout=None):
            pass
asyncio.run(main())
""",
}


@pytest.mark.parametrize("case", sorted(_CASES))
def test_ctrl_c(case: str, tmp_path: pathlib.Path) -> None:
    """The tool runs its `finally`, the slot is free again, KeyboardInterrupt ends the script, and no worker is left."""
    marks = Marks(tmp_path)
    host = script(_HEAD + _CASES[case], marks.text)
    pid = int(host.stdout.readline())
    marks.wait("started")
    host.send_signal(signal.SIGINT)
    code, out, err = finished(host)
    assert code == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "left" in marks.said
    assert not is_alive(pid)
    assert out.split() == (["2"] if "add" in _CASES[case] else [])


def test_ctrl_c_in_the_terminal(tmp_path: pathlib.Path) -> None:
    """A terminal sends SIGINT to the whole process group: the workers are not in it, so tools can still clean up."""
    marks = Marks(tmp_path)
    host = script(_HEAD + _CASES["execute"], marks.text)
    pid = int(host.stdout.readline())
    marks.wait("started")
    os.killpg(host.pid, signal.SIGINT)
    code, out, _ = finished(host)
    assert (code, out.split()) == (-signal.SIGINT, ["2"])
    assert "left" in marks.said
    assert not is_alive(pid)


@pytest.mark.parametrize("face", ["sync", "async"])
def test_ctrl_c_while_it_starts(face: str, tmp_path: pathlib.Path) -> None:
    """While the workers get ready: they are ended, the directory is removed, and the script ends at once."""
    marks = Marks(tmp_path)
    body = {
        "sync": "with snakepit.Pool('pool_starts:Never', size=2): pass",
        "async": "async def main():\n    async with snakepit.AsyncPool('pool_starts:Never', size=2): pass\nasyncio.run(main())",
    }[face]
    folder = tmp_path / "tmp"
    folder.mkdir()
    host = script(_HEAD + body, marks.text, POOL_STARTS_FOLDER=marks.text, TMPDIR=str(folder))
    marks.wait("initializing")
    host.send_signal(signal.SIGINT)
    code, _, err = finished(host, timeout=10)
    assert code == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert list(folder.iterdir()) == []


def test_ctrl_c_while_it_closes(tmp_path: pathlib.Path) -> None:
    """A first Ctrl-C while the pool closes lets the workers clean up, a second one ends them; nothing is left either way."""
    marks = Marks(tmp_path)
    text = """
    import pathlib, signal
    counts = iter(range(1, 9))
    def interrupt(*_):
        pathlib.Path(folder, f"interrupt-{next(counts)}").touch()
        raise KeyboardInterrupt
    signal.signal(signal.SIGINT, interrupt)
    with snakepit.Pool("pool_starts:Slow", size=1, close_timeout=600.0) as pool:
        print(pool.execute("pid"), flush=True)
    """
    folder = tmp_path / "tmp"
    folder.mkdir()
    variables = {"POOL_STARTS_FOLDER": marks.text, "POOL_STARTS_CLEANUP": "600", "TMPDIR": str(folder)}
    host = script(_HEAD + textwrap.dedent(text), marks.text, **variables)
    pid = int(host.stdout.readline())
    marks.wait("cleaning")
    host.send_signal(signal.SIGINT)
    marks.wait("interrupt-1")
    assert is_alive(pid)
    host.send_signal(signal.SIGINT)
    code, _, err = finished(host, timeout=15)
    assert code == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert not is_alive(pid)
    assert list(folder.iterdir()) == []
