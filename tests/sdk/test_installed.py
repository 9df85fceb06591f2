"""Which libraries an interpreter has, and the commands that install them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pythons import run
from snakepit_bridge.wire.installed import install_command, is_installed


def test_a_directory_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python could import it, and would find nothing in it; a module and a package are libraries."""
    (tmp_path / "only_a_directory").mkdir()
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package" / "__init__.py").touch()
    (tmp_path / "a_module.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    names = ("only_a_directory", "a_package", "a_module", "nothing_of_that_name")
    assert [is_installed(name) for name in names] == [False, True, True, False]


def test_directories_hide_no_codec(python: str, tmp_path: Path) -> None:
    """Directories named like the libraries, where a worker starts, leave it JSON where there are no such libraries."""
    for name in ("grpc", "msgpack", "msgspec"):
        (tmp_path / name).mkdir()
    program = """
import sys
sys.path[:] = [entry for entry in sys.path if "site-packages" not in entry]
from snakepit_bridge.wire.codecs import available_codecs
from snakepit_bridge.wire.installed import is_installed
print(available_codecs(), is_installed("grpc"))
"""
    assert run(python, program, tmp_path).split("\n")[0] == "['json'] False"


@pytest.mark.parametrize("has_pip", [True, False])
def test_the_command_can_be_pasted(has_pip: bool, tmp_path: Path) -> None:
    """A shell runs the very interpreter, whatever its path looks like; pip comes first where there is none."""
    said = tmp_path / "said"
    python = tmp_path / 'it\'s a $HOME; of "pythons"'
    python.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    python.chmod(0o755)
    subprocess.run(["sh", "-c", install_command(str(python), "grpcio", has_pip=has_pip)], check=True)
    assert said.read_text().splitlines() == [*([] if has_pip else ["-m ensurepip"]), "-m pip install grpcio"]
    assert install_command(sys.executable, "msgspec") == f"{sys.executable} -m pip install msgspec"
