"""The messages and methods of Snakepit's service: ours are the stated ones, number by number, in both directions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp

from hand_wire import entry, fields, message
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc
from wire_facts import MESSAGES, METHODS, PATH, SCALARS, Field, bytes_of, read_as, samples, values_of

ROWS = [(name, item) for name, items in MESSAGES.items() for item in items]
each_message = pytest.mark.parametrize("name", MESSAGES)
each_field = pytest.mark.parametrize(("name", "item"), ROWS, ids=[f"{name}.{item.name}" for name, item in ROWS])


def kind_named(name: str) -> Any:
    """A message's class, of our stubs."""
    return {"Any": AnyMessage, "Timestamp": Timestamp}.get(name) or getattr(pb, name)


def made(name: str, told: dict[str, Any]) -> Any:
    """A message by our stubs, from values by field name."""
    return kind_named(name)(**{item.name: _made(item, told[item.name]) for item in _items(name) if item.name in told})


def _made(item: Field, value: Any) -> Any:
    if item.kind in SCALARS:
        return value
    if item.shape == "map":
        return {key: made(item.kind, one) for key, one in value.items()}
    return [made(item.kind, one) for one in value] if item.shape == "repeated" else made(item.kind, value)


def seen(name: str, it: Any) -> dict[str, Any]:
    """What our stubs show of a message, by field name: of each field that is not empty."""
    told = {}
    for item in _items(name):
        value = getattr(it, item.name)
        if item.shape == "map":
            shown = {key: _seen(item.kind, value[key]) for key in value}
            empty = not shown
        elif item.shape == "repeated":
            shown = [_seen(item.kind, one) for one in value]
            empty = not shown
        elif item.shape == "oneof" or item.kind not in SCALARS:
            shown, empty = _seen(item.kind, value), not it.HasField(item.name)
        else:
            shown, empty = value, not value
        if not empty:
            told[item.name] = shown
    return told


def _seen(kind: str, value: Any) -> Any:
    return value if kind in SCALARS else seen(kind, value)


def _items(name: str) -> tuple[Field, ...]:
    if name == "Any":
        return (Field(1, "type_url", "one", "string"), Field(2, "value", "one", "bytes"))
    if name == "Timestamp":
        return (Field(1, "seconds", "one", "int64"), Field(2, "nanos", "one", "int32"))
    return MESSAGES[name]


@each_field
def test_a_field_that_is_read(name: str, item: Field) -> None:
    """Bytes made by hand, with this field alone, are by our stubs this field with its value, and nothing else."""
    for value in values_of(item):
        it = kind_named(name).FromString(bytes_of(name, {item.name: value}))
        assert seen(name, it) == {item.name: value}


@each_field
def test_a_field_that_is_sent(name: str, item: Field) -> None:
    """What our stubs make of a value has, read by hand, the stated number, wire type and value: the very bytes made by hand."""
    for value in values_of(item):
        data = made(name, {item.name: value}).SerializeToString()
        assert read_as(name, data) == {item.name: value}
        assert data == bytes_of(name, {item.name: value})


@each_message
def test_a_whole_message(name: str) -> None:
    """All fields together come through both ways, and our stubs know no field more; an empty message is no bytes at all."""
    items = [item for item in MESSAGES[name] if item.shape != "oneof"] or MESSAGES[name][:1]
    whole = {item.name: values_of(item)[-1] for item in items}
    data = bytes_of(name, whole)
    assert seen(name, kind_named(name).FromString(data)) == whole
    assert read_as(name, made(name, whole).SerializeToString()) == whole
    assert [field.name for field in kind_named(name).DESCRIPTOR.fields] == [item.name for item in MESSAGES[name]]
    assert kind_named(name)().SerializeToString() == b""
    assert seen(name, kind_named(name).FromString(b"")) == {}


@pytest.mark.parametrize(("name", "item"), [row for row in ROWS if row[1].kind == "int32"], ids=lambda part: getattr(part, "name", part))
def test_a_number_that_is_too_large(name: str, item: Field) -> None:
    """What no int32 holds cannot be said in one."""
    with pytest.raises(ValueError, match="out of range"):
        made(name, {item.name: 2**31})


@each_message
def test_fields_of_a_newer_peer(name: str) -> None:
    """Unknown numbers of each wire type are passed over, wherever they stand."""
    item = MESSAGES[name][0]
    value = values_of(item)[0]
    strange = message((1000, 5), (1001, 0.5), (1002, b"what is that?"))
    data = strange + bytes_of(name, {item.name: value}) + strange
    assert seen(name, kind_named(name).FromString(data)) == {item.name: value}


def test_there_is_no_other_message() -> None:
    """Our definition has the messages that are stated."""
    assert set(pb.DESCRIPTOR.message_types_by_name) == set(MESSAGES)


