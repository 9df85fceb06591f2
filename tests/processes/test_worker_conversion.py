"""Arguments arrive in the tool as it is annotated: every kind through one real pool, and the errors of those that cannot."""

from __future__ import annotations

import datetime
import decimal
import importlib.util
import json
import pathlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from worker_faces import adapter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]


def _tools() -> Any:
    spec = importlib.util.spec_from_file_location("annotated_tools_of_the_host", adapter("annotated", "Annotated").rpartition(":")[0])
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


#: The host's own copy of the tools' classes: their instances are what callers pass.
tools = _tools()
Color, Point, Shape = tools.Color, tools.Point, tools.Shape

UTC = datetime.UTC
DAY, MOMENT = datetime.date(2024, 5, 31), datetime.datetime(2024, 5, 31, 12, 0, 0, 500000)
SHAPE = Shape([Point(1), Point(2, Color.BLUE)], pathlib.Path("a/b"))
IDENTITY = uuid.UUID(int=7)


@pytest.fixture(scope="module")
def pool(module_leaves_nothing: None) -> Iterator[snakepit.Pool]:
    """One worker with the annotated tools."""
    with snakepit.Pool(adapter("annotated", "Annotated"), size=1) as pool:
        yield pool


@pytest.mark.parametrize(
    ("name", "value", "arrived"),
    [
        ("path", "a/b", "PurePosixPath('a/b')"),
        ("path", pathlib.Path("a/b"), "PurePosixPath('a/b')"),
        ("color", Color.RED, "<Color.RED: 'red'>"),
        ("color", "red", "<Color.RED: 'red'>"),
        ("color", "RED", "<Color.RED: 'red'>"),
        ("later", "BLUE", "<Color.BLUE: 'blue'>"),
        ("moment", MOMENT, repr(MOMENT)),
        ("moment", MOMENT.replace(tzinfo=UTC), repr(MOMENT.replace(tzinfo=datetime.timezone.utc))),  # noqa: UP017
        ("moment", "2024-05-31T12:00:00.5", repr(MOMENT)),
        ("day", DAY, repr(DAY)),
        ("day", "2024-05-31", repr(DAY)),
        ("day", MOMENT, repr(MOMENT)),
        ("clock", MOMENT.time(), repr(MOMENT.time())),
        ("clock", "12:00:00.5", repr(MOMENT.time())),
        ("duration", datetime.timedelta(days=-1, seconds=3, microseconds=5), repr(datetime.timedelta(days=-1, seconds=3, microseconds=5))),
        ("duration", 90, repr(datetime.timedelta(seconds=90))),
        ("duration", "PT1M30S", repr(datetime.timedelta(seconds=90))),
        ("identity", IDENTITY, repr(IDENTITY)),
        ("identity", str(IDENTITY), repr(IDENTITY)),
        ("amount", decimal.Decimal("1.50"), "Decimal('1.50')"),
        ("amount", 0.1, "Decimal('0.1')"),
        ("buffer", b"ab", "bytearray(b'ab')"),
        ("numbers", {3}, "{3}"),
        ("numbers", [3, 3], "{3}"),
        ("numbers", frozenset({3}), "{3}"),
        ("frozen", {(1, "a")}, "frozenset({(1, 'a')})"),
        ("pair", (Color.RED, 1), "(<Color.RED: 'red'>, 1)"),
        ("pair", ["BLUE", 1], "(<Color.BLUE: 'blue'>, 1)"),
        ("run", [0, 1, 2], "(0, 1, 2)"),
        ("shape", {"points": [{"x": 1}], "file": None}, "Shape(points=[Point(x=1, color=<Color.RED: 'red'>)], file=None)"),
        ("shape", SHAPE, repr(SHAPE)),
        ("either", None, "None"),
        ("either", 5, "5"),
        ("either", "2024-05-31", repr(DAY)),
        ("table", {"k": [pathlib.PurePosixPath("a"), "b"]}, "{'k': [PurePosixPath('a'), PurePosixPath('b')]}"),
    ],
)
def test_arguments_arrive_as_annotated(pool: snakepit.Pool, name: str, value: Any, arrived: str) -> None:
    """An instance of the annotated class, and each form it may have instead, give the tool the same."""
    assert pool.execute(name, {"value": value}) == arrived


def test_the_rest_of_a_signature_is_converted_too(pool: snakepit.Pool) -> None:
    """Items of `*args` and values of `**kwargs`, of a tool that streams."""
    values = pool.stream("each", {"value": ["red", Color.BLUE], "first": "2024-05-31"}).values()
    assert list(values) == ["<Color.RED: 'red'>", "<Color.BLUE: 'blue'>", repr(DAY)]


@pytest.mark.parametrize(
    ("name", "value", "message", "hint"),
    [
        (
            "day",
            "2024-13-01",
            "day(): argument 'value' must be a date as ISO 8601 text, such as 2024-05-31, got str: '2024-13-01'",
            "month must",
        ),
        ("identity", "7", "identity(): argument 'value' must be a UUID as text, such as 12345678-1234-5678-", "badly formed"),
        ("pair", ["red"], "pair(): argument 'value' must be a list of 2, got list: ['red']", "there are 1"),
        (
            "shape",
            {"dots": []},
            "shape(): argument 'value' must be a Shape, as a dict of its fields (points, file), got",
            "Shape has no field 'dots'",
        ),
        ("shape", {}, "shape(): argument 'value' must be a Shape", "Shape lacks 'points'"),
        (
            "shape",
            {"points": [{"x": 1, "color": "grey"}]},
            "shape(): argument 'value' does not fit Shape: value.points[0].color must be one of",
            "",
        ),
        (
            "either",
            "soon",
            "either(): argument 'value' must be a date as ISO 8601 text, such as 2024-05-31 or None, got str: 'soon'",
            "Invalid",
        ),
    ],
)
def test_what_cannot_be_converted_ends_the_call(pool: snakepit.Pool, name: str, value: Any, message: str, hint: str) -> None:
    """`InvalidParameter` names the tool, the parameter, what came and what is allowed; the worker goes on."""
    pid = pool.workers()[0].info().pid
    with pytest.raises(snakepit.InvalidParameter) as caught:
        pool.execute(name, {"value": value})
    assert caught.value.code == "invalid_parameter"
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)
    assert (caught.value.details["tool"], caught.value.details["parameter"]) == (name, "value")
    assert pool.execute("color", {"value": "red"}) == "<Color.RED: 'red'>"
    assert pool.workers()[0].info().pid == pid


def test_a_stream_of_what_cannot_be_converted_ends_so_too(pool: snakepit.Pool) -> None:
    """No chunk, and the same error as of `execute`."""
    with pytest.raises(snakepit.InvalidParameter, match=r"each\(\): argument 'first' must be a date as ISO 8601 text"):
        list(pool.stream("each", {"first": "soon"}))


@pytest.mark.parametrize(
    ("name", "text", "arrived"),
    [
        ("path", "5", "PurePosixPath('5')"),
        ("color", "BLUE", "<Color.BLUE: 'blue'>"),
        ("shape", '{"points": []}', "Shape(points=[], file=None)"),
    ],
)
def test_words_of_a_command_line_arrive_as_annotated(name: str, text: str, arrived: str) -> None:
    """`snakepit run tool value=text` gives the tool what it is annotated with."""
    command = [sys.executable, "-m", "snakepit", "run", name, "-a", adapter("annotated", "Annotated"), f"value={text}", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert arrived in json.dumps(json.loads(done.stdout))
