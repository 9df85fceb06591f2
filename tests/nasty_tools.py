"""Tools that leave something behind, or do all they can to stay. Each touches a file of its kind's name once it has begun."""

import ctypes
import multiprocessing
import os
import pathlib
import platform
import signal
import subprocess
import threading
import time

from snakepit_bridge import tool

_EXIT_OF_ONE_THREAD = {"x86_64": 60, "aarch64": 93}.get(platform.machine(), 60)


def _detach(begun, environment=None):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            begun()
            if environment is not None:
                os.execve("/bin/sleep", ["sleep", "600"], environment)
            time.sleep(600)
        os._exit(0)


def _fork_all_the_time(begun):
    for _ in range(10**6):
        if os.fork() == 0:
            os.setsid()
            begun()
            time.sleep(1)
            os._exit(0)
        time.sleep(0.005)


def _do_not_listen(begun):
    _detach(begun)
    while True:
        try:
            time.sleep(600)
        except BaseException:
            continue


def _leave_but_for_a_thread(begun):
    """A child whose first thread has ended: lists show it as a zombie, and yet it works, and has a child of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)

        def stay():
            while pathlib.Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z":
                time.sleep(0.001)
            begun()
            time.sleep(600)

        threading.Thread(target=stay).start()
        ctypes.CDLL(None).syscall(_EXIT_OF_ONE_THREAD, 0)


def _then(action):
    def begin(begun):
        begun()
        action()

    return begin


def _sleeper(**options):
    def begin(begun):
        with subprocess.Popen(["/bin/sleep", "600"], **options) as process:
            begun()
            process.wait()

    return begin


def _process_pool(begun):
    with multiprocessing.get_context("fork").Pool(3) as pool:
        begun()
        pool.map(time.sleep, [600] * 3)


KINDS = {
    "waits": _then(lambda: None),
    "computes in C": _then(lambda: sum(range(10**12))),
    "is stopped": _then(lambda: os.kill(os.getpid(), signal.SIGSTOP)),
    "ignores SIGTERM": _then(lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)),
    "grandchild with a session of its own": _sleeper(start_new_session=True),
    "grandchild with an empty environment": _sleeper(env={}),
    "detached by two forks": _detach,
    "detached, with an empty environment": lambda begun: _detach(begun, {}),
    "forks all the time": _fork_all_the_time,
    "process pool": _process_pool,
    "leaves, but for a thread": _leave_but_for_a_thread,
    "does not listen, with a detached child": _do_not_listen,
}


@tool
def misbehave(kind: str, folder: str = "/tmp") -> None:
    KINDS[kind]((pathlib.Path(folder) / kind).touch)
    time.sleep(600)


@tool
def add(a: int, b: int) -> int:
    return a + b


@tool
def pid() -> int:
    return os.getpid()
