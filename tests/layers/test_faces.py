"""The two faces of the pool are one API: the same names, the same parameters, awaited on one side only."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import snakepit

#: Awaited on the async face; all other methods are called alike.
_AWAITED = {
    "start",
    "close",
    "execute",
    "sessions",
    "session_info",
    "dump_stacks",
    "end_session",
    "rebind_session",
    "end_quarantine",
    "drain",
}

#: The same of sessions.
#: The standard library's executors are sync, and asyncio takes those.
_SYNC_ALONE = {"as_executor"}
_SESSION_AWAITED = {"open", "end", "execute", "info", "update", "rebind", "put_program", "get_program", "delete_program", "programs"}


def _public(face: type) -> dict[str, Any]:
    return {name: member for name, member in inspect.getmembers(face) if not name.startswith("_") and name not in _SYNC_ALONE}


def _parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(item.name, item.kind, item.default) for item in inspect.signature(function).parameters.values()]


def test_pools_have_the_same_names() -> None:
    """Whatever can be done with one pool can be done with the other."""
    assert set(_public(snakepit.Pool)) == set(_public(snakepit.AsyncPool))


def test_pools_are_made_alike() -> None:
    """Their constructors take the same adapter and the same settings, with the same annotations."""
    assert inspect.signature(snakepit.Pool.__init__) == inspect.signature(snakepit.AsyncPool.__init__)


@pytest.mark.parametrize("name", sorted(name for name, member in _public(snakepit.Pool).items() if inspect.isfunction(member)))
def test_pools_take_the_same_parameters(name: str) -> None:
    """Each method has the same parameters, of the same kinds, with the same defaults and annotations."""
    ours, theirs = getattr(snakepit.Pool, name), getattr(snakepit.AsyncPool, name)
    assert _parameters(ours) == _parameters(theirs)
    annotations = [{item.name: item.annotation for item in inspect.signature(face).parameters.values()} for face in (ours, theirs)]
    assert annotations[0] == annotations[1]


@pytest.mark.parametrize("name", sorted(name for name, member in _public(snakepit.AsyncPool).items() if inspect.isfunction(member)))
def test_what_is_awaited(name: str) -> None:
    """Exactly what has to wait is a coroutine function on the async face, and nothing on the sync face."""
    assert inspect.iscoroutinefunction(getattr(snakepit.AsyncPool, name)) is (name in _AWAITED)
    assert not inspect.iscoroutinefunction(getattr(snakepit.Pool, name))


def test_sessions_have_the_same_names_and_parameters() -> None:
    """A session of one face can do what one of the other can; exactly what has to wait is awaited."""
    sync, other = _public(snakepit.Session), _public(snakepit.AsyncSession)
    assert set(sync) == set(other)
    for name, member in sync.items():
        if inspect.isfunction(member):
            assert _parameters(member) == _parameters(other[name]), name
            assert member.__doc__, name
            assert other[name].__doc__, name
            assert inspect.iscoroutinefunction(other[name]) is (name in _SESSION_AWAITED), name
            assert not inspect.iscoroutinefunction(member), name


def test_streams_have_the_same_names() -> None:
    """A stream can be read bare, cancelled and closed on both faces; closing is `aclose` where it is awaited, what reads Arrow does not."""
    sync, other = set(_public(snakepit.Stream)), set(_public(snakepit.AsyncStream))
    assert sync - {"close", "to_arrow"} == other - {"aclose"} == {"as_values", "cancel", "result", "values"}


def test_methods_return_alike() -> None:
    """What a method gives is annotated the same, but for streams, futures and `self`."""
    own = {"session", "stream", "submit", "map", "stream_map"}
    for name, member in _public(snakepit.Pool).items():
        if inspect.isfunction(member) and name not in own:
            ours, theirs = inspect.signature(member), inspect.signature(getattr(snakepit.AsyncPool, name))
            assert ours.return_annotation == theirs.return_annotation, name


def test_everything_is_documented() -> None:
    """Every public method of both faces has a docstring."""
    for name, member in _public(snakepit.Pool).items():
        other = getattr(snakepit.AsyncPool, name)
        if inspect.isfunction(member):
            assert member.__doc__, name
            assert other.__doc__, name


def test_the_default_pool_has_the_same_parameters() -> None:
    """`snakepit.execute` and `execute_stream` take what the pool's own methods take."""
    execute, stream = inspect.signature(snakepit.execute).parameters, inspect.signature(snakepit.execute_stream).parameters
    assert execute["timeout"].default == inspect.signature(snakepit.Pool.execute).parameters["timeout"].default == 30.0
    assert set(inspect.signature(snakepit.Pool.stream).parameters) - {"self"} == set(stream) - {"callback"}
    assert stream["timeout"].default is inspect.signature(snakepit.Pool.stream).parameters["timeout"].default
    assert [stream[name].kind for name in ("tool", "args", "callback")] == [inspect.Parameter.POSITIONAL_OR_KEYWORD] * 3


def test_each_face_has_its_own_protocols() -> None:
    """`with` and `for` belong to the sync face, `async with` and `async for` to the other."""
    for sync, other, names in (
        (snakepit.Pool, snakepit.AsyncPool, {"__enter__": "__aenter__", "__exit__": "__aexit__"}),
        (snakepit.Stream, snakepit.AsyncStream, {"__iter__": "__aiter__", "__next__": "__anext__", "__enter__": "__aenter__"}),
    ):
        for ours, theirs in names.items():
            assert hasattr(sync, ours)
            assert not hasattr(sync, theirs)
            assert hasattr(other, theirs)
            assert not hasattr(other, ours)


@pytest.mark.parametrize(("name", "cure"), [("imap", "map"), ("shutdown", r"close\(\)"), ("apply_async", "submit"), ("remote", "submit")])
@pytest.mark.parametrize("pool", [snakepit.Pool, snakepit.AsyncPool])
def test_names_of_other_pools_lead_to_ours(pool: type, name: str, cure: str) -> None:
    """The error says what to use; any other name that is not there is an ordinary one."""
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; {cure}"):
        getattr(pool(), name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'$"):
        getattr(pool(), "nothing")  # noqa: B009 - as a name that nobody knows