@pytest.mark.parametrize(("name", "oneof"), [("TelemetryValue", "value"), ("TelemetryControl", "control")])
def test_one_of_several(name: str, oneof: str) -> None:
    """Of a oneof each member is sent, though it be empty; the last that comes is the one that counts."""
    items = MESSAGES[name]
    for item in items:
        empty = message((item.number, {"int64": 0, "double": 0.0}.get(item.kind, b"")))
        it = kind_named(name).FromString(empty)
        assert it.WhichOneof(oneof) == item.name
        assert it.SerializeToString() == empty
    data = b"".join(bytes_of(name, {item.name: samples(item.kind)[0]}) for item in items)
    assert kind_named(name).FromString(data).WhichOneof(oneof) == items[-1].name
    assert list(fields(kind_named(name).FromString(data).SerializeToString())) == [items[-1].number]


def test_entries_of_maps_in_other_clothes() -> None:
    """A map's entry without a key or value has an empty one, its parts may be swapped, and of two for one key the last counts."""
    data = message((2, message((2, "no key"))), (2, message((1, "no value"))), (2, message((2, "swapped"), (1, "key"))))
    assert dict(pb.GetSessionResponse.FromString(data).metadata) == {"": "no key", "no value": "", "key": "swapped"}
    twice = message((6, entry("a", b"1")), (1, "s"), (6, entry("a", b"2")))
    assert dict(pb.ExecuteToolRequest.FromString(twice).binary_parameters) == {"a": b"2"}
    nothing = message((3, message((1, "x"))))  # an Any of neither type nor value
    assert pb.ExecuteToolRequest.FromString(nothing).parameters["x"] == AnyMessage()


class Recorder(grpc.GenericRpcHandler):
    """A server by hand: takes any call of any kind, keeps what came, and answers with the bytes that it was given."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.came: list[tuple[str, list[bytes]]] = []

    def service(self, handler_call_details: Any) -> Any:
        def serve(requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
            self.came.append((handler_call_details.method, list(requests)))
            yield from self.answers

        return grpc.stream_stream_rpc_method_handler(serve)


@contextlib.contextmanager
def serving(*, handler: grpc.GenericRpcHandler | None = None, servicer: Any = None) -> Iterator[grpc.Channel]:
    """A channel to a server of one handler, or of a servicer that our stubs register."""
    with futures.ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        if handler is not None:
            server.add_generic_rpc_handlers((handler,))
        if servicer is not None:
            snakepit_pb2_grpc.add_BridgeServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
        server.stop(0).wait(5)


def two_of(name: str) -> list[dict[str, Any]]:
    return list(samples(name)[:2])


@pytest.mark.usefixtures("leaves_nothing")
def test_what_our_client_calls() -> None:
    """Each method of our client stub calls the stated path, sends the stated message, one or many, and reads the answers, one or many."""
    recorder = Recorder()
    with serving(handler=recorder) as channel:
        stub = snakepit_pb2_grpc.BridgeServiceStub(channel)
        for method, (takes, gives, streams_in, streams_out) in METHODS.items():
            sent, given = two_of(takes)[: 1 + streams_in], two_of(gives)[: 1 + streams_out]
            recorder.answers = [bytes_of(gives, told) for told in given]
            messages = [made(takes, told) for told in sent]
            came = getattr(stub, method)(iter(messages) if streams_in else messages[0], timeout=5)
            assert [seen(gives, it) for it in (came if streams_out else [came])] == given, method
            path, data = recorder.came.pop()
            assert (path, [read_as(takes, item) for item in data]) == (PATH + method, sent)


@pytest.mark.usefixtures("leaves_nothing")
def test_what_our_service_answers() -> None:
    """Each stated path, called by hand, reaches the method of our servicer, which reads the stated message, and answers are the stated ones."""
    came: list[tuple[str, list[dict[str, Any]]]] = []

    class Servicer(snakepit_pb2_grpc.BridgeServiceServicer):
        pass

    def method_of(method: str, takes: str, gives: str, streams_in: bool, streams_out: bool) -> Any:
        answers = [made(gives, told) for told in two_of(gives)[: 1 + streams_out]]

        def serve(_self: Any, request: Any, _context: Any) -> Any:
            came.append((method, [seen(takes, it) for it in (request if streams_in else [request])]))
            return iter(answers) if streams_out else answers[0]

        return serve

    for method, facts in METHODS.items():
        setattr(Servicer, method, method_of(method, *facts))
    with serving(servicer=Servicer()) as channel:
        for method, (takes, gives, streams_in, streams_out) in METHODS.items():
            told = two_of(takes)[: 1 + streams_in]
            answers = list(channel.stream_stream(PATH + method)(iter([bytes_of(takes, one) for one in told]), timeout=5))
            assert came.pop() == (method, told)
            assert [read_as(gives, data) for data in answers] == two_of(gives)[: 1 + streams_out]
