"""Whether a process that has imported an adapter may fork workers: what would not survive the fork, found before it.

A forked child has one thread, the one that forked. Threads of Python and objects of gRPC that were made before the fork are broken in
it. Libraries' own threads may be missed or not: what is known to use some is tried in a child that is thrown away.
"""

import _thread
import collections
import contextlib
import gc
import os
import select
import signal
import sys
import threading
import time
import warnings
from typing import Any, Callable, Dict, List

#: How long a library may take for what takes it milliseconds (seconds).
_TRIAL_SECONDS = 5.0

_LATER = "start it in initialize(), which runs in each worker"


def _use_numpy(numpy: Any) -> None:
    numpy.dot(numpy.ones((128, 128)), numpy.ones((128, 128)))


def _use_polars(polars: Any) -> None:
    polars.DataFrame({"a": list(range(1000))}).lazy().select((polars.col("a") * 2).sum(), polars.col("a").max().alias("b")).collect()


def _use_torch(torch: Any) -> None:
    torch.ones(256, 256).mm(torch.ones(256, 256))


#: Libraries with threads of their own, and something that uses them.
_USES: Dict[str, Callable[[Any], None]] = {"numpy": _use_numpy, "polars": _use_polars, "torch": _use_torch}


def refusal() -> str:
    """Why this process must not fork workers, with what mends it; empty: nothing is known."""
    return _python_threads() or _grpc_objects() or _hanging_library()


def library_threads() -> List[str]:
    """The threads of this process that are not Python's, by name, with how many there are of each."""
    names: collections.Counter[str] = collections.Counter()
    for task in os.listdir("/proc/self/task"):
        if int(task) != os.getpid():
            try:
                with open("/proc/self/task/%s/comm" % task) as file:
                    names[file.read().strip()] += 1
            except OSError:
                continue  # it has just ended
    return ["%s (%d)" % item if item[1] > 1 else item[0] for item in sorted(names.items())]


def _python_threads() -> str:
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if not names and not _thread._count():  # the latter knows those that were started below `threading`
        return ""
    what = "thread %s" % ", ".join(map(repr, names)) if names else "thread"
    return "the adapter's import has started a Python %s, which no forked worker would have: %s" % (what, _LATER)


def _grpc_objects() -> str:
    """Channels and servers, of the sync and the async half."""
    kinds = []
    for module, names in {"grpc._channel": ["Channel"], "grpc._server": ["_Server"]}.items():
        kinds += [getattr(sys.modules.get(module), name, None) for name in names]
    for module in ("grpc.aio._channel", "grpc.aio._server"):
        kinds += [getattr(sys.modules.get(module), name, None) for name in ("Channel", "Server")]
    wanted = tuple(kind for kind in kinds if isinstance(kind, type))
    found = {type(item).__name__.strip("_") for item in gc.get_objects() if type(item) in wanted} if wanted else set()
    if not found:
        return ""
    return "the adapter's import has made a gRPC %s, which hangs in a forked worker: %s" % (
        " and ".join(sorted(found)).lower(),
        _LATER.replace("start", "make"),
    )


def _hanging_library() -> str:
    """Try what is known in a forked child; what it was at when its time was over."""
    known = [name for name in _USES if name in sys.modules]
    if not known:
        return ""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        _try(known, write)
    os.close(write)
    until, said = time.monotonic() + _TRIAL_SECONDS, b""
    waiting = select.poll()
    waiting.register(read, select.POLLIN)
    while waiting.poll(max(0.0, until - time.monotonic()) * 1000):
        data = os.read(read, 4096)
        said += data
        if not data:
            break
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(read)
    status = os.waitpid(pid, 0)[1]
    if not status:
        return ""
    name = said.decode().split()[-1] if said else known[0]
    how = "hangs" if status == signal.SIGKILL else "crashes"
    return "%s, which the adapter's import has used, %s in a forked process: use it first in initialize()" % (name, how)


def _try(known: List[str], write: int) -> None:
    """In the child: use one library after the other, each announced. Does not return."""
    try:
        for name in known:
            os.write(write, name.encode() + b"\n")
            with contextlib.suppress(Exception):  # it is broken in its own way, which its user will see
                _USES[name](sys.modules[name])
    finally:
        os._exit(0)
