"""Promises of the multiplexers one at a time: who goes first, what waits, what is refused, what is forgotten."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from snakepit_bridge.wire import frames
from snakepit_bridge.wire.attachments import part_of
from snakepit_bridge.wire.codecs import Codec, JsonCodec, MsgpackCodec, Unserialisable
from snakepit_bridge.wire.frames import CANCEL, CHUNK, PIECE, PIECE_BYTES, PING, PONG, PROGRESS, Window
from snakepit_bridge.wire.host_side import HostMultiplexer
from snakepit_bridge.wire.worker_side import Outflow, WorkerMultiplexer

WIDE = Window(chunks=100_000, bytes=1 << 30)


class Pair:
    """A host and a worker that hear each other at once, or message by message."""

    def __init__(self, codec: Codec, piece_bytes: int | None = None) -> None:
        self.codec = codec
        self.host = HostMultiplexer(codec, piece_bytes)
        self.worker = WorkerMultiplexer(codec, piece_bytes)

    def call(self, call_id: int, window: Window = WIDE, **args: Any) -> None:
        self.host.call(call_id, "tool", args, {}, window)
        self.host_to_worker()

    def host_to_worker(self, most: int = 10**6) -> list[Any]:
        return self._carry(self.host, self.worker, most)

    def worker_to_host(self, most: int = 10**6) -> list[Any]:
        return self._carry(self.worker, self.host, most)

    def _carry(self, source: Any, target: Any, most: int) -> list[Any]:
        events: list[Any] = []
        while most and (message := source.next_message()) is not None:
            events += target.receive(message)
            most -= 1
        return events

    def frames(self, message: bytes | None) -> list[Any]:
        return list(self.codec.decode(message or b""))


@pytest.fixture(params=[MsgpackCodec(), JsonCodec()], ids=["msgpack", "json"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return request.param


@pytest.fixture
def pair(codec: Codec) -> Pair:
    return Pair(codec)


def test_a_small_conversation(pair: Pair):
    """Hello, a call, chunks in one frame, a grant, the result, goodbye: each is heard as it was said."""
    pair.worker.hello({"pid": 7})
    assert pair.worker_to_host() == [frames.Hello({"pid": 7})]
    pair.host.call(3, "train", {"epochs": 2}, {"streaming": True}, Window(10, 100))
    assert pair.host_to_worker() == [frames.Call(3, "train", {"epochs": 2}, {"streaming": True, "window": [10, 100]})]
    item = pair.codec.encode({"epoch": 1})
    assert pair.worker.offer_chunk(3, item)
    assert pair.worker.offer_chunk(3, item, {"final": True})
    (chunks,) = pair.worker_to_host()
    assert chunks[:3] == (3, 0, [{"epoch": 1}, {"epoch": 1}])
    assert chunks.extra == {"final": True}
    pair.host.grant(3, 2, chunks.nbytes)
    assert pair.host_to_worker() == [frames.Credit(3)]
    pair.worker.result(3, "done", {"chunks": 2})
    assert pair.worker_to_host() == [frames.Result(3, "done", {"chunks": 2})]
    pair.host.drain()
    assert pair.host_to_worker() == [frames.Drain()]
    pair.worker.bye("done")
    assert pair.worker_to_host() == [frames.Bye("done")]
    assert pair.host.open_calls == pair.worker.open_calls == []


def test_calls_that_come_together_end_each_by_itself(pair: Pair):
    """One frame asks for all; one that is taken back is not there any more, and may be asked for under another number."""
    args = [{"x": 1}, {"x": 2}, {"x": 3}]
    assert pair.host.call_many("tool", [5, 6, 7], args, {"cid": "run"}, Window(10, 100))
    options = {"cid": "run", "window": [10, 100]}
    assert pair.host_to_worker() == [frames.Calls("tool", [5, 6, 7], args, options)]
    pair.worker.result(6, "six", {})
    pair.host.take_back([7])
    assert pair.host_to_worker() == [frames.Recall([7])]
    pair.worker.error(5, {"code": "no"})
    pair.worker.result(7, "late", {})
    assert pair.worker_to_host() == [frames.Result(6, "six", {}), frames.Failure(5, {"code": "no"})]
    assert pair.host.open_calls == pair.worker.open_calls == []


def test_what_is_large_does_not_come_together(pair: Pair):
    """Nothing is sent, nothing is open: each has to be asked for by itself."""
    assert not pair.host.call_many("tool", [5, 6], [{"x": b"a" * PIECE_BYTES}, {}], {}, WIDE)
    assert pair.host_to_worker() == []
    with pytest.raises(Unserialisable):
        pair.host.call_many("tool", [5], [{"x": lambda: None}], {}, WIDE)
    assert pair.host.open_calls == []


def test_a_call_in_order_is_sent_only_where_none_overtakes_another(pair: Pair):
    """Not one that is large itself, however deep that lies in it; nor any behind one of which something has not left yet."""

    def ask(call_id: int, **args: Any) -> bool:
        return pair.host.call_in_order(call_id, "tool", args, {}, WIDE)

    assert not ask(1, x=[{"y": ["a" * (PIECE_BYTES // 2)] * 3}])
    assert pair.host_to_worker() == []
    assert ask(2, x="a" * 1000)
    pair.host.call(3, "tool", {"x": "a" * 3 * PIECE_BYTES}, {}, WIDE)
    assert not ask(4)
    pair.host_to_worker(most=1)
    assert not ask(5)
    assert pair.host.open_calls == [2, 3]
    assert [event.call_id for event in pair.host_to_worker()] == [3]
    assert ask(6)
    assert [event.call_id for event in pair.host_to_worker()] == [6]


# ---- who goes first ----


def test_control_leaves_in_the_next_message(pair: Pair):
    """Behind megabytes of arguments and of results, a ping, a cancel and a pong do not wait for a second message."""
    pair.call(1)
    pair.call(2)
    for call_id in range(10, 15):
        pair.host.call(call_id, "tool", {"data": b"a" * 5_000_000}, {}, WIDE)
    pair.host.next_message()
    pair.host.ping(99)
    pair.host.cancel(2, "unwanted")
    message = pair.host.next_message()
    assert [frame[0] for frame in pair.frames(message)][:2] == [PING, CANCEL]
    assert len(message or b"") < 3 * PIECE_BYTES
    pair.worker.result(1, b"r" * 5_000_000, {})
    pair.worker.next_message()
    assert pair.worker.receive(message or b"") == [frames.Cancel(2, "unwanted")]
    assert pair.frames(pair.worker.next_message())[0] == [PONG, 0, 99]


def test_no_message_is_much_above_a_piece(pair: Pair):
    """However much waits in however many calls, a message stays near one piece, so the next control frame is near."""
    for call_id in range(1, 21):
        pair.call(call_id)
        assert all(pair.worker.offer_chunk(call_id, pair.codec.encode(b"c" * 1000)) for _ in range(300))
        pair.worker.result(call_id, b"r" * 700_000, {})
    sizes = []
    while (message := pair.worker.next_message()) is not None:
        sizes.append(len(message))
    assert sum(sizes) > 20 * 1_000_000
    assert max(sizes) < 2 * PIECE_BYTES * 4 // 3 + 1000


def test_each_call_has_its_turn(codec: Codec):
    """A call with much to send and one with little take turns, piece by piece."""
    pair = Pair(codec, piece_bytes=100)
    for call_id in (1, 2, 3):
        pair.call(call_id)
    pair.worker.offer_chunk(1, codec.encode("a" * 5000))
    pair.worker.offer_chunk(2, codec.encode("b" * 5000))
    pair.worker.offer_chunk(3, codec.encode("c" * 50))
    order = [frame[1] for _ in range(10) for frame in pair.frames(pair.worker.next_message())]
    assert order[:9] == [1, 2, 3, 1, 2, 1, 2, 1, 2]


def test_a_flood_of_control_does_not_starve_bulk(codec: Codec):
    """While there is always control to send, bulk still leaves with every message."""
    pair = Pair(codec, piece_bytes=100)
    pair.call(1)
    pair.worker.offer_chunk(1, codec.encode("a" * 2000))
    for token in range(50):
        for repeat in range(20):
            pair.host.ping(token * 20 + repeat)
        pair.host_to_worker()
        kinds = [frame[0] for frame in pair.frames(pair.worker.next_message())]
        assert kinds.count(PONG) == 20
        if kinds.count(PIECE) == 0:
            break
    assert token > 8
    assert not pair.worker.has_output


def test_farewells_overtake_nothing(pair: Pair):
    """`drain` arrives after calls that were made before it, `bye` after results, however large these are."""
    pair.host.call(1, "tool", {"data": b"a" * 1_000_000}, {}, WIDE)
    pair.host.call(2, "tool", {}, {}, WIDE)
    pair.host.drain()
    pair.host.ping(5)
    assert [type(event) for event in pair.host_to_worker()] == [frames.Call, frames.Call, frames.Drain]
    pair.worker.result(1, b"r" * 1_000_000, {})
    pair.worker.result(2, None, {})
    pair.worker.bye("done")
    heard = pair.worker_to_host()
    assert [type(event) for event in heard][-2:] == [frames.Result, frames.Bye]
    assert {event.call_id for event in heard if isinstance(event, frames.Result)} == {1, 2}


# ---- reports beside a result ----


def test_the_newest_report_wins(pair: Pair):
    """Of many reports between two writes one leaves, the last; and the last of all leaves before the result."""
    pair.call(1)
    for done in range(100):
        pair.worker.progress(1, {"done": done})
    assert pair.worker.has_output
    assert pair.worker_to_host() == [frames.Progress(1, {"done": 99})]
    pair.worker.progress(1, {"done": 100})
    pair.worker.result(1, "ok", {})
    assert pair.worker_to_host() == [frames.Progress(1, {"done": 100}), frames.Result(1, "ok", {})]
    pair.worker.progress(1, {"done": 101})
    assert pair.worker_to_host() == []


def test_a_large_report_travels_in_pieces(codec: Codec):
    """A report above a piece leaves in parts like anything else, and does not pile up meanwhile."""
    pair = Pair(codec, piece_bytes=1000)
    pair.call(1)
    heard = []
    for done in range(60):
        pair.worker.progress(1, {"done": done, "picture": b"p" * 20_000})
        message = pair.worker.next_message() or b""
        assert len(message) < 4000
        assert part_of(message) is not None or all(frame[0] != PROGRESS for frame in pair.frames(message))
        heard += pair.host.receive(message)
    pair.worker.result(1, None, {})
    heard += pair.worker_to_host()
    done = [event.payload["done"] for event in heard if isinstance(event, frames.Progress)]
    assert len(done) < 10
    assert done[-1] == 59
    assert done == sorted(set(done))
    assert isinstance(heard[-1], frames.Result)


# ---- cancels ----


@pytest.mark.parametrize("end", ["result", "error"])
@pytest.mark.parametrize("torn", ["chunk", "report"])
def test_a_large_end_after_a_torn_frame(codec: Codec, torn: str, end: str):
    """A cancel drops a frame that has left in part; the frame that ends the call may be in pieces as well."""
    pair = Pair(codec, piece_bytes=64)
    pair.call(1)
    pair.call(2)
    if torn == "chunk":
        pair.worker.offer_chunk(1, codec.encode("c" * 1000))
    else:
        pair.worker.progress(1, {"text": "p" * 1000})
    assert pair.worker_to_host(most=2) == []
    pair.host.cancel(1, "unwanted")
    assert pair.host_to_worker() == [frames.Cancel(1, "unwanted")]
    if end == "result":
        pair.worker.result(1, "ignored", {"warning": "w" * 500})
    else:
        pair.worker.error(1, {"message": "m" * 500})
    (ended,) = pair.worker_to_host()
    assert isinstance(ended, frames.Result if end == "result" else frames.Failure)
    pair.worker.result(2, "fine", {})
    assert pair.worker_to_host() == [frames.Result(2, "fine", {})]


@pytest.mark.parametrize("written", [0, 1, 2, 5])
def test_a_call_that_is_cancelled_half_sent_never_runs(codec: Codec, written: int):
    """The host knows at once; the worker forgets the pieces, and hears of a cancel only if it had any."""
    pair = Pair(codec, piece_bytes=64)
    pair.host.call(1, "tool", {"data": "a" * 1000}, {}, WIDE)
    assert pair.host_to_worker(most=written) == []
    assert pair.host.cancel(1, "unwanted") is True
    assert pair.host.open_calls == []
    kinds = [frame[0] for frame in pair.frames(pair.host.next_message() or codec.encode([]))]
    assert kinds == ([CANCEL] if written else [])
    assert pair.host.next_message() is None


def test_a_call_that_is_cancelled_unsent_costs_nothing_later(codec: Codec):
    """Pieces of a cancelled call do not stay in the worker."""
    pair = Pair(codec, piece_bytes=64)
    for call_id in range(1, 20):
        pair.host.call(call_id, "tool", {"data": "a" * 1000}, {}, WIDE)
        pair.host_to_worker(most=3)
        pair.host.cancel(call_id, "unwanted")
    assert pair.host_to_worker() == []
    assert pair.worker.open_calls == []
    assert not pair.worker._inbox._parts


def test_a_small_call_and_its_cancel_arrive_in_order(pair: Pair):
    """A cancel right behind a small call tells the worker, which answers with the end."""
    pair.host.call(1, "tool", {}, {}, WIDE)
    if pair.host.cancel(1, "unwanted"):
        assert pair.host_to_worker() == []
        return
    assert [type(event) for event in pair.host_to_worker()] == [frames.Call, frames.Cancel]
    pair.worker.error(1, {"code": "cancelled"})
    assert pair.worker_to_host() == [frames.Failure(1, {"code": "cancelled"})]


def test_a_cancelled_call_sends_no_more_chunks(pair: Pair):
    """What it offers is taken, so that nothing waits, and dropped; its value is not sent either."""
    pair.call(1, Window(2, 100))
    assert pair.worker.offer_chunk(1, pair.codec.encode("one"))
    outflow = pair.worker.outflow(1)
    pair.host.cancel(1, "unwanted")
    assert pair.host.cancel(1, "again") is False
    pair.host_to_worker()
    assert outflow is not None
    assert all(outflow.offer(pair.codec.encode("more")) for _ in range(5))
    assert pair.worker.offer_chunk(1, pair.codec.encode("more"))
    pair.worker.offer_progress(1, pair.codec.encode("more"))
    pair.worker.progress(1, {"done": 1})
    assert pair.worker_to_host() == []
    pair.worker.result(1, "value", {"m": 1})
    assert pair.worker_to_host() == [frames.Result(1, None, {"m": 1})]


def test_a_second_cancel_is_not_heard(pair: Pair):
    """One cancel, one event; a cancel for a call that has ended gives none."""
    pair.call(1)
    cancel = pair.codec.encode([[CANCEL, 1, "unwanted"]])
    assert pair.worker.receive(cancel) == [frames.Cancel(1, "unwanted")]
    assert pair.worker.receive(cancel) == []
    pair.worker.error(1, {})
    assert pair.worker.receive(cancel) == []


def test_a_result_on_its_way_beats_the_cancel(codec: Codec):
    """A result that has begun to leave is delivered whole, and the cancel finds no call."""
    pair = Pair(codec, piece_bytes=64)
    pair.call(1)
    pair.worker.result(1, "r" * 1000, {})
    assert pair.worker_to_host(most=2) == []
    pair.host.cancel(1, "too late")
    assert pair.host_to_worker() == []
    assert pair.worker_to_host() == [frames.Result(1, "r" * 1000, {})]


# ---- credit ----


def test_a_chunk_above_the_window_goes_alone(pair: Pair):
    """It waits until nothing else of its stream is on its way, and nothing follows until it is granted."""
    pair.call(1, Window(chunks=3, bytes=50))
    small, large = pair.codec.encode("s"), pair.codec.encode("l" * 500)
    assert pair.worker.offer_chunk(1, small)
    assert not pair.worker.offer_chunk(1, large)
    (chunks,) = pair.worker_to_host()
    pair.host.grant(1, 1, chunks.nbytes)
    pair.host_to_worker()
    assert pair.worker.offer_chunk(1, large)
    assert not pair.worker.offer_chunk(1, small)
    (chunks,) = pair.worker_to_host()
    assert chunks == (1, 1, ["l" * 500], len(large), None)
    pair.host.grant(1, 1, chunks.nbytes)
    pair.host_to_worker()
    assert pair.worker.offer_chunk(1, small)


def test_what_goes_beside_a_chunk_counts_too(pair: Pair):
    """Metadata does not slip past the window."""
    pair.call(1, Window(chunks=1000, bytes=5000))
    item = pair.codec.encode(1)
    taken = 0
    while taken < 1000 and pair.worker.offer_chunk(1, item, {"metadata": {"note": "n" * 1000}}):
        taken += 1
    assert taken == 4
    assert sum(event.nbytes for event in pair.worker_to_host()) > 4000


def test_a_held_report_goes_first(pair: Pair):
    """Without credit the newest report waits, chunks wait behind it, and credit sends it."""
    pair.call(1, Window(chunks=1, bytes=100))
    encode = pair.codec.encode
    assert pair.worker.offer_chunk(1, encode("chunk"))
    pair.worker.offer_progress(1, encode("old"))
    pair.worker.offer_progress(1, encode("new"))
    assert not pair.worker.offer_chunk(1, encode("next"))
    (chunks,) = pair.worker_to_host()
    pair.host.grant(1, 1, chunks.nbytes)
    pair.host_to_worker()
    assert not pair.worker.offer_chunk(1, encode("next"))
    assert [event[1:3] + event[4:] for event in pair.worker_to_host()] == [(1, ["new"], {"progress": True})]


def test_credit_for_a_call_that_has_ended_is_ignored(pair: Pair):
    """A grant may cross the end of its call."""
    pair.call(1, Window(1, 100))
    pair.worker.offer_chunk(1, pair.codec.encode("c"))
    pair.worker_to_host()
    pair.worker.result(1, None, {})
    pair.host.grant(1, 1, 2)
    assert pair.host_to_worker() == []
    pair.worker_to_host()
    pair.host.grant(1, 1, 2)
    pair.host.grant(77, 1, 2)
    assert pair.host.next_message() is None


# ---- what cannot travel ----


def test_what_cannot_travel_is_refused_before_it_is_sent(pair: Pair, monkeypatch: pytest.MonkeyPatch):
    """The one who says it hears it at once, where strictness is wanted of answers too; nothing is sent, and the call goes on."""
    monkeypatch.setattr(pair.codec.terms, "strict", True)
    with pytest.raises(Unserialisable):
        pair.host.call(1, "tool", {"x": object()}, {}, WIDE)
    assert pair.host.open_calls == []
    assert pair.host.next_message() is None
    pair.call(2)
    for attempt, path in (
        (lambda: pair.worker.result(2, {"v": [object()]}, {}), "['v'][0]"),
        (lambda: pair.worker.progress(2, {"p": object()}), "['p']"),
        (lambda: pair.worker.offer_chunk(2, pair.codec.encode(1), {"metadata": {"m": object()}}), "['metadata']['m']"),
    ):
        with pytest.raises(Unserialisable) as refused:
            attempt()
        assert (refused.value.path, refused.value.type_name) == (path, "object")
        assert pair.worker.next_message() is None
    assert pair.worker.open_calls == [2]
    assert pair.worker.offer_chunk(2, pair.codec.encode("first"))
    pair.worker.result(2, "fine", {})
    assert [event[:3] for event in pair.worker_to_host()] == [(2, 0, ["first"]), (2, "fine", {})]


def test_what_goes_beside_a_chunk_is_taken_as_it_was(pair: Pair):
    """A tool may change its metadata after it has yielded it."""
    pair.call(1)
    beside = {"metadata": {"step": 1}}
    pair.worker.offer_chunk(1, pair.codec.encode("c"), beside)
    beside["metadata"]["step"] = 2
    (chunks,) = pair.worker_to_host()
    assert chunks.extra == {"metadata": {"step": 1}}


@pytest.mark.slow
def test_what_the_sender_can_nest_the_receiver_can_read(pair: Pair):
    """A value that was taken for sending never breaks the channel, though it is read further up the stack."""

    def higher(levels: int) -> list[Any]:
        return higher(levels - 1) if levels else pair.worker_to_host()

    taken, values = 0, []
    value: Any = 1
    for depth in range(sys.getrecursionlimit()):
        value = [value] if depth % 3 else {"in": value}
        values.append(value)
    for call_id, nested in enumerate(values[100::50] + values[-120::8]):
        pair.call(call_id)
        try:
            pair.worker.result(call_id, nested, {})
        except Unserialisable:
            pair.worker.error(call_id, {"code": "unserializable"})
            assert [type(event) for event in higher(0)] == [frames.Failure]
        else:
            assert [type(event) for event in higher(60)] == [frames.Result]
            taken += 1
    assert taken >= 3


# ---- calls that are not there ----


def test_a_call_that_is_not_open_takes_anything(pair: Pair):
    """Whoever is late with a chunk, a report or an end is not punished for it."""
    assert pair.worker.outflow(9) is None
    assert pair.worker.offer_chunk(9, b"x") is True
    assert pair.worker.chunks_sent(9) == 0
    pair.worker.offer_progress(9, b"x")
    pair.worker.progress(9, {"done": 1})
    pair.worker.result(9, 1, {})
    pair.worker.error(9, {})
    assert Outflow.closed(9).offer(b"x") is True
    assert not pair.worker.has_output
    assert pair.host.cancel(9, "unwanted") is False
    assert pair.host.next_message() is None


def test_ends_of_calls_that_are_not_open_are_ignored(pair: Pair):
    """The host hears nothing of a call it has no part in."""
    for frame in ([CHUNK, 5, 0, [1], 1, None], [frames.RESULT, 5, 1, {}], [frames.ERROR, 5, {}], [PROGRESS, 5, {}]):
        assert pair.host.receive(pair.codec.encode([frame])) == []
    pair.call(1)
    pair.worker.result(1, "fine", {})
    assert pair.worker_to_host() == [frames.Result(1, "fine", {})]
