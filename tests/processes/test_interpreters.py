"""`python=`, `env` and `cwd`: whose interpreter, whose packages, how many threads for linear algebra."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

import snakepit
from snakepit._cpus import usable_cpus

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS = """
import os, sys
from snakepit_bridge import tool
import snakepit_bridge

@tool
def variable(name: str):
    return os.environ.get(name)

@tool
def seen():
    return {"executable": sys.executable, "prefix": sys.prefix, "cwd": os.getcwd(), "sdk": snakepit_bridge.__file__, "path": sys.path}

@tool
def helper():
    import my_helper
    return my_helper.VALUE
"""


@pytest.fixture
def tools(tmp_path: pathlib.Path) -> str:
    """A file of tools."""
    path = tmp_path / "tools_here.py"
    path.write_text(TOOLS)
    return str(path)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A virtual environment of this interpreter's version with one module of its own."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (packages / "my_helper.py").write_text("VALUE = 'of the environment'\n")
    return folder


def test_a_virtual_environment(tools: str, environment: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """By its directory or its python: its packages are seen, this host's are not, and the SDK is the host's own."""
    for python in (environment, str(environment / "bin" / "python")):
        with snakepit.Pool(tools, size=1, python=python, cwd=tmp_path) as pool:
            seen = pool.execute("seen")
            assert seen["prefix"] == str(environment)
            assert seen["executable"] == str(environment / "bin" / "python")
            assert seen["cwd"] == str(tmp_path)
            assert (
                pathlib.Path(seen["sdk"]).resolve() == pathlib.Path(snakepit.__file__).parents[1].resolve() / "snakepit_bridge/__init__.py"
            )
            assert not [entry for entry in seen["path"] if pathlib.Path(entry) == pathlib.Path(snakepit.__file__).parents[1]]
            assert pool.execute("helper") == "of the environment"


def test_the_hosts_sdk_goes_before_an_older_one(tools: str, environment: pathlib.Path) -> None:
    """An interpreter that has some other `snakepit_bridge` installed runs the host's: both sides speak the same."""
    (packages,) = (environment / "lib").glob("python*/site-packages")
    other = packages / "snakepit_bridge"
    other.mkdir()
    try:
        (other / "__init__.py").write_text("raise ImportError('the wrong one')\n")
        with snakepit.Pool(tools, size=1, python=environment) as pool:
            assert pool.execute("helper") == "of the environment"
    finally:
        (other / "__init__.py").unlink()
        for left in sorted(other.rglob("*"), reverse=True):
            left.unlink() if left.is_file() else left.rmdir()
        other.rmdir()


def test_a_name_on_path(tools: str, environment: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked for as a shell would; one that is nowhere is refused by name."""
    (environment / "bin" / "my-python").unlink(missing_ok=True)
    (environment / "bin" / "my-python").symlink_to("python")
    monkeypatch.setenv("PATH", str(environment / "bin"))
    with snakepit.Pool(tools, size=1, python="my-python") as pool:
        assert pool.execute("seen")["prefix"] == str(environment)
    with pytest.raises(snakepit.ConfigurationError, match="python is 'no-python', which does not exist or cannot be run"):
        snakepit.Pool(tools, python="no-python")
    with pytest.raises(snakepit.ConfigurationError, match="does not exist or cannot be run"):
        snakepit.Pool(tools, python=str(environment.parent))


@pytest.mark.parametrize("size", [1, 3])
def test_threads_for_linear_algebra(tools: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers share the CPUs, unless the host's environment or `env` says otherwise."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    pool = snakepit.Pool(tools, size=size, env={"OPENBLAS_NUM_THREADS": "5"})
    with pool:
        assert pool.execute("variable", {"name": "OMP_NUM_THREADS"}) == str(max(1, usable_cpus() // size))
        assert pool.execute("variable", {"name": "OPENBLAS_NUM_THREADS"}) == "5"
        assert pool.execute("variable", {"name": "MKL_NUM_THREADS"}) == "7"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"protocol": "carrier pigeon"}, "protocol is 'carrier pigeon'; allowed is one of auto, grpc, msgpack, json, bridge, or a list"),
        ({"protocol": []}, "protocol is \\[\\]; allowed"),
        ({"protocol": ["grpc", "grpc"]}, "a list of different ones"),
        ({"protocol": ["auto"]}, "a list of different ones but auto"),
        ({"protocol": 5}, "protocol is 5"),
        ({"protocol": [["grpc"]]}, "protocol is"),
        ({"command": "ssh host"}, "command is 'ssh host'; allowed is a list of texts"),
        ({"command": []}, "command is \\[\\]; allowed"),
        ({"command": ["ssh"], "python": sys.executable}, "python and command are both given"),
        ({"command": ["ssh"], "base_port": 0}, "base_port and command are both given"),
        ({"command": ["ssh"], "protocol": "grpc"}, "protocol is 'grpc', which does not go with command"),
        ({"base_port": 0, "protocol": "msgpack"}, "protocol is 'msgpack', which does not go with base_port"),
        ({"base_port": 0, "protocol": ["msgpack", "json"]}, "does not go with base_port"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings: dict[str, object], words: str) -> None:
    """Refused when the pool is made, with what is allowed."""
    with pytest.raises(snakepit.ConfigurationError, match=words):
        snakepit.Pool(**settings)  # type: ignore[arg-type]


def test_a_switched_off_version(tmp_path: pathlib.Path) -> None:
    """What a version manager's stand-in says is shown, not only its last line, which alone explains nothing."""
    shim = tmp_path / "python3.9"
    words = [
        "pyenv: python3.9: command not found",
        "",
        "The `python3.9' command exists in these Python versions:",
        "  3.9.18",
        "",
        "Note: See 'pyenv help global' for tips on allowing both",
        "      python2 and python3 to be found.",
    ]
    shim.write_text("#!/bin/sh\ncat >&2 <<'END'\n" + "\n".join(words) + "\nEND\nexit 127\n")
    shim.chmod(0o755)
    with pytest.raises(snakepit.ConfigurationError) as caught:
        snakepit.Pool(size=1, python=shim).start()
    assert caught.value.message == f"python is '{shim}', which is no Python that answers: " + "\n  ".join(filter(None, words))


def test_a_program_that_never_answers(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that hangs when it is asked is given up."""
    monkeypatch.setattr("snakepit._workers.interpreters._ANSWER_SECONDS", 0.3)
    hangs = tmp_path / "hangs"
    hangs.write_text("#!/bin/sh\nexec sleep 60\n")
    hangs.chmod(0o755)
    with pytest.raises(snakepit.ConfigurationError, match="did not answer within 0.3 s"):
        snakepit.Pool(size=1, python=hangs).start()
