"""What a pool gives out are pictures: nobody changes the pool's state through them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]


@pytest.fixture(scope="module")
def pool() -> Iterator[snakepit.Pool]:
    """With a session that has metadata."""
    with snakepit.Pool("session_tools:SessionTools", size=1, env={"A": "b"}) as pool:
        pool.session("s", metadata={"user": {"name": "ann", "roles": ["a"]}}).open()
        yield pool


def _pictures(pool: snakepit.Pool) -> dict[str, Any]:
    info = pool.session_info("s")
    assert info is not None
    return {
        "stats": pool.stats(),
        "worker": pool.workers()[0].info(),
        "spec": pool.tool_specs()[0],
        "parameter": next(spec for spec in pool.tool_specs() if spec.parameters).parameters[0],
        "session": info,
        "config": pool._config,
    }


@pytest.mark.parametrize("name", ["stats", "worker", "spec", "parameter", "session", "config"])
def test_pictures_are_frozen(pool: snakepit.Pool, name: str) -> None:
    """No field of a picture can be set or deleted."""
    picture = _pictures(pool)[name]
    for field in dataclasses.fields(picture):
        with pytest.raises(AttributeError):
            setattr(picture, field.name, None)
        with pytest.raises(AttributeError):
            delattr(picture, field.name)


def test_handles_cannot_be_turned_into_others(pool: snakepit.Pool) -> None:
    """A worker's handle shows; it has nothing to set."""
    handle = pool.workers()[0]
    for name in ("id", "pid", "anything"):
        with pytest.raises(AttributeError):
            setattr(handle, name, "worker-9")


def test_mappings_are_read_only(pool: snakepit.Pool) -> None:
    """At every depth."""
    metadata: Any = pool.session_info("s").metadata  # type: ignore[union-attr]
    with pytest.raises(TypeError):
        metadata["user"] = 1
    with pytest.raises(TypeError):
        metadata["user"]["name"] = "eve"
    with pytest.raises((TypeError, AttributeError)):
        metadata["user"]["roles"].append("admin")
    assert pool.execute("metadata", session_id="s") == {"user": {"name": "ann", "roles": ["a"]}}
    environment: Any = pool._config.env
    with pytest.raises(TypeError):
        environment["LD_PRELOAD"] = "x"


def test_sequences_are_tuples(pool: snakepit.Pool) -> None:
    """What lists workers, tools and sessions cannot be appended to."""
    for found in (pool.workers(), pool.tool_specs(), pool.sessions()):
        assert type(found) is tuple


def test_what_the_caller_changes_later_does_not_reach_the_pool(pool: snakepit.Pool) -> None:
    """Metadata that was handed over is the pool's own from then on."""
    mine = {"list": [1]}
    with pool.session(metadata=mine) as session:
        mine["list"].append(2)
        assert session.execute("metadata") == {"list": [1]}
        changed = session.execute("metadata")
        changed["list"].append(3)
        assert session.execute("metadata") == {"list": [1]}
