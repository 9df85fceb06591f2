"""What a user would take instead, each in an environment of its own: `environment("ray")` makes it when it is first asked for.

A module here runs in that environment, where neither snakepit nor its dependencies are.
"""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent.parent
#: Beside the project's own environment; `make clean` removes both.
_FOLDER = _ROOT / ".venv-peers"
#: What each needs: (Python's newest version, requirements).
_NEEDS = {"ray": ("3.13", ["ray>=2.40", "numpy>=1.24"])}


@functools.cache
def environment(peer: str) -> Path | None:
    """The Python of a peer's environment; None: it cannot be made here, and what came of it has been printed."""
    newest, requirements = _NEEDS[peer]
    folder = _FOLDER / peer
    done = folder / ".complete"
    if not done.exists():
        command = ["sh", "scripts/make-venv.sh", str(folder), "3.11", newest, *requirements]
        env = {name: value for name, value in os.environ.items() if name != "PYTHON"}
        if subprocess.run(command, cwd=_ROOT, env=env, check=False).returncode:
            return None
        done.touch()
    return folder / "bin" / "python"
