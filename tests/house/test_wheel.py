"""The wheel holds what it should, asks for what it needs, and works where nothing else is installed."""

from __future__ import annotations

import email
import email.message
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import snakepit
import snakepit_bridge
from environments import install, make_environment, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_CALLS = """
import snakepit
from snakepit_bridge.base_adapter import BaseAdapter, tool

class Greeter(BaseAdapter):
    @tool(description="Greet one by one", supports_streaming=True)
    def greet(self, names: list):
        for name in names:
            yield {"greeting": "hello " + name}

if __name__ == "__main__":
    with snakepit.Pool(size=1) as pool:
        print(pool.execute("compute", {"operation": "add", "a": 2, "b": 3}))
    with snakepit.Pool(Greeter, size=1) as pool:
        print([value["greeting"] for value in pool.stream("greet", {"names": ["ada", "bob"]}).values()])
    print(snakepit.__file__)
"""


def _metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (item for item in archive.namelist() if item.endswith(".dist-info/METADATA"))
        return email.message_from_string(archive.read(name).decode())


def test_wheel_holds_its_packages_and_no_more(wheel: Path, root: Path) -> None:
    """Every file of the packages is in the wheel, with the type markers and the licence, and nothing of the rest of the tree."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {str(path.relative_to(root / "src")) for path in (root / "src").rglob("*.py")}
    assert sources <= names
    assert {"snakepit/py.typed", "snakepit_bridge/py.typed", "snakepit_bridge/grpc/snakepit_pb2.pyi"} <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"snakepit", "snakepit_bridge", "snakepit_pytest"}


def test_wheel_is_one_distribution_of_one_version(wheel: Path) -> None:
    """The distribution carries the version that the SDK names, and supports Python 3.8."""
    metadata = _metadata(wheel)
    assert metadata["Name"] == "snakepit-bridge"
    assert metadata["Version"] == snakepit_bridge.__version__
    assert metadata["Requires-Python"] == ">=3.8"


def test_worker_sdk_asks_for_nothing(wheel: Path) -> None:
    """What is required without any extra is required only where the host runs."""
    required = [line for line in _metadata(wheel).get_all("Requires-Dist", []) if "extra ==" not in line]
    assert required
    assert all("python_version >= '3.11'" in line.replace('"', "'") for line in required)


def test_tool_runs_from_the_installed_wheel(installed: Path, tmp_path: Path) -> None:
    """In an environment with the wheel and gRPC alone, a script gets a result and a stream from workers."""
    script = tmp_path / "script.py"
    script.write_text(_CALLS)
    result, greetings, where = run(installed, script, cwd=tmp_path).splitlines()
    assert "5" in result
    assert greetings == "['hello ada', 'hello bob']"
    assert Path(where).is_relative_to(installed.parents[1])


def test_command_runs_from_the_installed_wheel(installed: Path, wheel: Path, tmp_path: Path) -> None:
    """With the extra `cli`, the command lists the tools of a file in the current directory and runs one."""
    install(installed, f"{wheel}[cli]")
    (tmp_path / "tools.py").write_text("from snakepit_bridge import tool\n\n@tool\ndef double(x: int) -> int:\n    return 2 * x\n")
    command = installed.with_name("snakepit")
    assert "double" in run(command, "tools", "--adapter", "tools.py", cwd=tmp_path)
    answer = run(command, "run", "double", "x=21", "--adapter", "tools.py", "--size", "1", "--json", cwd=tmp_path)
    assert json.loads(answer.splitlines()[-1]) == 42


def test_sdk_and_stubs_install_on_python_3_8(wheel: Path, interpreter: Callable[[str], str], tmp_path: Path) -> None:
    """On Python 3.8 the wheel with gRPC and MessagePack resolves, the SDK and the stubs import there, and a worker runs."""
    python = make_environment(tmp_path, interpreter("3.8"), f"{wheel}[grpc,msgpack]")
    run(python, "-W", "error", "-c", "import grpc, snakepit_bridge.grpc.snakepit_pb2, snakepit_bridge.grpc.snakepit_pb2_grpc", cwd=tmp_path)
    run(python, "-c", "from snakepit_bridge.base_adapter import BaseAdapter, tool", cwd=tmp_path)
    with snakepit.Pool(size=1, python=str(python), cwd=tmp_path) as pool:
        assert pool.execute("compute", {"operation": "add", "a": 5, "b": 3}) == 8
        assert [chunk["is_final"] for chunk in pool.stream("ping_stream", {"count": 3})] == [False, False, True]
        with pool.stream("progress_stream", {"count": 1000, "delay": 30.0}) as stream:
            next(stream)
        pool.execute("ping")  # the blocked tool was interrupted, and the worker lives on
        assert pool.workers()[0].info().python.startswith("3.8.")
        assert (pool.stats().protocol, pool.stats().protocol_reasons) == ("grpc", ())
        assert pool.stats().restarts == 0
