"""What a pool gives out are pictures: nobody changes the pool's state through them."""

from __future__ import annotations

import dataclasses
import pathlib
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


def _spoil(value: Any) -> None:
    """Change a picture by the methods of `dict` and `list` themselves, which know no frozen ones."""
    if isinstance(value, dict):
        for item in value.values():
            _spoil(item)
        dict.update(value, {"evil": True})
    elif isinstance(value, list):
        list.append(value, "evil")


class _Nosy:
    """Takes what it is compared with for its own."""

    def __eq__(self, other: object) -> bool:
        _spoil(other)
        other["evil"] = True  # type: ignore[index]
        return True

    __hash__ = None  # type: ignore[assignment]


def test_a_spoilt_picture_spoils_nothing_else(pool: snakepit.Pool) -> None:
    """Whatever is done to what was given out: the next picture, the registry and what workers are told stay as they were."""
    for _ in range(2):
        for spec in pool.tool_specs():
            assert "evil" not in spec.metadata
            assert "evil" not in spec.returns
            assert all("evil" not in parameter.schema for parameter in spec.parameters)
            _spoil([spec.metadata, spec.returns, *(parameter.schema for parameter in spec.parameters)])
        for info in (pool.session_info("s"), *pool.sessions(), pool.session("s").info()):
            assert info is not None
            assert info.metadata == {"user": {"name": "ann", "roles": ["a"]}}
            with pytest.raises(TypeError):
                assert info.metadata == _Nosy()
            _spoil(info.metadata)
    assert pool.execute("remember", {"key": "k", "value": 1}, session_id="s") is None
    assert pool.execute("metadata", session_id="s") == {"user": {"name": "ann", "roles": ["a"]}}
    with pytest.raises(TypeError):
        assert pool._config.env == _Nosy()


def test_an_update_starts_from_what_the_store_holds(pool: snakepit.Pool) -> None:
    """The picture that an update gives is no door to the store either."""
    with pool.session(metadata={"n": [1]}) as session:
        _spoil(session.update(lambda metadata: {**metadata, "n": [2]}).metadata)
        assert session.info().metadata == {"n": [2]}
        kept: list[Any] = []
        session.update(lambda metadata: kept.append(metadata) or metadata)
        kept[0]["n"].append(3)
        assert session.execute("metadata") == {"n": [2]}


def test_a_tool_cannot_change_the_metadata_of_its_session(pool: snakepit.Pool) -> None:
    """At no depth, and nothing of it sticks for later calls."""
    refused = pool.execute("change_metadata", session_id="s")
    assert len(refused) == 4
    assert all("frozen" in text for text in refused)
    assert pool.execute("metadata", session_id="s") == {"user": {"name": "ann", "roles": ["a"]}}


def test_a_tool_cannot_part_a_session_from_its_state(pool: snakepit.Pool) -> None:
    """What belongs to the call or the session is not assigned: who tries is told what to do, and the state stays."""
    pool.execute("remember", {"key": "kept", "value": 1}, session_id="s")
    told = pool.execute("assign", session_id="s")
    assert len(told) == 10
    assert all(told.values()), told
    assert "session.state.update(" in told["session.state"]
    assert "session.state[...]" in told["self.session"]
    assert "session.state[...]" in told["context.session"]
    assert "use another name on self" in told["self.context"]
    assert "session.update(...)" in told["session.metadata"]
    assert pool.execute("recall", session_id="s")["kept"] == 1
    assert all(pool.execute("assign").values())


def test_an_adapter_that_has_a_session_of_its_own_is_told(tmp_path: pathlib.Path) -> None:
    """The name is taken: its first line that assigns it says so, at the start of the pool."""
    head = "from snakepit_bridge.base_adapter import BaseAdapter, tool"
    text = f"{head}\nclass Web(BaseAdapter):\n    def __init__(self):\n        self.session = 1\n    @tool\n    def get(self): pass\n"
    (tmp_path / "web.py").write_text(text, encoding="utf-8")
    with pytest.raises(snakepit.SnakepitError, match=r"Web\.session cannot be assigned: .* another name on self"):
        snakepit.Pool(f"{tmp_path}/web.py:Web", size=1).start()


def test_what_an_error_tells_is_its_own(pool: snakepit.Pool) -> None:
    """Details of one error are not those of the next."""
    for _ in range(2):
        with pytest.raises(snakepit.UnknownTool) as caught:
            pool.execute("nothing")
        assert "metadata" in caught.value.details["known"]
        caught.value.details["known"].clear()
        caught.value.details.clear()


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
