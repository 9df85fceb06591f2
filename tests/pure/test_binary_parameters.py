"""Binary parameters: what is accepted, what is refused and how it is said, before a worker is contacted."""

from __future__ import annotations

import pathlib
from typing import Any, TypeVar

import pytest

from snakepit import InvalidBinaryParameter, InvalidParameter
from snakepit._api.arguments import checked_call
from snakepit._pool.registry import spec_of


def store(name: str, blob: bytes, note: str = "") -> None: ...


def anything(**more: bytes) -> None: ...


class Unknown:
    """No annotation of its own is known of it."""


Item = TypeVar("Item")


def annotated(
    text: str,
    many: list[bytes],
    path: pathlib.Path,
    raw: bytes,
    either: str | bytes | None,
    view: memoryview = memoryview(b""),  # noqa: B008
    array: bytearray | None = None,
    free: Any = None,
    bare=None,  # type: ignore[no-untyped-def]
    other: Unknown | None = None,
    buffer: Buffer | None = None,  # noqa: F821 - there from Python 3.12 on; nobody evaluates it
    generic: Item | None = None,  # type: ignore[valid-type]
) -> None: ...


TOOLS = {"store": spec_of(store), "anything": spec_of(anything), "annotated": spec_of(annotated)}
NEEDED = {"text": "t", "many": [], "path": "p", "raw": b"", "either": None}


def _call(args: Any, binary: Any, tool: str = "store") -> tuple[dict[str, Any], dict[str, bytes]]:
    return checked_call(TOOLS, tool, args, binary, streaming=False)


@pytest.mark.parametrize("value", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")])
def test_bytes_of_every_kind(value: Any) -> None:
    """They are sent as bytes, apart from the other arguments; the required ones may be in either."""
    assert _call({"name": "n"}, {"blob": value}) == ({"name": "n"}, {"blob": b"\x00\xff"})


def test_what_the_caller_changes_later_does_not_reach_what_is_sent() -> None:
    """A bytearray is copied."""
    value = bytearray(b"before")
    _, sent = _call({"name": "n"}, {"blob": value})
    value[:] = b"after!"
    assert sent == {"blob": b"before"}


@pytest.mark.parametrize(("value", "kind"), [(5, "int"), ("text", "str"), ({"a": 1}, "dict"), ([1, 2], "list"), (None, "NoneType")])
def test_what_is_not_binary_is_refused(value: Any, kind: str) -> None:
    """By name and type, never by value."""
    with pytest.raises(InvalidBinaryParameter, match=f"binary parameter 'blob' is a {kind}; allowed are bytes") as caught:
        _call({"name": "n"}, {"blob": value})
    assert caught.value.code == "invalid_binary_parameter"
    assert caught.value.details == {"tool": "store", "parameter": "blob", "expected": "bytes", "got": kind}


def test_a_view_with_gaps_is_refused() -> None:
    """Its bytes would have to be gathered, which the caller can say."""
    with pytest.raises(InvalidBinaryParameter, match="not contiguous"):
        _call({"name": "n"}, {"blob": memoryview(b"abcdef")[::2]})


def test_a_name_in_both_is_refused() -> None:
    """The caller must say which one is meant."""
    with pytest.raises(InvalidBinaryParameter, match="'name' is in args and in binary_parameters"):
        _call({"name": "n"}, {"name": b"x", "blob": b"y"})


@pytest.mark.parametrize(
    ("args", "binary", "message"),
    [
        ({"name": "n"}, [b"x"], "binary_parameters is a list; allowed is a dict"),
        ({"name": "n"}, {5: b"x"}, "a key of binary_parameters is a int"),
        ({"name": "n"}, {"blbo": b"x"}, "there is no parameter 'blbo'"),
        ({}, {"blob": b"x"}, "name"),
        ({"name": 5}, {"blob": b"x"}, "name"),
    ],
)
def test_malformed_parameters_are_refused(args: Any, binary: Any, message: str) -> None:
    """With the code `invalid_parameter` and the name."""
    with pytest.raises(InvalidParameter, match=message) as caught:
        _call(args, binary)
    assert caught.value.code == "invalid_parameter"


def test_a_near_name_is_suggested() -> None:
    """As for other arguments."""
    with pytest.raises(InvalidParameter, match="did you mean 'blob'"):
        _call({"name": "n"}, {"blbo": b"x"})


def test_keyword_arguments_take_any_name() -> None:
    """A tool with `**kwargs` takes what it is given."""
    assert _call({}, {"a": b"1", "b": b"2"}, "anything") == ({}, {"a": b"1", "b": b"2"})


@pytest.mark.parametrize("name", ["raw", "either", "view", "array", "free", "bare", "other", "buffer", "generic"])
def test_annotations_that_take_bytes(name: str) -> None:
    """Bytes of every kind, unions with them, what is not annotated, and what this host does not know."""
    others = {key: value for key, value in NEEDED.items() if key != name}
    assert _call(others, {name: b"abc"}, "annotated")[1] == {name: b"abc"}


@pytest.mark.parametrize(("name", "annotation"), [("text", "str"), ("many", r"list\[bytes\]"), ("path", "Path")])
def test_annotations_that_take_none(name: str, annotation: str) -> None:
    """The tool would get what its author did not expect: refused by name and annotation."""
    others = {key: value for key, value in NEEDED.items() if key != name}
    with pytest.raises(InvalidBinaryParameter, match=f"annotated\\(\\): '{name}' is annotated .*{annotation}, which takes no bytes"):
        _call(others, {name: b"abc"}, "annotated")


def test_a_released_view_is_refused() -> None:
    """By name, instead of the bare error of `memoryview`."""
    view = memoryview(b"x")
    view.release()
    with pytest.raises(InvalidBinaryParameter, match="binary parameter 'blob' is a memoryview that has been released") as caught:
        _call({"name": "n"}, {"blob": view})
    assert caught.value.code == "invalid_binary_parameter"


def test_a_key_that_is_no_text_is_named() -> None:
    """A lone surrogate cannot travel; it is refused before anything is sent, also where any name is taken."""
    with pytest.raises(InvalidParameter, match=r"a key of binary_parameters is '\\ud800', which is no Unicode text"):
        _call({}, {"\ud800": b"x"}, "anything")
