"""What a value without a plain form tells of itself, and what is asked of objects: by the environment and by their own methods."""

from __future__ import annotations

import collections

import numpy
import pytest

from odd_objects import Fields, Renamed
from snakepit_bridge.bridge.plain import plain
from snakepit_bridge.serialization import is_unserializable


class Opaque:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


KIND = f"{__name__}.Opaque"


@pytest.mark.parametrize("detail", ["", "none", "type", "nonsense"])
def test_a_marker_tells_the_type_alone_unless_asked(detail: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the object holds may be secret."""
    monkeypatch.setenv("SNAKEPIT_UNSERIALIZABLE_DETAIL", detail)
    found = plain([Opaque("text")])
    assert found == [{"__ffi_unserializable__": True, "__type__": KIND}]
    assert is_unserializable(found[0])


@pytest.mark.parametrize(("length", "shown"), [("", 500), ("50", 50), ("9999", 2000), ("many", 500), ("2", 2)])
def test_a_marker_shows_a_repr_of_bounded_length(length: str, shown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 characters unless told otherwise, 2000 at most."""
    monkeypatch.setenv("SNAKEPIT_UNSERIALIZABLE_DETAIL", "repr_truncated")
    monkeypatch.setenv("SNAKEPIT_UNSERIALIZABLE_REPR_MAXLEN", length)
    found = plain(Opaque("x" * 5000))
    assert len(found["__repr__"]) == max(shown, 3)
    assert plain(Opaque("short" if shown > 5 else "s"))["__repr__"] == ("short" if shown > 5 else "s")
    assert "__repr__" not in plain(Broken())


def test_a_redacted_repr_hides_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like a secret is masked before it is cut."""
    monkeypatch.setenv("SNAKEPIT_UNSERIALIZABLE_DETAIL", "repr_redacted_truncated")
    found = plain(Opaque("Client(password='hunter2secret', host='db')"))["__repr__"]
    assert "hunter2secret" not in found
    assert "host='db'" in found


@pytest.mark.parametrize(("most", "is_marker"), [("3", True), ("4", False), ("", False), ("-1", False)])
def test_long_arrays_stay_markers(most: str, is_marker: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a list is made of them."""
    monkeypatch.setenv("SNAKEPIT_TOLIST_MAX_ELEMENTS", most)
    assert is_unserializable(plain(numpy.arange(4))) == is_marker


def test_an_object_is_asked_before_it_is_looked_into() -> None:
    """Its own `to_dict` goes before a dataclass's fields; a named tuple is a dict."""
    assert plain(Renamed()) == {"outer": 1}
    assert plain(Fields((1, 2))) == {"inner": [1, 2]}
    assert plain(collections.namedtuple("Pair", "a b")(1, 2)) == {"a": 1, "b": 2}  # noqa: PYI024
