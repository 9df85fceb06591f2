"""`snakepit bench`: becomes the program that measures, which lies in this project's tree and not in what is installed. Called by `app`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from snakepit.errors import ConfigurationError

from .command import Command

#: What it needs in this interpreter; each peer has an environment of its own.
_NEEDS = ("grpc", "matplotlib", "msgspec", "numpy", "uvloop")
_PROGRAM = Path("benchmarks") / "suite" / "__init__.py"


class BenchCommand(Command):
    """One run of the benchmarks.

    Args:
        words: go to the program as they are.
    """

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(None, 1, as_json=False)
        self._words = list(words)
        self._root = Path()

    def work(self) -> None:
        """Look whether it can be run here.

        Raises:
            ConfigurationError: the tree is not there, or a library is missing.
        """
        root = _checkout()
        if root is None:
            raise ConfigurationError(
                "the benchmarks are not installed with snakepit: they are the folder benchmarks/ of its repository, which is not here",
                hint="go to a checkout of the repository (git clone, or its source archive) and run `make bench` or `snakepit bench` there",
            )
        if missing := [name for name in _NEEDS if find_spec(name) is None]:
            raise ConfigurationError(
                f"the benchmarks need {', '.join(missing)}, which {sys.executable} does not have",
                hint=f"pip install -e '{root}[bench,cli,grpc,msgpack,uvloop]', or run `make bench` there, which sees to all of it",
            )
        self._root = root

    def run(self) -> int:
        """Become the program; the exit code, where this cannot be."""
        code = super().run()
        if code == 0:
            path = os.pathsep.join(filter(None, [str(self._root), os.environ.get("PYTHONPATH")]))
            command = [sys.executable, "-m", "benchmarks", *self._words]
            os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": path})  # noqa: S606 - Ctrl-C and the exit code are the program's
        return code


def _checkout() -> Path | None:
    """The tree where this lies, if it was installed in place; else the one where the user is."""
    import snakepit

    for folder in (Path(snakepit.__file__).resolve().parents[2], *(Path.cwd() / "x").parents):
        if (folder / _PROGRAM).is_file():
            return folder
    return None
