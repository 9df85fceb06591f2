"""A tool that follows a growing log file, through rotation and truncation, and reports the lines that match patterns.

`FollowedFile` gives whole lines as they appear; `LogAdapter` looks at them; `parse_timestamp` and `severity_of` read a
line. Standard library alone.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Self

from snakepit_bridge.base_adapter import BaseAdapter, tool

#: Seconds between two looks at the file.
POLL_SECONDS = 0.05
READ_BYTES = 64 * 1024
#: A line longer than this many bytes is given in pieces, so that a file without line ends cannot fill the memory.
LONGEST_LINE = 1024 * 1024


class LogAdapter(BaseAdapter):
    """Offers `tail_and_analyze`."""

    @tool(description="Tail and analyze logs in real-time", supports_streaming=True)
    def tail_and_analyze(
        self,
        log_path: str,
        patterns: list[str],
        context_lines: int = 3,
        follow: bool = True,
        from_start: bool = True,
        max_seconds: float | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Report the lines of a log that match a pattern, one chunk per line and pattern.

        Args:
            log_path: the log file; it must be there at the start.
            patterns: regular expressions.
            context_lines: how many lines before a match its chunk carries, under `context`.
            follow: wait for new lines, without end. False: stop at the end of the file.
            from_start: report what is in the file already. False: only what is added from now on.
            max_seconds: stop following after so many seconds.

        Yields:
            `line_number` (from 1, anew in each file), `log_line`, `pattern_matched`, `severity` (FATAL, ERROR, WARN, INFO),
            `timestamp` (ISO 8601, or None if the line has none), `context`. At the end `message`, `lines_read`, `matches`.
        """
        if context_lines < 0:
            raise ValueError(f"context_lines: got {context_lines}, allowed is 0 or more")
        searches = [(pattern, _compile(pattern)) for pattern in patterns]
        context: deque[str] = deque(maxlen=context_lines)
        read = matches = 0
        with FollowedFile(log_path) as log:
            for line_number, line in log.lines(follow=follow, max_seconds=max_seconds):
                read += 1
                if from_start or log.caught_up:
                    for pattern, search in searches:
                        if search.search(line):
                            matches += 1
                            yield _match_chunk(line_number, line, pattern, list(context))
                context.append(line)
        yield {"is_final": True, "message": "Log analysis complete", "lines_read": read, "matches": matches}


