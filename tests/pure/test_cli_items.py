"""`key=value`, `key:=JSON`, `key=@file` and `--args`, taken apart before any worker starts."""

from __future__ import annotations

import io
import pathlib

import pytest

from snakepit.cli.items import Item, load_base, load_items
from snakepit.errors import InvalidParameter


def test_an_equals_sign_splits_at_its_first_place() -> None:
    """Only the first = separates; the value may hold any more of them."""
    assert load_items(["query=a=b&c:=d"]) == (Item("query", "text", "a=b&c:=d"),)


def test_an_empty_value_is_empty_text() -> None:
    """`key=` gives empty text, not an error."""
    assert load_items(["note="]) == (Item("note", "text", ""),)


def test_colon_equals_takes_json() -> None:
    """`key:=JSON` is parsed as JSON, whatever type it has."""
    assert load_items(['a:={"b": [1, null]}', 'c:="text"']) == (Item("a", "json", {"b": [1, None]}), Item("c", "json", "text"))


def test_an_at_sign_reads_the_file(tmp_path: pathlib.Path) -> None:
    """`key=@file` holds the file's bytes, and remembers where they came from."""
    file = tmp_path / "blob.bin"
    file.write_bytes(b"\x00\xff")
    assert load_items([f"blob=@{file}"]) == (Item("blob", "file", b"\x00\xff", str(file)),)


@pytest.mark.parametrize("text", ["steps", "", "=5", ":=5", "--steps"])
def test_an_item_that_names_no_parameter_shows_the_three_forms(text: str) -> None:
    """What is no item at all is answered with what came and what is allowed."""
    with pytest.raises(InvalidParameter, match="allowed are key=value, key:=JSON and key=@file") as caught:
        load_items([text])
    assert repr(text) in str(caught.value)


def test_a_bare_name_is_answered_with_its_form() -> None:
    """A parameter without a value is shown how to get one."""
    with pytest.raises(InvalidParameter) as caught:
        load_items(["steps"])
    assert caught.value.hint == "give steps a value: steps=..."


@pytest.mark.parametrize("text", ["a:=[1,", "a:=NaN", "a:=-Infinity", "a:=1e400", "a:=-1e400", "a:=", "a:=abc", "a:=" + "[" * 100_000])
def test_what_is_not_json_behind_colon_equals_is_refused(text: str) -> None:
    """Malformed JSON, the constants that are not JSON, and JSON beyond all depth name the key."""
    with pytest.raises(InvalidParameter, match=r"^a: got .*, allowed is JSON") as caught:
        load_items([text])
    assert caught.value.details["parameter"] == "a"
    assert len(caught.value.message) < 300


def test_a_key_given_twice_is_refused() -> None:
    """Neither of two values for one key can be meant for sure."""
    with pytest.raises(InvalidParameter, match="a: given twice"):
        load_items(["a=1", "a:=2"])


@pytest.mark.parametrize("path", ["missing.txt", ".", "", "a\0b"])
def test_a_file_that_cannot_be_read_names_key_and_file(path: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a folder, no name and an impossible name are one kind of sentence."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidParameter, match=r"^text: cannot read the file ") as caught:
        load_items([f"text=@{path}"])
    assert repr(path) in caught.value.message
    assert "begins with @" in caught.value.hint


def test_a_value_that_is_no_utf8_is_refused() -> None:
    """Bytes that are no text arrive from the shell as lone surrogates, which could not travel."""
    with pytest.raises(InvalidParameter, match="a: the value is no UTF-8 text"):
        load_items(["a=\udcff"])


def test_args_come_from_standard_input_or_a_file(tmp_path: pathlib.Path) -> None:
    """`--args -` reads standard input, `--args FILE` the file."""
    file = tmp_path / "args.json"
    file.write_text('{"a": 2}')
    assert load_base("-", io.BytesIO(b' {"a": 1}\n')) == {"a": 1}
    assert load_base(str(file), io.BytesIO()) == {"a": 2}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[1]", "holds an array"),
        (b"null", "holds null"),
        (b"true", "holds a boolean"),
        (b'"x"', "holds a string"),
        (b"1.5", "holds a number"),
        (b"{", "is not JSON"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"", "is not JSON"),
        (b"\xff", "is no UTF-8 text"),
    ],
)
def test_args_that_are_no_json_object_say_what_they_are(data: bytes, words: str) -> None:
    """Whatever stands there instead of an object is named."""
    with pytest.raises(InvalidParameter, match=r"^--args: standard input .*JSON object") as caught:
        load_base("-", io.BytesIO(data))
    assert words in caught.value.message


def test_a_missing_args_file_is_named(tmp_path: pathlib.Path) -> None:
    """The file that could not be read is in the sentence."""
    with pytest.raises(InvalidParameter, match=r"--args: cannot read .*nothing\.json: No such file"):
        load_base(str(tmp_path / "nothing.json"), io.BytesIO())
