"""Calls and settings that cannot be: each a clear error that names things, before anything is sent; the pool serves on."""

from __future__ import annotations

import bisect
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
from snakepit_bridge.wire.plain import MAX_LEVELS
from worker_faces import AsyncFace, SyncFace, adapter, face_of, nothing_left

pytestmark = pytest.mark.slow

Face = SyncFace | AsyncFace


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module: its pools serve many tests."""
    with nothing_left(tmp_path_factory):
        yield


@pytest.fixture(scope="module", params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """A pool with tools that take all sorts of arguments."""
    with face_of(request.param, adapter("taking", "Taking")) as face:
        yield face


@pytest.fixture(autouse=True)
def untouched(face: Face) -> Iterator[None]:
    """After each test the next call is served, by the very same worker, and nothing is left running."""
    before = face.execute("pid")
    yield
    assert face.execute("pid", timeout=10) == before
    stats = face.pool.stats()
    assert (stats.running, stats.queued, stats.restarts) == (0, 0, 0)


def by_execute(face: Face, tool: Any, args: Any, **options: Any) -> Any:
    """`execute`."""
    return face.execute(tool, args, **options)


def by_stream(face: Face, tool: Any, args: Any, **options: Any) -> Any:
    """`stream`, read to its end."""
    return face.stream(tool, args, **options)


def by_submit(face: Face, tool: Any, args: Any, **options: Any) -> Any:
    """`submit` and its future's result."""
    if isinstance(face, SyncFace):
        return face.pool.submit(tool, args, **options).result(20)

    async def submitted() -> Any:
        return await face.pool.submit(tool, args, **options)

    return face.run(submitted())


WAYS: tuple[Callable[..., Any], ...] = (by_execute, by_stream, by_submit)


def refused(face: Face, kind: type[Exception], call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The error of a call that reaches no worker."""
    before = face.pool.stats().submitted
    with pytest.raises(kind) as caught:
        call(*args, **options)
    assert face.pool.stats().submitted == before
    return caught.value


# Tools and arguments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ad", "did you mean 'add'?"),
        ("ADD", "did you mean 'add'?"),
        ("__init__", "there are: add, anything, "),
        ("", "there are: "),
        ("add\x00", "did you mean 'add'?"),
        ("x" * 10_000, "xxx'..."),
        (None, "named by text"),
        (b"add", "named by text"),
        (["add"], "named by text"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_unknown_tool(face: Face, name: Any, said: str) -> None:
    """The error names near ones, or what there is."""
    for way in WAYS:
        error = refused(face, snakepit.UnknownTool, way, face, name, {})
        assert said in str(error)
        assert (error.code, isinstance(error, LookupError)) == ("unknown_tool", True)
        assert len(str(error)) < 3000


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "the arguments 'a' (int) and 'b' (int) must be given"),
        ({"a": 1}, "the argument 'b' (int) must be given"),
        ({"a": 1, "b": 2, "bb": 3}, "did you mean 'b'?"),
        ({"a": 1, "c": 3}, "'c'"),
        ({"a": "1", "b": 2}, "argument 'a' must be int, got str: '1'"),
        ({"a": 1, "b": None}, "argument 'b' must be int, got NoneType: None"),
        ({"a": 1, "b": [1]}, "argument 'b' must be int, got list: [1]"),
        ({"a": 1, "b": object()}, "argument 'b' must be int, got object: <object"),
        ({"a": 1, "b": 1 + 2j}, "argument 'b' must be int, got complex: (1+2j)"),
        ({1: 1, "b": 2}, "must be text, got int: 1"),
        ({None: 1}, "must be text, got NoneType"),
        ([1, 2], "list"),
        ("ab", "str"),
        (5, "int"),
        ({"a": 1, "b": "x" * 100_000}, "argument 'b' must be int, got str: 'xxx"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_arguments_that_do_not_fit(face: Face, args: Any, said: str) -> None:
    """Missing, unknown, ill-typed, no mapping, keys that are no text: the error names tool and argument, and is short."""
    for way in WAYS:
        error = refused(face, snakepit.InvalidParameter, way, face, "add", args)
        assert said in str(error)
        assert "add" in str(error)
        assert isinstance(error, ValueError)
        assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (object(), "args['value'] is a object"),
        ({"deep": [1, {"er": object()}]}, "args['value']['deep'][1]['er'] is a object"),
        ([0, lambda: 1], "args['value'][1] is a function"),
        ({"key": {(1, object()): 2}}, "args['value']['key'] key "),
        ({2**64: object()}, "args['value'][0x10000000000000000] is a object"),
        (["\udcff"], "args['value'][0] is a str: it holds a lone surrogate"),
        ((x for x in "ab"), "args['value'] is a generator"),
        (threading.Lock(), "args['value'] is a _thread.lock"),
        (pytest, "args['value'] is a module"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_argument_that_cannot_travel(face: Face, value: Any, path: str) -> None:
    """The error names the argument, the path inside it and the type."""
    for way in WAYS:
        with pytest.raises(snakepit.SerializationError) as caught:
            way(face, "take", {"value": value})
        assert caught.value.message.startswith("an argument of 'take' cannot travel: ")
        assert path in caught.value.message
        assert isinstance(caught.value, TypeError)


def test_an_argument_that_contains_itself(face: Face) -> None:
    """Endless nesting is an error, not a crash of either side."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(snakepit.SerializationError, match="nested too deeply or contains itself"):
        face.execute("take", {"value": loop})


def test_arguments_nested_as_deep_as_it_goes(face: Face) -> None:
    """So many levels as every codec and every Python can read, which is what the error says; and no level of that is lost."""

    def travels(depth: int) -> bool:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        try:
            face.execute("take", {"value": value})
        except snakepit.SerializationError:
            return False
        return True

    deepest = bisect.bisect(range(1200), 0, key=lambda depth: not travels(depth)) - 1
    assert MAX_LEVELS - 5 < deepest < MAX_LEVELS
    assert all(map(travels, range(1, deepest, 7)))


def test_an_argument_whose_text_cannot_be_shown(face: Face) -> None:
    """An object whose `repr` raises is refused all the same."""

    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no name")

    refused(face, snakepit.InvalidParameter, face.execute, "add", {"a": 1, "b": Mute()})
    with pytest.raises(snakepit.SerializationError, match="Mute"):
        face.execute("take", {"value": [Mute()]})


def test_keys_that_are_no_text(face: Face) -> None:
    """Inside of an argument numbers, None, bytes and tuples may be keys, and arrive as they are."""
    value = {1: "int", None: "none", b"b": "bytes", (1, (2, "x")): "tuple", 1.5: "float"}
    assert face.execute("take", {"value": value}) == value


def test_arguments_named_like_the_runtimes_own(face: Face) -> None:
    """Names such as `call`, `function`, `tool`, `timeout` and `args` are free for tools to use."""
    args = {name: i for i, name in enumerate(["call", "function", "tool", "args", "timeout", "kind", "following", "on_progress"])}
    assert face.execute("named_like_ours", args) == args
    assert face.execute("anything", {**args, "options": 1, "instances": 2}) == {**args, "options": 1, "instances": 2}


def test_an_argument_named_self(face: Face) -> None:
    """What Python itself refuses comes back as the tool's error, or before."""
    with pytest.raises(snakepit.SnakepitError, match="self"):
        face.execute("anything", {"self": 1})


# Times, callbacks, names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, -1, -0.0, float("nan"), float("inf"), "5", True, [1], 10**400], ids=lambda value: repr(value)[:9])
def test_a_timeout_that_is_none(face: Face, seconds: Any) -> None:
    """0 and below, and what is no finite number: the error names the argument, shows what came, and says what is allowed."""
    for way in WAYS:
        error = refused(face, snakepit.InvalidParameter, way, face, "add", {"a": 1, "b": 2}, timeout=seconds)
        assert str(error).startswith("timeout is ")
        assert "a number of seconds above 0, or None" in str(error)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "5"])
