"""Canaries are planted wherever secrets may be, and none is found in logs, errors, crash reports, output or files."""

from __future__ import annotations

import base64
import contextlib
import logging
import pathlib
import secrets
import tempfile
import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import snakepit
from pool_helpers import wait_until
from worker_faces import adapter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

LEAKING = adapter("leaking", "Leaking")
LEAKING_MORE = adapter("leaking_more", "LeakingMore")

#: Long enough that no piece of 8 characters of it occurs by chance.
CANARIES = {
    name: f"Canary-{name}-{secrets.token_hex(8)}"
    for name in ("argument", "nested", "host", "worker", "pattern", "unknown", "session", "answer", "returned", "chunk", "patient")
}
CANARIES["pattern"] = "AKIA" + secrets.token_hex(8).upper()

ARGS: dict[str, Any] = {"password": CANARIES["argument"], "config": {"db": {"api_key": CANARIES["nested"]}, "shape": CANARIES["pattern"]}}


def pieces(canary: str) -> set[str]:
    """What would give a canary away: any 8 characters of its random part, plain, quoted, in hex or in base64."""
    found = set()
    random = canary[-16:]
    for piece in (random[at : at + 8] for at in range(9)):
        raw = piece.encode()
        found |= {piece, raw.hex(), quote(piece, safe="")}
    for shift in range(3):
        core = base64.b64encode(b"\0" * shift + random.encode()).decode().rstrip("=")[4:-2]
        found |= {core[at : at + 12] for at in range(len(core) - 11)}
    return found


TRACES = {name: pieces(canary) for name, canary in CANARIES.items()}


def leaks(text: str) -> list[str]:
    """The names of the canaries that a text shows, with what stands around."""
    return [
        f"{name}: ...{text[max(0, text.find(p) - 80) : text.find(p) + 40]!r}"
        for name, traces in TRACES.items()
        for p in traces
        if p in text
    ]


class Capture(logging.Handler):
    """Keeps every record of every logger."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)

    @property
    def text(self) -> str:
        """All that a formatter could make of them."""
        formatter = logging.Formatter("%(levelname)s %(name)s %(message)s")
        return "\n".join(f"{formatter.format(record)} {record.__dict__}" for record in self.kept)


@pytest.fixture
def captured() -> Iterator[Capture]:
    """Everything that is logged at DEBUG, whoever logs it."""
    capture, root, library = Capture(), logging.getLogger(), logging.getLogger("snakepit")
    levels = root.level, library.level
    root.addHandler(capture)
    root.setLevel(logging.DEBUG)
    try:
        yield capture
    finally:
        root.removeHandler(capture)
        root.setLevel(levels[0])
        library.setLevel(levels[1])


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Canaries in the host's environment, and what the worker gets besides."""
    monkeypatch.setenv("CANARY_TOKEN", CANARIES["host"])
    monkeypatch.setenv("SNAKEPIT_LOG_LEVEL", "DEBUG")
    return {"WORKER_PASSWORD": CANARIES["worker"]}


def texts_of(error: BaseException) -> str:
    """Everything that an error can show."""
    shown = [str(error), repr(error), "".join(traceback.format_exception(error)), repr(vars(error)), str(error.args)]
    return "\n".join(shown)


def files_of_pools() -> str:
    """What is in the private directories of pools, names included."""
    found = []
    for directory in pathlib.Path(tempfile.gettempdir()).glob("snakepit-*"):
        for item in directory.rglob("*"):
            found.append(str(item))
            if item.is_file():
                with contextlib.suppress(OSError):
                    found.append(item.read_text(encoding="utf-8", errors="replace"))
    return "\n".join(found)


def _refuse_login(password: str) -> None:
    raise PermissionError(f"{password} was refused, api_key={CANARIES['answer']}")


