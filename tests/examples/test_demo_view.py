"""How the demo shows itself: bars on a terminal, plain lines in a pipe; and the README of the examples names them all."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAM = """
from demo_view import make_view
view = make_view()
view.act("An act")
with view.bars("one", "other") as (one, other):
    one.update(30.0, "on its way")
    one.end("✔", "done")
    other.end("✘", "failed")
view.say("a [word] in brackets")
view.figures({"chunks": "5", "cancel": "1 ms"})
"""


def test_a_pipe_gets_plain_lines() -> None:
    """Where no terminal is, each quarter of the way and each end is a line, without escape codes."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=EXAMPLES, capture_output=True, encoding="utf-8", timeout=60, check=True)
    assert done.stdout.splitlines() == [
        "",
        "1. An act",
        "     one    30.0%  on its way",
        "   ✔ one   done",
        "   ✘ other failed",
        "   a [word] in brackets",
        "",
        "chunks 5 · cancel 1 ms",
    ]


@pytest.mark.slow
def test_a_terminal_gets_live_bars() -> None:
    """On a terminal the bars are drawn in place, and the same words are there."""
    pytest.importorskip("rich")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=EXAMPLES, stdout=theirs, env=environment) as process:
        os.close(theirs)
        output = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end was closed
                break
            if not piece:
                break
            output += piece
        os.close(ours)
    text = output.decode()
    assert process.returncode == 0
    assert "\x1b[" in text
    assert "━" in text
    assert [word for word in ("An act", "done", "failed", "a [word] in brackets", "cancel") if word not in text] == []


def test_the_readme_names_every_file() -> None:
    """The README of the examples tells of each script and helper, and of none that is not there."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in EXAMPLES.glob("*.py")}
    scripts = {name for name in files if not name.endswith("_tools.py")} | {"demo_tools.py"}
    assert sorted(name for name in scripts if f"`{name}`" not in text) == []
    told = {word for word in text.replace("`", " ").split() if word.endswith(".py") and "/" not in word}
    assert told - files - {"X_tools.py", "X.py"} == set()
