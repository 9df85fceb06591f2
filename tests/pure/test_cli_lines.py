"""Chunks, results and errors as plain lines and as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.cli.lines import chunk_json, chunk_line, json_line, result_text


@pytest.mark.parametrize(
    ("chunk", "line"),
    [
        ({"message": "Step 1 of 5", "progress": 20.0, "is_final": False}, "Step 1 of 5  progress=20.0"),
        ({"message": "done", "is_final": True, "_metadata": {"chunks": 3}}, "done"),
        ({"item": "a b", "index": 0, "ok": True, "none": None, "is_final": False}, 'item="a b" index=0 ok=true none=null'),
        ({"stats": {"rows": 2, "list": [1]}, "is_final": True}, 'stats={"rows": 2, "list": [1]}'),
        ({"data": "a token\n", "is_final": False}, "a token"),
        ({"data": "a\nb", "is_final": False}, "a\\nb"),
        ({"data": [1, "ä"], "is_final": False}, '[1, "ä"]'),
        ({"data": 5, "is_final": False}, "5"),
        ({"data": 5, "more": 6, "is_final": False}, "data=5 more=6"),
        ({"raw_data": b"\x00\x01", "is_final": False}, "raw_data=<2 bytes>"),
        ({"message": 5, "is_final": False}, "message=5"),
        ({"message": "", "empty": "", "is_final": False}, 'message="" empty=""'),
        ({"is_final": True, "_metadata": {"synthetic_final": True}}, ""),
    ],
)
def test_a_chunk_is_one_readable_line(chunk: dict[str, Any], line: str) -> None:
    """The message first, then key=value; the envelope is left out; what the tool gave bare stands alone."""
    assert chunk_line(chunk) == line


def test_no_escape_code_of_a_tool_reaches_the_terminal() -> None:
    """Control characters in any place are shown as what they are."""
    line = chunk_line({"message": "\x1b[31mred", "k\x1b": "\x1b]0;title\x07", "deep": ["\x9b2J"]})
    assert line == '\\x1b[31mred  k\\x1b="\\u001b]0;title\\u0007" deep=["\\x9b2J"]'


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers() | st.binary() | st.none(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text() | st.sampled_from(["message", "data", "raw_data", "is_final"]), ANYTHING, max_size=4))
def test_every_chunk_is_exactly_one_line_without_control_characters(chunk: dict[str, Any]) -> None:
    """Whatever a tool yields, a line stays a line, and a document of `--json` is JSON by the letter."""
    assert not any((ord(char) < 32 and char != "\t") or 127 <= ord(char) < 160 for char in chunk_line(chunk))
    document = chunk_json(chunk)
    assert len(document.splitlines()) == 1
    json.loads(document, parse_constant=pytest.fail)


def test_bare_bytes_become_base64_in_json() -> None:
    """A chunk's own bytes are under `raw_data_base64`; bytes deeper inside are marked the same way."""
    chunk = {"raw_data": b"ab", "deep": {"blob": b"c"}, "is_final": False}
    assert json.loads(chunk_json(chunk)) == {"raw_data_base64": "YWI=", "deep": {"blob": {"raw_data_base64": "Yw=="}}, "is_final": False}
    assert json.loads(json_line(b"ab")) == {"raw_data_base64": "YWI="}


def test_what_json_lacks_becomes_text() -> None:
    """NaN and infinities are told by name, and keys are text."""
    value = {7: math.nan, None: math.inf, True: -math.inf, 1.5: (1, 2)}
    assert json.loads(json_line(value)) == {"7": "NaN", "true": "-Infinity", "null": "Infinity", "1.5": [1, 2]}


def test_results_read_well() -> None:
    """Text is printed as it is, everything else as indented JSON in plain letters."""
    assert result_text("a\nb") == "a\nb"
    assert result_text({"ä": [1]}) == '{\n  "ä": [\n    1\n  ]\n}'
    assert result_text(None) == "null"


def test_integers_without_end_and_keys_that_would_be_one() -> None:
    """Interpreters write no more than some 4,300 digits: such a number is hexadecimal, as text. Of keys none takes another's place."""
    assert json.loads(json_line([10**6000, {10**6000: -(10**6000)}])) == [hex(10**6000), {hex(10**6000): hex(-(10**6000))}]
    assert json.loads(json_line({1: "a", "1": "b"})) == [[1, "a"], ["1", "b"]]
    assert hex(10**6000) in result_text(10**6000)
    assert hex(10**6000) in chunk_line({"count": 10**6000})
