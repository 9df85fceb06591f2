"""Tools that do again what `snakepit run --record` has written down: the chunks, the reports, the end, at the recorded times or at once."""

import itertools
import json
import time
from typing import Any, Callable, Dict, Generator, Iterator, List, NamedTuple, Optional, Sequence

from ..base_adapter import StreamChunk, current_call, tool
from ..wire.codecs import JsonCodec, Malformed

#: Errors of a worker that dies: the tool is followed by nothing.
_DEATHS = frozenset({"worker_crashed", "channel_error"})
#: Errors that come from the caller's side: the tool just goes on.
_ENDLESS = frozenset({"worker_timeout", "chunk_timeout", "hang_timeout", "call_cancelled", "queue_timeout", "pool_closed"})


class Step(NamedTuple):
    """Something that happened: `at` seconds after the call, a `chunk`, `progress`, `result` or `error`."""

    at: float
    what: str
    value: Any
    metadata: Optional[Dict[str, Any]]


class Recording(NamedTuple):
    """One recorded call."""

    tool: str
    streaming: bool
    args: Dict[str, Any]
    steps: List[Step]


def read_recording(lines: Sequence[bytes]) -> Recording:
    """The call that was written down.

    Raises:
        ValueError: these are not the lines of a recording; the message says which.
    """
    codec, documents = JsonCodec(), []
    for number, line in enumerate(lines, 1):
        try:
            document = codec.decode(line)
        except Malformed as error:
            raise ValueError("line %d is not JSON: %s" % (number, error)) from None
        documents.append(document)
    head = documents[0] if documents else None
    if not isinstance(head, dict) or head.get("snakepit_recording") != 1 or not isinstance(head.get("tool"), str):
        raise ValueError('line 1 is not the head of a recording: {"snakepit_recording": 1, "tool": ...}')
    steps = [_step(number, document) for number, document in enumerate(documents[1:], 2)]
    args = head.get("args")
    return Recording(head["tool"], bool(head.get("streaming")), args if isinstance(args, dict) else {}, steps)


def _step(number: int, document: Any) -> Step:
    if isinstance(document, dict) and isinstance(document.get("at"), (int, float)):
        for what in ("chunk", "progress", "result", "error"):
            if what in document:
                return Step(float(document["at"]), what, document[what], document.get("metadata"))
    shown = json.dumps(document, default=repr)[:60]
    raise ValueError('line %d is %s; allowed is {"at": seconds} with a chunk, progress, result or error' % (number, shown))


def player_of(recordings: Sequence[Recording], delays: bool, crash: Callable[[str], None]) -> Callable[..., Any]:
    """A tool that plays recordings of one tool, one per call, then the last again and again.

    Args:
        delays: wait as long as the recorded tool had taken.
        crash: ends the worker of that id.
    """
    following = itertools.chain(recordings, itertools.repeat(recordings[-1]))
    name, streaming = recordings[0].tool, recordings[0].streaming

    def stream(**args: Any) -> Generator[Any, None, Any]:
        play = _Play(next(following), delays, crash)
        for step in play.steps():
            yield play.chunk(step)
        return play.result

    def once(**args: Any) -> Any:
        play = _Play(next(following), delays, crash)
        for step in play.steps():
            raise ValueError("a recording of one result has a chunk: %r" % (step.value,))
        return play.result

    function: Callable[..., Any] = stream if streaming else once
    function.__name__ = function.__qualname__ = name
    return tool(name=name, description="plays a recording", supports_streaming=streaming)(function)


class _Play:
    """One run of a recording."""

    def __init__(self, recording: Recording, delays: bool, crash: Callable[[str], None]) -> None:
        self._recording = recording
        self._delays = delays
        self._crash = crash
        self._at = 0.0
        self.result: Any = None

    def steps(self) -> Iterator[Step]:
        """The chunks; reports are made, and the end comes, on the way."""
        for step in self._recording.steps:
            if self._delays:
                time.sleep(max(0.0, step.at - self._at))
                self._at = max(self._at, step.at)
            if step.what == "chunk":
                yield step
            elif step.what == "progress":
                self._report(step.value)
            elif step.what == "result":
                self.result = step.value
                return
            else:
                self._fail(step.value)
        if not any(step.what in ("result", "error") for step in self._recording.steps):
            self._wait()  # the command was killed: nobody knows how it went on

    @staticmethod
    def chunk(step: Step) -> Any:
        """What the tool had yielded."""
        payload, final = step.value, False
        if isinstance(payload, dict):
            final = bool(payload.get("is_final"))
            keys = set(payload) - {"is_final"}
            if keys == {"data"} or (keys == {"raw_data"} and isinstance(payload["raw_data"], bytes)):
                payload = payload[keys.pop()]
        return StreamChunk(payload, is_final=final, metadata=step.metadata) if final or step.metadata else payload

    @staticmethod
    def _report(report: Any) -> None:
        report = dict(report)
        done, total = report.pop("progress", 0), report.pop("total", None)
        report.pop("percent", None)
        current_call().progress(done, total, **report)

    def _fail(self, facts: Dict[str, Any]) -> None:
        code = facts.get("code")
        if code in _DEATHS:
            self._crash(current_call().worker_id)
        if code in _DEATHS or code in _ENDLESS:
            self._wait()
        # What was raised is known by its name alone; where it was defined may not be here.
        raise type(str(facts.get("type") or "Exception"), (Exception,), {"__module__": "builtins"})(facts.get("message", ""))

    @staticmethod
    def _wait() -> None:
        call = current_call()
        while True:
            call.check()
            time.sleep(0.05)
