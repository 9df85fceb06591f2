"""A pool's private directory: private, gone with the pool, and swept by the next pool if its own died."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import tempfile

import pytest

from snakepit._workers.run_directory import RunDirectory


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Directories are made in a short one of the test's own."""
    base = tempfile.mkdtemp(prefix="rd-", dir="/tmp")
    monkeypatch.setattr(tempfile, "tempdir", base)
    return pathlib.Path(base)


def test_it_is_private_and_goes_with_the_pool(here: pathlib.Path) -> None:
    """0700 while it lives, nothing after."""
    directory = RunDirectory()
    assert directory.path.stat().st_mode & 0o777 == 0o700
    directory.remove()
    assert list(here.iterdir()) == []


def test_a_living_pools_directory_is_left_alone(here: pathlib.Path) -> None:
    """The next pool sweeps, and finds the first one's lock held."""
    first, second = RunDirectory(), RunDirectory()
    paths = {first.path, second.path}
    assert set(here.iterdir()) == paths
    first.remove()
    second.remove()


def test_a_dead_pools_directory_is_swept(here: pathlib.Path) -> None:
    """However its host died, the next pool removes what it left."""
    code = f"""
import os, tempfile
from snakepit._workers.run_directory import RunDirectory
tempfile.tempdir = {str(here)!r}
directory = RunDirectory()
directory.path
os.kill(os.getpid(), {int(signal.SIGKILL)})
"""
    dead = subprocess.run([sys.executable, "-c", code], check=False)
    assert dead.returncode == -signal.SIGKILL
    (left,) = here.iterdir()
    (left / "worker-1.sock").touch()
    directory = RunDirectory()
    assert directory.path.is_dir()
    assert not left.exists()
    directory.remove()


def test_a_directory_that_a_cleaner_took_comes_back(here: pathlib.Path) -> None:
    """Programs that tidy up the temporary directory do not break a pool."""
    directory = RunDirectory()
    taken = directory.path
    for item in taken.iterdir():
        item.unlink()
    taken.rmdir()
    assert directory.path.is_dir()
    assert len(list(here.iterdir())) == 1
    directory.remove()
