"""Which libraries an interpreter has, without importing them; and the command that installs one that it lacks. Both sides use it."""

import importlib.util
import shlex


def is_installed(name: str) -> bool:
    """Is there such a package? A directory of that name without code passes for one to Python, but has no origin."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def install_command(executable: str, requirement: str, *, has_pip: bool = True) -> str:
    """What to type into a shell. Environments of `uv` and of `venv --without-pip` have no pip: there it comes first."""
    python = shlex.quote(executable)
    command = "%s -m pip install %s" % (python, requirement)
    return command if has_pip else "%s -m ensurepip && %s" % (python, command)
