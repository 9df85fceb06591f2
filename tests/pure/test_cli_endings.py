"""Every error becomes an exit code, words for people and a document for programs."""

from __future__ import annotations

import json

import pytest

from snakepit import errors
from snakepit.cli.endings import error_document, error_text, exit_code, interruption_document, interruption_text
from snakepit.cli.lines import json_line

TRACEBACK = 'Traceback (most recent call last):\n  File "tools.py", line 3, in train\nValueError: no data\n'


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ToolError("x"), 1),
        (errors.WorkerCrashed("x"), 1),
        (errors.ChannelError("x"), 1),
        (errors.SerializationError("x"), 1),
        (errors.CallCancelled("x"), 1),
        (errors.PoolStartFailed("x"), 1),
        (errors.PoolBroken("x"), 1),
        (errors.UnknownTool("x"), 2),
        (errors.InvalidParameter("x"), 2),
        (errors.WrongCallStyle("x"), 2),
        (errors.ConfigurationError("x"), 2),
        (errors.AdapterError("x"), 2),
        (errors.PlatformUnsupported("x"), 2),
        (errors.WorkerTimeout("x"), 124),
        (errors.ChunkTimeout("x"), 124),
        (errors.QueueTimeout("x"), 124),
    ],
)
def test_each_error_has_its_exit_code(error: errors.SnakepitError, code: int) -> None:
    """1 for what ran and failed, 2 for a wrong command, 124 for time."""
    assert exit_code(error) == code


def test_a_start_that_failed_for_the_adapter_is_a_wrong_command() -> None:
    """What the pool wraps counts as what it is."""
    error = errors.PoolStartFailed("no worker became ready")
    error.__cause__ = errors.AdapterError("no module named nothing")
    assert exit_code(error) == 2


def test_the_users_traceback_comes_last() -> None:
    """The last line on the screen is the user's own exception."""
    error = errors.ToolError("tool 'train' raised ValueError: no data", type="ValueError", traceback=TRACEBACK, hint="give it data")
    text = error_text(error)
    assert text.startswith("snakepit: tool 'train' raised ValueError: no data\n  hint: give it data\nTraceback")
    assert text.endswith("ValueError: no data")


def test_an_adapters_traceback_is_shown_too() -> None:
    """An adapter that fails in its import shows where."""
    error = errors.AdapterError("tools.py cannot be imported", traceback=TRACEBACK)
    error.__cause__ = errors.WorkerTraceback(TRACEBACK)
    assert error_text(error) == f"snakepit: tools.py cannot be imported\n{TRACEBACK.rstrip()}"


def test_the_document_has_what_a_program_needs() -> None:
    """Code, type, message, place and traceback, as plain JSON, nothing twice."""
    error = errors.ToolError("failed", type="ValueError", traceback=TRACEBACK, chunk=3, tool="train", worker_id="worker-1", path=None)
    assert json.loads(json_line(error_document(error, "train"))) == {
        "error": {
            "code": "tool_error",
            "type": "ValueError",
            "message": "failed",
            "tool": "train",
            "chunk": 3,
            "traceback": TRACEBACK.rstrip(),
            "details": {"worker_id": "worker-1"},
        }
    }


def test_details_that_are_no_json_do_not_break_the_document() -> None:
    """A document is made of anything an error knows."""
    document = error_document(errors.WorkerCrashed("died", stderr=(b"\xff",), kind=ValueError))
    assert json.loads(json_line(document))["error"]["details"]["kind"] == "<class 'ValueError'>"


@pytest.mark.parametrize(("chunks", "after"), [(None, ""), (0, " after 0 chunks"), (1, " after 1 chunk"), (2, " after 2 chunks")])
def test_an_interruption_says_what_became_of_the_call(chunks: int | None, after: str) -> None:
    """One line: who asked, and how far the stream got."""
    assert interruption_text("Ctrl-C", "train", chunks) == f"snakepit: Ctrl-C: cancelled train{after}"
    assert interruption_document("Ctrl-C", "train")["error"]["code"] == "call_cancelled"


@pytest.mark.parametrize(
    ("error", "words"), [(errors.WorkerTimeout("x", hint="timeout=None"), "--timeout"), (errors.WrongCallStyle("x"), "supports_streaming")]
)
def test_hints_speak_of_the_command_line(error: errors.SnakepitError, words: str) -> None:
    """Where the library names a Python argument, the command names its option."""
    assert words in error_text(error)
    assert words in error_document(error)["error"]["hint"]
    assert "timeout=None" not in error_text(error)
