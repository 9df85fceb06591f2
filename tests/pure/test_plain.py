"""From a tool's value to its plain form, and the name of the part that has none."""

from __future__ import annotations

import dataclasses
import datetime
import types
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit_bridge.wire.codecs import codec_named
from snakepit_bridge.wire.frames import CALL, Window
from snakepit_bridge.wire.host_side import HostMultiplexer
from snakepit_bridge.wire.plain import Unserialisable, find_culprit, to_plain
from snakepit_bridge.wire.worker_side import WorkerMultiplexer


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no name")


@dataclasses.dataclass
class Layer:
    weights: Any


@given(st.timedeltas())
def test_durations_are_written_as_msgspec_writes_them(value: datetime.timedelta) -> None:
    """So that a length of time means the same whichever library carries it."""
    assert to_plain(value) == msgspec.msgpack.decode(msgspec.msgpack.encode(value))


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (type("Text", (str,), {"__str__": lambda _: "another"})("text"), "text"),
        (type("Whole", (int,), {})(5), 5),
        (type("Blob", (bytes,), {})(b"b"), b"b"),
    ],
    ids=["str", "int", "bytes"],
)
def test_subclasses_of_plain_types_are_plain(value: Any, exact: Any) -> None:
    """By what they hold, not by what their own methods say."""
    plain = to_plain(value)
    assert plain == exact
    assert type(plain) is type(exact)


@pytest.mark.parametrize("codec", ["msgpack", "json"])
def test_read_only_mappings_are_dicts(codec: str) -> None:
    """At any depth: such is a session's metadata."""
    chosen = codec_named(codec)
    inner = types.MappingProxyType({"b": [types.MappingProxyType({"c": 1})]})
    assert chosen.decode(chosen.encode(types.MappingProxyType({"a": inner}))) == {"a": {"b": [{"c": 1}]}}
    assert find_culprit({"a": types.MappingProxyType({"b": object()})}, TypeError()).path == "['a']['b']"


@pytest.mark.parametrize(
    ("value", "path", "type_name"),
    [
        (object(), "", "object"),
        ([1, {"a": (2, object())}], "[1]['a'][1]", "object"),
        ({"key": {(1, (2, len)): 0}}, "['key'] key (1, (2, <built-in function len>))[1][1]", "builtin_function_or_method"),
        ([Layer({"w": [1, len]})], "[0].weights['w'][1]", "builtin_function_or_method"),
        ({2**64: [len]}, "[0x10000000000000000][0]", "builtin_function_or_method"),
        ([{"\udcff": 1}], "[0] key '\\udcff'", "str"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_part_at_fault_is_named(value: Any, path: str, type_name: str) -> None:
    """Through lists, dicts, keys, tuples and dataclasses."""
    found = find_culprit(value, TypeError("no"))
    assert (found.path, found.type_name) == (path, type_name)


@pytest.mark.parametrize("value", [{Mute(): 1}, [{"a": {Mute()}}]], ids=["key", "set"])
def test_a_part_that_cannot_be_shown(value: Any) -> None:
    """A `repr` that raises does not hide that the value cannot travel."""
    found = find_culprit(value, TypeError("unsupported"))
    assert "unsupported" in found.reason
    assert "RuntimeError" in found.reason


@pytest.mark.parametrize("name", ["msgpack", "json"])
def test_paths_begin_at_the_value(name: str) -> None:
    """Results, reports and arguments travel inside of frames; the path in an error is the user's."""
    codec = codec_named(name)
    codec.terms.strict = True
    worker = WorkerMultiplexer(codec)
    worker.receive(codec.encode([[CALL, 1, "tool", {}, {"window": [10, 1000]}]]))
    for send in (lambda: worker.result(1, {"a": [object()]}, {}), lambda: worker.progress(1, {"a": [object()]})):
        with pytest.raises(Unserialisable) as caught:
            send()
        assert caught.value.path == "['a'][0]"
    assert worker.open_calls == [1]
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(Unserialisable, match="the value is a list: it is nested too deeply"):
        worker.result(1, deep, {})
    host = HostMultiplexer(codec)
    with pytest.raises(Unserialisable, match=r"\['a'\]\[0\] is a object"):
        host.call(1, "tool", {"a": [object()]}, {}, Window(10, 1000))
    assert host.open_calls == []
