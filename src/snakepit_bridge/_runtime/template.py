"""The template: has imported the adapter, calls nothing of it, and forks workers that are ready in milliseconds and share its memory.

Started by a host's guardian as its child. It forks twice for each worker, and announces it in between, so that the worker becomes
the guardian's own child: see `guardian_templates` in the host. It has no threads and no gRPC of its own: what a worker needs of these
it makes for itself. Linux only.
"""

import array
import ctypes
import gc
import json
import os
import signal
import socket
import sys
import time
import warnings
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from .own_randomness import renew_randomness

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
#: Descriptors that come with one request.
_MOST_DESCRIPTORS = 8
#: How long the process in between may take to end (seconds); more means that it cannot.
_ADOPTED_WITHIN = 10.0
#: Where in /proc/PID/stat, behind the name, stands where the arguments lie in memory, and where they end.
_ARGUMENTS_AT, _ARGUMENTS_END = 45, 46


class Born(NamedTuple):
    """What a worker that was just forked is to be.

    Attributes:
        argv: its command line, without descriptors.
        fds: its descriptors by name: `lifeline`, `stacks`, and `channel` where it does not listen.
    """

    argv: List[str]
    fds: Dict[str, int]


def tell(report_fd: int, report: Dict[str, Any]) -> None:
    """Tell the host `{"ready": ...}` or `{"failed": ...}`."""
    data = json.dumps(report).encode("utf-8") + b"\n"
    while data:
        data = data[os.write(report_fd, data) :]


def serve(fd: int, report_fd: int) -> Optional[Born]:
    """Fork workers as they are asked for, until the guardian has gone: then None. Returns in each worker, too."""
    guardian = os.getppid()
    orders = socket.socket(fileno=fd)
    for inherited in (fd, report_fd):
        os.set_inheritable(inherited, False)
    _settle()
    while True:
        given = array.array("i")
        data, ancillary, _, _ = orders.recvmsg(64, socket.CMSG_SPACE(_MOST_DESCRIPTORS * given.itemsize))
        if not data:
            return None
        for level, kind, item in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                given.frombytes(item[: len(item) - len(item) % given.itemsize])
        between = _fork(orders, int(data))
        if between:
            orders.close()
            os.close(report_fd)
            with open(given[0], "rb") as file:
                born = _become(json.loads(file.read().decode("utf-8")), given[1:])
            _be_adopted(between, guardian)  # last: the process in between needs some time to end
            return born
        for one in given:
            os.close(one)


def _settle() -> None:
    """What the workers share is to stay as it is: garbage goes, and what is left is never looked at again by a collection."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    ctypes.CDLL(None).fflush(None)  # what libraries in C have printed: each worker would print it again
    gc.collect()
    gc.freeze()


def _fork(orders: socket.socket, number: int) -> int:
    """Fork a worker; in it, the process in between that is its parent for a moment; 0 here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # threads of libraries: they were looked at, and tried
        try:
            between = os.fork()
        except OSError as error:
            orders.send(b"%d %d" % (number, -(error.errno or 1)))
            return 0
        if between:
            status = os.waitpid(between, 0)[1]
            if status:
                orders.send(b"%d %d" % (number, -((status >> 8) or 1)))
            return 0
        between = os.getpid()
        try:
            worker = os.fork()
        except OSError as error:
            os._exit((error.errno or 1) & 0xFF)
    if worker:
        orders.send(b"%d %d" % (number, worker))
        os._exit(0)
    return between


def _be_adopted(between: int, guardian: int) -> None:
    """Wait until the process in between has ended and the guardian is our parent; die with it from now on."""
    until = time.monotonic() + _ADOPTED_WITHIN
    while os.getppid() == between and time.monotonic() < until:
        time.sleep(0.0002)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != guardian:
        os._exit(70)  # it has gone meanwhile, and no signal will come
    os.setsid()


def _become(request: Dict[str, Any], fds: Sequence[int]) -> Born:
    """In the new worker: its outputs, environment, title and randomness."""
    named = dict(zip(request["names"], fds))
    for place, name in enumerate(("stdin", "stdout", "stderr")):
        fd = named.pop(name)
        os.dup2(fd, place)
        os.close(fd)
    for variable in set(os.environ) - set(request["env"]):
        del os.environ[variable]
    for variable, value in request["env"].items():
        if os.environ.get(variable) != value:
            os.environ[variable] = value
    sys.argv[1:] = request["argv"]
    _retitle([sys.executable, "-X", "snakepit=" + request["title"], *request["argv"]])
    renew_randomness()
    return Born(request["argv"], named)


def _retitle(words: Sequence[str]) -> None:
    """What `ps` shows: the place of the template's arguments is written over, as far as it reaches."""
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[_ARGUMENTS_AT]), int(fields[_ARGUMENTS_END])
    except (OSError, IndexError, ValueError):
        return  # it keeps the template's
    text = b"\0".join(map(os.fsencode, words))
    if 0 < start < end:
        ctypes.memmove(start, text[: end - start - 1].ljust(end - start, b"\0"), end - start)
