"""`snakepit gen adapter NAME`: writes a small adapter and its test, to begin with. Called by `app`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import shlex
import tempfile

from snakepit.errors import ConfigurationError

from .command import Command
from .generation import Names, files, names_of
from .lines import json_line
from .output import say


class GenAdapterCommand(Command):
    """One adapter.

    Args:
        name: of the module, or of the class.
        folder: where to.
        force: write over files that are there.
    """

    def __init__(self, name: str, folder: str, *, force: bool, as_json: bool) -> None:
        super().__init__(None, 1, as_json)
        self._name = name
        self._folder = pathlib.Path(folder)
        self._force = force

    def work(self) -> None:
        """Check, write, say what was written."""
        names = names_of(self._name)
        paths = {self._folder / name: text for name, text in files(names).items()}
        self._check(names, list(paths))
        for path, text in paths.items():
            self._write(path, text)
        adapter, test = map(str, paths)
        tries = [shlex.join(words) for words in (["snakepit", "run", "greet", "--adapter", adapter], ["python", "-m", "pytest", test])]
        if self.as_json:
            self.output.line(json_line({"written": [adapter, test], "adapter": f"{adapter}:{names.cls}", "try": tries}))
            return
        for path in paths:
            self.output.line(f"wrote {path}")
        say("try them:\n" + "\n".join(f"  {line}" for line in tries))
        if importlib.util.find_spec("pytest") is None:
            say("pytest is not installed here: python -m pip install pytest")

    def _check(self, names: Names, paths: list[pathlib.Path]) -> None:
        if not self._folder.is_dir():
            raise ConfigurationError(f"--dir: got {str(self._folder)!r}, allowed is a directory that is there")
        found = importlib.util.find_spec(names.module)
        if found is not None and (found.origin is None or pathlib.Path(found.origin).resolve() != paths[0].resolve()):
            where = found.origin or ", ".join(found.submodule_search_locations or ())
            message = f"NAME: got {self._name!r}, and there is a module of that name already: {where}"
            raise ConfigurationError(message, hint="give the adapter a name of its own")
        there = [str(path) for path in paths if path.exists() or path.is_symlink()]
        if there and not self._force:
            are = "is" if len(there) == 1 else "are"
            raise ConfigurationError(f"{' and '.join(there)} {are} there already; nothing was written", hint="--force writes over them")

    def _write(self, path: pathlib.Path, text: str) -> None:
        """Write a file whole or not at all.

        Raises:
            ConfigurationError: the directory cannot be written to, or somebody else has made the file in this moment.
        """
        draft = ""
        try:
            number, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
            umask = os.umask(0)
            os.umask(umask)
            pathlib.Path(draft).chmod(0o666 & ~umask)
            if self._force:
                pathlib.Path(draft).replace(path)
            else:
                os.link(draft, path)
        except OSError as error:
            message = f"{path} cannot be written: {error.strerror or error}"
            raise ConfigurationError(message, hint="--dir names another directory") from error
        finally:
            with contextlib.suppress(OSError):
                pathlib.Path(draft).unlink()
