"""`snakepit bench`: the benchmarks from wherever one is, and one clear error where they are not."""

from __future__ import annotations

import pathlib

import pytest

from snakepit.cli import bench_command
from snakepit.cli.bench_command import BenchCommand
from test_cli import run


@pytest.fixture
def no_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """As if snakepit had been installed from a wheel, in a folder that is no tree of it."""
    monkeypatch.setattr("snakepit.__file__", str(tmp_path / "lib" / "site-packages" / "snakepit" / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_the_repository_it_says_where_to_get_it(no_checkout: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing and how to get it is one error, and the exit code is that of a wrong command."""
    assert BenchCommand(["--quick"]).run() == 2
    told = capsys.readouterr().err
    assert "the folder benchmarks/ of its repository, which is not here" in told
    assert "go to a checkout of the repository" in told
    assert "Traceback" not in told


def test_what_it_needs_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A library that is missing is named, with the command that installs it."""
    monkeypatch.setattr(bench_command, "_NEEDS", ("numpy", "matplotlob"))
    assert BenchCommand([]).run() == 2
    told = capsys.readouterr().err
    assert "the benchmarks need matplotlob, which" in told
    assert "pip install -e " in told


def test_a_checkout_is_found_from_below(no_checkout: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With snakepit from elsewhere, the tree in which one is counts."""
    below = no_checkout / "docs" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert bench_command._checkout() is None
    program = no_checkout / "benchmarks" / "suite" / "__init__.py"
    program.parent.mkdir(parents=True)
    program.touch()
    assert bench_command._checkout() == no_checkout


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_words_go_to_the_program(tmp_path: pathlib.Path) -> None:
    """From any folder; what it does not know is its own usage error, with what it knows."""
    done = run("bench", "--only", "nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert "invalid choice: 'nothing'" in done.stderr
    assert "in_flight" in done.stderr
