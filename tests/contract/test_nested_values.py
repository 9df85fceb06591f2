"""Any nested value of the types that arrive as what they are does so, on every protocol, wherever a value may stand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import snakepit
from interpreters import WAYS
from nested_values import VALUES, form

pytestmark = pytest.mark.slow

#: How many values are sent each way; with PROMISES=full thousands.
_EXAMPLES = 1_000 if os.environ.get("PROMISES") == "full" else 30
#: One way for each carrier and codec, and one without shared memory.
_WAYS = {name: next(way for way in WAYS if way.name == name) for name in ("grpc-unix", "msgpack", "json", "memory")}
_CASES = [*_WAYS, "grpc-alone"]


@pytest.fixture(scope="module", params=_CASES)
def pool(request: pytest.FixtureRequest) -> Iterator[snakepit.Pool]:
    """One worker, and host tools that give back what they get."""
    alone = request.param == "grpc-alone"
    with _WAYS["grpc-unix" if alone else request.param].pool("Contract", size=1, **({"shared_memory_limit": 0} if alone else {})) as pool:
        pool.register_tool(lambda value: value, name="given")
        pool.register_tool(_twice, name="twice")
        yield pool
        stats = pool.stats()
        assert (stats.restarts, stats.killed) == (0, 0)
        assert stats.shared_transfers == 0 or not alone


def _twice(value: Any) -> Iterator[Any]:
    yield value
    yield [value]


@pytest.mark.timeout(2400)
@settings(max_examples=_EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None)
@given(value=VALUES)
def test_any_value_comes_back_as_it_went(pool: snakepit.Pool, value: Any) -> None:
    """As an argument and a result, as chunks and a stream's result, to and from a host tool and its stream, and with a session."""
    wanted = form(value)
    assert form(pool.execute("echo", {"value": value})) == wanted
    stream = pool.stream("yields", {"values": [value, (value,)], "result": value})
    assert form(list(stream.values())) == form([value, (value,)])
    assert form(stream.result) == wanted
    assert form(pool.execute("ask", {"name": "given", "args": [value]})) == wanted
    items = [item["item"] for item in pool.stream("ask_stream", {"name": "twice", "args": [value]}).values()]
    assert form(items) == form([value, [value]])
    with pool.session(metadata={"value": value}) as session:
        assert form(session.execute("told")) == wanted
        session.put_program("p", value)
        assert form(session.get_program("p")) == wanted
