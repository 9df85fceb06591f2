"""The module-level pool: `configure`, `execute`, `execute_stream` with a callback, `shutdown`, and the guide's keys."""

from __future__ import annotations

import concurrent.futures
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import TOOLS, Marks, all_ready, endpoints
from snakepit._api import default
from snakepit._api.default import default_pool

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def fresh(leaves_nothing: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test finds the default pool neither configured nor started."""
    monkeypatch.setattr(default, "_adapter", None)
    monkeypatch.setattr(default, "_settings", {})
    yield
    snakepit.shutdown()


def test_execute_and_execute_stream() -> None:
    """The first call starts the pool; later ones use it; the stream's callback gets every chunk in this thread."""
    snakepit.configure(TOOLS, size=1)
    assert snakepit.execute("add", {"a": 2, "b": 3}) == 5
    seen: list[Any] = []
    assert snakepit.execute_stream("count", {"n": 3}, lambda chunk: seen.append((chunk.get("n"), threading.current_thread()))) is None
    assert seen == [(number, threading.current_thread()) for number in (0, 1, 2, None)]
    assert snakepit.execute("pid") == default_pool().workers()[0].info().pid
    assert default_pool().stats().submitted == 3


def test_without_configuration_the_showcase_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No `configure` at all: the showcase, with as many workers as usable CPUs."""
    monkeypatch.setattr("snakepit.config.usable_cpus", lambda: 1)
    assert snakepit.execute("ping", {})["message"] == "pong"
    assert default_pool().stats().size == 1


def test_shutdown_and_again() -> None:
    """After `shutdown` the next call starts a new pool with the same settings; twice is harmless."""
    snakepit.configure(TOOLS, size=1)
    first = snakepit.execute("pid")
    snakepit.shutdown()
    snakepit.shutdown()
    assert snakepit.execute("pid") != first
    assert default_pool().stats().size == 1


def test_configure_a_running_pool() -> None:
    """A pool that runs cannot be configured: the error says what to do first."""
    snakepit.configure(TOOLS, size=1)
    snakepit.execute("pid")
    with pytest.raises(snakepit.PoolError, match=r"running already(.|\n)*snakepit.shutdown\(\)") as caught:
        snakepit.configure(TOOLS, size=2)
    assert caught.value.code == "pool_running"
    snakepit.shutdown()
    snakepit.configure(TOOLS, size=2)
    assert snakepit.execute("add", {"a": 1}) == 2
    assert default_pool().stats().size == 2


def test_a_start_that_fails_can_be_mended() -> None:
    """When the default pool does not start, `configure` with something better and the next call works."""
    snakepit.configure("no_such_module:Adapter", size=1)
    with pytest.raises(snakepit.AdapterError):
        snakepit.execute("ping")
    snakepit.shutdown()
    snakepit.configure(TOOLS, size=1)
    assert snakepit.execute("add", {"a": 1}) == 2


def test_a_callback_that_raises(tmp_path: pathlib.Path) -> None:
    """Its exception reaches the caller unchanged, with the chunk's number as a note; the call is cancelled and the slot free."""
    marks, problem = Marks(tmp_path), LookupError("mine")
    snakepit.configure(TOOLS, size=1)

    def refuse(chunk: dict[str, Any]) -> None:
        if chunk["data"] == 7:
            raise problem

    with pytest.raises(LookupError) as caught:
        snakepit.execute_stream("endless", {"folder": marks.text}, refuse)
    assert caught.value is problem
    assert caught.value.args == ("mine",)
    assert caught.value.__notes__ == ["raised by the callback of snakepit.execute_stream('endless') at chunk 7"]
    assert caught.value.__cause__ is None
    assert snakepit.execute("add", {"a": 1}) == 2
    assert "left" in marks.said


def test_a_callback_must_be_callable() -> None:
    """Something that cannot be called is refused before anything starts."""
    with pytest.raises(snakepit.InvalidParameter, match="callback is None"):
        snakepit.execute_stream("count", {"n": 1}, None)  # type: ignore[arg-type]
    assert default._pools == {}


def test_chunk_timeout_and_timeout() -> None:
    """`execute_stream` takes both, like `Pool.stream`; `execute` takes its timeout and `on_progress`."""
    snakepit.configure(TOOLS, size=1)
    with pytest.raises(snakepit.WorkerTimeout, match=r"within 0.1 s"):
        snakepit.execute_stream("endless", {}, lambda _: None, timeout=0.1)
    with pytest.raises(snakepit.ChunkTimeout, match=r"no chunk for 0.1 s"):
        snakepit.execute_stream("gap", {"folder": "/nowhere", "before": 2, "after": 0}, lambda _: None, chunk_timeout=0.1)
    with pytest.raises(snakepit.WorkerTimeout):
        snakepit.execute("hold", {"folder": "/tmp"}, timeout=0.05)
    reports: list[Any] = []
    snakepit.execute("steps", {"total": 2}, on_progress=reports.append)
    assert reports


def test_the_guides_keys(tmp_path: pathlib.Path) -> None:
    """`pool_config` and `grpc_config` size the pool, choose its ports and set its times; `adapter_module` its protocol."""
    snakepit.configure(
        TOOLS,
        adapter_module=snakepit.adapters.GRPCPython,
        grpc_config={"base_port": 50051, "port_range": 100, "max_concurrent_streams": 1, "connection_timeout": 10, "stream_timeout": 0.3},
        pool_config={"pool_size": 2, "worker_init_timeout": 20},
    )
    pool = default_pool()
    pool.start()
    all_ready(pool)
    ports = [int(endpoint.removeprefix("127.0.0.1:")) for endpoint in endpoints(pool)]
    assert len(set(ports)) == 2
    assert set(ports) <= set(range(50051, 50152))
    assert pool.stats().protocol == "grpc"
    # stream_timeout: the deadline of streams that give none
    with pytest.raises(snakepit.WorkerTimeout, match=r"within 0.3 s"):
        snakepit.execute_stream("endless", {}, lambda _: None)
    # max_concurrent_streams: a second stream waits although a worker is free; a unary call does not
    marks = Marks(tmp_path)
    with pool.stream("hold_stream", {"folder": marks.text}, timeout=None) as first:
        next(first)
        second = pool.stream("count", {"n": 1}, timeout=None)
        assert snakepit.execute("add", {"a": 1}) == 2
        assert (pool.stats().running, pool.stats().queued) == (1, 1)
    assert len(list(second)) == 2


def test_worker_init_timeout(tmp_path: pathlib.Path) -> None:
    """A worker that does not get ready in `worker_init_timeout` seconds fails the start."""
    snakepit.configure("pool_starts:Never", pool_size=1, env={"POOL_STARTS_FOLDER": str(tmp_path)}, worker_init_timeout=0.4)
    with pytest.raises(snakepit.PoolStartFailed, match=r"not ready within 0.4 s"):
        snakepit.execute("pid")


def test_calls_from_several_threads_start_one_pool() -> None:
    """Threads that make the first call together share one pool."""
    snakepit.configure(TOOLS, size=1)
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(snakepit.execute("pid"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 8
    assert len(set(pids)) == 1


def test_another_protocol_for_a_block() -> None:
    """`with_adapter` holds for its block, thread and task alone; its pool is started once, kept, and closed by `shutdown`."""
    snakepit.configure(TOOLS, pool_size=1, grpc_config={"base_port": 0})

    def here() -> tuple[int, str]:
        return snakepit.execute("pid"), default_pool().stats().protocol

    try:
        general = here()
        with snakepit.with_adapter(snakepit.adapters.GenericPythonMsgpack):
            inside = here()
            with concurrent.futures.ThreadPoolExecutor(1) as thread:
                assert thread.submit(here).result() == general
            with snakepit.with_adapter("GenericPythonV2"):
                json = here()
            assert here() == inside
        with pytest.raises(KeyError, match="mine"), snakepit.with_adapter(snakepit.adapters.GenericPythonMsgpack):
            assert here() == inside
            raise KeyError("mine")
        assert here() == general
        assert [general[1], inside[1], json[1]] == ["grpc", "msgpack", "json"]
        assert len({general[0], inside[0], json[0]}) == 3
        with pytest.raises(snakepit.PoolError, match="running already"):
            snakepit.configure(pool_size=2)
    finally:
        snakepit.shutdown()
    with (
        pytest.raises(snakepit.ConfigurationError, match="adapter is 5; allowed is a class of snakepit.adapters"),
        snakepit.with_adapter(5),
    ):
        pass


def test_the_default_pools_figures() -> None:
    """Also why it uses the protocol that it does."""
    snakepit.configure(protocol="json", pool_size=1)
    try:
        snakepit.execute("ping")
        assert (snakepit.stats().protocol, snakepit.stats().succeeded) == ("json", 1)
    finally:
        snakepit.shutdown()
