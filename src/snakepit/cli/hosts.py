"""Finds the pools of this user that run on this machine, and asks each how it is. Used by `status_command`.

Pools answer on a socket in their run directory (`_pool.status_server`). Directories of dead ones are removed on the way.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import pathlib
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any

from snakepit._pool.status_server import is_own, peer_of
from snakepit._workers.run_directory import STATUS_SOCKET, bases, is_living, sweep

#: How long a pool may take to answer (seconds), and how much it may say (bytes).
ANSWER_SECONDS = 2.0
_MOST_BYTES = 64 * 1024 * 1024
#: Asked at once.
_MOST_THREADS = 16
_SOCKETS = pathlib.Path("/proc/net/unix")


@dataclasses.dataclass(frozen=True, slots=True)
class Silent:
    """A pool that does not answer. `pid`: its process; None: not known."""

    pid: int | None
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """One look at this machine: what the pools have said, and those that have said nothing."""

    pools: tuple[dict[str, Any], ...] = ()
    silent: tuple[Silent, ...] = ()


def look(pid: int | None = None, name: str | None = None) -> Seen:
    """Ask all pools of this user, those of a process, or those of a name (`instance_name`)."""
    paths = list(sockets())
    if not paths:
        return Seen()
    with concurrent.futures.ThreadPoolExecutor(min(len(paths), _MOST_THREADS)) as threads:
        answers = list(threads.map(functools.partial(ask, wanted=pid), paths))
    pools = [answer for answer in answers if isinstance(answer, dict)]
    pools = [told for told in pools if pid in (None, told["pid"]) and name in (None, told["name"])]
    silent = [answer for answer in answers if isinstance(answer, Silent) and pid in (None, answer.pid) and name is None]
    return Seen(tuple(sorted(pools, key=lambda told: (told["pid"], told["started"]))), tuple(silent))


def sockets() -> Iterator[pathlib.Path]:
    """The sockets of living pools; what dead ones have left in the usual places is removed."""
    for base in bases():
        with contextlib.suppress(OSError):
            sweep(base)
    for path in dict.fromkeys([*_in_usual_places(), *_in_the_kernels_list()]):
        if is_living(path.parent):
            yield path


def ask(path: pathlib.Path, wanted: int | None = None) -> dict[str, Any] | Silent | None:
    """What a pool says; None if it has gone meanwhile, is another user's, or of another process than the one that is wanted."""
    until, pid, data = time.monotonic() + ANSWER_SECONDS, None, bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.settimeout(ANSWER_SECONDS)
            sock.connect(str(path))
            if not is_own(sock):
                return None
            pid = peer_of(sock)[0] if hasattr(socket, "SO_PEERCRED") else None
            if wanted is not None and pid not in (None, wanted):
                return None
            while len(data) < _MOST_BYTES:
                sock.settimeout(max(0.001, until - time.monotonic()))
                part = sock.recv(1024 * 1024)
                if not part:
                    break
                data += part
        except TimeoutError:
            return Silent(pid, f"it has not answered within {ANSWER_SECONDS:g} s: its event loop is busy, or it is stopped")
        except OSError:
            return None
    return _parsed(bytes(data), pid)


def _parsed(data: bytes, pid: int | None) -> dict[str, Any] | Silent | None:
    if not data:
        return Silent(pid, "it has closed the line without an answer: too many ask it at once, or its log says why")
    try:
        told = json.loads(data)
        if told["version"] >= 1 and isinstance(told["pid"], int):
            return dict(told)
    except (ValueError, KeyError, TypeError):
        pass
    return Silent(pid, "what it has answered makes no sense: is its snakepit another one?")


def _in_usual_places() -> Iterable[pathlib.Path]:
    return [path for base in bases() for path in base.glob(f"snakepit-*/{STATUS_SOCKET}")]


def _in_the_kernels_list() -> Iterable[pathlib.Path]:
    """Those of programs with another TMPDIR, too: the kernel knows the path of each socket that listens."""
    try:
        rows = _SOCKETS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    paths = (pathlib.Path(row.split(maxsplit=7)[-1]) for row in rows[1:] if row.endswith(f"/{STATUS_SOCKET}"))
    return [path for path in paths if path.is_absolute() and path.parent.name.startswith("snakepit-")]
