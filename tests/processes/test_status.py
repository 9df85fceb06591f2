"""`snakepit status`, and the socket on which pools answer it: real hosts, real commands, and those who must get no answer."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import pathlib
import pwd
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import TOOLS, Marks, all_ready, script, wait_until
from snakepit._pool import status_server
from snakepit._pool.status_server import StatusServer
from snakepit._workers.run_directory import RunDirectory
from snakepit.cli.hosts import Silent, ask, sockets
from test_cli import COMMAND, environment, on_terminal, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("leaves_nothing"),
    pytest.mark.skipif(sys.platform != "linux", reason="the peers of a socket are told by Linux"),
]

ME = ("--pid", str(os.getpid()))


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    """A folder for the tools."""
    return Marks(tmp_path)


def shown(*words: str) -> dict[str, Any]:
    """What the command tells programs of this process's pools."""
    done = run("status", *ME, "--json", *words)
    assert done.stderr == ""
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if told["ok"] else 1)
    return told


def test_what_a_pool_does_is_shown(marks: Marks) -> None:
    """Adapter, process, protocol, workers, the call that runs, the one that waits, and the health; to people and to programs."""
    with snakepit.Pool(TOOLS, size=1, instance_name="shop", protocol="msgpack") as pool:
        pool.execute("add", {"a": 1})
        running = pool.submit("hold", {"folder": marks.text})
        marks.wait("started")
        waiting = pool.submit("add", {"a": 1})
        (told,) = shown("--name", "shop")["pools"]
        text = run("status", *ME).stdout
        (worker,) = pool.workers()
        run_id = told["run"]
        assert (told["name"], told["adapter"], told["protocol"]) == ("shop", TOOLS, "msgpack")
        assert told["health"]["status"] == "ok"
        assert (told["queue"]["waiting"], told["queue"]["limit"], told["stats"]["succeeded"]) == (1, 10_000, 1)
        assert told["queue"]["oldest"] > 0
        (described,) = told["workers"]
        assert (described["id"], described["pid"], described["state"], described["calls_served"]) == ("worker-1", worker.pid, "ready", 1)
        assert described["rss"] > 1024 * 1024
        (call,) = told["calls"]
        assert (call["tool"], call["id"], call["correlation_id"], call["worker"]) == ("hold", 2, f"{run_id}-2", "worker-1")
        assert (call["state"], call["streaming"]) == ("running", False)
        assert call["age"] > 0
        assert text.splitlines()[0] == f"shop {TOOLS} in {told['program']}, pid {os.getpid()}: ok"
        assert f"{run_id}-2  hold  worker-1" in text
        running.cancel()
        assert waiting.result(10) == 2


def test_nothing_that_calls_carry_is_shown(marks: Marks) -> None:
    """No argument, result, session, environment variable or token, whatever they are called."""
    secret = "a-very-private-word"
    settings: dict[str, Any] = {"env": {"SHOP_KEY": secret}, "instance_token": secret, "secret_patterns": ["reason-[a-z]+"]}
    with snakepit.Pool(TOOLS, size=1, **settings) as pool:
        pool.execute("echo", {"value": secret}, session_id=f"session-{secret}")
        future = pool.submit("until", {"folder": marks.text, "name": secret})
        marks.wait("started")
        told = json.dumps(shown()) + run("status", *ME).stdout
        assert "until" in told
        assert secret not in told
        assert marks.text not in told
        marks.say(secret)
        future.result(10)


def test_why_a_circuit_is_open_is_not_shown() -> None:
    """What a tool has raised may quote its arguments: which calls are refused is told, and no more."""
    breaker = {"failures": 1, "tool_errors": True}
    with snakepit.Pool(TOOLS, size=1, circuit_breaker=breaker) as pool:
        with pytest.raises(snakepit.ToolError):
            pool.execute("fail", {"message": "no account of bob"})
        (told,) = shown()["pools"]
        assert told["health"]["reasons"] == ["calls of 'fail' are refused for now, after 1 failures: stats().circuits has the cause"]
        assert [circuit["tool"] for circuit in told["stats"]["circuits"]] == ["fail"]
        assert "bob" not in json.dumps(told) + run("status", *ME).stdout


def test_several_pools_and_filters() -> None:
    """Each pool of a process is shown; a name or another process's number leaves the others out; none at all is an exit code of 1."""
    with snakepit.Pool(size=1, instance_name="one"), snakepit.Pool(size=1, instance_name="two"):
        assert [told["name"] for told in shown()["pools"]] == ["one", "two"]
        assert [told["name"] for told in shown("--name", "two")["pools"]] == ["two"]
        done = run("status", *ME, "--name", "three")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"snakepit: no pool of pid {os.getpid()} named 'three' of this user runs here\n"
    assert shown() == {"pools": [], "unanswered": [], "ok": False}


