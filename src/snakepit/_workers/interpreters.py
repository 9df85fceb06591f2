"""What the Pythons on both sides can do: this one is looked at, another one is run and asked.

Called when a pool starts; asking another interpreter takes some 20 ms and blocks, so not on a loop.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import snakepit_bridge
from snakepit._channel.grpc_loading import forked_from
from snakepit._channel.negotiate import Interpreter
from snakepit.errors import ConfigurationError
from snakepit_bridge.wire.codecs import available_codecs
from snakepit_bridge.wire.installed import is_installed

T = TypeVar("T")

#: The oldest Python that the worker's half runs on.
OLDEST = (3, 8)
#: How long an interpreter may take to answer (seconds): a cold network disk is slow, a wrong program may never answer.
_ANSWER_SECONDS = 15.0

#: How many lines are shown of what a refused one says: pyenv takes six to explain that a version is switched off.
_LAST_LINES = 6

#: Reads on every Python since 2.7, so that an old one can say how old it is. Looks for libraries without importing them.
_QUESTION = """
import json, platform, sys
def has(name):
    try:
        from importlib.util import find_spec
        found = find_spec(name)
        return found is not None and found.origin is not None  # a mere directory of that name has no origin
    except Exception:
        return False
print(json.dumps({"python": list(sys.version_info[:3]), "implementation": platform.python_implementation(),
    "grpc": has("grpc"), "msgpack": has("msgspec") or has("msgpack"), "pip": has("pip")}))
"""

#: What a channel or its frames need: by distribution, the module.
_MODULES = {"grpcio": "grpc", "msgspec": "msgspec", "msgpack": "msgpack"}
#: Imports them, as the libraries of a broken installation lie there and do not import. The last line is the answer.
_IMPORT = """
import importlib, json, sys
modules, paths = map(json.loads, sys.argv[1:])
sys.path += [path for path in paths if path not in sys.path]
had, broken = {}, {}
for name, module in modules.items():
    try:
        found = importlib.import_module(module)
        if getattr(found, "__file__", None):  # else it is a mere directory of that name
            had[name] = str(getattr(found, "__version__", ""))
    except BaseException as error:
        if not isinstance(error, ImportError) or error.name != module:
            broken[name] = "%s: %s" % (type(error).__name__, error)
print(json.dumps([had, broken]))
"""


def this_interpreter() -> Interpreter:
    """What this process can do."""
    return Interpreter(
        executable=sys.executable,
        python=".".join(map(str, sys.version_info[:3])),
        grpc=is_installed("grpc"),
        msgpack="msgpack" in available_codecs(),
        pip=is_installed("pip"),
        forked_from=forked_from(),
    )


def ask(python: str, env: Mapping[str, str], cwd: str | None) -> Interpreter:
    """What another interpreter can do, in the environment and directory of its workers.

    Raises:
        ConfigurationError: it is no CPython of 3.8 or later, or does not run.
    """
    version, implementation, has = _answered(_facts, python, [_QUESTION], {**os.environ, **env}, cwd)
    if version < OLDEST or implementation != "CPython":
        raise _refused(python, f"is {implementation} {'.'.join(map(str, version))}")
    return Interpreter(python, ".".join(map(str, version)), has("grpc"), has("msgpack"), has("pip"))


def _facts(told: Any) -> tuple[tuple[int, ...], str, Callable[[str], bool]]:
    return tuple(told["python"]), str(told["implementation"]), lambda name: bool(told.get(name))


def libraries(python: str) -> tuple[dict[str, str], dict[str, str]]:
    """The versions of the libraries that an interpreter can import; and the errors of those that lie there and do not import.

    Takes as long as their imports. What this process can import, this interpreter can here too, as in its workers.

    Raises:
        ConfigurationError: it does not answer.
    """
    paths = [entry for entry in sys.path if entry] if python == sys.executable else []
    program = [_IMPORT, json.dumps(_MODULES), json.dumps(paths)]
    return _answered(lambda told: (dict(told[0]), dict(told[1])), python, program, dict(os.environ), None)


def _answered(read: Callable[[Any], T], python: str, program: list[str], env: dict[str, str], cwd: str | None) -> T:
    """What a program prints as its last line of JSON, taken apart by `read`.

    Raises:
        ConfigurationError: the interpreter does not run, or gives no such answer in time.
    """
    done = subprocess.CompletedProcess[str]([], 0, "", "")
    try:
        done = subprocess.run(
            [python, "-c", *program],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
        return read(json.loads(done.stdout.strip().splitlines()[-1]))
    except subprocess.TimeoutExpired:
        raise _refused(python, f"did not answer within {_ANSWER_SECONDS:g} s") from None
    except OSError as error:
        raise _refused(python, f"cannot be run: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError, AttributeError):
        said = [line for line in done.stderr.splitlines() if line.strip()][-_LAST_LINES:]
        said = said or [f"it ended with {done.returncode} and printed {done.stdout[:80]!r}"]
        raise _refused(python, "is no Python that answers: {}".format("\n  ".join(said))) from None


def hand_over_sdk(directory: pathlib.Path) -> str:
    """A directory that holds the worker's half and nothing else, for interpreters that may have none, or an older one.

    A link to where the host has it, not a zip: what one worker's Python has compiled serves the next (measured: a start from
    a zip takes 45 ms longer).

    Args:
        directory: the pool's private directory; it is made below that, unless it is there.

    Raises:
        OSError: it cannot be made.
    """
    sdk = directory / "sdk"
    link = sdk / "snakepit_bridge"
    if not link.exists():
        sdk.mkdir(mode=0o700, exist_ok=True)
        link.symlink_to(pathlib.Path(snakepit_bridge.__file__).parent, target_is_directory=True)
    return str(sdk)


def _refused(python: str, problem: str) -> ConfigurationError:
    hint = "name a CPython of 3.8 or later, or its virtual environment"
    return ConfigurationError(f"python is {python!r}, which {problem}", hint=hint, field="python", value=python)
