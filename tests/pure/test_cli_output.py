"""Standard output that somebody stops reading, the signals that end a command, and the library's warnings."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pathlib
import queue
import signal
import threading
import time
from collections.abc import Iterator
from typing import TextIO

import pytest

from snakepit.cli.interrupts import Interrupted, Interrupts
from snakepit.cli.notes import Notes
from snakepit.cli.output import Output, OutputFailed, ReaderLeft, say


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe: the descriptor to read from, and the file to write to."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as file:
        yield reader, file
    with contextlib.suppress(OSError):  # a test may have closed it
        os.close(reader)


def test_each_line_is_there_at_once(pipe: tuple[int, TextIO]) -> None:
    """A line can be read before the next one is written, and ends once."""
    reader, writer = pipe
    output = Output(writer)
    output.line("one")
    assert os.read(reader, 100) == b"one\n"
    output.line("two\n")
    output.raw(b"\xff")
    assert os.read(reader, 100) == b"two\n\xff"


def test_what_cannot_be_encoded_is_escaped(pipe: tuple[int, TextIO]) -> None:
    """Half a character of a tool does not fail the call."""
    Output(pipe[1]).line("a\udcff")
    assert os.read(pipe[0], 100) == b"a\\udcff\n"


def test_a_reader_that_left_is_no_traceback(pipe: tuple[int, TextIO]) -> None:
    """Writing after the reader has gone says so, and leaves nothing for the flush at exit to fail on."""
    os.close(pipe[0])
    output = Output(pipe[1])
    with pytest.raises(ReaderLeft):
        output.line("x")
    output.line("nobody hears this, and it is no error any more")


def test_a_full_disk_is_told() -> None:
    """The system's own words are in the error."""
    with pathlib.Path("/dev/full").open("w", encoding="utf-8") as full, pytest.raises(OutputFailed, match="No space left"):
        Output(full).line("x")


def test_only_pipes_have_a_reader_that_can_leave(pipe: tuple[int, TextIO]) -> None:
    """A file, a device and an object in memory have none."""
    assert Output(pipe[1]).pipe() == pipe[1].fileno()
    with pathlib.Path(os.devnull).open("w", encoding="utf-8") as file:
        assert Output(file).pipe() is None
    assert Output(io.StringIO()).pipe() is None


def test_words_that_nobody_can_hear_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard error does not matter."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    assert say("x") is None


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143), (signal.SIGHUP, "the end of the terminal", 129)],
)
def test_a_signal_interrupts_once(number: signal.Signals, name: str, code: int) -> None:
    """The first one raises, and afterwards the handlers are as they were."""
    outside = signal.signal(number, signal.default_int_handler)  # under nohup the last of them would be ignored
    try:
        with pytest.raises(Interrupted) as caught, Interrupts():
            signal.raise_signal(number)
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, outside)
    assert (caught.value.name, caught.value.exit_code, caught.value.told) == (name, code, False)


def test_a_signal_that_does_not_wake_the_main_thread() -> None:
    """As one that comes just before it waits: here another thread gets it. Others' signals interrupt nothing."""
    seen: list[int] = []
    outside = signal.signal(signal.SIGUSR1, lambda number, _frame: seen.append(number))
    waits: queue.SimpleQueue[None] = queue.SimpleQueue()

    def send() -> None:
        for number in (signal.SIGUSR1, signal.SIGTERM):
            time.sleep(0.15)
            signal.pthread_kill(threading.get_ident(), number)

    try:
        with Interrupts():
            threading.Thread(target=send).start()
            with pytest.raises(Interrupted) as caught:
                waits.get(timeout=20)
    finally:
        signal.signal(signal.SIGUSR1, outside)
    assert (caught.value.name, seen) == ("SIGTERM", [signal.SIGUSR1])


def test_a_second_signal_is_answered_and_a_third_is_not_caught(capfd: pytest.CaptureFixture[str]) -> None:
    """While workers end, impatience gets words first, and then its way."""
    with Interrupts():
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert "being ended" in capfd.readouterr().err


def test_an_ignored_signal_stays_ignored() -> None:
    """Under nohup the end of the terminal ends nothing."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_pipe_whose_reader_leaves_interrupts_a_silent_tool(pipe: tuple[int, TextIO]) -> None:
    """The wait for a next chunk ends although nothing is written."""
    with pytest.raises(Interrupted) as caught, Interrupts(pipe[1].fileno()):
        os.close(pipe[0])
        threading.Event().wait(30)
    assert (caught.value.exit_code, caught.value.told, caught.value.quiet) == (141, True, True)


def test_a_warning_is_kept_unless_the_error_tells_it() -> None:
    """A worker's end that the error names is not told twice; other warnings are told once each."""
    log = logging.getLogger("snakepit.pool")
    with Notes() as notes:
        log.warning("%s is gone: %s", "worker-1", "killed by SIGKILL")
        log.warning("%s: %s", "worker-1", "went on after the end")
        log.warning("%s: %s", "worker-1", "went on after the end")
        log.info("not worth a word")
    assert notes.untold("it died: killed by SIGKILL") == ["warning: worker-1: went on after the end"]
    assert len(notes.untold("")) == 2


def test_warnings_without_end_are_counted() -> None:
    """Fifty are enough to read."""
    with Notes() as notes:
        for number in range(60):
            logging.getLogger("snakepit.pool").warning("%s", number)
    assert notes.untold("nothing")[-1] == "warning: 10 more"
