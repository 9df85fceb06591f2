"""Each item of the guide's Troubleshooting, brought about for real: the error, or `snakepit doctor`, names what mends it.

| the guide's item | says what mends it |
| --- | --- |
| "Generated gRPC code not found" | `doctor`: make proto-python |
| "gRPC dependencies not available" | the error, and `doctor`: the command that installs grpcio |
| "Port already in use" | the error: base_port, port_range |
| worker initialization timeout | the error: where it was, its last words, start_timeout |
| streaming callback errors | the callback's own error, with the chunk's number; the call is cancelled |
| debug mode: logs, a worker's trace, its health, its info | log_level, trace_frames, health(), info() |
| performance tuning | the guide's keys are understood; a wrong one names the right |
| fallback strategy | protocol="auto" falls back, and says why; `grpc_unavailable` can be caught |
"""

from __future__ import annotations

import logging
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

import snakepit
from pool_helpers import Marks, all_ready, wait_until
from snakepit._api import default
from snakepit_bridge.wire.installed import install_command
from test_channel_endpoint import taken_ports
from test_cli import COMMAND, environment, run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

ADD = {"operation": "add", "a": 2, "b": 3}


@pytest.fixture
def bare(tmp_path: pathlib.Path) -> str:
    """An interpreter without grpcio, or anything else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    return str(tmp_path / "bare" / "bin" / "python")


@pytest.fixture
def default_pool(leaves_nothing: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The pool of the module's functions, which nobody has configured; ended after the test, before it is seen whether something is left."""
    monkeypatch.setattr(default, "_adapter", None)
    monkeypatch.setattr(default, "_settings", {})
    yield
    snakepit.shutdown()


# 1. "Generated gRPC code not found" ---------------------------------------------------------------------------------------------


