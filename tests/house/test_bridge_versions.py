"""The worker program of the public service, on old and new versions of what it stands on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from environments import ROOT, bare_variables, make_environment
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("requirements", [("grpcio==1.50.0", "protobuf>=4,<5"), ("grpcio", "protobuf")], ids=["grpcio 1.50", "newest"])
def test_one_call_on_python_3_8(interpreter: Callable[[str], str], tmp_path: Path, requirements: tuple[str, ...]) -> None:
    """With the oldest grpcio and protobuf that are promised, and with the newest that there are for it; today's are everywhere else."""
    python = make_environment(tmp_path / "env", interpreter("3.8"), *requirements)
    command = [python, "-W", "error::DeprecationWarning:snakepit_bridge", "-m", "snakepit_bridge.grpc_server"]
    environment = {**bare_variables(), "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        try:
            word, _, address = process.stdout.readline().strip().partition(" ")
            assert word == "ready"
            with grpc.insecure_channel(address) as channel:
                stub = snakepit_pb2_grpc.BridgeServiceStub(channel)
                answer = stub.ExecuteTool(pb.ExecuteToolRequest(session_id="s", tool_name="ping"), timeout=10)
                chunks = list(stub.ExecuteStreamingTool(pb.ExecuteToolRequest(tool_name="ping_stream"), timeout=10))
            assert answer.success
            assert answer.result.type_url == "type.googleapis.com/snakepit.map"
            assert [chunk.is_final for chunk in chunks] == [False] * 4 + [True]
        finally:
            process.terminate()
            assert process.wait(10) == 0
