"""The guardian: starts, reaps and ends the workers of one pool, and outlives neither pool nor host with anything below it.

Run by an isolated interpreter without site-packages (`python -I -S`, see `guardian`): one thread, no user code, nothing
imported that is not needed, so nothing that a worker does can hold it up. Linux only. Five things make it thorough:

* It is a child subreaper (`prctl(2)`): what has lost its parent becomes its child, so whatever its descendants do (a session of
  their own, two forks, an empty environment), one walk over /proc finds them all.
* Workers are subreapers too: what a tool has detached stays below its worker, and becomes a stray here when that ends. Strays are killed.
* It waits on a socket to the host, and on the host itself. When either ends, it freezes and kills all that is below, until it has
  no children any more.
* Workers get SIGKILL when it ends itself (`PR_SET_PDEATHSIG`; its only thread forked them).
* It is two processes: a keeper, which does nothing, and its child, which does all of the above. Whichever of them is killed, the
  other one ends everything: what the guardian loses becomes the keeper's child, and the guardian notices the keeper's end.

Orders are datagrams, dicts as `marshal` writes them (both sides are the same Python, and its import costs nothing): `{"start": n}` with
descriptors (and `"from": t`: to be forked by the template t, see `guardian_templates`), `{"terminate": n}`, `{"report": n}` (SIGUSR1),
`{"kill": n}`. What is to be started stands in a memory file, the first of the descriptors. It says `{"guardian": p}` once, answers
`{"started": n, "pid": p}` or `{"failed": n, "errno": e, "what": w}`, and later `{"exited": n, "status": s, "rss": bytes}`.
"""

from __future__ import annotations

# The C halves of `signal` and `socket`: what these add, enumerations above all, takes as long as the start of the interpreter.
import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable  # not imported when it runs
    from typing import Any

    from .guardian_templates import Templates

if TYPE_CHECKING or __package__:  # the host looks at this module too
    from .guardian_proc import MARKER, born, children, end, end_everything, leftovers, signal_all, world
else:  # the guardian itself: isolated, with no path but that of this file
    from guardian_proc import MARKER, born, children, end, end_everything, leftovers, signal_all, world

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
#: How long the descendants of a worker are hunted before others are served again (seconds).
_BOUND = 1.5
_SIGNALS = {"terminate": _signal.SIGTERM, "report": _signal.SIGUSR1}
#: Given with one order.
_MOST_DESCRIPTORS = 8
#: Leftovers of dead runs are looked for when nothing has been asked for so long (milliseconds).
_QUIET_MS = 200


_found: list[Callable[..., int]] = []


def prctl(option: int, value: int) -> None:
    """`prctl(2)`, of this process."""
    if not _found:
        _found.append(_prctl())
    _found[0](option, value, 0, 0, 0)


def _prctl() -> Callable[..., int]:
    try:
        return _prctl_in_c()
    except (AttributeError, TypeError):  # it has changed
        import ctypes

        function = ctypes.CDLL(None).prctl
        function.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
        return function


