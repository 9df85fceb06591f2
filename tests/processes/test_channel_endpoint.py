"""Where a worker listens: a private unix socket, or a TCP port of a range; one connection for its whole life."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator

import pytest

import snakepit
from pool_helpers import TOOLS, Marks, all_ready, endpoints, is_alive, tcp_connections, tcp_listeners, unix_connections

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


@contextlib.contextmanager
def taken_ports(count: int) -> Iterator[int]:
    """`count` neighbouring ports of 127.0.0.1 that are taken, and the next one free; the first of them."""
    for first in range(20_000, 60_000, 37):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            listeners = [stack.enter_context(socket.create_server(("127.0.0.1", first + place))) for place in range(count + 2)]
            for listener in listeners[count:]:
                listener.close()
            stack.pop_all()
            break
    try:
        yield first
    finally:
        for listener in listeners:
            listener.close()


def port_of(pool: snakepit.Pool) -> int:
    (endpoint,) = endpoints(pool)
    host, _, port = endpoint.rpartition(":")
    assert host == "127.0.0.1"
    return int(port)


def test_unix_socket_in_a_private_directory() -> None:
    """By default the socket lies in a directory that only its owner may enter, below TMPDIR; both are gone after close."""
    with snakepit.Pool(TOOLS, size=2) as pool:
        all_ready(pool)
        sockets = [pathlib.Path(endpoint.removeprefix("unix:")) for endpoint in endpoints(pool)]
        (directory,) = {path.parent for path in sockets}
        assert [stat.S_ISSOCK(path.stat().st_mode) for path in sockets] == [True, True]
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert directory.parent == pathlib.Path(tempfile.gettempdir())
    assert not directory.exists()


def test_a_long_tmpdir_does_not_matter(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """With a TMPDIR too long for a socket's 107 bytes another private place is taken, and removed at close."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.setenv("TMPDIR", str(long))
    with snakepit.Pool(TOOLS, size=1) as pool:
        path = pathlib.Path(endpoints(pool)[0].removeprefix("unix:"))
        assert pool.execute("add", {"a": 1}) == 2
        assert long not in path.parents
        assert len(str(path)) <= 107
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_a_tmpdir_with_odd_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces, percent signs, colons and other alphabets in TMPDIR, which gRPC's addresses do not take, do no harm."""
    with tempfile.TemporaryDirectory(prefix="a b%20é:", dir="/tmp") as odd:
        monkeypatch.setattr(tempfile, "tempdir", odd)
        monkeypatch.setenv("TMPDIR", odd)
        with snakepit.Pool(TOOLS, size=1) as pool:
            assert pool.execute("add", {"a": 1}) == 2


def test_no_place_for_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no directory can be made, the start fails and says so."""

    def refuse(*_args: object, **_kwargs: object) -> str:
        raise PermissionError(13, "no writing here")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises((OSError, snakepit.SnakepitError), match="no writing here"):
        snakepit.Pool(TOOLS, size=1).start()


def test_base_port_is_taken_if_free() -> None:
    """The first port of the range is the one that is used."""
    with taken_ports(0) as base, snakepit.Pool(TOOLS, size=1, base_port=base) as pool:
        assert port_of(pool) == base
        assert pool.execute("add", {"a": 1}) == 2


def test_taken_ports_are_skipped_and_the_range_is_inclusive() -> None:
    """With `port_range=2` and two ports taken, the last port of the range, base_port + 2, is used."""
    with taken_ports(2) as base, snakepit.Pool(TOOLS, size=1, base_port=base, port_range=2) as pool:
        assert port_of(pool) == base + 2
        assert pool.execute("add", {"a": 1}) == 2


def test_all_ports_taken() -> None:
    """When every port of the range is taken the error names the range, and the way out."""
    with taken_ports(3) as base, pytest.raises(snakepit.ConfigurationError, match=f"{base}-{base + 2}") as caught:
        snakepit.Pool(TOOLS, size=1, base_port=base, port_range=2).start()
    assert "taken" in caught.value.message
    assert "port_range" in caught.value.hint


def test_one_port_that_is_taken() -> None:
    """`port_range=0` is a range of one port."""
    with taken_ports(1) as base, pytest.raises(snakepit.ConfigurationError, match=f"{base}.* is taken"):
        snakepit.Pool(TOOLS, size=1, base_port=base, port_range=0).start()


def test_port_zero_takes_any_free_one() -> None:
    """`base_port=0`: the operating system chooses, each worker has its own, and the live port is shown."""
    with snakepit.Pool(TOOLS, size=2, base_port=0) as pool:
        all_ready(pool)
        ports = {int(endpoint.rpartition(":")[2]) for endpoint in endpoints(pool)}
        assert len(ports) == 2
        assert min(ports) > 0
        for port in ports:
            socket.create_connection(("127.0.0.1", port)).close()


def test_two_workers_share_a_range() -> None:
    """Workers that start at the same time take different ports of the range."""
    with taken_ports(1) as base, snakepit.Pool(TOOLS, size=2, base_port=base, port_range=20) as pool:
        all_ready(pool)
        ports = {int(endpoint.rpartition(":")[2]) for endpoint in endpoints(pool)}
        assert len(ports) == 2
        assert ports <= set(range(base + 1, base + 21))


def test_tcp_listens_on_loopback_only() -> None:
    """Nobody reaches a worker from another machine: the port is bound to 127.0.0.1 alone."""
    with snakepit.Pool(TOOLS, size=1, base_port=0) as pool:
        assert tcp_listeners(port_of(pool)) == {"127.0.0.1"}


def test_no_endpoint_before_the_worker_is_ready(tmp_path: pathlib.Path) -> None:
    """The address is shown once the worker has reported ready; before, it is empty."""
    marks = Marks(tmp_path)
    with snakepit.Pool("pool_starts:OneFirst", size=2, env={"POOL_STARTS_FOLDER": marks.text}) as pool:
        marks.wait("second")
        by_state = {handle.info().state: handle.info() for handle in pool.workers()}
        assert by_state["starting"].endpoint == ""
        assert by_state["ready"].endpoint.startswith("unix:")
        marks.say("go")
        all_ready(pool)


def test_the_endpoint_is_that_of_the_new_worker(tmp_path: pathlib.Path) -> None:
    """After a worker was replaced its successor's own live address is shown."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        (before,) = endpoints(pool)
        with pytest.raises(snakepit.WorkerCrashed):
            pool.execute("die")
        assert pool.execute("add", {"a": 1}) == 2
        (after,) = endpoints(pool)
        assert after not in ("", before)
        assert pathlib.Path(after.removeprefix("unix:")).is_socket()


