"""Text from the command line becomes what the tool's schema asks for, or a sentence about what is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.cli.conversion import Unconvertible, allowed, from_file, from_text

INTEGER, NUMBER, BOOLEAN, TEXT = ({"type": name} for name in ("integer", "number", "boolean", "string"))
NULL, ARRAY, OBJECT = ({"type": name} for name in ("null", "array", "object"))
BINARY = {"type": "string", "format": "binary"}


def optional(*options: dict[str, Any]) -> dict[str, Any]:
    """The schema that takes null besides."""
    return {"anyOf": [*options, NULL]}


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("5", INTEGER, 5),
        ("-5", INTEGER, -5),
        ("1_000", INTEGER, 1000),
        ("9" * 30, INTEGER, 10**30 - 1),
        ("5", NUMBER, 5),
        ("2.5", NUMBER, 2.5),
        ("1e3", NUMBER, 1000.0),
        ("yes", BOOLEAN, True),
        ("TRUE", BOOLEAN, True),
        ("1", BOOLEAN, True),
        ("no", BOOLEAN, False),
        ("false", BOOLEAN, False),
        ("0", BOOLEAN, False),
        ("5", TEXT, "5"),
        ("null", TEXT, "null"),
        ("", TEXT, ""),
        ("None", optional(TEXT), None),
        ("null", optional(INTEGER), None),
        ("none of it", optional(TEXT), "none of it"),
        ("7", optional(INTEGER), 7),
        ("[1, 2]", ARRAY, [1, 2]),
        ('{"a": 1}', OBJECT, {"a": 1}),
        ("hä", BINARY, "hä".encode()),
        ("5", {"anyOf": [TEXT, INTEGER]}, 5),
        ("five", {"anyOf": [TEXT, INTEGER]}, "five"),
        ("1", {"anyOf": [BOOLEAN, INTEGER]}, 1),
        ('["a"]', {"anyOf": [TEXT, ARRAY]}, ["a"]),
        ("[a", {"anyOf": [TEXT, ARRAY]}, "[a"),
        ("fast", {"enum": ["fast", "slow"]}, "fast"),
        ("2", {"enum": [1, 2]}, 2),
        ("HIGH", {"enum": [1, 2], "names": {"LOW": 1, "HIGH": 2}}, 2),
        ("5", {"type": "string", "format": "path"}, "5"),
        ("2024-05-31", {"type": "string", "format": "date"}, "2024-05-31"),
        ("1.50", {"type": "string", "format": "decimal"}, "1.50"),
        ("90", {"anyOf": [NUMBER, {"type": "string", "format": "duration"}]}, 90),
        ("PT90S", {"anyOf": [NUMBER, {"type": "string", "format": "duration"}]}, "PT90S"),
        ("[1]", {"type": "array", "uniqueItems": True}, [1]),
        ("true", {"enum": [True, None]}, True),
        ("null", {"enum": [True, None]}, None),
        ("5", {}, 5),
        ("2.5", {}, 2.5),
        ("true", {}, True),
        ("null", {}, None),
        ("True", {}, "True"),
        ("007", {}, "007"),
        ("NaN", {}, "NaN"),
        ("1e999", {}, "1e999"),
        ("[1]", {}, "[1]"),
        ('"a"', {}, '"a"'),
        ("Ada", {}, "Ada"),
        ("x", {"type": "a type of the future"}, "x"),
    ],
)
def test_text_becomes_what_the_schema_asks_for(text: str, schema: dict[str, Any], value: Any) -> None:
    """Each type reads its own words; the value has exactly the type asked for."""
    found = from_text(text, schema)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "schema", "sentence"),
    [
        ("abc", INTEGER, "an integer"),
        ("2.5", INTEGER, "an integer"),
        ("1e6", INTEGER, "an integer"),
        ("9" * 5000, INTEGER, "an integer"),
        ("two", NUMBER, "a number"),
        ("on", BOOLEAN, "true, false, yes, no, 1 or 0"),
        ("none", INTEGER, "an integer"),
        ("x", optional(INTEGER), "an integer or null"),
        ("a,b", ARRAY, 'a JSON array such as ["a", "b"] (this is not JSON: Expecting value at column 1)'),
        ("5", ARRAY, 'a JSON array such as ["a", "b"] (this is a number)'),
        ("1,2", {"type": "array", "items": INTEGER}, "a JSON array such as [1, 2] (this is not JSON: Extra data at column 2)"),
        ("[]", OBJECT, 'a JSON object such as {"a": 1} (this is an array)'),
        ("fst", {"enum": ["fast", "slow"]}, "one of fast, slow; did you mean fast?"),
        ("x", {"enum": [1, None]}, "one of 1, null"),
    ],
)
def test_text_that_does_not_fit_is_told_what_would(text: str, schema: dict[str, Any], sentence: str) -> None:
    """The refusal is the end of a sentence: what is allowed, and why this is not."""
    with pytest.raises(Unconvertible) as caught:
        from_text(text, schema)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("data", "schema", "value"),
    [
        (b"line\n", TEXT, "line\n"),
        (b"\x00\xff", BINARY, b"\x00\xff"),
        (b"text", BINARY, b"text"),
        (b"[1]\n", ARRAY, [1]),
        (b'{"a": 1}\n', optional(OBJECT), {"a": 1}),
        (b"5\n", INTEGER, 5),
        (b"fast\n", {"enum": ["fast"]}, "fast"),
        (b"none", optional(TEXT), "none"),
        (b"5\n", {}, "5\n"),
        (b"\xff", {}, b"\xff"),
        (b"\xff", {"anyOf": [TEXT, BINARY]}, b"\xff"),
        (b"abc\n", {"anyOf": [TEXT, BINARY]}, "abc\n"),
    ],
)
def test_a_file_becomes_what_the_schema_asks_for(data: bytes, schema: dict[str, Any], value: Any) -> None:
    """Text stays as it is to the last line end, bytes stay bytes, arrays and objects are read as JSON."""
    assert from_file(data, schema) == value


def test_a_file_that_is_no_text_is_refused_where_text_is_asked_for() -> None:
    """Binary files go to binary parameters only."""
    with pytest.raises(Unconvertible, match=r"^text \(the file is no UTF-8 text\)"):
        from_file(b"\xff\xfe", TEXT)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
SCHEMAS = st.recursive(
    st.sampled_from([{}, INTEGER, NUMBER, BOOLEAN, TEXT, NULL, ARRAY, OBJECT, BINARY, {"enum": ["a", 1, None, True]}]),
    lambda inner: st.lists(inner.filter(lambda schema: "anyOf" not in schema), min_size=1, max_size=3).map(lambda found: {"anyOf": found}),
    max_leaves=4,
)


@given(st.text() | JSON_VALUES.map(json.dumps), SCHEMAS)
def test_every_text_converts_or_is_refused_in_words(text: str, schema: dict[str, Any]) -> None:
    """No text makes the conversion fail in any other way than by a sentence."""
    refusal = ""
    try:
        from_text(text, schema)
    except Unconvertible as error:
        refusal = str(error)
    assert refusal.startswith(allowed(schema)) or not refusal


@given(st.binary(), SCHEMAS)
def test_every_file_converts_or_is_refused_in_words(data: bytes, schema: dict[str, Any]) -> None:
    """No file makes the conversion fail in any other way than by a sentence; it may leave out null, which no file stands for."""
    refusal = ""
    try:
        from_file(data, schema)
    except Unconvertible as error:
        refusal = str(error)
    assert refusal.startswith((allowed(schema), *map(allowed, schema.get("anyOf", [])))) or not refusal


@given(st.lists(JSON_VALUES))
def test_json_arrays_arrive_unchanged(value: list[Any]) -> None:
    """What an array parameter gets is what the JSON says."""
    assert from_text(json.dumps(value), ARRAY) == value


@given(st.text())
def test_text_for_a_text_parameter_is_never_touched(text: str) -> None:
    """A text parameter gets the very characters that were typed."""
    assert from_text(text, TEXT) == text
