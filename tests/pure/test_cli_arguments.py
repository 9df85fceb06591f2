"""Items, `--args` and a tool's parameters become the arguments of the call."""

from __future__ import annotations

import pytest

from snakepit._pool.tools import ParameterSpec, ToolSpec
from snakepit.cli.arguments import build_arguments, find_tool
from snakepit.cli.items import Item, load_items
from snakepit.errors import InvalidParameter, UnknownTool

TRAIN = ToolSpec(
    "train",
    streaming=True,
    parameters=(
        ParameterSpec("epochs", annotation="int", schema={"type": "integer"}),
        ParameterSpec("model_path", required=False, default=None, schema={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ParameterSpec("layers", kind="var_positional", required=False, annotation="int", schema={"type": "integer"}),
    ),
)
ECHO = ToolSpec("echo", parameters=(ParameterSpec("arguments", kind="var_keyword", required=False),))


def test_each_item_is_converted_by_its_parameter() -> None:
    """The same text is a number for one parameter and text for another."""
    assert build_arguments(TRAIN, load_items(["epochs=5", "model_path=5"]), {}) == {"epochs": 5, "model_path": "5"}


def test_json_items_are_not_converted() -> None:
    """`:=` says what the value is; the pool checks whether the tool takes it."""
    assert build_arguments(TRAIN, load_items(["epochs:=2.5"]), {}) == {"epochs": 2.5}


def test_items_override_the_base() -> None:
    """`--args` gives what no item gives."""
    arguments = build_arguments(TRAIN, load_items(["epochs=5"]), {"epochs": 1, "model_path": "m"})
    assert arguments == {"epochs": 5, "model_path": "m"}


def test_star_args_take_a_json_array_under_their_name() -> None:
    """`*layers` is filled by a list."""
    assert build_arguments(TRAIN, load_items(["layers=[1, 2]"]), {}) == {"layers": [1, 2]}


def test_double_star_takes_any_key() -> None:
    """Keys without a parameter of their own go to `**arguments`, even one of that name."""
    arguments = build_arguments(ECHO, load_items(["name=Ada", "age=36", "arguments=x"]), {"more": [1]})
    assert arguments == {"more": [1], "name": "Ada", "age": 36, "arguments": "x"}


def test_the_base_is_not_changed() -> None:
    """Building arguments leaves the given object alone."""
    base = {"epochs": 1}
    build_arguments(TRAIN, load_items(["epochs=5"]), base)
    assert base == {"epochs": 1}


@pytest.mark.parametrize(("items", "base"), [(["epoch=5"], {}), ([], {"epoch": 5})])
def test_an_unknown_parameter_is_told_near_ones(items: list[str], base: dict[str, int]) -> None:
    """A misspelt key names the one that was meant, and the tool's signature."""
    with pytest.raises(InvalidParameter, match="no parameter 'epoch'") as caught:
        build_arguments(TRAIN, load_items(items), base)
    assert "did you mean 'epochs'?" in caught.value.hint
    assert "train(" in caught.value.hint


def test_an_unconvertible_value_names_key_value_and_what_is_allowed() -> None:
    """The sentence has all three."""
    with pytest.raises(InvalidParameter) as caught:
        build_arguments(TRAIN, load_items(["epochs=five"]), {})
    assert caught.value.message == "epochs: got 'five', allowed is an integer"
    assert caught.value.details == {"tool": "train", "parameter": "epochs"}


def test_an_unconvertible_file_is_named() -> None:
    """For a file, what came is the file's name and not its content."""
    with pytest.raises(InvalidParameter, match=r"epochs: got the file 'five\.txt', allowed is an integer"):
        build_arguments(TRAIN, [Item("epochs", "file", b"five", "five.txt")], {})


def test_a_long_value_is_cut_in_the_sentence() -> None:
    """A megabyte of text does not fill the screen."""
    with pytest.raises(InvalidParameter) as caught:
        build_arguments(TRAIN, load_items(["epochs=" + "x" * 1_000_000]), {})
    assert len(caught.value.message) < 200
    assert "1000000 characters" in caught.value.message


def test_a_tool_is_found_by_name() -> None:
    """The one of that name, among all."""
    assert find_tool("train", [ECHO, TRAIN], None) is TRAIN


@pytest.mark.parametrize(("adapter", "told"), [(None, True), ("tools.py", False)])
def test_an_unknown_tool_is_told_near_ones(adapter: str | None, told: bool) -> None:
    """A misspelt tool names the one that was meant; who gave no adapter is reminded of that."""
    with pytest.raises(UnknownTool) as caught:
        find_tool("trian", [ECHO, TRAIN], adapter)
    assert "did you mean 'train'?" in caught.value.hint
    assert ("--adapter" in caught.value.hint) is told
