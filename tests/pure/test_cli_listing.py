"""Tool specs as the rows and documents of `snakepit tools`."""

from __future__ import annotations

import json

import pytest

from snakepit._pool.tools import ParameterSpec, ToolSpec
from snakepit.cli.lines import json_line
from snakepit.cli.listing import columns, document, parameter_text, row


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (ParameterSpec("a", annotation="float"), "a: float"),
        (ParameterSpec("a"), "a"),
        (ParameterSpec("a", required=False, default=5, annotation="int"), "a: int = 5"),
        (ParameterSpec("a", required=False, default="x"), "a='x'"),
        (ParameterSpec("a", required=False), "a=..."),
        (
            ParameterSpec("a", required=False, default=None, schema={"anyOf": [{"type": "string"}, {"type": "null"}]}),
            "a: string | null = None",
        ),
        (ParameterSpec("a", schema={"enum": ["x", 1]}), "a: 'x' | 1"),
        (ParameterSpec("rest", kind="var_positional", required=False, annotation="int"), "*rest: int"),
        (ParameterSpec("more", kind="var_keyword", required=False), "**more"),
    ],
)
def test_a_parameter_is_written_as_python_writes_it(parameter: ParameterSpec, text: str) -> None:
    """Name, type and default, with stars where they belong."""
    assert parameter_text(parameter) == text


def test_a_long_default_is_cut() -> None:
    """A table stays a table."""
    assert len(parameter_text(ParameterSpec("a", required=False, default=list(range(1000))))) < 50


def test_columns_are_aligned_and_nothing_is_cut() -> None:
    """Every cell starts under its heading."""
    tools = [ToolSpec("ping", "Say that\nit is there"), ToolSpec("train", "Train", streaming=True, parameters=(ParameterSpec("epochs"),))]
    assert columns(row(tool) for tool in tools) == [
        "TOOL   PARAMETERS  STREAMS  DESCRIPTION",
        "ping                        Say that it is there",
        "train  epochs      yes      Train",
    ]


def test_a_document_is_plain_and_leaves_out_defaults_that_are_not_there() -> None:
    """Programs tell "no default" from a default of null."""
    tool = ToolSpec("t", parameters=(ParameterSpec("a"), ParameterSpec("b", required=False, default=None)))
    parameters = json.loads(json_line(document(tool)))["parameters"]
    assert "default" not in parameters[0]
    assert parameters[1]["default"] is None
