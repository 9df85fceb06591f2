"""What a tool raises, as its caller gets it: type, message, traceback, and the chunk at which it happened."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

import pytest

import snakepit
from worker_faces import ADAPTERS, AsyncFace, SyncFace, adapter, face_of, nothing_left

pytestmark = pytest.mark.slow

Face = SyncFace | AsyncFace
NO_MODEL = "snakepit_script_failing.NoModel"


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module: its pools serve many tests."""
    with nothing_left(tmp_path_factory):
        yield


@pytest.fixture(scope="module", params=["sync", "async"])
def failing(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Tools that raise, behind either face."""
    with face_of(request.param, adapter("failing", "Failing")) as face:
        yield face


@pytest.fixture(autouse=True)
def served(failing: Face) -> Iterator[None]:
    """After each test the next call is served, by the very same worker."""
    (before,) = failing.pool.workers()
    yield
    assert failing.execute("ok", timeout=10) == "ok"
    (after,) = failing.pool.workers()
    assert (before.id, before.info().pid) == (after.id, after.info().pid)


def error_of(face: Face, tool: str, args: dict | None = None) -> snakepit.ToolError:
    """The ToolError that a unary call ends with."""
    with pytest.raises(snakepit.ToolError) as caught:
        face.execute(tool, args, timeout=20)
    return caught.value


def read(face: Face, tool: str, args: dict | None = None) -> tuple[list, snakepit.ToolError]:
    """The chunks of a stream that fails, and its error."""
    chunks: list = []
    with pytest.raises(snakepit.ToolError) as caught:
        face.stream(tool, args, take=chunks.extend, timeout=20)
    return chunks, caught.value


# Type, message, traceback --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["function", "coroutine"])
def test_type_message_and_traceback(failing: Face, tool: str) -> None:
    """A class of the user's own is named with its module; the traceback has the user's lines and none of the runtime's."""
    error = error_of(failing, tool, {"value": "bert"})
    assert error.type == NO_MODEL
    assert str(error) == f"tool '{tool}' raised {NO_MODEL}: no model for 'bert'"
    assert (error.chunk, error.code) == (None, "tool_error")
    assert error.details["worker_id"] == "worker-1"
    lines = error.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert f'  File "{ADAPTERS / "failing.py"}", line' in lines[1]
    assert lines[-1] == f"{NO_MODEL}: no model for 'bert'"
    assert "_runtime" not in error.traceback


def test_the_last_lines_shown_are_the_users_own(failing: Face) -> None:
    """An uncaught error prints the worker's traceback as its cause, before the one of the host."""
    shown = "".join(traceback.format_exception(error_of(failing, "function", {"value": "x"})))
    assert 'raise NoModel(f"no model for {value!r}")' in shown
    assert "The above exception was the direct cause of the following exception" in shown
    assert shown.index("raise NoModel") < shown.index("direct cause")


def test_causes_come_along(failing: Face) -> None:
    """`raise ... from ...` and an error while handling another show both."""
    error = error_of(failing, "chained")
    assert (error.type, error.details["tool"]) == ("ValueError", "chained")
    assert "NoModel: no model for 'x'\n\nThe above exception was the direct cause" in error.traceback
    assert "During handling of the above exception" in error_of(failing, "during").traceback


def test_odd_errors(failing: Face) -> None:
    """A syntax error in generated code, a group, a chain of causes without an end."""
    assert "x = = 1" in error_of(failing, "syntax").traceback
    group = error_of(failing, "groups")
    assert (group.type, "ValueError: one" in group.traceback) == ("ExceptionGroup", True)
    assert error_of(failing, "own_cause").type == "ValueError"


@pytest.mark.parametrize("kind", ["Mute", "Nonsense", "Endless", "Exiting"])
def test_an_error_that_cannot_be_shown(failing: Face, kind: str) -> None:
    """An exception whose `__str__` raises, gives no text, never ends or exits is reported all the same, with its lines."""
    error = error_of(failing, "of_kind", {"name": kind})
    assert error.type == f"snakepit_script_failing.{kind}"
    assert "its text cannot be shown" in error.message
    assert "raise KINDS[name](*args)" in error.traceback


def test_a_huge_message_is_cut_in_the_middle(failing: Face) -> None:
    """50 MB of message arrive as a few kilobytes, with beginning, end, and how much is missing."""
    error = error_of(failing, "long_message", {"n": 50_000_000})
    assert len(error.message) < 20_000
    assert "ValueError: beginxxx" in error.message
    assert error.message.endswith("xxxend")
    assert "49991816 characters left out" in error.message
    assert len(error.traceback) < 40_000


def test_a_message_that_no_encoding_holds(failing: Face) -> None:
    """A lone surrogate is shown as an escape."""
    assert error_of(failing, "surrogates").message.endswith(r"a file \udcff")


@pytest.mark.parametrize("tool", ["recursion", "deep_recursion"])
def test_a_recursion_error(failing: Face, tool: str) -> None:
    """Endless recursion is the tool's own error, and its traceback is short; also with a raised limit."""
    error = error_of(failing, tool)
    assert error.type == "RecursionError"
    assert "more times]" in error.traceback
    assert len(error.traceback) < 40_000


def test_a_memory_error(failing: Face) -> None:
    """An allocation that cannot be is the tool's own error."""
    assert error_of(failing, "out_of_memory").type == "MemoryError"


# Things that are not Exceptions --------------------------------------------------------------------------------------

NOT_EXCEPTIONS = [
    ("Stop", "snakepit_script_failing.Stop"),
    ("KeyboardInterrupt", "KeyboardInterrupt"),
    ("GeneratorExit", "GeneratorExit"),
    ("CancelledError", "asyncio.exceptions.CancelledError"),
    ("Cancelled", "snakepit_bridge.call_context.Cancelled"),
]


@pytest.mark.parametrize("tool", ["of_kind", "of_kind_async"])
@pytest.mark.parametrize(("kind", "type_name"), NOT_EXCEPTIONS)
def test_a_base_exception_ends_only_its_call(failing: Face, tool: str, kind: str, type_name: str) -> None:
    """What even `except Exception` lets pass ends the call as an error, and the worker stays; nobody had cancelled."""
    error = error_of(failing, tool, {"name": kind, "args": ["said"]})
    assert error.type == type_name
    assert error.message.endswith("said")


@pytest.mark.parametrize("tool", ["of_kind_stream", "of_kind_async_stream"])
@pytest.mark.parametrize(("kind", "type_name"), NOT_EXCEPTIONS)
def test_a_base_exception_in_a_stream(failing: Face, tool: str, kind: str, type_name: str) -> None:
    """The same in the middle of a stream: its chunks, then the error."""
    chunks, error = read(failing, tool, {"name": kind})
    assert [chunk["data"] for chunk in chunks] == [0]
    assert (error.type, error.chunk) == (type_name, 1)


@pytest.mark.parametrize("tool", ["of_kind", "of_kind_async"])
def test_stop_iteration_is_an_error_like_any_other(failing: Face, tool: str) -> None:
    """A `StopIteration` that escapes a tool does not pass for the end of something."""
    error = error_of(failing, tool, {"name": "StopIteration", "args": ["said"]})
    assert error.type == ("StopIteration" if tool == "of_kind" else "RuntimeError")


@pytest.mark.parametrize(("args", "told"), [(["bye"], "bye"), ([3], "3"), ([], "")])
@pytest.mark.parametrize("tool", ["of_kind", "of_kind_async"])
def test_sys_exit(failing: Face, tool: str, args: list, told: str) -> None:
    """`sys.exit()` in a tool is an error that says so and that the worker goes on; it does not end it."""
    error = error_of(failing, tool, {"name": "SystemExit", "args": args})
    assert error.type == "SystemExit"
    assert error.message.endswith(f"the tool called sys.exit({told}); the worker goes on")
    assert "raise KINDS[name](*args)" in error.traceback


# In streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["generator", "async_generator"])
@pytest.mark.parametrize("n", [0, 3, 5000])
def test_a_generator_that_raises(failing: Face, tool: str, n: int) -> None:
    """A generator that raises after n chunks gives n chunks, then the error with that number, and no final chunk."""
    chunks, error = read(failing, tool, {"n": n, "value": "late"})
    assert [chunk["i"] for chunk in chunks] == list(range(n))
    assert not any(chunk["is_final"] for chunk in chunks)
    assert (error.type, error.chunk) == (NO_MODEL, n)
    assert error.message == f"tool '{tool}' raised {NO_MODEL} at chunk {n}: no model for 'late'"
    assert error.traceback.count("inner(value)") == 1


def test_values_raises_the_same(failing: Face) -> None:
    """`values()` gives the values before the error, too."""
    with pytest.raises(snakepit.ToolError, match="at chunk 3"):
        failing.values("generator", {"n": 3})


def test_an_error_after_the_final_chunk(failing: Face) -> None:
    """What is raised after a chunk with `is_final: True` is not swallowed."""
    chunks, error = read(failing, "after_final")
    assert [chunk["i"] for chunk in chunks] == [0]
    assert (error.type, error.chunk) == (NO_MODEL, 1)


@pytest.mark.parametrize(("tool", "type_name"), [("while_closing", NO_MODEL), ("never_closes", "RuntimeError")])
def test_a_generator_that_does_not_let_itself_be_closed(failing: Face, tool: str, type_name: str) -> None:
    """A generator that went on after its final chunk and fails while it is closed tells that."""
    chunks, error = read(failing, tool)
    assert [chunk["i"] for chunk in chunks] == [0]
    assert error.type == type_name


def test_an_error_in_finally(failing: Face) -> None:
    """The error of a `finally` shows the one it came from."""
    _, error = read(failing, "inside_finally")
    assert error.type == NO_MODEL
    assert "ValueError: first" in error.traceback


def test_an_iterator_that_raises(failing: Face) -> None:
    """The same for an iterator of the user's own below a generator expression."""
    chunks, error = read(failing, "iterator")
    assert [chunk["data"] for chunk in chunks] == [1, 2, 3]
    assert error.chunk == 3
