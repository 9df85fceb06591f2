"""Session stores of each kind for the tests, and the clock that they go by. The fixtures are known to all tests of this folder."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
from snakepit._sessions.records import Limits
from store_servers import redis_server

LIMITS = Limits(max_sessions=10, max_programs_per_session=5)
Make = Callable[..., Any]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The stores' clock."""
    return Clock()


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """One server for all tests; each has a prefix of its own."""
    with redis_server() as url:
        yield url


def maker(kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path, clock: Any) -> Make:
    """What makes stores of one kind that hold the same sessions, except in memory."""

    def make(limits: Limits = LIMITS, clock: Any = clock, **options: Any) -> Any:
        if kind == "memory":
            return snakepit.MemorySessionStore(limits, clock)
        if kind == "sqlite":
            return snakepit.SQLiteSessionStore(tmp_path / "own" / "sessions.db", limits, clock, **options)
        return snakepit.RedisSessionStore(request.getfixturevalue("redis_url"), limits, clock, prefix=f"{tmp_path.name}:", **options)

    return make


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path, clock: Clock) -> Iterator[Any]:
    """A fresh store of each kind."""
    made = maker(request.param, request, tmp_path, clock)()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "redis"])
def lasting(request: pytest.FixtureRequest, tmp_path: pathlib.Path, clock: Clock) -> Iterator[Make]:
    """Makes stores of one kind that hold the same sessions; they are closed at the end."""
    make, made = maker(request.param, request, tmp_path, clock), []

    def another(*args: Any, **options: Any) -> Any:
        made.append(make(*args, **options))
        return made[-1]

    yield another
    for item in made:
        item.close()
