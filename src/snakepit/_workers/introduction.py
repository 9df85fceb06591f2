"""What a worker says of itself in its `hello`, read with care: it may be older, newer, or somebody else's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Introduction:
    """A worker's own words.

    Attributes:
        protocol: the version of the channel that it speaks.
        tools: their specs, as they came. open_ended: it may have more than it says.
        warnings: what the pool should know of its adapter.
        concurrency: how many calls it runs at once. threaded: its sync tools run on threads, beside each other; else each of them
            blocks its main thread, its async tools too.
        free_threaded: its interpreter is a free-threaded build. gil_enabled: one thread at a time runs Python code there.
        ends_softly: its adapter wants SIGTERM before SIGKILL.
        python: the version of its interpreter. executable: that interpreter's path; empty: it does not say.
    """

    protocol: Any = None
    tools: Any = ()
    open_ended: bool = False
    warnings: tuple[str, ...] = ()
    concurrency: int = 1
    threaded: bool = False
    free_threaded: bool = False
    gil_enabled: bool = True
    ends_softly: bool = False
    python: str = ""
    executable: str = ""

    @classmethod
    def of(cls, hello: Mapping[str, Any]) -> Introduction:
        """Read a `hello`."""
        warnings, threads = hello.get("warnings"), hello.get("threads")
        return cls(
            protocol=hello.get("protocol"),
            tools=hello.get("tools") or [],
            open_ended=bool(hello.get("open_ended")),
            warnings=tuple(map(str, warnings)) if isinstance(warnings, list) else (),
            concurrency=max(1, int(hello.get("concurrency") or 1)),
            threaded=type(threads) is int and threads > 0,
            free_threaded=bool(hello.get("free_threaded")),
            gil_enabled=bool(hello.get("gil_enabled", True)),
            ends_softly=bool(hello.get("soft_end")),
            python=str(hello.get("python", "")),
            executable=str(hello.get("executable", "")),
        )
