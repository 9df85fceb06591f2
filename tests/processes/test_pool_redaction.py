"""Canaries are planted wherever secrets may be, and none is found in logs, errors, crash reports, output or files."""

from __future__ import annotations

import base64
import contextlib
import logging
import pathlib
import secrets
import tempfile
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

import snakepit
from pool_helpers import wait_until
from worker_faces import adapter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

LEAKING = adapter("leaking", "Leaking")

#: Long enough that no piece of 8 characters of it occurs by chance.
CANARIES = {
    name: f"Canary-{name}-{secrets.token_hex(8)}"
    for name in ("argument", "nested", "host", "worker", "pattern", "unknown", "session", "answer")
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


def test_pools_have_names_and_patterns_of_their_own(captured: Capture) -> None:
    """`secret_names` and `secret_patterns` are masked like the built-in ones, in output and in errors."""
    told: list[str] = []
    settings: Any = {
        "secret_names": ["shape"],
        "secret_patterns": [r"Canary-nested-\w+"],
        "worker_output": lambda *line: told.append(line[2]),
    }
    args = {"password": CANARIES["argument"], "config": {"db": {"api_key": "x"}, "shape": CANARIES["unknown"], "other": CANARIES["nested"]}}
    with snakepit.Pool(LEAKING, size=1, **settings) as pool:
        with pytest.raises(snakepit.ToolError) as caught:
            pool.execute("fail", args)
        with pytest.raises(snakepit.WorkerCrashed) as crashed:
            pool.execute("crash", args)
    for words in ("\n".join(told), captured.text, texts_of(caught.value), texts_of(crashed.value)):
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
