"""What `snakepit status` shows: the lines and tables of each pool, from what it has told. Pure; `status_command` prints them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .hosts import Seen, Silent

WORKERS = ("WORKER", "PID", "STATE", "UP", "MEMORY", "CALLS", "HEARD")
CALLS = ("CALL", "TOOL", "WORKER", "AGE", "CHUNKS")
_KIB = 1024
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def document(seen: Seen) -> dict[str, Any]:
    """One look as plain data."""
    return {
        "pools": list(seen.pools),
        "unanswered": [{"pid": silent.pid, "reason": silent.reason} for silent in seen.silent],
        "ok": is_well(seen),
    }


def is_well(seen: Seen) -> bool:
    """Is there a pool, and is none failing or silent?"""
    return bool(seen.pools) and not seen.silent and all(told["health"]["status"] != "failing" for told in seen.pools)


def lines(seen: Seen) -> list[str]:
    """All of it as plain lines."""
    found: list[str] = []
    for told in seen.pools:
        found += [title(told), *(f"  {text}" for text in facts(told))]
        found += [f"  {line}" for line in columns(WORKERS, worker_rows(told))]
        rows = call_rows(told)
        found += [f"  {line}" for line in columns(CALLS, rows)] if rows else []
        found.append("")
    found += [silent_text(silent) for silent in seen.silent]
    return found if not found or found[-1] else found[:-1]


def title(told: dict[str, Any]) -> str:
    """Which pool it is, and how it is."""
    name = f"{told['name']} " if told["name"] else ""
    return f"{name}{told['adapter']} in {told['program']}, pid {told['pid']}: {told['health']['status']}"


def facts(told: dict[str, Any]) -> list[str]:
    """What there is to say of the pool itself."""
    stats, health, queue = told["stats"], told["health"], told["queue"]
    ended = [(stats[name], name.replace("_", " ")) for name in ("succeeded", "failed", "cancelled", "timed_out", "crashed")]
    waits = f", the first for {seconds(queue['oldest'])}" if queue["oldest"] is not None else ""
    changed = [(stats["restarts"], "restarts"), (stats.get("recycled", 0), "recycled"), (stats["killed"], "killed")]
    ready = f"{health['workers_ready']} of {health['workers_wanted']} ready"
    return [
        *(f"! {reason}" for reason in health["reasons"]),
        f"workers  {', '.join([ready, *(f'{count} {name}' for count, name in changed if count)])}; {told['protocol'] or 'no'} channel",
        f"queue    {queue['waiting']} of {queue['limit']} wait{waits}; {stats['running']} run",
        f"ended    {', '.join(f'{count} {name}' for count, name in ended if count) or 'none'}; up {seconds(told['uptime'])}",
    ]


def worker_rows(told: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row per worker, below `WORKERS`."""
    return [
        (
            worker["id"],
            str(worker["pid"] or "-"),
            ", ".join([worker["state"], *(word for word in ("spare", "stuck") if worker[word])]),
            seconds(worker["uptime"]),
            size(worker["rss"]),
            str(worker["calls_served"]),
            "-" if worker["last_heard"] is None else f"{seconds(worker['last_heard'])} ago",
        )
        for worker in told["workers"]
    ]


def call_rows(told: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row per call that runs, below `CALLS`."""
    rows: list[tuple[str, ...]] = [
        (
            call["correlation_id"] if call["correlation_id"].endswith(f"-{call['id']}") else f"{call['id']} of {call['correlation_id']}",
            call["tool"] if call["state"] == "running" else f"{call['tool']}, {call['state']}",
            call["worker"],
            seconds(call["age"]),
            str(call["chunks"]) if call["streaming"] else "",
        )
        for call in told["calls"]
    ]
    return [*rows, (f"{told['further_calls']} more", "", "", "", "")] if told["further_calls"] else rows


def columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns, headings first."""
    listed = [headings, *rows]
    widths = [max(len(cells[index]) for cells in listed) for index in range(len(headings))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in listed]


def silent_text(silent: Silent) -> str:
    """A pool that has said nothing."""
    return f"a pool of pid {silent.pid or 'unknown'}: {silent.reason}"


def seconds(value: float) -> str:
    """A time, in a few characters."""
    if value < _MINUTE:
        return f"{value:.1f} s"
    if value < _HOUR:
        return f"{value // _MINUTE:.0f} min {value % _MINUTE:.0f} s"
    if value < _DAY:
        return f"{value // _HOUR:.0f} h {value % _HOUR // _MINUTE:.0f} min"
    return f"{value // _DAY:.0f} d {value % _DAY // _HOUR:.0f} h"


def size(nbytes: int) -> str:
    """An amount of memory, in a few characters."""
    if not nbytes:
        return "-"
    if nbytes < _KIB**3:
        return f"{nbytes / _KIB**2:.0f} MiB"
    return f"{nbytes / _KIB**3:.1f} GiB"