def test_a_failing_pool_is_an_exit_code(tmp_path: pathlib.Path) -> None:
    """Its reason stands first, marked."""
    tools = tmp_path / "failing.py"
    tools.write_text("from snakepit_bridge import tool\n\n@tool\ndef one():\n    return 1\n")
    with snakepit.Pool(tools, size=1, max_restarts=0) as pool:
        tools.write_text("raise RuntimeError('the licence has ended')\n")
        os.kill(pool.workers()[0].pid or 0, signal.SIGKILL)
        wait_until(lambda: pool.health().broken, "the end of it")
        done = run("status", *ME)
        assert done.returncode == 1
        assert done.stdout.splitlines()[1].startswith("  ! it has given up: ")


def test_a_host_that_does_not_answer() -> None:
    """One that is stopped is named within seconds, with what may be the matter."""
    host = script("import snakepit\nwith snakepit.Pool(size=1):\n    print('ready', flush=True)\n    input()\n")
    try:
        assert host.stdout is not None
        host.stdout.readline()
        host.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        done = run("status", "--pid", str(host.pid))
        assert time.monotonic() - began < 15
        text = f"a pool of pid {host.pid}: it has not answered within 2 s: its event loop is busy, or it is stopped\n"
        assert (done.returncode, done.stdout) == (1, text)
    finally:
        host.send_signal(signal.SIGCONT)
        host.kill()
        host.communicate()


