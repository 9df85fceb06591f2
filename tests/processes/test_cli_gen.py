"""`snakepit gen adapter`: what it writes is green as it is, and nothing that is there is lost."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from snakepit.cli.gen_command import GenAdapterCommand
from snakepit.cli.generation import names_of
from snakepit.errors import ConfigurationError
from test_cli import environment, run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


@pytest.mark.parametrize("name", ["price_tools", "HTTPPriceTools"])
def test_what_it_writes_is_green(tmp_path: pathlib.Path, name: str) -> None:
    """Its test passes, its tools run from the command line, and linters find nothing in it."""
    written = json.loads(run("gen", "adapter", name, "--json", cwd=tmp_path).stdout)
    module = names_of(name).module
    assert written["written"] == [f"{module}.py", f"test_{module}.py"]
    assert sorted(path.name for path in tmp_path.iterdir()) == written["written"]
    ran = [
        subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        for words in (
            ["pytest", "-q", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:cacheprovider"],
            ["ruff", "check", "--no-cache", "--select", "E,F,I,B,UP,W", "--isolated", "."],
            ["ruff", "format", "--no-cache", "--isolated", "--check", "."],
        )
    ]
    assert [done.returncode for done in ran] == [0, 0, 0], [done.stdout + done.stderr for done in ran]
    assert "4 passed" in ran[0].stdout
    assert run("run", "greet", "name=Ada", "--adapter", written["adapter"], cwd=tmp_path).stdout == "Hello, Ada!\n"
    assert written["try"] == [f"snakepit run greet --adapter {module}.py", f"python -m pytest test_{module}.py"]


def test_files_that_are_there_are_kept(tmp_path: pathlib.Path) -> None:
    """One of the two is enough for writing none; --force writes over both, and over nothing else."""
    test = tmp_path / "test_price_tools.py"
    test.write_text("mine")
    done = run("gen", "adapter", "price_tools", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "snakepit: test_price_tools.py is there already; nothing was written\n  hint: --force writes over them\n"
    assert (test.read_text(), len(list(tmp_path.iterdir()))) == ("mine", 1)
    done = run("gen", "adapter", "price_tools", "--force", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "wrote price_tools.py\nwrote test_price_tools.py\n")
    assert done.stderr.startswith("try them:\n  snakepit run greet")
    assert "mine" not in test.read_text()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_comes_in_between_is_kept(tmp_path: pathlib.Path) -> None:
    """Somebody else made it after it was looked for: theirs stays, and nothing half done lies beside it."""
    path = tmp_path / "price_tools.py"
    path.write_text("theirs")
    command = GenAdapterCommand("price_tools", str(tmp_path), force=False, as_json=False)
    with pytest.raises(ConfigurationError, match="cannot be written: File exists"):
        command._write(path, "ours")
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("price_tools.py", "theirs")]


def test_another_directory(tmp_path: pathlib.Path) -> None:
    """--dir writes elsewhere; one that is not there, or cannot be written to, is a usage error without a traceback."""
    (tmp_path / "there").mkdir()
    assert run("gen", "adapter", "a_tool", "--dir", "there", cwd=tmp_path).returncode == 0
    done = run("gen", "adapter", "a_tool", "--dir", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "snakepit: --dir: got 'nowhere', allowed is a directory that is there\n")
    done = run("gen", "adapter", "a_tool", "--dir", "/proc", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"].startswith("/proc/a_tool.py cannot be written: ")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("9lives", "allowed are up to 60 letters"),
        ("a-b", "allowed are up to 60 letters"),
        ("../evil", "allowed are up to 60 letters"),
        ("x" * 61, "allowed are up to 60 letters"),
        ("Class", "a word of Python itself"),
        ("json", "the name of a module that Python or this library has"),
        ("Snakepit", "the name of a module that Python or this library has"),
        ("test_it", "which pytest would take for tests"),
    ],
)
def test_names_that_cannot_be(name: str, why: str) -> None:
    """The message says what is wrong with it."""
    with pytest.raises(ConfigurationError, match=why):
        names_of(name)


def test_a_name_that_another_module_has(tmp_path: pathlib.Path) -> None:
    """An installed module would be hidden: exit code 2, and where it lies."""
    done = run("gen", "adapter", "msgspec", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is a module of that name already: " in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "module", "cls"),
    [("price_tools", "price_tools", "PriceTools"), ("HTTPTools2", "http_tools2", "HttpTools2"), ("PriceABC", "price_abc", "PriceAbc")],
)
def test_names(name: str, module: str, cls: str) -> None:
    """Module and class come from either way of writing."""
    assert names_of(name) == (module, cls)
