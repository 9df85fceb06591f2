"""MessagePack and JSON channels over what a worker inherits: a socket, or its stdin and stdout, on this machine or behind a command."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

import snakepit
from pool_helpers import TOOLS, is_alive, wait_until
from worker_faces import adapter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

HERE = str(pathlib.Path(__file__).parent)
SOURCES = str(pathlib.Path(snakepit.__file__).parent.parent)
#: What the workers of a command find on their path, as an installed package would be.
ENV = {"PYTHONPATH": os.pathsep.join([SOURCES, HERE])}
STDIO = [sys.executable, "-m", "snakepit_bridge", "--stdio"]


def wrapper(folder: pathlib.Path, *lines: str) -> str:
    """A program that stands between host and worker, as `ssh` or `docker exec -i` do."""
    path = folder / "wrapper"
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)
    return str(path)


#: Starts what it is told and carries bytes between that and itself, each way by a process of its own, as remote shells do.
RELAY = """
import os, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
def carry(source, target):
    while data := os.read(source, 65536):
        while data:
            data = data[os.write(target, data):]
    os.close(target)
threading.Thread(target=carry, args=(0, child.stdin.fileno()), daemon=True).start()
carry(child.stdout.fileno(), 1)
os._exit(child.wait() % 256)
"""

# Descriptors ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [{"protocol": "msgpack"}, {"protocol": "json"}, {"command": STDIO, "env": ENV}], ids=["msgpack", "json", "stdio"]
)
def test_what_is_printed_never_meets_the_channel(how: dict[str, Any]) -> None:
    """Prints, what libraries written in C write to descriptor 1, and child processes: all of it is output, none of it the channel."""
    lines: list[str] = []
    settings: Any = {"size": 1, "worker_output": lambda _worker, _stream, line: lines.append(line), **how}
    with snakepit.Pool(adapter("printing", "Printing"), **settings) as pool:
        pool.execute("say", {"text": "printed"})
        pool.execute("raw", {"data": b"written\n"})
        pool.execute("by_a_child")
        wait_until(lambda: {"printed", "written", "from a child"} <= set(lines), "the output")
        assert pool.execute("say", {"text": "again"}) == 5


def test_a_child_that_stays_does_not_keep_a_dead_worker_alive(tmp_path: pathlib.Path) -> None:
    """Children that a tool forked or started hold no end of the channel: the worker's death is told at once; and they end with it."""
    tools = tmp_path / "children.py"
    tools.write_text(
        "import os, subprocess, time\nfrom snakepit_bridge import tool\n\n"
        "@tool\ndef leave_children():\n"
        "    child = os.fork()\n    if child == 0:\n        os.setsid()\n        time.sleep(60)\n        os._exit(0)\n"
        "    other = subprocess.Popen(['sleep', '60'], start_new_session=True, close_fds=False)\n"
        "    return [os.getpid(), child, other.pid]\n\n"
        "@tool\ndef pid():\n    return os.getpid()\n"
    )
    with snakepit.Pool(str(tools), size=1, protocol="msgpack") as pool:
        worker, *children = pool.execute("leave_children")
        try:
            assert sockets_of(worker)
            # A child closes what it has inherited as its first act, which may come after the tool's answer.
            wait_until(lambda: not sockets_of(worker) & set().union(*map(sockets_of, children)), "children without sockets of their worker")
            began = time.monotonic()
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: pool.stats().restarts == 1, "word of the worker's end")
            assert pool.execute("pid") != worker
            assert time.monotonic() - began < 10
            wait_until(lambda: not any(map(is_alive, children)), "the end of what it had started")
        finally:
            for child in filter(is_alive, children):
                os.kill(child, signal.SIGKILL)


def sockets_of(pid: int) -> set[str]:
    """The sockets that a process holds open."""
    found = set()
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            found.add(str(link.readlink()))
    return {target for target in found if target.startswith("socket:")}