class FollowedFile:
    """A file that others write to, rename, replace and truncate, read line by line.

    A renamed file is left when the file that took its place has its first bytes: until then its writer may not have
    noticed. A file that is truncated and grows past the old place between two looks cannot be told from one that grew.

    Attributes:
        caught_up: was the end of the file reached once?
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self.caught_up = False
        self._file: BinaryIO = self._path.open("rb", buffering=0)
        self._partial = b""
        self._line_number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()

    def lines(self, *, follow: bool = True, max_seconds: float | None = None) -> Iterator[tuple[int, str]]:
        """The lines with their numbers; bytes that are no UTF-8 are replaced. A line without its end is waited for."""
        give_up = None if max_seconds is None else time.monotonic() + max_seconds
        while True:
            replaced = follow and self._has_successor()  # asked before reading: what came before the answer is read here
            yield from self._read_to_end()
            self.caught_up = True
            if not follow:
                yield from self._take_partial()
                return
            if replaced:
                yield from self._take_partial()
                self._open_successor()
                continue
            if give_up is not None and time.monotonic() >= give_up:
                return
            self._rewind_if_truncated()
            time.sleep(POLL_SECONDS)

    def _read_to_end(self) -> Iterator[tuple[int, str]]:
        while piece := self._file.read(READ_BYTES):
            *whole, self._partial = (self._partial + piece).split(b"\n")
            for line in whole:
                yield self._numbered(line)
            if len(self._partial) > LONGEST_LINE:
                yield from self._take_partial()

    def _take_partial(self) -> Iterator[tuple[int, str]]:
        line, self._partial = self._partial, b""
        if line:
            yield self._numbered(line)

    def _numbered(self, line: bytes) -> tuple[int, str]:
        self._line_number += 1
        return self._line_number, line.rstrip(b"\r").decode("utf-8", errors="replace")

    def _has_successor(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino) and there.st_size > 0

    def _open_successor(self) -> None:
        try:
            successor = self._path.open("rb", buffering=0)
        except FileNotFoundError:  # gone again already; the next look finds what follows
            return
        self._file.close()
        self._file = successor
        self._line_number = 0

    def _rewind_if_truncated(self) -> None:
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            self._partial = b""
            self._line_number = 0


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"patterns: {pattern!r} is no regular expression: {error}") from error


def _match_chunk(line_number: int, line: str, pattern: str, context: list[str]) -> dict[str, Any]:
    return {
        "line_number": line_number,
        "log_line": line.strip(),
        "pattern_matched": pattern,
        "severity": severity_of(line),
        "timestamp": parse_timestamp(line),
        "context": context,
        "is_final": False,
    }


_LEVELS = {"FATAL": "FATAL", "CRITICAL": "FATAL", "PANIC": "FATAL", "ERROR": "ERROR", "WARN": "WARN", "WARNING": "WARN"}
_LEVEL = re.compile(r"\b(FATAL|CRITICAL|PANIC|ERROR|WARNING|WARN|INFO|NOTICE|DEBUG|TRACE)\b", re.IGNORECASE)


def severity_of(line: str) -> str:
    """FATAL, ERROR, WARN or INFO, by the first level word in the line; INFO if it has none."""
    found = _LEVEL.search(line)
    return _LEVELS.get(found[1].upper(), "INFO") if found else "INFO"


_MONTHS = {name: number for number, name in enumerate(re.findall("...", "JanFebMarAprMayJunJulAugSepOctNovDec"), 1)}
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,6}))?\d*\s?(Z|[+-]\d\d:?\d\d)?")
_COMMON_LOG = re.compile(r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})\]")
_SYSLOG = re.compile(r"^(?:<\d+>)?([A-Z][a-z]{2}) +(\d{1,2}) (\d\d:\d\d:\d\d)")


def parse_timestamp(line: str, now: datetime | None = None) -> str | None:
    """The time a log line names, as ISO 8601; None if it names none.

    Understands ISO 8601 (also with a space or a decimal comma), the common log format of web servers, and syslog's
    `Jan 20 15:30:45`. The latter has no year: the year is taken that puts it no more than a day after `now`.
    """
    try:
        if found := _ISO.search(line):
            day, clock, fraction, zone = found.groups()
            micros = f".{fraction:0<6}" if fraction else ""
            zone = "+00:00" if zone == "Z" else zone or ""
            return datetime.fromisoformat(f"{day}T{clock}{micros}{zone}").isoformat()
        if found := _COMMON_LOG.search(line):
            day, month, year, clock, zone = found.groups()
            return datetime.fromisoformat(f"{year}-{_MONTHS[month]:02d}-{day}T{clock}{zone}").isoformat()
        if found := _SYSLOG.search(line):
            month, day, clock = found.groups()
            return _with_year(_MONTHS[month], int(day), clock, now or datetime.now().astimezone().replace(tzinfo=None))
    except (KeyError, ValueError):  # looks like a time and is none, such as the 31st of February
        return None
    return None


def _with_year(month: int, day: int, clock: str, now: datetime) -> str:
    for year in range(now.year + 1, now.year - 8, -1):  # 8 years back hold at least one 29th of February
        try:
            moment = datetime.fromisoformat(f"{year}-{month:02d}-{day:02d}T{clock}")
        except ValueError:
            continue
        if moment <= now + timedelta(days=1):
            return moment.isoformat()
    raise ValueError(clock)