@pytest.mark.parametrize("way", ["log", "function"])
def test_no_canary_gets_out(way: str, captured: Capture, environment: dict[str, str]) -> None:
    """Arguments, results, chunks, exceptions, variables, output in every form, and a crash: nothing shows a secret."""
    told: list[str] = []
    output: Any = (lambda worker, stream, line: told.append(line)) if way == "function" else "log"
    errors: list[BaseException] = []
    with snakepit.Pool(LEAKING, size=1, env=environment, worker_output=output, log_level="DEBUG") as pool:
        pool.register_tool(lambda password: {"password": CANARIES["answer"]}, name="login")
        pool.register_tool(_refuse_login, name="refused")
        session = pool.session("canary", metadata={"password": CANARIES["session"]})
        session.execute("say_session")
        assert pool.execute("login", {"name": "login", "password": CANARIES["argument"]}) == {"password": CANARIES["answer"]}
        assert pool.execute("spread", ARGS) == {"password": CANARIES["argument"]}  # a result is its caller's, and stays whole
        chunks = [chunk.get("password") for chunk in pool.stream("stream", {"password": CANARIES["argument"]})]
        assert chunks[:3] == [CANARIES["argument"]] * 3
        for pause in (0.0, 0.7):
            pool.execute("cut", {"password": CANARIES["argument"], "pause": pause})
            pool.execute("cut", {"password": CANARIES["argument"], "pause": pause, "between": "\r"})
            pool.execute("cut_unknown", {"text": CANARIES["unknown"], "pause": pause})
        for offset in (65_536 - 10, 65_536 - 25):
            pool.execute("long_line", {"password": CANARIES["argument"], "offset": offset})
        for tool, args in (
            ("fail", ARGS),
            ("numbers", {"token": CANARIES["argument"], "count": 1}),
            ("numbers", {"token": [CANARIES["argument"]], "count": 1}),
            ("fail", {"password": CANARIES["argument"], "config": {"api_key": object()}}),
            ("fail", {"password": {"x": CANARIES["argument"]}, "config": {}}),
            ("login", {"name": "refused", "password": CANARIES["argument"]}),
            ("crash", ARGS),
        ):
            with pytest.raises(snakepit.SnakepitError) as caught:
                pool.execute(tool, args)
            errors.append(caught.value)
        files = files_of_pools()
        wait_until(lambda: pool.stats().workers_ready == 1, "the next worker")
    assert isinstance(errors[0], snakepit.ToolError)
    assert isinstance(errors[-1], snakepit.WorkerCrashed)
    assert any("the last word is ***" in line for line in errors[-1].details["stderr"])
    lines = "\n".join(told) if way == "function" else captured.text
    assert "plain *** and ***" in lines  # it has looked
    for words in (lines, captured.text, files, *map(texts_of, errors)):
        assert leaks(words) == []


class Told:
    """What a pool tells of canaries, wherever it tells it: gathered by calls that may fail."""

    def __init__(self, pool: snakepit.Pool) -> None:
        self.pool = pool
        self.errors: list[str] = []

    def calls(self, *calls: tuple[str, dict[str, Any]], session: Any = None) -> None:
        """Make them; each must fail in the tool."""
        for tool, args in calls:
            with pytest.raises(snakepit.ToolError) as caught:
                (session or self.pool).execute(tool, args)
            assert f"tool {tool!r} raised" in str(caught.value)
            self.errors.append(texts_of(caught.value))


def _halves(name: str) -> list[str]:
    return [CANARIES[name][:-8], CANARIES[name][-8:]]


def _offer(pool: snakepit.Pool) -> None:
    """Host tools that know secrets of their own, and one that quotes what it is given."""

    async def refused_later(password: str) -> None:
        raise PermissionError(f"{password} was refused")

    def several() -> Iterator[Any]:
        yield {"password": CANARIES["unknown"]}

    async def several_later() -> AsyncIterator[Any]:
        yield {"login": 1, "password": CANARIES["unknown"]}

    for function in (_refuse_login, refused_later, several, several_later):
        pool.register_tool(function)
    pool.register_tool(lambda: {"password": CANARIES["answer"]}, name="answer")


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """The application traces."""
    made, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield made
    provider.shutdown()