def test_a_worker_without_its_host_leaves(tmp_path: pathlib.Path) -> None:
    """Whoever started a worker on its stdin and stdout goes away: the worker ends, whether it loads, waits or works."""
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(60)\n")
    for adapter_of, opening in ((str(slow), False), (str(pathlib.Path(HERE) / "pool_tools.py") + ":PoolTools", True)):
        ours, theirs = socket.socketpair()
        with subprocess.Popen([*STDIO, "--adapter", adapter_of], stdin=theirs, stdout=theirs, env={**os.environ, **ENV}) as process:
            theirs.close()
            if opening:
                assert "ready" in receive(ours)
                send(ours, {"protocol": 1, "codec": "json"})
                send(ours, [[1, 1, "hold", {"folder": str(tmp_path)}, {"stream": False, "window": [1, 1000]}]])
                assert receive(ours)[0][0] == 20  # hello
            else:
                time.sleep(0.3)  # into the import
            ours.close()
            process.wait(15)


@pytest.mark.parametrize("again", [False, True], ids=["from the start", "and again"])
def test_descriptors_that_do_not_block(again: bool) -> None:
    """Whoever starts a worker may hand it such descriptors, and may set them so later: it waits without spinning, and writes all."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with subprocess.Popen([*STDIO, "--adapter", TOOLS], stdin=theirs, stdout=theirs, env={**os.environ, **ENV}) as process:
        try:
            assert "ready" in receive(ours)
            assert os.get_blocking(theirs.fileno())  # the flag is shared with the worker
            os.set_blocking(theirs.fileno(), not again)
            send(ours, {"protocol": 1, "codec": "json"})
            assert receive(ours)[0][0] == 20  # hello
            before = cpu_seconds(process.pid)
            time.sleep(1.0)
            assert cpu_seconds(process.pid) - before < 0.3
            send(ours, [[1, 1, "echo", {"value": "x" * 3_000_000}, {"stream": False, "window": [1, 1000]}]])
            time.sleep(0.3)  # its buffer is full
            came = 0
            while came < 3_000_000:
                came += len(ours.recv(1_000_000))
        finally:
            theirs.close()
            ours.close()
            process.kill()


def cpu_seconds(pid: int) -> float:
    """How long a process has computed."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def receive(sock: socket.socket) -> Any:
    """One message of JSON."""
    sock.settimeout(20)
    (length,) = struct.unpack(">I", sock.recv(4, socket.MSG_WAITALL))
    return json.loads(sock.recv(length, socket.MSG_WAITALL))


def send(sock: socket.socket, message: Any) -> None:
    """The same the other way."""
    data = json.dumps(message).encode()
    sock.sendall(struct.pack(">I", len(data)) + data)


@pytest.mark.parametrize(
    ("opening", "problem"),
    [
        (b"\x00\x00\x00\x02{}", "it begins with something else than an opening"),
        (b"\x00\x00\x00\x03hi!", "it begins with something else than an opening"),
        (b"GET / HTTP/1.1\r\n\r\n", "bytes was announced; at most"),
        (json.dumps({"protocol": 99, "codec": "json"}), "it speaks version 99 of the channel, this worker 1"),
        (json.dumps({"protocol": 1, "codec": "yaml"}), "no codec 'yaml' here"),
    ],
)
def test_a_host_that_speaks_something_else(opening: Any, problem: str) -> None:
    """A worker that hears no opening, or one of another version, says so on stderr and leaves."""
    if isinstance(opening, str):
        opening = struct.pack(">I", len(opening)) + opening.encode()
    ours, theirs = socket.socketpair()
    with subprocess.Popen(STDIO, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, **ENV}, text=True) as process:
        theirs.close()
        assert "ready" in receive(ours)
        ours.sendall(opening)
        _, err = process.communicate(timeout=15)
        ours.close()
    assert problem in err
    assert "Traceback" not in err


# Commands ---------------------------------------------------------------------------------------------------------------------


def test_a_pool_behind_a_wrapper(tmp_path: pathlib.Path) -> None:
    """A command that hands stdin and stdout on, as `ssh` does: calls, streams, cancels, sessions and crashes as anywhere."""
    with snakepit.Pool(TOOLS, size=2, command=[sys.executable, "-c", RELAY, *STDIO], env=ENV) as pool:
        assert pool.execute("add", {"a": 2}) == 3
        assert [chunk["n"] for chunk in pool.stream("count", {"n": 3}) if not chunk["is_final"]] == [0, 1, 2]
        with pytest.raises(snakepit.WorkerTimeout):
            pool.execute("hold", {"folder": str(tmp_path)}, timeout=0.2)
        data = os.urandom(3_000_000)
        assert pool.execute("echo", {"value": data}) == data
        info = pool.workers()[0].info()
        assert (info.protocol, info.endpoint) == ("msgpack", "stdio")
        assert pool.stats().protocol == "msgpack"
        with pytest.raises(snakepit.WorkerCrashed):
            pool.execute("die", timeout=10)
        assert pool.execute("add", {"a": 2}) == 3


