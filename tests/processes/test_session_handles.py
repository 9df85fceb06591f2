"""Session handles of the host: when they open, what they ask the store, and what is said of wrong uses."""

from __future__ import annotations

import time
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

TOOLS = "session_tools:SessionTools"


def test_a_call_opens_the_session_it_is_given() -> None:
    """With the session's own metadata and ttl, whatever kind of call; a session of another pool is refused."""
    with snakepit.Pool(TOOLS, size=1) as pool, snakepit.Pool(TOOLS, size=1) as other:
        for kind, call in {
            "execute": lambda session: pool.execute("metadata", session_id=session),
            "submit": lambda session: pool.submit("metadata", session_id=session).result(),
            "stream": lambda session: pool.stream("metadata", session_id=session).result,
            "tools": lambda session: pool.tools.metadata.options(session_id=session)(),
        }.items():
            call(session := pool.session(kind, ttl=77.0, metadata={"folder": kind}))
            info = session.info()
            assert (info.ttl, info.metadata["folder"]) == (77.0, kind)
        stranger = other.session("theirs")
        for call in (pool.execute, pool.submit, pool.stream):
            with pytest.raises(snakepit.InvalidParameter, match="'theirs'.*belongs to another pool"):
                call("metadata", session_id=stranger)  # type: ignore[operator]


def test_a_handle_whose_session_is_over_says_so_when_it_is_opened() -> None:
    """`open()` and `with` ask the store, also of a handle that had opened it; a handle of a session that lives renews it."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        session = pool.session("short", ttl=0.3)
        session.execute("count")
        wait_until(lambda: pool.session_info("short") is None, "its expiry", timeout=3.0)
        with pytest.raises(snakepit.SessionEnded, match="'short'.*\n.*open it anew"):
            session.open()
        with pytest.raises(snakepit.SessionEnded), session:
            pass
        lasting = pool.session("lasting", ttl=0.4)
        for _ in range(4):
            lasting.open()
            time.sleep(0.2)
        lasting.execute("count")


def test_a_ttl_of_a_session_that_is_there() -> None:
    """One that is given is its ttl from now on, without one it keeps what it has; metadata is merged."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        pool.session("s", ttl=60.0, metadata={"a": 1}).open()
        assert pool.session("s", metadata={"b": 2}).open().info().ttl == 60
        again = pool.session("s", ttl=5.0).open().info()
        assert (again.ttl, dict(again.metadata)) == (5, {"a": 1, "b": 2})


@pytest.mark.parametrize(("name", "cure"), [("metadata", r"session\.info\(\)\.metadata"), ("ttl", r"session\.info\(\)\.ttl")])
def test_what_is_in_the_store_is_no_attribute(name: str, cure: str) -> None:
    """Neither read nor written silently: the message says where it is."""
    session: Any = snakepit.Pool(TOOLS).session("s")
    assert not hasattr(session, name)
    with pytest.raises(AttributeError, match=cure):
        getattr(session, name)
    with pytest.raises(AttributeError, match=f"the {name} of a session cannot be assigned"):
        setattr(session, name, {})


async def _coroutine(metadata: dict[str, Any]) -> dict[str, Any]:
    return metadata


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 3}, r"update takes a function.*not \{'step': 3\}, a dict\n.*lambda metadata: \{\*\*metadata"),
        (lambda metadata: metadata.update(a=1), r"returned None; it must return the new dict"),
        (_coroutine, r"returned <coroutine.*write it as a plain def"),
    ],
)
def test_updates_that_give_no_metadata(change: Any, message: str) -> None:
    """Refused by the name of `update`, and nothing has changed."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        session = pool.session(metadata={"step": 2})
        with pytest.raises(snakepit.InvalidParameter, match=message):
            session.update(change)
        assert dict(session.info().metadata) == {"step": 2}


def test_a_program_that_is_not_there() -> None:
    """The message lists those that are."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        session = pool.session("s")
        with pytest.raises(snakepit.InvalidParameter, match=r"no program 'zz'\n.*it has none"):
            session.get_program("zz")
        session.put_program("first", 1)
        session.put_program("second", 2)
        with pytest.raises(snakepit.InvalidParameter, match=r"no program 'zz'\n.*there are: first, second"):
            session.get_program("zz")
