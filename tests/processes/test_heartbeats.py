"""A worker that no longer answers is noticed; one that only works hard, or whose host was away, is left alone."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import snakepit
from pool_helpers import wait_until

QUICK = {"interval": 0.1, "timeout": 0.3, "max_missed": 2}
TOOLS = """
import ctypes, json, os, time
from snakepit_bridge import tool

@tool
def pid() -> int:
    return os.getpid()

@tool
def compute(seconds: float) -> int:
    end, turns = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        turns += 1
    return turns

@tool
def hold(seconds: float) -> None:
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # with the GIL

@tool
def hold_and_tell(seconds: int) -> str:
    left = ctypes.PyDLL(None).sleep(seconds)  # with the GIL; a signal cuts it short
    return f"slept, {left} s too little"

@tool
def hold_for_ever() -> None:
    sum(range(10**13))  # a call into C that no signal cuts short

@tool
def environment() -> dict:
    raw = open("/proc/self/environ", "rb").read().split(bytes(1))
    return {"told": [item.decode() for item in raw if item.startswith(b"SNAKEPIT_HEARTBEAT")], "inherited": "SNAKEPIT_HEARTBEAT_CONFIG" in os.environ}
"""


@pytest.fixture
def tools(tmp_path: pathlib.Path) -> str:
    """A file of tools."""
    path = tmp_path / "beating.py"
    path.write_text(TOOLS)
    return str(path)


@pytest.mark.parametrize("protocol", ["grpc", "msgpack"])
def test_a_worker_that_does_not_answer_is_replaced(tools: str, protocol: str) -> None:
    """Its call fails and says why; the next one is served by another worker."""
    with snakepit.Pool(tools, size=1, protocol=protocol, heartbeat=QUICK) as pool:
        pid = pool.execute("pid")
        future = pool.submit("compute", {"seconds": 60.0})
        wait_until(lambda: pool.stats().running == 1, "the call")
        began = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(snakepit.WorkerCrashed, match="had not answered 2 heartbeats, each within 0.3 s"):
            future.result(10)
        assert 0.5 < time.monotonic() - began < 5
        assert pool.execute("pid") != pid


def test_an_independent_worker_is_only_logged(tools: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is asked on, and serves when it answers again."""
    caplog.set_level(logging.WARNING, "snakepit")
    with snakepit.Pool(tools, size=1, heartbeat={**QUICK, "dependent": False}) as pool:
        pid = pool.execute("pid")
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: "4 of 2 beats missed" in caplog.text, "four missed beats")
        os.kill(pid, signal.SIGCONT)
        assert pool.execute("pid") == pid
        assert pool.stats().restarts == 0


def test_who_works_hard_is_left_alone(tools: str) -> None:
    """A tool that computes lets beats through; one that holds the interpreter for less than the timeout too."""
    with snakepit.Pool(tools, size=1, heartbeat=QUICK) as pool:
        pid = pool.execute("pid")
        assert pool.execute("compute", {"seconds": 2.0}) > 0
        for _ in range(4):
            pool.execute("hold", {"seconds": 0.25})
        assert pool.execute("pid") == pid
        assert pool.stats().restarts == 0


def test_who_holds_the_interpreter_too_long_is_replaced(tools: str) -> None:
    """No thread of it can answer; the error says where it was."""
    with snakepit.Pool(tools, size=1, heartbeat=QUICK) as pool:
        with pytest.raises(snakepit.WorkerCrashed, match="had not answered 2 heartbeats") as caught:
            pool.execute("hold_for_ever")
        assert "in hold_for_ever" in caught.value.details["stacks"]
        pool.execute("pid")
        assert pool.stats().restarts == 1


def test_switched_off(tools: str) -> None:
    """Nobody is asked, and nobody is taken for dead."""
    with snakepit.Pool(tools, size=1, heartbeat=False) as pool:
        pid = pool.execute("pid")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1.0)
        os.kill(pid, signal.SIGCONT)
        assert pool.execute("pid") == pid


