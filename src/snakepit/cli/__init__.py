"""The command line. `main` is the console script `snakepit` and what `python -m snakepit` runs; nothing else imports this.

`app` declares the options for typer, `command` holds what every command shares, `run_command`, `call_command`, `tools_command`,
`serve_command`, `doctor_command`, `status_command`, `gen_command` and `bench_command` are the commands; for these, `examination`,
`limits` and `surroundings` look at machine and interpreters, `hosts` asks running pools. Pure: `items`, `conversion`, `arguments` (words to
arguments), `meter`, `lines`, `listing`, `findings`, `status_view`, `generation`, `endings` (values to words). `views`, `bar`,
`status_screen`, `output`, `interrupts` know terminals, pipes and signals.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

__all__ = ["main"]

_NEEDS = ("typer", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `snakepit`; None: those of this process.

    Returns:
        The exit code.
    """
    _make_importable()
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        print(f"snakepit: the command line needs {' and '.join(missing)}: pip install 'snakepit-bridge[cli]'", file=sys.stderr)
        return 2
    try:
        from .app import app

        app(args=None if arguments is None else list(arguments), prog_name="snakepit")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except KeyboardInterrupt:
        return 130  # Before any command had begun.
    return 0


def _make_importable() -> None:
    """Let the current directory be importable; last, as a file there that is named like a library must not hide it."""
    try:
        here = str(Path.cwd())
    except FileNotFoundError:
        return  # It has been deleted.
    if here not in sys.path:
        sys.path.append(here)
