"""Attachments that are damaged on their way: an error says what is wrong with them, their worker is replaced, and nothing else happens."""

from __future__ import annotations

import re

import numpy
import pytest

import snakepit
from damage_tools import HEADS, PLACES, SIZES, DamageTools, spoil

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

_COUNT = 20_000
#: What is said of each.
WORDS = {
    "less": "more came of the attachments of call",
    "negative": "attachments are announced by their sizes, or by where they lie",
    "a text": "attachments are announced by their sizes, or by where they lie",
    "a fraction": "attachments are announced by their sizes, or by where they lie",
    "no table": "attachments are announced by their sizes, or by where they lie",
    "too much": "bytes with its attachments was announced; max_payload allows",
    "six numbers": "where an attachment lies is told by seven numbers",
    "no process": "shared memory of process 4194305 cannot be opened",
    "another file": "what is said to be shared memory is something else",
    "another size": "a segment has",
    "beyond the end": "an attachment is said to lie where nothing is",
    "nothing": "an attachment is said to lie where nothing is",
    "texts": "where an attachment lies is told by seven numbers",
    "kind": "no kind of binary value is called 'numpy.ndarrax'",
    "dtype": "a value of kind numpy.ndarray cannot be read: ",
    "objects": "a value of kind numpy.ndarray cannot be read: ",
    "width": "a value of kind numpy.ndarray cannot be read: ",
    "cut": "not (MessagePack|JSON)",
}


def says(how: str) -> str:
    return f"{WORDS[how] if how == 'cut' else '.*' + re.escape(WORDS[how])}"


@pytest.mark.parametrize("limit", [64 * 1024 * 1024, 0], ids=["shared", "channel"])
@pytest.mark.parametrize("protocol", ["msgpack", "json", "grpc"])
def test_what_is_damaged_is_named_and_the_pool_serves_on(protocol: str, limit: int) -> None:
    """A result, a chunk behind a sound one, and an argument: the call ends at once with the reason, and another worker serves the next."""
    value = numpy.ones(_COUNT)
    with snakepit.Pool(
        DamageTools, size=1, protocol=protocol, shared_memory_limit=limit, launcher="template", max_restarts=1000, worker_output="discard"
    ) as pool:
        every = [*(PLACES if limit else SIZES), *HEADS]
        for how in every if protocol == "msgpack" else [every[0], *HEADS][:3]:  # what reads a table is the same on all
            for _ in range(2):  # memory is settled beside the first call
                assert pool.execute("total", {"value": value}, timeout=20) == _COUNT
            assert (pool.stats().shared_transfers > 0) == (limit > 0)
            with pytest.raises(snakepit.ChannelError, match="the worker sent something that is not the protocol: " + says(how)):
                pool.execute("damaged", {"how": how, "count": _COUNT}, timeout=20)
            for _ in range(2):
                assert pool.execute("total", {"value": value}, timeout=20) == _COUNT
            stream = pool.stream("damaged_chunk", {"how": how, "count": _COUNT}, timeout=20).values()
            assert next(stream)[5] == 0
            with pytest.raises(snakepit.ChannelError, match=says(how)):
                next(stream)
            for _ in range(2):
                assert pool.execute("total", {"value": value}, timeout=20) == _COUNT
            spoiled: list[str] = []
            spoil(how, lambda spoiled=spoiled: spoiled.append("sent"))  # type: ignore[misc]
            with pytest.raises(snakepit.WorkerCrashed, match="what the host sent is not the protocol: " + says(how)):
                pool.execute("total", {"value": value}, timeout=20)
            assert spoiled == ["sent"]
        assert pool.stats().timed_out == 0
