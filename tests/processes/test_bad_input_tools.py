"""Tools that do what no tool should: a clear error that names things, and the pool serves the next call."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import is_alive, wait_until
from worker_faces import AsyncFace, SyncFace, adapter, face_of, nothing_left

pytestmark = pytest.mark.slow

Face = SyncFace | AsyncFace
NASTY = adapter("nasty", "Nasty")


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module: its pools serve many tests, and replace workers meanwhile."""
    with nothing_left(tmp_path_factory):
        yield


@pytest.fixture(scope="module", params=["sync", "async"])
def nasty(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Nasty tools behind either face; workers that do not stop are killed soon."""
    with face_of(request.param, NASTY, cancel_timeout=0.2, close_timeout=1.0, strict_serialization=True) as face:
        yield face


@pytest.fixture(scope="module", params=["grpc", "msgpack"])
def plain(request: pytest.FixtureRequest) -> Iterator[Face]:
    """The same behind the sync face alone, for what happens in the worker; over both kinds of carrier."""
    with face_of("sync", NASTY, protocol=request.param, cancel_timeout=0.2, close_timeout=1.0) as face:
        yield face


@pytest.fixture(scope="module")
def loop() -> Iterator[Face]:
    """Nasty tools in a worker whose main thread lives in a loop."""
    with face_of("sync", adapter("nasty", "NastyAsync"), cancel_timeout=0.2, close_timeout=1.0) as face:
        yield face


def same_worker(face: Face) -> int:
    """The pid of the worker, which has served a call just now and is the one the pool shows."""
    (handle,) = face.pool.workers()
    pid = face.execute("ok", timeout=20)
    assert handle.info().pid == pid
    return pid


def crash_of(face: Face, tool: str, args: dict[str, Any] | None = None) -> snakepit.WorkerCrashed:
    """How a call ends that brings its worker down; the next is served by another worker."""
    before = face.execute("ok")
    with pytest.raises(snakepit.WorkerCrashed) as caught:
        face.execute(tool, args, timeout=20)
    assert face.execute("ok", timeout=20) != before
    return caught.value


# Results that cannot travel ------------------------------------------------------------------------------------------

THINGS = [
    ("object", "['layers'][3]['weights'] is a object"),
    ("function", "['f'] is a builtin_function_or_method"),
    ("generator", "[0] is a generator"),
    ("key", "['a'] key (1, <object object at "),
    ("mute key", " is a "),
    ("evil", "['x'] is a snakepit_script_nasty.Evil"),
    ("slots", " is a snakepit_script_nasty.Slots"),
    ("object by a big int", "[0x10000000000000000]['n'] is a object"),
    ("surrogate", "[1]['name'] is a str: it holds a lone surrogate"),
    ("loop", "is a dict: it is nested too deeply or contains itself"),
    ("deep", "is a list: it is nested too deeply or contains itself"),
    ("module", " is a module"),
    ("exception", " is a ValueError"),
    ("lock", " is a _thread.lock"),
    ("open file", " is a _io.TextIOWrapper"),
    ("set of objects", "is a object"),
]


@pytest.mark.parametrize(("name", "said"), THINGS, ids=[row[0] for row in THINGS])
def test_a_result_that_cannot_travel(nasty: Face, name: str, said: str) -> None:
    """The error names the tool, the type, and the path inside the value; the worker stays."""
    with pytest.raises(snakepit.SerializationError) as caught:
        nasty.execute("thing", {"name": name})
    error = caught.value
    assert error.message.startswith("tool 'thing' gave something that cannot travel: result")
    assert said in error.message
    assert (error.details["tool"], error.details["worker_id"], error.code) == ("thing", nasty.pool.workers()[0].id, "unserializable")
    same_worker(nasty)


@pytest.mark.parametrize(("name", "said"), THINGS, ids=[row[0] for row in THINGS])
def test_a_chunk_that_cannot_travel(nasty: Face, name: str, said: str) -> None:
    """What came before is delivered; the error names the chunk as well; the generator is closed."""
    chunks: list[Any] = []
    with pytest.raises(snakepit.SerializationError) as caught:
        nasty.stream("thing_stream", {"name": name}, take=chunks.extend)
    assert [chunk["i"] for chunk in chunks] == [0, 1]
    assert caught.value.message.startswith("tool 'thing_stream' gave something that cannot travel: chunk 2")
    assert said in caught.value.message
    assert caught.value.details["chunk"] == 2
    same_worker(nasty)


@pytest.mark.parametrize("final", [False, True])
def test_metadata_that_cannot_travel(nasty: Face, final: bool) -> None:
    """The metadata of a StreamChunk is looked at as its payload is."""
    chunks: list[Any] = []
    with pytest.raises(snakepit.SerializationError, match=r"chunk 1\['metadata'\]\['about'\]\['layers'\]\[3\]\['weights'\] is a object"):
        nasty.stream("thing_in_metadata", {"name": "object", "final": final}, take=chunks.extend)
    assert len(chunks) == 1
    same_worker(nasty)


def test_a_return_value_of_a_stream_that_cannot_travel(nasty: Face) -> None:
    """All chunks come, then the error names the result."""
    chunks: list[Any] = []
    with pytest.raises(snakepit.SerializationError, match=r"result\['layers'\]\[3\]\['weights'\] is a object"):
        nasty.stream("thing_returned", {"name": "object"}, take=chunks.extend)
    assert [chunk["i"] for chunk in chunks] == [0]
    same_worker(nasty)


def test_keys_that_are_no_text(nasty: Face) -> None:
    """Numbers, None, bytes and tuples travel as keys; so do frozensets."""
    keys = {1: "int", 1.5: "float", None: "none", b"b": "bytes", (1, (2, "x")): "tuple", frozenset([3]): "set", "s": "str"}
    assert nasty.execute("odd_keys") == keys
    first, _ = nasty.stream("odd_keys_stream")
    assert first == {1: "int", (1, (2, "x")): "tuple", "is_final": False}


@pytest.mark.timeout(150)
def test_two_hundred_megabytes(loop: Face) -> None:
    """There and back, intact; the same worker goes on."""
    pid = same_worker(loop)
    blob = bytes(range(250)) * 800_000
    assert loop.execute("echo", {"value": blob}, timeout=120) == blob
    assert same_worker(loop) == pid


def test_twenty_megabytes(plain: Face) -> None:
    """Bytes, text, a long list, and bytes deep inside, as argument and as result."""
    for value in (b"\xa5" * 20_000_000, "é" * 10_000_000, [*range(1_000_000)], {"a": [{"b": b"\x00" * 10_000_000}] * 2}):
        assert plain.execute("echo", {"value": value}, timeout=50) == value
    same_worker(plain)


def test_a_deep_result_under_a_raised_recursion_limit(plain: Face) -> None:
    """What the tool's own limit allows and the host's cannot read is an error for that call; the next is served."""
    with pytest.raises(snakepit.SnakepitError, match="recursion|nested"):
        plain.execute("deep_result_with_a_raised_limit", timeout=20)
    assert plain.execute("ok", timeout=20)


# Ways to end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 3])
def test_os_exit(plain: Face, code: int) -> None:
    """`os._exit()` ends the worker: the error says with which code, shows its last words, and another serves."""
    error = crash_of(plain, "os_exit", {"code": code})
    assert f"died while it ran 'os_exit': exited with code {code}" in error.message
    assert error.details["exit_code"] == code
    assert error.details["signal"] is None
    assert "last words" in error.message


def test_os_exit_in_a_stream(nasty: Face) -> None:
    """The chunks before it are delivered, then the error comes."""
    chunks: list[Any] = []
    with pytest.raises(snakepit.WorkerCrashed, match="exited with code 9"):
        nasty.stream("os_exit_stream", {"n": 0, "code": 9}, take=chunks.extend)
    assert chunks == []
    assert nasty.execute("ok", timeout=20)


@pytest.mark.parametrize(
    ("tool", "args", "name"),
    [
        ("kill_self", {"name": "SIGKILL"}, "SIGKILL"),
        ("kill_self", {"name": "SIGTERM"}, "SIGTERM"),
        ("kill_group", {}, "SIGKILL"),
        ("segfault", {}, "SIGSEGV"),
        ("abort", {}, "SIGABRT"),
    ],
)
def test_a_deadly_signal(plain: Face, tool: str, args: dict[str, str], name: str) -> None:
    """The error names the signal; the worker's group is its own, so the host survives."""
    error = crash_of(plain, tool, args)
    assert f"killed by {name}" in error.message
    assert (error.details["signal"], error.details["exit_code"]) == (name, None)
    if name in ("SIGSEGV", "SIGABRT"):
        assert any("nasty.py" in line for line in error.details["stderr"]), "faulthandler shows the tool's line"


def test_ctrl_c_is_the_hosts_affair(plain: Face) -> None:
    """A SIGINT that reaches the worker changes nothing."""
    pid = same_worker(plain)
    assert plain.execute("interrupt_self", timeout=20) == "went on"
    assert same_worker(plain) == pid


def test_a_stopped_worker(plain: Face) -> None:
    """A worker that is stopped (SIGSTOP) does not answer; the deadline holds, and another worker serves."""
    before = plain.execute("ok")
    with pytest.raises(snakepit.WorkerTimeout):
        plain.execute("kill_self", {"name": "SIGSTOP"}, timeout=0.3)
    assert plain.execute("ok", timeout=20) != before


def test_the_pools_directory_is_removed() -> None:
    """A tool, or whoever tidies up /tmp, removes the directory of the sockets: what is connected stays, and new workers start."""
    with face_of("sync", NASTY, protocol="grpc") as face:
        endpoint = face.pool.workers()[0].info().endpoint
        assert endpoint.startswith("unix:")
        face.execute("remove_folder", {"path": str(pathlib.Path(endpoint.removeprefix("unix:")).parent)})
        same_worker(face)
        crash_of(face, "os_exit", {"code": 1})
        assert face.pool.workers()[0].info().endpoint.startswith("unix:")


def test_exit_from_a_thread(plain: Face) -> None:
    """`sys.exit()` in a thread ends that thread."""
    assert plain.execute("exit_from_a_thread") == "went on"
    same_worker(plain)


# Descriptors ---------------------------------------------------------------------------------------------------------


def test_closing_stdin(plain: Face) -> None:
    """stdin is nothing the worker needs."""
    plain.execute("close_stdin")
    same_worker(plain)


def test_closing_the_standard_descriptors(tmp_path: pathlib.Path) -> None:
    """0, 1 and 2 are never the channel: the tool may close them, and what it opens next may take their numbers."""
    with face_of("sync", NASTY) as face:
        pid = same_worker(face)
        face.execute("close_standard_fds")
        assert face.execute("print_something") == "refused"
        assert face.execute("take_standard_fds", {"path": str(tmp_path)}) == [0, 1, 2]
        assert face.execute("print_something") == "written"
        assert face.execute("echo", {"value": b"x" * 1_000_000}) == b"x" * 1_000_000
        assert same_worker(face) == pid
    assert (tmp_path / "1").read_bytes().startswith(b"x" * 10_000)


def test_closing_every_descriptor(plain: Face) -> None:
    """A tool that closes the channel itself has brought its worker down; the error comes at once."""
    before = plain.execute("ok")
    with pytest.raises(snakepit.WorkerError, match="while it ran 'close_everything'"):
        plain.execute("close_everything", timeout=20)
    assert plain.execute("ok", timeout=20) != before
    wait_until(lambda: not is_alive(before), "the end of the worker without descriptors")


@pytest.mark.parametrize("tool", ["replace_stdout", "delete_stdout", "close_stdout"])
def test_stdout_is_gone(tool: str) -> None:
    """A tool that replaces, deletes or closes `sys.stdout` has made its own prints fail, and nothing else."""
    with face_of("sync", NASTY) as face:
        pid = same_worker(face)
        if tool == "delete_stdout":
            with pytest.raises(snakepit.ToolError, match="lost sys.stdout"):
                face.execute(tool)
        else:
            face.execute(tool)
        assert face.stream("odd_keys_stream")[-1]["is_final"]
        assert face.execute("fork_and_exit")[0] == pid
        assert same_worker(face) == pid


def test_no_descriptor_is_free(plain: Face) -> None:
    """A tool that uses them all up and gives them back: the channel, which is open, has not noticed."""
    assert "Too many open files" in plain.execute("many_fds", timeout=40)
    same_worker(plain)


# Threads, signals, the interpreter -----------------------------------------------------------------------------------


def test_threads_that_stay(plain: Face) -> None:
    """A thread that a tool leaves behind, or that raises, disturbs no call."""
    plain.execute("leave_a_thread", {"daemon": True})
    plain.execute("thread_raises")
    same_worker(plain)


def test_a_thread_that_is_no_daemon_does_not_hold_up_the_close() -> None:
    """Python would wait for it for ever; the pool closes within its bound."""
    with face_of("sync", NASTY, close_timeout=0.3) as face:
        face.execute("leave_a_thread", {"daemon": False})
        pid = same_worker(face)
    assert not is_alive(pid)


def test_the_current_directory(plain: Face, tmp_path: pathlib.Path) -> None:
    """A tool that changes into another directory, or removes the one it is in, is served again; the next worker starts as ever."""
    assert plain.execute("change_directory", {"path": str(tmp_path)}) == str(tmp_path)
    plain.execute("lose_directory", {"path": str(tmp_path / "gone")})
    same_worker(plain)
    crash_of(plain, "os_exit", {"code": 1})


def test_the_environment_is_cleared(plain: Face) -> None:
    """What the worker needs of the environment it has read before."""
    plain.execute("change_environment")
    same_worker(plain)
    assert plain.stream("odd_keys_stream")[-1]["is_final"]


@pytest.mark.parametrize("tool", ["install_handlers", "block_signals"])
def test_a_tool_that_is_deaf_to_signals(tool: str) -> None:
    """Handlers for every signal, or all of them blocked: a cancelled call then costs its worker, and nobody waits for it."""
    with face_of("sync", NASTY, cancel_timeout=0.2, close_timeout=0.3) as face:
        pid = same_worker(face)
        face.execute(tool)
        assert same_worker(face) == pid
        with pytest.raises(snakepit.WorkerTimeout):
            face.execute("sleep", {"seconds": 1000}, timeout=0.2)
        assert face.execute("ok", timeout=20) != pid
        face.execute(tool)
        pid = same_worker(face)
    assert not is_alive(pid)


@pytest.mark.parametrize("name", ["Nasty", "NastyAsync"])
def test_a_signal_handler_that_raises_between_calls(name: str, tmp_path: pathlib.Path) -> None:
    """A timer of a tool that goes off when the tool is over ends nothing, with and without a loop."""
    with face_of("sync", adapter("nasty", name)) as face:
        pid = same_worker(face)
        for i in range(3):
            face.execute("alarm_between_calls", {"mark": str(tmp_path / str(i))})
            wait_until((tmp_path / str(i)).exists, "the alarm")
            assert same_worker(face) == pid


@pytest.mark.parametrize(("tool", "args"), [("hold_the_gil", {"seconds": 1000}), ("swallow_everything", {})])
def test_a_tool_that_does_not_stop(nasty: Face, tool: str, args: dict[str, Any]) -> None:
    """C code that never gives the GIL back, or `except BaseException` in a loop: the caller has its error at the deadline."""
    before = nasty.execute("ok")
    with pytest.raises(snakepit.WorkerTimeout, match=f"'{tool}' did not end within 0.3 s"):
        nasty.execute(tool, args, timeout=0.3)
    assert nasty.execute("ok", timeout=20) != before


def test_a_stream_that_does_not_stop(nasty: Face) -> None:
    """A generator that catches GeneratorExit and goes on costs its worker when it is left; the next call is served."""
    before = nasty.execute("ok")
    nasty.stream("swallow_in_a_stream", take=next)
    assert nasty.execute("ok", timeout=20) != before


@pytest.mark.parametrize("tool", ["odd_settings", "break_builtins", "remove_modules"])
def test_the_interpreter_is_turned_upside_down(tool: str) -> None:
    """Switch interval, tracing, recursion limit, builtins, modules: later calls of the worker still work, and it still ends."""
    with face_of("sync", NASTY, close_timeout=1.0) as face:
        pid = same_worker(face)
        face.execute(tool, timeout=20)
        assert face.execute("echo", {"value": [1, {"a": b"x"}]}, timeout=20) == [1, {"a": b"x"}]
        assert [chunk["is_final"] for chunk in face.stream("odd_keys_stream", timeout=20)] == [False, True]
        with pytest.raises(snakepit.SerializationError):
            face.execute("thing", {"name": "key"}, timeout=20)
        assert same_worker(face) == pid
    assert not is_alive(pid)


def test_the_channel_dies_of_a_tool() -> None:
    """Where a tool breaks what gRPC's loop needs, the worker ends at once instead of keeping its caller waiting."""
    with face_of("sync", NASTY, protocol="grpc") as face:
        before = face.execute("ok")
        assert face.execute("stop_the_clock", timeout=20) is None  # it was written down before it was to be sent
        assert face.execute("ok", timeout=20) != before


# Where a loop lives --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "result"),
    [
        ("stop_the_loop", "went on"),
        ("exit_from_a_task", "SystemExit(3)"),
        ("leave_a_task_that_fails", "left"),
        ("set_policy", "went on"),
        ("block_the_loop", "blocked"),
    ],
)
def test_the_loop_survives(loop: Face, tool: str, result: str) -> None:
    """An async tool that stops the worker's loop, or whose tasks exit or fail, ends neither the loop nor its own call."""
    pid = same_worker(loop)
    assert loop.execute(tool, {"seconds": 0.05} if tool == "block_the_loop" else None, timeout=20) == result
    assert same_worker(loop) == pid


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("close_the_loop", "RuntimeError: Cannot close a running event loop"),
        ("cancel_everything", "asyncio.exceptions.CancelledError"),
        ("exit_from_an_awaited_task", "the tool called sys.exit(3); the worker goes on"),
    ],
)
def test_the_loops_own_errors(loop: Face, tool: str, said: str) -> None:
    """What an async tool does to the loop comes back to it as an error."""
    pid = same_worker(loop)
    with pytest.raises(snakepit.ToolError) as caught:
        loop.execute(tool, timeout=20)
    assert said in caught.value.message
    assert same_worker(loop) == pid


def test_an_async_tool_that_does_not_stop(loop: Face) -> None:
    """A coroutine that swallows its cancellation costs its worker; the next call is served."""
    before = loop.execute("ok")
    with pytest.raises(snakepit.WorkerTimeout):
        loop.execute("swallow_everything", timeout=0.3)
    assert loop.execute("ok", timeout=20) != before
