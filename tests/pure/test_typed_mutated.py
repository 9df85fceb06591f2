"""Spoiled facts and bytes give `Malformed` or some value: no other error, no crash."""

from __future__ import annotations

import os
import random
import warnings
from typing import Any

import pytest

from snakepit_bridge.wire.typed import Malformed, pack, unpack
from typed_samples import SAMPLES

#: How many spoiled inputs there are for each sample.
_INPUTS = int(os.environ.get("WIRE_INPUTS", "50_000")) // 25
_FACTS: list[Any] = [
    None, True, -1, 0, 1, 2, 255, 2**31, 2**62, 2**63, 2**70, 1.5, "", "O", "|O", "<f8", "object", "category", "string", "C", "F", "i4,O",
    "record", "array", "range", "multi", "flat", "listed", "int64[pyarrow]", "interval[int64, right]", [], [1], [-1], [2**62, 0], {}, b"",
    ["record", 8, False, False, [["a", None, 0, "|O"]]], ["array", "|O", [1]], "datetime64[ns, Nowhere/Land]", "period[D]", "dictionary[pyarrow]",
]  # fmt: skip


def _spoiled_bytes(chance: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = chance.randrange(len(found) or 1)
        way, size = chance.random(), chance.choice([1, 2, 4, 8])
        if way < 0.5:
            found[place : place + 1] = bytes([chance.randrange(256)])
        elif way < 0.6:
            del found[place : place + size * 4]
        elif way < 0.7:
            found[place:place] = chance.randbytes(size)
        else:
            found[place : place + size] = chance.choice([0, 1, 255, 2 ** (8 * size - 1), 2 ** (8 * size) - 1]).to_bytes(size, "little")
    return bytes(found)


def _spoiled_facts(chance: random.Random, facts: Any) -> Any:
    if isinstance(facts, list) and facts and chance.random() < 0.9:
        found, place = list(facts), chance.randrange(len(facts))
        way = chance.random()
        if way < 0.05:
            del found[place]
        elif way < 0.1:
            found.insert(place, chance.choice(_FACTS))
        else:
            found[place] = _spoiled_facts(chance, found[place])
        return found
    return facts + chance.choice([-1, 1, 8]) if type(facts) is int and chance.random() < 0.4 else chance.choice(_FACTS)


def _read(value: Any) -> None:
    """Look at all of it, as far as it is not large."""
    repr(value)
    for name in ("to_pylist", "rows", "tolist", "to_dict"):
        if hasattr(value, name) and max(getattr(value, "shape", None) or [0]) < 10_000 and len(getattr(value, "shape", ())) < 20:
            getattr(value, name)()
            break


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_spoiled_is_malformed_or_a_value(name: str):
    """Bytes and facts that were cut, changed or exchanged at random never give anything else; what they give can be read."""
    packed = pack(SAMPLES[name], 0)
    assert packed is not None
    sound = [bytes(part) for part in packed.buffers]
    given = 0
    for number in range(_INPUTS):
        chance = random.Random(number)
        facts, buffers, way = packed.meta, list(sound), chance.random()
        if way < 0.4 or way > 0.95:
            facts = _spoiled_facts(chance, facts)
        if way >= 0.4 and buffers:
            place = chance.randrange(len(buffers))
            buffers[place] = _spoiled_bytes(chance, buffers[place])
        try:
            found = unpack(packed.kind, facts, buffers)
        except Malformed as error:
            assert str(error).startswith("a value of kind")
            continue
        given += 1
        with warnings.catch_warnings(action="ignore"):
            try:
                _read(found)
            except (ValueError, OverflowError):
                assert "moments" in name or "series" in name or "index" in name  # beyond the years that Python has
            except BaseException as error:
                if type(error).__name__ != "PanicException":  # the same in polars
                    raise
    assert given < _INPUTS or name.startswith("byte")  # any bytes are bytes
