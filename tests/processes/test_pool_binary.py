"""Binary parameters through real workers: untouched, of the type the tool asks for, on every kind of call."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]


def look(blob, note: str = "") -> list[Any]:
    return [type(blob).__name__, len(blob), hashlib.sha256(blob).hexdigest(), note]


def view(blob: memoryview) -> list[Any]:
    return [type(blob).__name__, blob.readonly, bytes(blob[:3])]


def changeable(blob: bytearray) -> list[Any]:
    blob[0] = 65
    return [type(blob).__name__, bytes(blob[:3])]


def by_text(text: str) -> str:
    return type(text).__name__


def stream(blob: bytes) -> Iterator[int]:
    yield from blob


@pytest.fixture(scope="module")
def pool() -> Iterator[snakepit.Pool]:
    """The tools above."""
    with snakepit.Pool([look, view, changeable, by_text, stream], size=1) as pool:
        yield pool


@pytest.mark.parametrize("size", [0, 1, 300_000, 5_000_000])
def test_bytes_arrive_as_they_are(pool: snakepit.Pool, size: int) -> None:
    """Of any size, beside other arguments."""
    blob = os.urandom(size)
    expected = ["bytes", size, hashlib.sha256(blob).hexdigest(), "n"]
    assert pool.execute("look", {"note": "n"}, binary_parameters={"blob": blob}) == expected


def test_the_tool_chooses_the_type(pool: snakepit.Pool) -> None:
    """`memoryview` and `bytearray` by annotation; else bytes, whatever the annotation says."""
    assert pool.execute("view", binary_parameters={"blob": b"abc"}) == ["memoryview", True, b"abc"]
    assert pool.execute("changeable", binary_parameters={"blob": b"abc"}) == ["bytearray", b"Abc"]
    with pytest.raises(snakepit.InvalidBinaryParameter, match="'text' is annotated str, which takes no bytes"):
        pool.execute("by_text", binary_parameters={"text": b"abc"})


def test_every_kind_of_call(pool: snakepit.Pool) -> None:
    """`stream`, `submit`, sessions and the tools' functions take them too."""
    assert list(pool.stream("stream", binary_parameters={"blob": b"\x01\x02"}).values()) == [1, 2]
    assert pool.submit("look", binary_parameters={"blob": b"x"}).result()[:2] == ["bytes", 1]
    assert pool.tools.look.options(binary_parameters={"blob": b"xy"})(note="n")[1] == 2
    with pool.session() as session:
        assert session.execute("look", binary_parameters={"blob": b"xyz"})[1] == 3


def test_bad_ones_never_reach_a_worker(pool: snakepit.Pool) -> None:
    """Refused by the call itself; nothing is submitted."""
    before = pool.stats().submitted
    with pytest.raises(snakepit.InvalidBinaryParameter):
        pool.execute("look", binary_parameters={"blob": 5})  # type: ignore[dict-item]
    with pytest.raises(snakepit.InvalidBinaryParameter):
        pool.execute("look", {"blob": b"x"}, binary_parameters={"blob": b"x"})
    assert pool.stats().submitted == before


def test_the_async_pool() -> None:
    """The same."""

    async def main() -> None:
        async with snakepit.AsyncPool([look, stream], size=1) as pool:
            assert (await pool.execute("look", binary_parameters={"blob": b"x"}))[1] == 1
            assert [item async for item in pool.stream("stream", binary_parameters={"blob": b"\x05"}).values()] == [5]

    asyncio.run(main())