def _prctl_in_c() -> Callable[..., int]:
    """By the C half of `ctypes` alone: to import the rest takes three milliseconds of each start of a pool."""
    import _ctypes  # here: the host imports this module too, for its look at /proc

    class Int(_ctypes._SimpleCData):  # type: ignore[type-arg]
        _type_ = "i"

    class Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
        _type_ = "L"

    class Function(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL
        _restype_ = Int
        _argtypes_ = (Int, Long, Long, Long, Long)

    return Function(_ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl"))  # type: ignore[arg-type]  # of this process itself


# The guardian -----------------------------------------------------------------------------------------------------------------


class Guardian:
    """Serves one host until that is gone.

    Args:
        host: the socket; host_pid: the process at its other end. run: names the run in markers, without colons.
        keeper: a descriptor that becomes readable at the keeper's end.
    """

    def __init__(self, host: _socket.socket, host_pid: int, run: str, keeper: int) -> None:
        self.host = host
        self.keeper = keeper
        self.pid = os.getpid()
        self.workers: dict[int, int] = {}  # pid -> number; templates are among them
        self.waits = select.poll()
        self.templates: Templates = __import__("guardian_templates").Templates(self.waits, self.workers, self.say)
        self.directories: set[str] = set()
        self.host_end = _end_of(host_pid)
        self.run = run
        self.marker = f"{MARKER}={run}:{self.pid}:{born(self.pid)}:{world()}"
        self.gone = self.host_lives = False
        self.swept = False

    def serve(self, woken: int) -> None:
        """Until the host is gone, or the keeper."""
        for fd in (self.host.fileno(), woken, self.host_end, self.keeper):
            if fd >= 0:
                self.waits.register(fd, select.POLLIN)
        self.say({"guardian": self.pid})
        while not self.gone:
            ready = dict(self.waits.poll(None if self.swept else _QUIET_MS))
            if not ready:  # a quiet moment
                found = leftovers(self.run)
                self.swept = not found  # else again: what was killed may have started something
                signal_all(found, _signal.SIGKILL)
            if self.host_end in ready or self.keeper in ready:
                self.host_lives = self.host_end not in ready
                return
            if woken in ready:
                os.read(woken, 4096)
                self.reap()
            if self.host.fileno() in ready:
                self.obey()
            if any(self.templates.has(fd) for fd in ready):
                self.templates.hear()

    def obey(self) -> None:
        """Take one order."""
        try:
            data, given, _, _ = self.host.recvmsg(65536, _socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4), _socket.MSG_CMSG_CLOEXEC)
        except OSError:  # the host has died with news of ours unread
            data, given = b"", []
        fds = [int.from_bytes(item[at : at + 4], sys.byteorder) for _, _, item in given for at in range(0, len(item), 4)]
        if not data:
            self.gone = True
            return
        order = marshal.loads(data)
        number = order.get("start")
        if number is not None:
            self.templates.fork(number, order["from"], fds) if "from" in order else self.start(number, fds)
            return
        ((what, number),) = order.items()
        pid = next((pid for pid, known in self.workers.items() if known == number), None)
        if pid is not None and what in _SIGNALS:
            signal_all([pid], _SIGNALS[what])
        elif pid is not None:
            end([pid])
            self.reap()
        elif what == "kill":
            self.templates.forget(number)

    def start(self, number: int, fds: list[int]) -> None:
        """Start a worker as the memory file, the first of the descriptors, says."""
        with open(fds[0], "rb") as file:
            what = marshal.load(file)
        if what["template"] >= 0:  # the place of its socket to us
            fds.append(self.templates.add(number))
            what["places"].append(what["template"])
        if what["run_directory"]:
            self.directories.add(what["run_directory"])
        pipe: tuple[int, ...] = ()
        try:
            pipe = os.pipe()
            pid = os.fork()
        except OSError as error:  # the machine, or the cgroup, has no process or descriptor left: that is no reason to end the others
            for fd in (*pipe, *fds[1:]):
                os.close(fd)
            self.templates.forget(number)
            self.say({"failed": number, "errno": error.errno, "what": "fork"})
            return
        problem_read, problem_write = pipe
        if pid == 0:
            os.close(problem_read)
            self.become(what, fds[1:], problem_write)
        os.close(problem_write)
        for fd in fds[1:]:
            os.close(fd)
        with open(problem_read, "rb") as file:
            problem = file.read()  # until the worker's program has replaced this one there
        if problem:
            os.waitpid(pid, 0)
            self.say({"failed": number, **marshal.loads(problem)})
        else:
            self.workers[pid] = number
            self.say({"started": number, "pid": pid})

    def become(self, what: dict[str, Any], fds: list[int], problem: int) -> None:
        """In the new process: be the worker. Does not return."""
        import fcntl

        step = ""
        try:
            prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
            if what["template"] < 0:  # what a template forks is to become ours
                prctl(PR_SET_CHILD_SUBREAPER, 1)
            os.setsid()
            _signal.set_wakeup_fd(-1)
            for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGCHLD, _signal.SIGPIPE, _signal.SIGXFSZ):
                _signal.signal(number, _signal.SIG_DFL)
            if os.getppid() != self.pid:
                os._exit(70)  # the guardian has gone in between, and no signal will come
            step = "cwd"
            if what["cwd"]:
                os.chdir(what["cwd"])
            step = "command"
            free = max(what["places"]) + 1  # from there on nothing is to be put
            problem, *aside = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, free) for fd in [problem, *fds]]
            for fd, place in zip(aside, what["places"], strict=True):
                os.dup2(fd, place)
            env = dict(item.split(b"=", 1) for item in [*what["env"], self.marker.encode()])
            os.execvpe(what["command"][0], what["command"], env)
        except OSError as error:
            os.write(problem, marshal.dumps({"errno": error.errno, "what": step}))
        finally:
            os._exit(127)

    def reap(self) -> None:
        """Tell of workers that have ended, and end what they have left."""
        until = time.monotonic() + _BOUND
        while self.collect():
            strays = self.strays()
            while strays and time.monotonic() < until:
                end(strays)
                time.sleep(0.002)
                self.collect()
                strays = self.strays()

    def strays(self) -> list[int]:
        """Our children that are no workers."""
        found = children().get(os.getpid(), ())
        self.templates.hear()  # not before: who is among them now has been announced
        return [pid for pid in found if pid not in self.workers]

    def collect(self) -> bool:
        """Reap what has ended; was there anything?"""
        any_ended = False
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return any_ended
            if pid == 0:
                return any_ended
            any_ended = True
            if pid not in self.workers:
                self.templates.hear()
            number = self.workers.pop(pid, None)
            if number is not None:
                self.say({"exited": number, "status": os.waitstatus_to_exitcode(status), "rss": usage.ru_maxrss * 1024})

    def say(self, news: dict[str, Any]) -> None:
        """Tell the host something."""
        try:
            self.host.send(marshal.dumps(news))
        except OSError:
            self.gone = True

    def leave(self) -> None:
        """The host is gone, or the keeper: end everything, and remove what the host can no longer remove itself."""
        self.host.close()
        end_everything()
        if self.directories and not self.host_lives:
            import shutil

            for directory in self.directories:
                shutil.rmtree(directory, ignore_errors=True)


def _end_of(pid: int) -> int:
    """What becomes readable when a process ends; -1 where the kernel has no such thing: then the socket alone tells."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return -1


def main() -> None:
    """Serve on the inherited socket, below a keeper."""
    fd, host_pid, run = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(number, _signal.SIG_IGN)
    keeper, held_open = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid:
        name("keeper")
        os.close(fd)
        os.close(keeper)
        os.waitpid(pid, 0)
        end_everything()
        return
    name("guardian")
    os.close(held_open)
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # not inherited
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    _signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    os.set_inheritable(fd, False)
    guardian = Guardian(_socket.socket(fileno=fd), host_pid, run, keeper)
    try:
        guardian.serve(woken)
    finally:
        guardian.leave()


def name(what: str) -> None:
    """What lists of processes show for this one."""
    with open("/proc/self/comm", "w") as file:
        file.write("snakepit-" + what)