def test_a_wrapper_that_waits_for_the_end_of_its_input(tmp_path: pathlib.Path) -> None:
    """A pipeline of a shell ends only when its input does: closing the pool does not wait for `close_timeout`."""
    with snakepit.Pool(TOOLS, size=1, command=[wrapper(tmp_path, 'cat | "$@" | cat'), *STDIO], env=ENV, close_timeout=60.0) as pool:
        assert pool.execute("add", {"a": 2}) == 3
        began = time.monotonic()
    assert time.monotonic() - began < 20


def test_the_command_gets_what_it_lacks(tmp_path: pathlib.Path) -> None:
    """The adapter and the worker's id are added, unless the command names them itself."""
    seen = tmp_path / "seen"
    spy = wrapper(tmp_path, f'echo "$@" >> {seen}', 'exec "$@"')
    with snakepit.Pool(TOOLS, size=1, command=[spy, *STDIO], env=ENV) as pool:
        assert pool.execute("add", {"a": 1}) == 2
    with snakepit.Pool("nowhere:Nothing", size=1, command=[spy, *STDIO, "--adapter", TOOLS, "--worker-id", "me"], env=ENV) as pool:
        assert pool.execute("add", {"a": 1}) == 2
    joined = [f"--adapter={TOOLS}", "--worker-id=me", "--threads=2", "--leave-after-silence=60"]
    with snakepit.Pool("nowhere:Nothing", size=1, command=[spy, *STDIO, *joined], env=ENV, profile="thread", threads_per_worker=4) as pool:
        assert pool.execute("add", {"a": 1}) == 2
    first, second, third = (line.partition("--stdio")[2] for line in seen.read_text().splitlines())
    assert first == f" --adapter {TOOLS} --leave-after-silence 300 --worker-id worker-1"
    assert second == f" --adapter {TOOLS} --worker-id me --leave-after-silence 300"
    assert third == " " + " ".join(joined)


def test_a_path_with_a_space_behind_ssh(tmp_path: pathlib.Path) -> None:
    """A remote shell splits what the pool appends: the error says so, and what it says works."""
    (tmp_path / "my tools").mkdir()
    tools = tmp_path / "my tools" / "tools.py"
    tools.write_text("from snakepit_bridge import tool\n\n@tool\ndef one():\n    return 1\n")
    ssh = wrapper(tmp_path, 'exec sh -c "$*"')
    with pytest.raises(snakepit.PoolStartFailed, match="(?s)unrecognized arguments: tools/tools.py.*with the shell's quotes inside"):
        snakepit.Pool(str(tools), size=1, max_restarts=0, command=[ssh, *STDIO], env=ENV).start()
    with snakepit.Pool(size=1, command=[ssh, *STDIO, "--adapter", f"'{tools}'"], env=ENV) as pool:
        assert pool.execute("one") == 1


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["echo Welcome to gpu-1, have a nice day; sleep 60"],
            "what came first is not a worker's report: b'Welcome to gpu-1.*login script",
        ),
        (['echo Welcome to gpu-1; exec "$@"'], "what came first is not a worker's report: b'Welcome to gpu-1"),
        (['printf hi; "$@"; exit 3'], "what came first is not a worker's report: b'hi"),
        (["echo no such host >&2; exit 255"], "ended before it was ready: exited with code 255.*no such host"),
        (["exec 1>&-; sleep 60"], "the worker closed the channel"),
    ],
    ids=["a banner", "a banner before a worker", "a short one", "it fails", "it closes stdout"],
)
def test_a_command_that_starts_no_worker(tmp_path: pathlib.Path, lines: list[str], words: str) -> None:
    """What came in the place of a worker is told: a banner on stdout, an exit code with the last words, an end."""
    with pytest.raises(snakepit.PoolStartFailed, match=f"(?s){words}"):
        snakepit.Pool(TOOLS, size=1, max_restarts=0, command=[wrapper(tmp_path, *lines), *STDIO]).start()