def test_no_canary_in_telemetry(captured: Capture, environment: dict[str, str], exporter: InMemorySpanExporter) -> None:
    """What tools and host tools quote that was in no argument: in no span of either side, no log line, error, output or file."""
    lines: list[str] = []
    settings: Any = {"secret_names": ["patient"], "secret_patterns": [r"Canary-nested-\w+"]}
    with snakepit.Pool(LEAKING_MORE, size=1, env=environment, worker_output=lambda *line: lines.append(line[2]), **settings) as pool:
        told = Told(pool)
        _offer(pool)
        told.calls(("quote", {"source": "CANARY_TOKEN"}), ("quote", {"source": "WORKER_PASSWORD"}))
        told.calls(("quote", {"source": "session"}), session=pool.session("canary", metadata={"password": CANARIES["session"]}))
        told.calls(*(("refused", {"name": name, "parts": _halves("argument")}) for name in ("_refuse_login", "refused_later")))
        told.calls(*(("use_answer", {"name": name}) for name in ("answer", "several", "several_later")))
        assert pool.execute("deliver", {"parts": _halves("returned")}) == {"login": {"password": CANARIES["returned"]}}
        told.calls(("use_kept", {}))
        with pytest.raises(snakepit.ToolError) as caught:
            list(pool.stream("yield_and_fail", {"parts": _halves("chunk")}))
        told.calls(("matching", {"text": CANARIES["nested"], "patient": CANARIES["patient"]}))
        pool.execute("cut_matching", {"text": CANARIES["nested"], "pause": 0.7})
        assert len(pool.execute("keyed", {"password": CANARIES["argument"], "text": CANARIES["nested"]})) == 2
        theirs, files = pool.execute("finished"), files_of_pools()
    ours = "\n".join(span.to_json() for span in exporter.get_finished_spans())
    for name in ("quote", "refused", "use_answer", "use_kept", "yield_and_fail", "matching", "keyed"):
        assert f'"{name}"' in ours
        assert f'"{name}"' in theirs
    assert '"refused_later"' in ours
    assert lines[lines.index("cut ") + 1] == "***"
    for word in ("quoted", "answered", "kept", "yielded"):
        assert any(line.startswith(f"{word} *** ") for line in lines), word
    for words in (ours, theirs, "\n".join(lines), captured.text, files, texts_of(caught.value), *told.errors):
        assert leaks(words) == []


def test_pools_have_names_and_patterns_of_their_own(captured: Capture) -> None:
    """`secret_names` and `secret_patterns` are masked like the built-in ones, in output and in errors."""
    told: list[str] = []
    settings: Any = {
        "secret_names": ["shape", "count"],
        "secret_patterns": [r"Canary-nested-\w+"],
        "worker_output": lambda *line: told.append(line[2]),
    }
    args = {"password": CANARIES["argument"], "config": {"db": {"api_key": "x"}, "shape": CANARIES["unknown"], "other": CANARIES["nested"]}}
    with snakepit.Pool(LEAKING, size=1, **settings) as pool:
        with pytest.raises(snakepit.ToolError) as caught:
            pool.execute("fail", args)
        with pytest.raises(snakepit.WorkerCrashed) as crashed:
            pool.execute("crash", args)
        with pytest.raises(snakepit.InvalidParameter) as by_name:
            pool.execute("numbers", {"token": 1, "count": CANARIES["unknown"]})
        with pytest.raises(snakepit.InvalidParameter) as by_pattern:
            pool.execute("numbers", {"token": 1, "count": 1, CANARIES["nested"]: 1})
    errors = map(texts_of, (caught.value, crashed.value, by_name.value, by_pattern.value))
    for words in ("\n".join(told), captured.text, *errors):
        assert leaks(words) == []


@pytest.mark.parametrize("password", ["Winter2024Winter", "aaaaaaaa"])
def test_a_password_that_ends_as_it_begins(password: str) -> None:
    """It is masked whole, and the line behind it is itself: in both outputs, and in the last lines that the error shows."""
    told: list[tuple[str, str, str]] = []
    with snakepit.Pool(LEAKING, size=1, worker_output=lambda *line: told.append(line)) as pool:
        with pytest.raises(snakepit.WorkerCrashed) as caught:
            pool.execute("tell_and_crash", {"password": password})
        wait_until(lambda: len(told) >= 4, "the lines of both outputs")
    expected = ["pw is ***", "next line"]
    for stream in ("stdout", "stderr"):
        assert [line for _, name, line in told if name == stream][:2] == expected
    assert list(caught.value.details["stderr"])[:2] == expected
    assert password not in texts_of(caught.value)


def test_a_bad_pattern_is_refused_by_name() -> None:
    """Before a worker is started."""
    with pytest.raises(snakepit.ConfigurationError, match=r"secret_patterns holds '\(\[', which is no regular expression"):
        snakepit.Pool(LEAKING, size=1, secret_patterns=["(["])
