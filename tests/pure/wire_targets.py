"""What spoiled inputs are thrown at: framing, each codec, and each side's multiplexer over each codec.

A target makes one input from a `random.Random`, hands it to the code under test, checks what holds whatever came, and says
how many bytes it was.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import struct
from typing import Any

from snakepit_bridge.wire.codecs import Codec, Malformed, Unserialisable
from snakepit_bridge.wire.frames import Fault
from snakepit_bridge.wire.framing import MAX_MESSAGE_BYTES, Deframer, frame_message
from wire_mutator import Mutator, reshaped
from wire_samples import CODECS, VALID, hear, in_pieces
from wire_table import TABLE, as_it_arrives


class _TooDeep(Exception):
    """Decoding has a stack of its own if it needs one; encoding has what the caller has left of his."""


class CodecTarget:
    """Spoiled bytes are malformed, or a value that can be sent on. A value of another shape arrives as it is."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._mutator = Mutator(codec.name)
        self._values = [*TABLE.values(), *itertools.chain(*VALID.values())]
        self._sound = [sound for sound in map(codec.encode, self._values) if len(sound) < 6000]

    def throw(self, dice: random.Random) -> int:
        if dice.random() < 0.3:
            return self._send(reshaped(dice, dice.choice(self._values)))
        data = self._mutator.spoiled(dice, dice.choice(self._sound), dice.choice(self._sound))
        try:
            value = self._codec.decode(data)
        except Malformed as error:
            assert 0 < len(str(error)) < 300
        else:
            with contextlib.suppress(_TooDeep):
                self._send_on(value)
        return len(data)

    def _send(self, value: Any) -> int:
        sent = self._codec.encode_value(value)
        assert as_it_arrives(self._codec.decode(sent)) == as_it_arrives(value)
        return len(sent)

    def _send_on(self, value: Any) -> None:
        """Compares bytes: the value may be nested deeper than a comparison can follow."""
        sent = self._encoded(value)
        assert self._encoded(self._codec.decode(sent)) == sent

    def _encoded(self, value: Any) -> bytes:
        try:
            return self._codec.encode_value(value)
        except Unserialisable as error:
            assert "nested too deeply" in error.reason or "recursion" in error.reason, error
            raise _TooDeep from error


class SideTarget:
    """A conversation, whole or in pieces, with its last message spoiled and perhaps another one, is heard by one side."""

    def __init__(self, side: str, codec: Codec) -> None:
        self._side = side
        self._codec = codec
        self._mutator = Mutator(codec.name)
        conversations = (VALID[side], VALID[side], in_pieces(codec, side, 9), in_pieces(codec, side, 30))
        self._conversations = [[(message, codec.encode(message)) for message in messages] for messages in conversations]

    def throw(self, dice: random.Random) -> int:
        conversation = dice.choice(self._conversations)
        conversation = conversation[: dice.randrange(1, len(conversation) + 1)]
        messages = [message for _, message in conversation]
        for which in dice.choice(((-1,), (-1,), (-1, dice.randrange(len(messages))))):
            if dice.random() < 0.6:
                messages[which] = self._codec.encode(reshaped(dice, conversation[which][0]))
            else:
                messages[which] = self._mutator.spoiled(dice, messages[which], dice.choice(messages))
        hear(self._side, self._codec, messages)
        return sum(map(len, messages))


class FramingTarget:
    """A stream of messages is spoiled and cut anywhere: the same comes out as in one piece, and a fault comes last."""

    def __init__(self) -> None:
        self._mutator = Mutator("framing")

    def throw(self, dice: random.Random) -> int:
        limit = dice.choice((0, 5, 100, 4096, MAX_MESSAGE_BYTES))
        sizes = [dice.choice((0, 1, 3, 60, min(limit, 4096))) for _ in range(dice.randrange(1, 6))]
        sound = b"".join(frame_message(dice.randbytes(size)) for size in sizes)
        stream = self._mutator.spoiled(dice, sound, sound)
        places = sorted(dice.randrange(len(stream) + 1) for _ in range(dice.randrange(9)))
        parts = [stream[a:b] for a, b in itertools.pairwise((0, *places, len(stream)))]
        split, whole = Deframer(limit), Deframer(limit)
        found = [message for part in parts for message in split.feed(part)]
        assert found == whole.feed(stream) == _messages(stream, limit)
        ended = split.end()
        assert ended == whole.end()
        assert split.feed(frame_message(b"")) == ([] if ended or (found and isinstance(found[-1], Fault)) else [b""])
        return len(stream)


def _messages(stream: bytes, limit: int) -> list[bytes | Fault]:
    """What a stream says, read in the plainest way."""
    found: list[bytes | Fault] = []
    while len(stream) >= 4:
        (length,) = struct.unpack(">I", stream[:4])
        if length > limit:
            return [*found, Fault(f"a message of {length} bytes was announced; at most {limit} are allowed")]
        if len(stream) - 4 < length:
            break
        found.append(stream[4 : 4 + length])
        stream = stream[4 + length :]
    return found


TARGETS: dict[str, Any] = {
    "framing": FramingTarget(),
    **{f"codec-{name}": CodecTarget(codec) for name, codec in CODECS.items()},
    **{f"{side}-{name}": SideTarget(side, codec) for side in ("host", "worker") for name, codec in CODECS.items()},
}
