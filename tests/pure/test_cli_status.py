"""How `snakepit status` puts into words what pools have told."""

from __future__ import annotations

from typing import Any

import pytest

from snakepit.cli.hosts import Seen, Silent
from snakepit.cli.status_view import call_rows, document, facts, is_well, lines, seconds, size


def told(status: str = "ok", **more: Any) -> dict[str, Any]:
    """What a pool of one worker tells."""
    names = ("succeeded", "failed", "cancelled", "timed_out", "crashed", "restarts", "recycled", "killed", "running")
    health = {"status": status, "reasons": [], "workers_ready": 1, "workers_wanted": 2}
    return {
        "name": "",
        "adapter": "showcase",
        "program": "app.py",
        "pid": 7,
        "protocol": "json",
        "uptime": 3700.0,
        "health": health,
        "queue": {"waiting": 0, "limit": 9, "oldest": None},
        "stats": {**dict.fromkeys(names, 0), "timed_out": 3, "restarts": 1},
        "workers": [
            {
                "id": "worker-1",
                "pid": None,
                "state": "starting",
                "stuck": False,
                "spare": False,
                "uptime": 1.0,
                "rss": 0,
                "calls_served": 0,
                "last_heard": None,
            }
        ],
        "calls": [],
        "further_calls": 0,
        **more,
    }


def test_a_pool_in_lines() -> None:
    """A line that says which pool it is and how; what is counted; a row per worker, with dashes for what is not known."""
    assert lines(Seen((told(),))) == [
        "showcase in app.py, pid 7: ok",
        "  workers  1 of 2 ready, 1 restarts; json channel",
        "  queue    0 of 9 wait; 0 run",
        "  ended    3 timed out; up 1 h 1 min",
        "  WORKER    PID  STATE     UP     MEMORY  CALLS  HEARD",
        "  worker-1  -    starting  1.0 s  -       0      -",
    ]


def test_reasons_stand_first() -> None:
    """Each is marked."""
    health = {**told()["health"], "status": "failing", "reasons": ["it has given up", "the queue is full"]}
    assert facts(told(health=health))[:2] == ["! it has given up", "! the queue is full"]


def test_calls_in_rows() -> None:
    """A nested call has its own number beside the id that it shares; a cancelled one says so; only streams count chunks."""
    call = {
        "id": 4,
        "correlation_id": "ab-4",
        "tool": "add",
        "worker": "worker-1",
        "age": 2.0,
        "state": "running",
        "streaming": False,
        "chunks": 0,
    }
    nested = {**call, "id": 5, "state": "cancelled", "streaming": True, "chunks": 12}
    assert call_rows(told(calls=[call, nested], further_calls=3)) == [
        ("ab-4", "add", "worker-1", "2.0 s", ""),
        ("5 of ab-4", "add, cancelled", "worker-1", "2.0 s", "12"),
        ("3 more", "", "", "", ""),
    ]


def test_when_all_is_well() -> None:
    """Some pool, none failing, none silent; a degraded one serves."""
    silent = Silent(None, "it has not answered")
    assert is_well(Seen((told(), told("degraded"))))
    assert not is_well(Seen((told(), told("failing"))))
    assert not is_well(Seen((told(),), (silent,)))
    assert not is_well(Seen())
    assert lines(Seen((), (silent,))) == ["a pool of pid unknown: it has not answered"]
    assert document(Seen((), (silent,))) == {"pools": [], "unanswered": [{"pid": None, "reason": "it has not answered"}], "ok": False}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h"), (900_000, "10 d 10 h")],
)
def test_times(value: float, text: str) -> None:
    """Two units at most."""
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "-"), (2**20, "1 MiB"), (2**30 - 2**20, "1023 MiB"), (3 * 2**29, "1.5 GiB")])
def test_sizes(value: int, text: str) -> None:
    """Memory as people speak of it."""
    assert size(value) == text