def test_a_host_with_another_temporary_directory_is_found(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The kernel's list of sockets leads to it."""
    place = tmp_path_factory.mktemp("e")
    with snakepit.Pool(size=1):
        told = json.loads(run("status", *ME, "--json", TMPDIR=str(place), XDG_RUNTIME_DIR="").stdout)
        assert len(told["pools"]) == 1


def test_dead_ones_are_swept(leaves_nothing: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A run directory that nobody's pool holds any more is removed, and not asked."""
    place = tmp_path_factory.mktemp("e")
    code = (
        "import os\nfrom snakepit._workers.run_directory import *\npath = RunDirectory().path\n(path / STATUS_SOCKET).touch()\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment(TMPDIR=str(place)))
    assert len(list(place.iterdir())) == 1
    assert run("status", *ME, TMPDIR=str(place)).returncode == 1
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("arguments", [("--interval", "0"), ("--interval", "nan"), ("--pid", "x")])
def test_wrong_options(arguments: tuple[str, ...]) -> None:
    """Exit code 2, before anything is looked at."""
    assert run("status", "--watch", *arguments).returncode == 2


def test_watching_in_a_pipe() -> None:
    """A line of JSON per look, until Ctrl-C, which is no error worth a word."""
    with snakepit.Pool(size=1):
        command = [*COMMAND, "status", *ME, "--watch", "--interval", "0.05", "--json"]
        watch = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert watch.stdout is not None
        assert all(json.loads(watch.stdout.readline())["ok"] for _ in range(3))
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=20)
        assert (watch.returncode, errors) == (130, "")


def test_on_a_terminal(tmp_path: pathlib.Path) -> None:
    """A table that fits the width, in colours."""
    with snakepit.Pool(size=1) as pool:
        all_ready(pool)
        code, text = on_terminal("status", *ME, cwd=tmp_path)
    assert code == 0
    assert "\x1b[1;32mok" in text
    assert "worker-1" in text


def test_an_async_pool_answers_too() -> None:
    """On the loop of its program."""

    async def run_pool() -> dict[str, Any]:
        async with snakepit.AsyncPool(size=1):
            return await asyncio.to_thread(shown)

    assert len(asyncio.run(run_pool())["pools"]) == 1


def test_a_place_that_takes_no_socket_does_not_keep_a_pool_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its status is not shown."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(StatusServer, "__init__", refuse)
    with snakepit.Pool(size=1, protocol="msgpack") as pool:
        assert pool.execute("compute", {"operation": "add", "a": 1, "b": 1}) == 2
        assert shown()["pools"] == []


# The socket itself ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def path() -> Iterator[pathlib.Path]:
    """A place for a socket."""
    directory = RunDirectory()
    yield directory.path / "status.sock"
    directory.remove()


def received(path: pathlib.Path) -> bytes:
    """All that comes from a socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        data = b""
        while part := sock.recv(65536):
            data += part
        return data


def test_nobody_else_is_answered(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Another user who can reach the socket gets nothing from it."""
    if os.getuid() != 0:
        pytest.skip("only root can be another user")
    path = pathlib.Path(f"/tmp/sp-open-{os.getpid()}.sock")
    code = f"import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({str(path)!r})\nprint(len(s.recv(99)))"

    async def serve() -> tuple[str, bytes]:
        server = StatusServer(str(path), lambda: b"news")
        os.chmod(path, 0o666)  # noqa: PTH101 - a test that may wait a moment
        try:
            nobody = pwd.getpwnam("nobody").pw_uid
            strange = await asyncio.create_subprocess_exec("/usr/bin/env", "python3", "-c", code, user=nobody, stdout=subprocess.PIPE)
            out, _ = await strange.communicate()
            return out.decode(), await asyncio.to_thread(received, path)
        finally:
            server.close()
            os.unlink(path)  # noqa: PTH108 - as above

    assert asyncio.run(serve()) == ("0\n", b"news")


def test_readers_that_do_not_read_are_few_and_let_go(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many hold an answer, one more gets none; after a while all are let go, and the next is answered."""
    monkeypatch.setattr(status_server, "_SECONDS", 0.3)
    large = b"x" * 4_000_000

    async def serve() -> list[int]:
        server = StatusServer(str(path), lambda: large)
        held = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        for sock in held:
            await asyncio.to_thread(sock.connect, str(path))
        refused = await asyncio.to_thread(received, path)
        await asyncio.to_thread(wait_until, lambda: not server._replies, "the end of the others")
        monkeypatch.setattr(status_server, "_SECONDS", 30.0)
        answered = await asyncio.to_thread(received, path)
        for sock in held:
            sock.close()
        server.close()
        server.close()
        return [len(refused), len(answered)]

    assert asyncio.run(serve()) == [0, len(large)]


def test_a_fault_in_the_answer_costs_nothing(path: pathlib.Path) -> None:
    """Who asks gets no answer, and the next one does."""
    answers = [b"news", None]

    def answer() -> bytes:
        news = answers.pop()
        if news is None:
            raise RuntimeError("a fault")
        return news

    async def serve() -> list[bytes]:
        server = StatusServer(str(path), answer)
        try:
            return [await asyncio.to_thread(received, path) for _ in range(2)]
        finally:
            server.close()

    assert asyncio.run(serve()) == [b"", b"news"]


def test_without_descriptors_it_rests(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that cannot be taken is not tried without a pause, which would eat a CPU; later it is answered."""
    monkeypatch.setattr(status_server, "_REST", 0.3)

    async def serve() -> tuple[float, bytes]:
        server = StatusServer(str(path), lambda: b"news")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            resource.setrlimit(resource.RLIMIT_NOFILE, (sock.fileno() + 1, hard))
            try:
                began = time.process_time()
                await asyncio.sleep(0.2)
                spent = time.process_time() - began
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            news = await asyncio.to_thread(sock.recv, 99)
        server.close()
        return spent, news

    spent, news = asyncio.run(serve())
    assert spent < 0.1
    assert news == b"news"


def test_a_forked_copy_does_not_hold_the_socket(path: pathlib.Path) -> None:
    """Where nobody would accept, nobody can connect."""
    read, write = os.pipe()

    async def serve() -> int:
        server = StatusServer(str(path), lambda: b"news")
        child = os.fork()
        if child == 0:
            os.read(read, 1)
            os._exit(0)
        server.close()
        return child

    child = asyncio.run(serve())

    def is_refused() -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(str(path)) == errno.ECONNREFUSED

    wait_until(is_refused, "the copy's end of it")
    os.write(write, b"x")
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)


def test_what_makes_no_sense_is_said(path: pathlib.Path) -> None:
    """An answer that is none is told of, and not shown."""

    async def serve() -> list[object]:
        answers = [b"nonsense", b"[]", b"", b'{"version": 1, "pid": 7}']
        server = StatusServer(str(path), lambda: answers.pop(0))
        try:
            return [await asyncio.to_thread(ask, path) for _ in range(4)]
        finally:
            server.close()

    told = asyncio.run(serve())
    assert all(isinstance(answer, Silent) for answer in told[:3])
    assert told[3] == {"version": 1, "pid": 7}


def test_directories_of_others_are_not_asked(path: pathlib.Path) -> None:
    """One that others can enter may be anybody's trap."""
    path.touch()
    assert path in set(sockets())
    path.parent.chmod(0o755)
    assert path not in set(sockets())
    path.parent.chmod(0o700)
