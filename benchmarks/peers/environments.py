"""An environment for each peer, made when it is first asked for: `environment("ray")` gives its Python."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
#: Beside the project's own environment; `make clean` removes both.
_FOLDER = ROOT / ".venv-peers"
_NUMPY = "numpy>=1.24"
#: What each needs: (Python's newest version, "-" for any; requirements).
NEEDS = {
    "stdlib": ("-", [_NUMPY]),
    "pyzmq": ("-", ["pyzmq>=26", "msgspec>=0.18", _NUMPY]),
    "ray": ("3.13", ["ray>=2.40", _NUMPY]),
    "grpc": ("-", ["grpcio>=1.60", "msgspec>=0.18", _NUMPY]),
    "pebble": ("-", ["pebble>=5.1", _NUMPY]),
    "loky": ("-", ["loky>=3.4.1", _NUMPY]),
    "mpire": ("-", ["mpire>=2.10.2", _NUMPY]),
    "pyro5": ("-", ["Pyro5>=5.15", "msgpack>=1.0", _NUMPY]),
    "rpyc": ("-", ["rpyc>=6.0", _NUMPY]),
    "dask": ("-", ["distributed>=2024.8", _NUMPY]),
}


@functools.cache
def environment(name: str) -> Path | None:
    """The Python of the environment of that name; None: it cannot be made here, and what came of it has been printed."""
    newest, requirements = NEEDS[name]
    folder = _FOLDER / name
    done, holds = folder / ".complete", "\n".join(requirements)
    if not done.exists() or done.read_text(encoding="utf-8") != holds:
        command = ["sh", "scripts/make-venv.sh", str(folder), "3.11", newest, *requirements]
        env = {name: value for name, value in os.environ.items() if name != "PYTHON"}
        if subprocess.run(command, cwd=ROOT, env=env, check=False).returncode:
            return None
        done.write_text(holds, encoding="utf-8")
    return folder / "bin" / "python"
