"""The scripts by which a Snakepit host starts workers of this library: `snakepit compat install DIR` writes them.

    DIR/grpc_server.py             what Snakepit launches and looks for
    DIR/grpc_server_threaded.py    the same, where an adapter argument says --max-workers
    DIR/snakepit_bridge_sdk/       on the scripts' sys.path before everything else; holds a link to our snakepit_bridge alone

Snakepit brings a `snakepit_bridge` of its own and puts it on PYTHONPATH: the scripts run ours, or nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import snakepit_bridge
from snakepit.errors import ConfigurationError

NAMES = ("grpc_server.py", "grpc_server_threaded.py")
SDK = "snakepit_bridge_sdk"

_WRITTEN = "Written by `snakepit compat install`"
_SCRIPT = '''\
#!/usr/bin/env python3
"""Starts a worker of snakepit-bridge for a Snakepit host. Written by `snakepit compat install`; write it anew rather than change it."""

import os
import sys

SDK = os.path.join(os.path.dirname(os.path.abspath(__file__)), {sdk!r})
OURS = os.path.join(SDK, "snakepit_bridge")

if not os.path.isfile(os.path.join(OURS, "__init__.py")):
    sys.exit("snakepit: %s leads nowhere: snakepit-bridge has moved; run `snakepit compat install` again" % OURS)
sys.path.insert(0, SDK)

import snakepit_bridge

if not os.path.samefile(os.path.dirname(snakepit_bridge.__file__), OURS):
    sys.exit("snakepit: another snakepit_bridge was imported before this one could be: %s instead of %s" % (snakepit_bridge.__file__, OURS))

from snakepit_bridge.grpc_server import main

if __name__ == "__main__":
    sys.exit(main())
'''


def install(directory: Path, *, force: bool = False) -> list[Path]:
    """Write the scripts and the link; what was written.

    Raises:
        ConfigurationError: something else is there already, and force is False; or it cannot be written.
    """
    sdk, package = directory / SDK, Path(snakepit_bridge.__file__).resolve().parent
    paths = [directory / name for name in NAMES]
    taken = [path for path in paths if os.path.lexists(path) and not _is_ours(path)]
    if taken and not force:
        hint = "give another directory, or --force to replace what is there"
        raise ConfigurationError(f"{taken[0]} is there already, and is another program", hint=hint, field="DIR")
    try:
        sdk.mkdir(parents=True, exist_ok=True)
        link = sdk / "snakepit_bridge"
        link.unlink(missing_ok=True)
        link.symlink_to(package, target_is_directory=True)
        for path in paths:
            path.write_text(script(), encoding="utf-8")
            path.chmod(0o755)
    except OSError as error:
        hint = "it must be a directory that you may write to"
        raise ConfigurationError(f"{error.filename or directory} cannot be written: {error.strerror}", hint=hint, field="DIR") from error
    return [*paths, link]


def _is_ours(path: Path) -> bool:
    """Also one of an earlier version."""
    try:
        return _WRITTEN in path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # such as a directory
        return False


def script() -> str:
    """The text of the scripts."""
    return _SCRIPT.format(sdk=SDK)
