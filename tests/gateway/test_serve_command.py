"""`snakepit serve` and `snakepit call`, as they are typed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]

_TOOLS = str(Path(__file__).parent / "gateway_tools.py")
_COMMAND = [sys.executable, "-m", "snakepit"]


@contextlib.contextmanager
def serving(*words: str, env: dict[str, str] | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [*_COMMAND, "serve", "--address", "127.0.0.1:0", "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
    with process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["address"]
        finally:
            process.kill()


def run(*words: str, env: dict[str, str] | None = None) -> Any:
    return subprocess.run([*_COMMAND, *words], capture_output=True, text=True, timeout=50, env={**os.environ, **(env or {})}, check=False)


def test_serve_and_call() -> None:
    """`call` shows results and chunks as `run` does, and tells the gateway's errors with their exit codes."""
    with serving("--adapter", _TOOLS, "--size", "1") as (process, address):
        assert run("call", "add", "a=2", "b=3", "--target", address).stdout == "5\n"
        lines = run("call", "count", "to=2", "--json", "--target", address).stdout.splitlines()
        assert [json.loads(line).get("number") for line in lines] == [0, 1, None]
        unknown = run("call", "addd", "--target", address)
        assert (unknown.returncode, "did you mean 'add'?" in unknown.stderr) == (2, True)
        assert run("call", "nap", "seconds=30", "--timeout", "0.3", "--target", address).returncode == 124
        process.terminate()
        assert process.wait(20) == 0
    assert "cannot be reached" in run("call", "add", "a=1", "--target", address).stderr


def test_sigterm_lets_calls_end_within_the_bound(tmp_path: Path) -> None:
    """A call that runs when SIGTERM comes ends well, one that outlasts `drain_timeout` is cut off, and the exit code is 0."""
    with serving("--adapter", _TOOLS, "--size", "2", "--drain-timeout", "3") as (process, address):
        caught, began = [], time.monotonic()
        for seconds in ("1.5", "40"):
            words = [*_COMMAND, "call", "nap", f"seconds={seconds}", f"mark={tmp_path / seconds}", "--target", address]
            caught.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        for seconds in ("1.5", "40"):
            while not (tmp_path / seconds).exists():
                assert time.monotonic() < began + 30
                time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        out, _ = caught[0].communicate(timeout=20)
        assert out == "slept\n"
        _, told = caught[1].communicate(timeout=20)
        assert "drain" in told
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert "1 calls of pool 'main' had not ended in time" in process.stderr.read()


def test_a_settings_file(tmp_path: Path) -> None:
    """Pools, limits and tokens come from a TOML file; what it gets wrong is named, with what is allowed."""
    file = tmp_path / "gateway.toml"
    file.write_text(f'default = "tools"\n[tokens.app]\nenv = "APP_TOKEN"\ntools = ["add"]\n[pools.tools]\nadapter = "{_TOOLS}"\nsize = 1\n')
    token = {"APP_TOKEN": "a token of some length", "SNAKEPIT_GATEWAY_TOKEN": "a token of some length"}
    with serving("--config", str(file), env=token) as (process, address):
        assert run("call", "add", "a=2", "--target", address, env=token).stdout == "3\n"
        assert "no worker of this pool offers" in run("call", "nap", "seconds=0", "--target", address, env=token).stderr
        refused = run("call", "add", "a=2", "--target", address, env={"SNAKEPIT_GATEWAY_TOKEN": "another token of some length"})
        assert (refused.returncode, "does not know this token" in refused.stderr) == (1, True)
        process.terminate()
        assert process.wait(20) == 0
    for text, told in [
        ("adress = 'x'", "did you mean address?"),
        ("[limits]\nstream = 3", "did you mean streams?"),
        ("address = '0.0.0.0:1'", "without TLS and tokens"),
        ("[tokens.app]\ntoken = 'short'", "16 printable"),
        ("[tls]\ncert = 'none.pem'", "no file"),
        ("default = 'x'\n[pools.y]\nsize = 1", "the pools are y"),
        ("not toml", "is not TOML"),
    ]:
        file.write_text(text)
        wrong = run("serve", "--config", str(file))
        assert (wrong.returncode, told in wrong.stderr) == (2, True), wrong.stderr
