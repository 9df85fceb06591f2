"""Tools that leave something behind, or do all they can to stay."""

import multiprocessing
import os
import signal
import subprocess
import time

from snakepit_bridge import tool


def _detach(environment=None):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if environment is not None:
                os.execve("/bin/sleep", ["sleep", "600"], environment)
            time.sleep(600)
        os._exit(0)


def _fork_all_the_time():
    for _ in range(10**6):
        if os.fork() == 0:
            os.setsid()
            time.sleep(1)
            os._exit(0)
        time.sleep(0.005)


def _do_not_listen():
    _detach()
    while True:
        try:
            time.sleep(600)
        except BaseException:
            continue


KINDS = {
    "waits": lambda: None,
    "computes in C": lambda: sum(range(10**12)),
    "is stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "ignores SIGTERM": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "grandchild with a session of its own": lambda: subprocess.run(["sleep", "600"], start_new_session=True, check=False),
    "detached by two forks": _detach,
    "detached, with an empty environment": lambda: _detach({}),
    "forks all the time": _fork_all_the_time,
    "process pool": lambda: multiprocessing.get_context("fork").Pool(3).map(time.sleep, [600] * 3),
    "does not listen, with a detached child": _do_not_listen,
}


@tool
def misbehave(kind: str) -> None:
    KINDS[kind]()
    time.sleep(600)


@tool
def add(a: int, b: int) -> int:
    return a + b


@tool
def pid() -> int:
    return os.getpid()
