"""The generated gRPC stubs are current, and describe the public service."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_FOLDERS = ("proto", "scripts", "src/snakepit_bridge/grpc")
_RPCS = {
    "Ping": (False, False),
    "InitializeSession": (False, False),
    "CleanupSession": (False, False),
    "GetSession": (False, False),
    "Heartbeat": (False, False),
    "ExecuteTool": (False, False),
    "ExecuteStreamingTool": (False, True),
    "RegisterTools": (False, False),
    "GetExposedElixirTools": (False, False),
    "ExecuteElixirTool": (False, False),
    "StreamTelemetry": (True, True),
}


def _check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "scripts" / "make_stubs.py", "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_stubs_are_current(root: Path) -> None:
    """The committed stubs were made from the committed definition, with the pinned tools."""
    done = _check(root)
    assert done.returncode == 0, done.stdout


def test_changed_definition_is_noticed(root: Path, tmp_path: Path) -> None:
    """A changed `.proto` without new stubs fails the check, which names the cure."""
    for folder in _FOLDERS:
        shutil.copytree(root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert _check(tmp_path).returncode == 0
    with (tmp_path / "proto/snakepit_bridge/grpc/snakepit.proto").open("a") as file:
        file.write("// changed\n")
    done = _check(tmp_path)
    assert done.returncode == 1
    assert "make proto-python" in done.stdout


def test_stubs_describe_the_public_service() -> None:
    """The service has its public name and every rpc, streaming where it should."""
    from snakepit_bridge.grpc import snakepit_pb2

    service = snakepit_pb2.DESCRIPTOR.services_by_name["BridgeService"]
    assert service.full_name == "snakepit.bridge.BridgeService"
    assert {method.name: (method.client_streaming, method.server_streaming) for method in service.methods} == _RPCS


def test_client_and_server_stubs_import() -> None:
    """The stub classes import unpatched beside the installed grpcio, and offer every rpc."""
    from snakepit_bridge.grpc import snakepit_pb2_grpc

    assert set(_RPCS) <= set(dir(snakepit_pb2_grpc.BridgeServiceServicer))