def test_generated_code_is_missing(tmp_path: pathlib.Path) -> None:
    """A checkout without the stubs: the doctor names the chore that makes them."""
    source = pathlib.Path(snakepit.__file__).parents[1]
    for package in ("snakepit", "snakepit_bridge"):
        shutil.copytree(source / package, tmp_path / package, ignore=shutil.ignore_patterns("snakepit_pb2*", "__pycache__"))
    env = {**environment(), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([*COMMAND, "doctor"], env=env, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("stubs          of the public gRPC service are missing"))
    assert lines[at + 1].startswith("  cure         make proto-python")


# 2. "gRPC dependencies not available" ---------------------------------------------------------------------------------------------


def test_grpcio_is_missing(bare: str) -> None:
    """The error of a pool that insists on gRPC names the command that installs it there, and so does the doctor."""
    command = install_command(bare, "grpcio", has_pip=False)
    with pytest.raises(snakepit.ProtocolUnavailable, match="needs grpcio") as caught:
        snakepit.Pool(size=1, python=bare, protocol="grpc").start()
    assert (caught.value.code, caught.value.hint) == ("grpc_unavailable", command)
    assert command in run("doctor", "--python", bare, "--protocol", "grpc").stdout


# 3. "Port already in use" ---------------------------------------------------------------------------------------------------------


def test_a_port_is_in_use() -> None:
    """The next one of the range is taken; if there is none, the error names the two settings that choose others."""
    with taken_ports(1) as base:
        with pytest.raises(snakepit.SnakepitError, match=f"every port of {base}-{base} is taken") as caught:
            snakepit.Pool(size=1, protocol="grpc", base_port=base, port_range=0).start()
        assert "base_port" in caught.value.hint
        assert "port_range" in caught.value.hint
        with snakepit.Pool(size=1, protocol="grpc", base_port=base, port_range=1) as pool:
            assert pool.workers()[0].info().endpoint == f"127.0.0.1:{base + 1}"


# 4. Worker initialization timeout -------------------------------------------------------------------------------------------------


def test_a_worker_is_stuck_in_its_start(tmp_path: pathlib.Path) -> None:
    """The error says how long was waited, where the worker was, what it printed last, and which setting gives it more time."""
    tools = tmp_path / "stuck_tools.py"
    tools.write_text("import sys, time\nprint('loading the model', file=sys.stderr, flush=True)\ntime.sleep(600)\n")
    with pytest.raises(snakepit.PoolStartFailed, match="was not ready within 1 s") as caught:
        snakepit.Pool(tools, size=1, start_timeout=1.0, max_restarts=0).start()
    assert "start_timeout" in caught.value.hint
    assert "loading the model" in f"{caught.value} {caught.value.details}"
    if sys.platform == "linux":
        assert f"{tools}:3" in caught.value.message


def test_a_worker_does_not_import(tmp_path: pathlib.Path) -> None:
    """What is wrong with the adapter is said with the worker's own traceback, the user's line last; the doctor says it beforehand."""
    tools = tmp_path / "broken_tools.py"
    tools.write_text("import nowhere_to_be_found\n")
    with pytest.raises(snakepit.AdapterError, match="nowhere_to_be_found") as caught:
        snakepit.Pool(tools, size=1).start()
    assert "import nowhere_to_be_found" in str(caught.value.__cause__)
    done = run("doctor", "--adapter", str(tools))
    assert "import nowhere_to_be_found" in done.stdout
    assert done.returncode == 1


# 5. Streaming callback errors -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("default_pool")
def test_a_callback_raises(caplog: pytest.LogCaptureFixture) -> None:
    """Its own error reaches the caller, with the chunk's number; the call is cancelled, and the worker serves on."""
    snakepit.configure(size=1)
    pid = snakepit.execute("ping")["pid"]
    with pytest.raises(KeyError, match="result") as caught:
        snakepit.execute_stream("ping_stream", {"count": 1_000_000}, lambda chunk: chunk["result"])
    assert caught.value.__notes__ == ["raised by the callback of snakepit.execute_stream('ping_stream') at chunk 0"]
    wait_until(lambda: snakepit.stats().running == 0, "the end of the call")
    assert snakepit.stats().cancelled == 1
    assert snakepit.execute("ping")["pid"] == pid
    assert "Traceback" not in caplog.text


# Debug mode -----------------------------------------------------------------------------------------------------------------------


def test_debug_mode(caplog: pytest.LogCaptureFixture, tmp_path: pathlib.Path) -> None:
    """`log_level` tells of calls, `trace_frames` of frames; a worker's health and facts are there for the asking."""
    level = logging.getLogger("snakepit").level
    marks = Marks(tmp_path)
    try:
        with snakepit.Pool("pool_tools:PoolTools", size=1, log_level="DEBUG", trace_frames="*") as pool:
            pool.execute("add", {"a": 1})
            assert "add goes to worker-1" in caplog.text
            assert "-> worker-1 call call=1 " in caplog.text
            (worker,) = pool.workers()
            assert worker.health().ok
            wait_until(lambda: worker.info().calls_served == 1, "the count of its calls")
            future = pool.submit("hold", {"folder": marks.text})
            marks.wait("started")
            assert "in hold" in pool.dump_stacks()["worker-1"]
            future.cancel()
    finally:
        logging.getLogger("snakepit").setLevel(level)


# Performance tuning ---------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("default_pool")
def test_the_guides_keys_of_tuning() -> None:
    """They are understood as they stand there, in seconds; one in milliseconds, and one that is none, are refused by name."""
    tuning = {"base_port": 50051, "port_range": 100, "max_concurrent_streams": 10, "connection_timeout": 10, "stream_timeout": 300}
    snakepit.configure(pool_config={"pool_size": 1, "worker_init_timeout": 30}, grpc_config=tuning)
    assert snakepit.execute("compute", ADD) == 5
    assert snakepit.stats().size == 1
    snakepit.shutdown()
    with pytest.raises(snakepit.ConfigurationError, match="30000 seconds, which must have been meant as milliseconds"):
        snakepit.configure(pool_config={"worker_init_timeout": 30_000})
    with pytest.raises(snakepit.ConfigurationError, match="base_prot") as caught:
        snakepit.configure(grpc_config={"base_prot": 50051})
    assert "base_port" in f"{caught.value} {caught.value.hint}"


# Fallback strategy ----------------------------------------------------------------------------------------------------------------


def test_fallback(bare: str) -> None:
    """Nothing has to be done for it: the pool takes the best protocol there is, and says why none that is better."""
    with snakepit.Pool(size=1, python=bare) as pool:
        all_ready(pool)
        assert pool.execute("compute", ADD) == 5
        assert pool.stats().protocol == "json"
        assert "needs grpcio" in pool.stats().protocol_reasons[0]


@pytest.mark.usefixtures("default_pool")
def test_fallback_by_hand(bare: str) -> None:
    """As the guide writes it: the code `grpc_unavailable`, then the same call with another adapter of the guide's."""
    snakepit.configure(size=1, python=bare, adapter_module=snakepit.adapters.GRPCPython)
    with pytest.raises(snakepit.SnakepitError) as caught:
        snakepit.execute("compute", ADD)
    assert caught.value.code == "grpc_unavailable"
    with snakepit.with_adapter(snakepit.adapters.GenericPythonV2):
        assert snakepit.execute("compute", ADD) == 5