def test_a_chunk_timeout_that_is_none(face: Face, seconds: Any) -> None:
    """The same for `chunk_timeout`."""
    error = refused(face, snakepit.InvalidParameter, face.stream, "add", {"a": 1, "b": 2}, chunk_timeout=seconds)
    assert str(error).startswith("chunk_timeout is ")


@pytest.mark.parametrize("seconds", [1e-9, 1e-3, 1e9, 1e300])
def test_a_timeout_that_is_very_short_or_long(face: Face, seconds: float) -> None:
    """The shortest ends in a timeout or a result, the longest does not overflow anything."""
    try:
        assert face.execute("add", {"a": 1, "b": 2}, timeout=seconds) == 3
    except snakepit.WorkerTimeout:
        assert seconds < 1


@pytest.mark.parametrize("callback", [5, "print", [print], object()], ids=lambda value: type(value).__name__)
def test_a_callback_that_is_not_callable(face: Face, callback: Any) -> None:
    """The error names the parameter and shows what came."""
    error = refused(face, snakepit.InvalidParameter, face.execute, "add", {"a": 1, "b": 2}, on_progress=callback)
    assert str(error).startswith(f"on_progress is {callback!r}; allowed is a function")


def test_unknown_options(face: Face) -> None:
    """An option that there is not is Python's own error, and no call is made."""
    refused(face, TypeError, face.execute, "add", {"a": 1, "b": 2}, time_out=5)
    refused(face, TypeError, face.stream, "add", {"a": 1, "b": 2}, callback=print)


def test_more_than_the_queue_holds(face: Face, tmp_path: pathlib.Path) -> None:
    """A full queue says how many wait and what the bound is."""
    with face_of("sync", adapter("taking", "Taking"), queue_size=0) as small:
        running = small.pool.submit("wait_for", {"mark": str(tmp_path / "go")})
        with pytest.raises(snakepit.QueueFull, match="queue_size is 0"):
            small.execute("pid")
        (tmp_path / "go").touch()
        assert running.result(10) == "went"
        assert small.execute("pid")