@pytest.mark.parametrize("base_port", [None, 0], ids=["unix", "tcp"])
def test_one_connection_after_a_thousand_calls(base_port: int | None) -> None:
    """A worker has one connection for its whole life, however many calls and streams go over it."""
    with snakepit.Pool(TOOLS, size=1, base_port=base_port) as pool:
        for number in range(900):
            assert pool.execute("add", {"a": number}) == number + 1
        futures = [pool.submit("add", {"a": number}) for number in range(50)]
        assert [future.result() for future in futures] == list(range(1, 51))
        for _ in range(50):
            assert len(list(pool.stream("count", {"n": 3}))) == 4
        (endpoint,) = endpoints(pool)
        if base_port is None:
            assert unix_connections(endpoint.removeprefix("unix:")) == 1
        else:
            assert tcp_connections(port_of(pool)) == 1
        (handle,) = pool.workers()
        assert handle.info().calls_served == 1000


def test_a_worker_that_cannot_be_reached(tmp_path: pathlib.Path) -> None:
    """A worker that says it is ready at an address where nobody listens: the start fails after `connection_timeout`."""
    fake = fake_python(tmp_path, "time.sleep(600)")
    with pytest.raises(snakepit.PoolStartFailed, match=r"no connection to the worker at unix:/nowhere.sock within 0.2 s"):
        snakepit.Pool(TOOLS, size=1, python=fake, connection_timeout=0.2).start()


def test_a_worker_that_dies_before_its_channel_stands(tmp_path: pathlib.Path) -> None:
    """A worker that said it is ready and ended is not waited for: the error says how it ended."""
    fake = fake_python(tmp_path, "sys.exit(5)")
    with pytest.raises(snakepit.PoolStartFailed, match=r"ended before its channel stood: exited with code 5"):
        snakepit.Pool(TOOLS, size=1, python=fake, connection_timeout=600.0, start_timeout=600.0).start()


def test_a_large_argument_and_result() -> None:
    """Message limits are raised: a value far above gRPC's 4 MiB goes and comes, and the worker lives on."""
    data = bytes(range(256)) * 80_000
    with snakepit.Pool(TOOLS, size=1) as pool:
        assert pool.execute("echo", {"value": data}) == data
        (handle,) = pool.workers()
        assert is_alive(handle.info().pid)


def fake_python(folder: pathlib.Path, then: str) -> str:
    """An interpreter whose workers say that they are ready, are not, and go on as told."""
    lines = [
        f"#!{sys.executable}",
        "import json, os, sys, time",
        'if "--lifeline-fd" not in sys.argv:',
        '    print(json.dumps({"python": [3, 11, 0], "implementation": "CPython", "grpc": True, "msgpack": True}))',
        "    sys.exit()",
        'lifeline = int(sys.argv[sys.argv.index("--lifeline-fd") + 1])',
        'os.write(lifeline, json.dumps({"ready": "unix:/nowhere.sock", "codecs": ["json"]}).encode() + b"\\n")',
        then,
    ]
    fake = folder / "python"
    fake.write_text("\n".join(lines))
    fake.chmod(0o755)
    return str(fake)