def test_an_adapter_that_does_not_load_behind_a_command(tmp_path: pathlib.Path) -> None:
    """The error is the same as for a worker that the pool starts itself."""
    with pytest.raises(snakepit.AdapterError, match="nowhere"):
        snakepit.Pool("nowhere:Nothing", size=1, command=STDIO, env=ENV).start()


NOT_GRPC = "protocol 'grpc' does not go with command: a command's stdin and stdout carry msgpack or json"


@pytest.mark.parametrize(
    ("protocol", "chosen", "reasons"),
    [
        ("auto", "msgpack", (NOT_GRPC,)),
        (["grpc", "json"], "json", (NOT_GRPC,)),
        (["msgpack", "grpc"], "msgpack", ()),
        ("json", "json", ()),
    ],
    ids=str,
)
def test_a_command_tells_its_protocol(protocol: Any, chosen: str, reasons: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    """The choice is known when the worker has reported: stats and log have it then, with why gRPC was passed over."""
    caplog.set_level(logging.INFO, "snakepit.pool")
    with snakepit.Pool(TOOLS, size=1, command=STDIO, env=ENV, protocol=protocol) as pool:
        assert pool.execute("add", {"a": 1}) == 2
        assert (pool.stats().protocol, pool.stats().protocol_reasons) == (chosen, reasons)
    told = [record.getMessage() for record in caplog.records if "channels use" in record.getMessage()]
    assert told == [f"the pool's channels use {chosen}", *(f"the pool's channels use {chosen}: {reason}" for reason in reasons)]


def test_a_pool_tells_its_protocol(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the choice also where nothing was passed over."""
    caplog.set_level(logging.INFO, "snakepit.pool")
    with snakepit.Pool(TOOLS, size=1, protocol="msgpack") as pool:
        assert pool.execute("add", {"a": 1}) == 2
    assert [text for text in caplog.messages if "channels use" in text] == ["the pool's channels use msgpack"]


def test_a_protocol_that_the_command_lacks(tmp_path: pathlib.Path) -> None:
    """Forced MessagePack where the worker has no library is refused by name; a chain steps down, and the stats say why."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    command = [str(bare / "bin" / "python"), *STDIO[1:]]
    with pytest.raises(snakepit.ProtocolUnavailable, match=f"needs msgspec or msgpack, which {bare}/bin/python does not have") as caught:
        snakepit.Pool(TOOLS, size=1, command=command, env=ENV, protocol="msgpack").start()
    assert caught.value.code == "msgpack_unavailable"
    assert caught.value.hint == f"{bare}/bin/python -m ensurepip && {bare}/bin/python -m pip install msgspec"
    with snakepit.Pool(TOOLS, size=1, command=command, env=ENV) as pool:
        assert pool.execute("add", {"a": 1}) == 2
        assert pool.stats().protocol == "json"
        assert pool.stats().protocol_reasons == (
            NOT_GRPC,
            f"protocol 'msgpack' needs msgspec or msgpack, which {bare}/bin/python does not have",
        )
    with pytest.raises(snakepit.ProtocolUnavailable, match="(?s)no protocol of the chain.*stdin and stdout.*needs msgspec"):
        snakepit.Pool(TOOLS, size=1, command=command, env=ENV, protocol=["grpc", "msgpack"]).start()


def test_a_killed_command_is_a_crash(tmp_path: pathlib.Path) -> None:
    """The line to the other machine breaks: the call fails, the worker behind it ends too, and another takes its place."""
    with snakepit.Pool(TOOLS, size=1, command=[sys.executable, "-c", RELAY, *STDIO], env=ENV) as pool:
        worker = pool.execute("pid")
        future = pool.submit("hold", {"folder": str(tmp_path)})
        wait_until(future.running)
        os.kill(pool.workers()[0].pid or 0, signal.SIGKILL)
        with pytest.raises(snakepit.WorkerError):
            future.result(10)
        wait_until(lambda: not is_alive(worker), "the worker's end")
        assert pool.execute("pid") != worker
