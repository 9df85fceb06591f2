"""The fixture `leaves_nothing` sees each kind of thing that a test can leave behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading

import pytest

from leftovers import Leftovers, watched

_WAIT = [sys.executable, "-c", "import sys; print('here', flush=True); sys.stdin.read()"]
# Starts a process that outlives it, in a session of its own.
_LEAVE = "import subprocess; subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL, start_new_session=True)"


def test_clean_test_passes(leaves_nothing: Leftovers) -> None:
    """A test that ends what it began passes, and has a temporary directory of its own."""
    with tempfile.TemporaryFile(), tempfile.TemporaryDirectory() as folder:
        assert leaves_nothing.found()
        assert folder.startswith(os.environ["TMPDIR"])


def test_child_process_is_seen() -> None:
    """A child that still runs is left behind, and does not survive the finding."""
    child = None
    with pytest.raises(AssertionError, match="process: .*sys.stdin.read"), watched(0):
        child = subprocess.Popen(_WAIT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child.stdout.readline()
    child.communicate()
    assert child.returncode < 0


def test_orphan_is_seen() -> None:
    """A grandchild whose parent is gone is left behind, whoever adopted it."""
    with pytest.raises(AssertionError, match="process: .* sleep 60"), watched(0):
        subprocess.run([sys.executable, "-W", "ignore", "-c", _LEAVE], check=True)


def test_zombie_is_seen() -> None:
    """A child that ended and was never waited for is left behind."""
    child = None
    with pytest.raises(AssertionError, match="process: .* zombie"), watched(0):
        child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
        child.stdout.read()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.communicate()


def test_thread_is_seen() -> None:
    """A thread that still runs is left behind."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="loiterer")
    with pytest.raises(AssertionError, match="thread: .*loiterer"), watched(0):
        thread.start()
    release.set()
    thread.join()


def test_descriptor_is_seen() -> None:
    """An open descriptor is left behind."""
    with pytest.raises(AssertionError, match="descriptor: .*pipe"), watched(0):
        ends = os.pipe()
    for end in ends:
        os.close(end)


def test_file_is_seen() -> None:
    """A file in the temporary directory is left behind."""
    with pytest.raises(AssertionError, match="file: .*forgotten"), watched(0):
        tempfile.mkdtemp(prefix="forgotten")


async def test_task_is_seen() -> None:
    """An asyncio task that has not ended is left behind."""
    task = None
    with pytest.raises(AssertionError, match="task: .*loiterer"), watched(0):
        task = asyncio.create_task(asyncio.sleep(3600), name="loiterer")
    task.cancel()
