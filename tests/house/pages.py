"""Pages of documentation as programs: what in them is a script, what is a file, what is typed into a shell. Used by tests of this folder.

```python          joined with the others of the page into one script; a ```text block directly below is what it prints
```python          whose first line is `# name.py`: saved under that name, before anything runs
```console         lines that begin with `$ ` are typed into a shell, in order; the lines below each are what it prints,
                   `...` standing for anything. A block without such lines only shows something
```py, ```sh       only to be read: fragments, and what would install something
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"# (\w+\.py)\n")

#: Programs that lead elsewhere, as pages use them: here they lead into an empty environment.
_ELSEWHERE = 'exec env -i PATH="$PATH"'
_STAND_INS = {
    "ssh": f'while case "$1" in -*) true;; *) false;; esac; do shift; done; shift; {_ELSEWHERE} sh -c "$*"',
    "docker": f'[ "$1 $2" = "exec -i" ] && shift 3 && {_ELSEWHERE} "$@"',
    "kubectl": f'[ "$1 $2 $4" = "exec -i --" ] && shift 4 && {_ELSEWHERE} "$@"',
}


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: (language, text)."""
    return _BLOCK.findall(text)


def session(text: str) -> tuple[str, str]:
    """The page's script, and what it prints."""
    script, expected, previous = [], [], ""
    for language, body in blocks(text):
        if language == "python" and not _NAMED.match(body):
            script.append(body)
            previous = language
            continue
        if language == "text" and previous == "python":
            expected.append(body)
        previous = ""
    return "\n".join(script), "".join(expected)


def files(text: str) -> dict[str, str]:
    """The page's files, by name."""
    named = [(found[1], body) for language, body in blocks(text) if language == "python" and (found := _NAMED.match(body))]
    return dict(named)


def commands(text: str) -> list[tuple[str, str]]:
    """What is typed into a shell, and what each prints."""
    typed: list[tuple[str, str]] = []
    for body in (body for language, body in blocks(text) if language == "console" and body.startswith("$ ")):
        for item in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, output = item.partition("\n")
            typed.append((command, output))
    return typed


def run_commands(text: str, folder: Path) -> None:
    """Save the page's files in the folder and type its commands there.

    Raises:
        AssertionError: one prints something else, or fails.
    """
    programs = folder / ".programs"
    programs.mkdir()
    for name, line in _STAND_INS.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    for name, body in files(text).items():
        (folder / name).write_text(body, encoding="utf-8")
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "TERM": "dumb", "COLUMNS": "100"}
    for command, expected in commands(text):
        done = subprocess.run(
            ["sh", "-c", command], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        printed = done.stdout + done.stderr
        assert doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS), f"{command}\n{printed}"
