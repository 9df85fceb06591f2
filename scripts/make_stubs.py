"""Makes the gRPC stubs of the public service from `proto/`, and says whether the committed ones are current.

A pinned, old grpcio-tools makes them, in an environment of its own (`.venv-proto`): stubs of newer ones refuse to import
beside the newest grpcio of Python 3.8. The digests of the source and of what was made of it stand in `stubs.sha256`, so
`--check` needs neither that environment nor a network.

    python scripts/make_stubs.py                        make them again
    python scripts/make_stubs.py --check                exit 1 unless they are current
    python scripts/make_stubs.py --check --regenerate   the same, by making them again and comparing
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = "1.50.0"
#: grpc_tools imports pkg_resources, which setuptools 81 dropped.
REQUIREMENTS = [f"grpcio-tools=={TOOLS}", "setuptools<81"]
#: The Python versions that grpcio-tools 1.50 was built for.
OLDEST, NEWEST = "3.8", "3.11"

SOURCE = "proto/snakepit_bridge/grpc/snakepit.proto"
MADE = [f"src/snakepit_bridge/grpc/{name}" for name in ("snakepit_pb2.py", "snakepit_pb2.pyi", "snakepit_pb2_grpc.py")]
DIGESTS = "proto/snakepit_bridge/grpc/stubs.sha256"


def digests() -> str:
    """What `stubs.sha256` holds when all is current; `sha256sum --check` reads it too."""
    lines = [f"# grpcio-tools {TOOLS}"]
    for name in [SOURCE, *MADE]:
        path = ROOT / name
        lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else 'missing'}  {name}")
    return "\n".join(lines) + "\n"


def misfits() -> list[str]:
    """Names the file of digests if the committed source, stubs and pinned tools are not those that it was written for."""
    path = ROOT / DIGESTS
    return [] if path.exists() and path.read_text() == digests() else [DIGESTS]


def generate(into: Path) -> None:
    """Make the stubs in the folder `into`, which stands for `src`.

    Raises:
        subprocess.CalledProcessError: no fitting Python, no package index, or a wrong .proto; its output says which.
    """
    environment = ROOT / ".venv-proto"
    stamp = environment / f".has-{TOOLS}"
    if not stamp.exists():
        variables = {name: value for name, value in os.environ.items() if name != "PYTHON"}  # that one is for `.venv`
        subprocess.run(["sh", "scripts/make-venv.sh", environment.name, OLDEST, NEWEST, *REQUIREMENTS], cwd=ROOT, env=variables, check=True)
        stamp.touch()
    outputs = [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python")]
    # pkg_resources, which these tools import, warns that it is going away.
    command = [str(environment / "bin" / "python"), "-W", "ignore", "-m", "grpc_tools.protoc", "-I", "proto", *outputs, SOURCE]
    subprocess.run(command, cwd=ROOT, check=True)


def differing() -> list[str]:
    """The names of the committed stubs that differ from newly made ones."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        made = {name: (Path(folder) / name.removeprefix("src/")).read_bytes() for name in MADE}
    return [name for name, content in made.items() if not (ROOT / name).exists() or (ROOT / name).read_bytes() != content]


def make() -> None:
    """Make the stubs in place and write down their digests."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        for name in MADE:
            shutil.copyfile(Path(folder) / name.removeprefix("src/"), ROOT / name)
    (ROOT / DIGESTS).write_text(digests())


def main(arguments: list[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 unless the committed stubs are current")
    parser.add_argument("--regenerate", action="store_true", help="with --check: make them again and compare, instead of trusting digests")
    options = parser.parse_args(arguments)
    if options.check:
        stale = differing() if options.regenerate else misfits()
        print(f"stubs are out of date; run `make proto-python`: {', '.join(stale)}" if stale else f"stubs are current: {SOURCE}")
        return 1 if stale else 0
    try:
        make()
    except subprocess.CalledProcessError as error:
        if misfits():
            return error.returncode
        print(f"the stubs could not be made again; the committed ones are current, so nothing is lost: {SOURCE}")
        return 0
    print("made", *MADE, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
