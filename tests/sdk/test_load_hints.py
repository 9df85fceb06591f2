"""An adapter that another Python cannot import: the error says which Python that is, and what it lacks."""

from __future__ import annotations

import sys

import pytest

from snakepit_bridge._runtime.load_errors import blame


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ModuleNotFoundError("No module named 'numpy.linalg'", name="numpy.linalg"),
            "does not find numpy: install it there, or name its folder",
        ),
        (
            ModuleNotFoundError("No module named 'snakepit'", name="snakepit"),
            "has the worker's half alone, snakepit_bridge: put the tools into a file",
        ),
    ],
)
def test_what_is_missing(error: Exception, words: str) -> None:
    """With the interpreter's version and path."""
    hint = blame(error, "importing tools.py failed").hint
    assert words in hint
    assert sys.executable in hint


def test_what_is_too_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an older Python than the host's, syntax that it does not know points there; on this one it is the file's own affair."""
    assert blame(SyntaxError("invalid syntax"), "importing tools.py failed").hint == ""
    monkeypatch.setattr(sys, "version_info", (3, 8, 18, "final", 0))
    assert "CPython 3.8.18" in blame(SyntaxError("invalid syntax"), "importing tools.py failed").hint