def test_a_ping_of_ones_own(tools: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is asked in place of the channel; what it raises is a missed beat, and its reason is logged."""
    asked: list[str] = []

    def ping(worker_id: str) -> bool:
        asked.append(worker_id)
        if worker_id == "worker-1" and len(asked) > 3:
            raise ConnectionError("cannot reach it")
        return True

    with snakepit.Pool(tools, size=1, heartbeat={**QUICK, "ping_fun": ping}) as pool:
        first = pool.execute("pid")
        wait_until(lambda: pool.stats().restarts == 1, "the end of the first worker")
        assert pool.execute("pid") != first
    assert asked[:4] == ["worker-1"] * 4
    assert "cannot reach it" in caplog.text


def test_both_sides_agree(tools: str) -> None:
    """The settings are in the worker's environment under Snakepit's keys, and not in that of what its tools start."""
    with snakepit.Pool(tools, size=1, heartbeat={"interval": 1.5, "max_missed": 5}) as pool:
        found = pool.execute("environment")
    (told,) = found["told"]
    facts = json.loads(told.partition("=")[2])
    assert (facts["interval_ms"], facts["timeout_ms"], facts["max_missed_heartbeats"], facts["dependent"]) == (1500, 10000, 5, True)
    assert found["inherited"] is False


HOST = """
import sys, time
import snakepit

def main():
    with snakepit.Pool(sys.argv[1], size=2, heartbeat={"interval": 0.1, "timeout": 0.5, "max_missed": 1}) as pool:
        while pool.stats().workers_ready < 2:
            time.sleep(0.01)
        pids = {handle.pid for handle in pool.workers()}
        print("ready", flush=True)
        sys.stdin.readline()
        time.sleep(1.0)
        print(pool.stats().restarts, {handle.pid for handle in pool.workers()} == pids)

if __name__ == "__main__":
    main()
"""


def test_a_host_that_was_stopped_condemns_nobody(tools: str, tmp_path: pathlib.Path) -> None:
    """Three timeouts long."""
    script = tmp_path / "host.py"
    script.write_text(HOST)
    with subprocess.Popen([sys.executable, script, tools], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
        for _ in range(2):
            os.kill(host.pid, signal.SIGSTOP)
            time.sleep(1.5)
            os.kill(host.pid, signal.SIGCONT)
            time.sleep(0.3)
        host.stdin.write("\n")
        host.stdin.close()
        assert host.stdout.read() == "0 True\n"


def test_a_worker_at_the_end_of_a_dead_line_leaves(tmp_path: pathlib.Path) -> None:
    """It has heard nothing for so long: nobody will ever tell it that its host has gone."""
    command = [sys.executable, "-m", "snakepit_bridge", "--stdio", "--leave-after-silence", "0.5"]
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.wait(15)
        assert b"the host has said nothing for 0.5 s: this worker leaves" in process.stderr.read()
    assert time.monotonic() - began < 10


def test_a_worker_that_hears_its_host_stays(tools: str) -> None:
    """However long it lives; a host that is silent for less than that long does not lose it, one that is silent for longer does."""
    command = [sys.executable, "-m", "snakepit_bridge", "--stdio", "--leave-after-silence", "1.0"]
    with snakepit.Pool(tools, size=1, command=command, heartbeat={"interval": 0.2, "dependent": False}) as pool:
        pid = pool.execute("pid")
        time.sleep(2.5)
        assert pool.execute("pid") == pid
    with snakepit.Pool(tools, size=1, command=command, heartbeat=False) as pool:
        pid = pool.execute("pid")
        time.sleep(0.5)
        assert pool.execute("pid") == pid
        wait_until(lambda: pool.stats().restarts >= 1, "its leaving")


def test_the_command_is_told_how_long_to_wait(tmp_path: pathlib.Path) -> None:
    """By the pool, as it knows how often it asks; not where the worker is not to depend on it."""
    seen = tmp_path / "words"
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {seen}\nexec "$@"\n')
    wrapper.chmod(0o755)
    for beat in ({}, {"dependent": False}):
        with snakepit.Pool(
            size=1, command=[wrapper.as_posix(), sys.executable, "-m", "snakepit_bridge", "--stdio"], heartbeat=beat
        ) as pool:
            pool.execute("ping")
    first, second = seen.read_text().splitlines()
    assert "--leave-after-silence 300" in first
    assert "--leave-after-silence" not in second


def test_what_a_condemned_worker_still_says_does_not_count(tools: str) -> None:
    """The look at its threads wakes its tool too early: that is no result; and the next call does not go to where it would die."""
    with snakepit.Pool(tools, size=1, heartbeat=QUICK) as pool:
        first = pool.submit("hold_and_tell", {"seconds": 30})
        others = [pool.submit("pid") for _ in range(3)]
        with pytest.raises(snakepit.WorkerCrashed, match="had not answered 2 heartbeats"):
            first.result(20)
        assert len({future.result(20) for future in others}) == 1
        assert pool.stats().workers_ready == 1


def test_the_rung_of_a_call_whose_worker_was_killed(tools: str) -> None:
    """It is the kill, although the look at its threads let the tool return."""
    with snakepit.Pool(tools, size=1, cancel_timeout=0.3) as pool:
        with pytest.raises(snakepit.WorkerTimeout) as late:
            pool.execute("hold_and_tell", {"seconds": 30}, timeout=0.2)
        wait_until(lambda: late.value.rung != "pending", "the end of the ladder")
        assert (late.value.rung, pool.stats().killed, dict(pool.stats().rungs)) == ("kill", 1, {"kill": 1})
