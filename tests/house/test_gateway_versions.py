"""The gateway and its clients on the oldest of what they stand on, and what is said where that is missing."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from environments import ROOT, bare_variables, install, make_environment, run

pytestmark = pytest.mark.slow

_TOOLS = ROOT / "tests" / "gateway" / "gateway_tools.py"
_CLIENT = """
import sys, grpc, snakepit
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

address = sys.argv[1]
with snakepit.connect(address) as pool:
    print(pool.execute("add", {"a": 2, "b": 3}), pool.execute("reverse", binary_parameters={"data": b"abc"}))
    print([value["number"] for value in pool.stream("count", {"to": 3}).values()])
    with pool.session("s") as session:
        session.execute("remember", {"value": "kept"})
        print(session.execute("remember"))
    for tool, args in (("addd", {}), ("fail", {}), ("nap", {"seconds": 30})):
        try:
            pool.execute(tool, args, timeout=0.3)
        except snakepit.SnakepitError as error:
            print(error.code, getattr(error, "type", ""))
with grpc.insecure_channel(address) as channel:
    health = health_pb2_grpc.HealthStub(channel)
    print(health.Check(health_pb2.HealthCheckRequest(service="main"), timeout=5).status)
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol="snakepit.bridge.BridgeService")
    (answer,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]), timeout=5)
    print(len(answer.file_descriptor_response.file_descriptor_proto) > 0)
"""
_SAID = ["5 b'cba'", "[0, 1, 2]", "kept", "unknown_tool ", "tool_error LookupError", "worker_timeout ", "1", "True"]


def oldest() -> list[str]:
    """The lowest version of each library that the extras `gateway` and `cli` promise."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lowest = {}
    for item in (*project["dependencies"], *extras["grpc"], *extras["gateway"], *extras["cli"]):
        name, bound, version = item.partition(";")[0].strip().partition(">=")
        if bound:
            lowest[name] = version
    return [f"{name}=={version}" for name, version in lowest.items()]


def test_the_oldest_that_is_promised(interpreter: Callable[[str], str], wheel: Path, tmp_path: Path) -> None:
    """`serve`, `call` and `connect` work on them, with Python 3.11: results, streams, sessions, errors, health and reflection."""
    python = make_environment(tmp_path / "env", interpreter("3.11"), f"{wheel}[gateway,cli]", *oldest())
    assert "1.50.0" in run(python, "-c", "import grpc; print(grpc.__version__)")
    address = f"unix:{tmp_path}/gate"
    strict = ["-W", "error::DeprecationWarning:snakepit"]
    command = [python, *strict, "-m", "snakepit", "serve", "--adapter", _TOOLS, "--size", "1", "--address", address, "--json"]
    with subprocess.Popen(command, env=bare_variables(), stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        try:
            assert json.loads(process.stdout.readline())["address"] == address
            assert run(python, *strict, "-c", _CLIENT, address, cwd=tmp_path).splitlines() == _SAID
            assert run(python, *strict, "-m", "snakepit", "call", "add", "a=2", "--target", address, cwd=tmp_path) == "3\n"
        finally:
            process.terminate()
            assert process.wait(20) == 0


def test_what_is_missing_is_told(wheel: Path, interpreter: Callable[[str], str], tmp_path: Path) -> None:
    """Without the extra, and with gRPC alone, the commands, `connect` and the import each say what to install, and nothing else."""
    python = make_environment(tmp_path / "env", interpreter("3.11"), f"{wheel}[cli]")
    for lacks in (("grpc", "grpc"), ("grpc_health", "google.rpc")):
        said = [
            f"a gateway is spoken to by gRPC, and {name} is missing\n  hint: pip install 'snakepit-bridge[gateway]'\n" for name in lacks
        ]
        for words, text in (
            (["-m", "snakepit", "serve", "--address", "127.0.0.1:0"], said[0]),
            (["-m", "snakepit", "call", "add", "a=1", "--target", "127.0.0.1:1"], said[1]),
            (["-c", "import snakepit.gateway"], said[0]),
            (["-c", "import snakepit; snakepit.connect('127.0.0.1:1')"], said[1]),
            (["-c", "import snakepit; snakepit.connect_async('127.0.0.1:1')"], said[1]),
        ):
            done = subprocess.run([python, *words], env=bare_variables(), capture_output=True, text=True, check=False, cwd=tmp_path)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.endswith(f": {text}")
            assert done.stderr.count("Traceback") == (words[0] == "-c")
        install(python, "grpcio", "protobuf")
