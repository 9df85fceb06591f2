"""Settings and adapters that cannot be: each a clear error that names things, before or instead of a start."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from worker_faces import ADAPTERS, adapter, face_of, nothing_left

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module."""
    with nothing_left(tmp_path_factory):
        yield


# Settings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [snakepit.Pool, snakepit.AsyncPool])
@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("size", 0, "size is 0; allowed is a whole number from 1"),
        ("size", -1, "size is -1"),
        ("size", 1.5, "size is 1.5"),
        ("size", "2", "size is '2'"),
        ("size", True, "size is True"),
        ("start_timeout", 0, "start_timeout is 0"),
        ("close_timeout", -1, "close_timeout is -1"),
        ("cancel_timeout", None, "cancel_timeout is None"),
        ("stream_timeout", 0, "stream_timeout is 0"),
        ("queue_timeout", float("nan"), "queue_timeout is nan"),
        ("queue_size", -1, "queue_size is -1"),
        ("window_chunks", 0, "window_chunks is 0"),
        ("window_bytes", 0, "window_bytes is 0"),
        ("base_port", 65536, "base_port is 65536"),
        ("port_range", -1, "port_range is -1"),
        ("protocol", "carrier pigeon", "protocol is 'carrier pigeon'"),
        ("profile", "fibre", "profile is 'fibre'"),
        ("worker_output", "nowhere", "worker_output is 'nowhere'"),
        ("worker_output", 5, "worker_output is 5"),
        ("python", "/no/such/python", "python is '/no/such/python'"),
        ("cwd", "/no/such/folder", "cwd is '/no/such/folder'"),
        ("env", {"A": 1}, "env must map text to text"),
        ("env", "A=1", "env must map text to text"),
        ("sise", 2, "did you mean size?"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_setting_that_cannot_be(pool: Any, setting: str, value: Any, said: str) -> None:
    """Said when the pool is made: the field, what came, what is allowed."""
    with pytest.raises(snakepit.ConfigurationError) as caught:
        pool(adapter("taking", "Taking"), **{setting: value})
    assert said in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("import nothing_of_that_name\n", "No module named 'nothing_of_that_name'", "import nothing_of_that_name"),
        ("def f(:\n", "SyntaxError", "def f(:"),
        ("raise ValueError('at import')\n", "ValueError: at import", "raise ValueError('at import')"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3", "sys.exit(3)"),
        ("class Mute(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Mute\n", "Mute", "raise Mute"),
        ("def f():\n    f()\nf()\n", "RecursionError", "f()"),
        ("x = 1\n", "has no tools", ""),
        ("", "has no tools", ""),
    ],
    ids=["import", "syntax", "raises", "exits", "mute", "recursion", "no tools", "empty"],
)
def test_an_adapter_that_cannot_be_used(kind: str, text: str, said: str, line: str, tmp_path: pathlib.Path) -> None:
    """The start fails with one sentence, and the adapter's own traceback as its cause when it raised."""
    path = tmp_path / "broken.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(snakepit.AdapterError) as caught, face_of(kind, str(path)):
        pass
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    if line:
        assert line in str(caught.value.__cause__)
        assert "snakepit_bridge" not in str(caught.value.__cause__)
    else:
        assert "put @tool" in caught.value.hint


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("taking:Takin", "Taking"),
        ("takin:Taking", "taking"),
        (str(ADAPTERS / "takin.py"), "taking.py"),
        (f"{ADAPTERS / 'taking.py'}:Taken", "Taking"),
        ("not a name", "write package.module:Class"),
        ("", "write package.module:Class"),
        (ADAPTERS, "is a folder"),
        (5, "got int"),
        ([], "empty list"),
        (lambda: 1, "lambda"),
        (threading.Lock(), "got lock"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_adapter_that_is_not_there(kind: str, reference: Any, said: str) -> None:
    """A name that names nothing is an error with near ones, or with what is allowed."""
    with pytest.raises((snakepit.AdapterError, snakepit.ConfigurationError)) as caught, face_of(kind, reference):
        pass
    assert said in str(caught.value)
