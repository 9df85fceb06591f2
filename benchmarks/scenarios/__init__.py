"""What is measured of this project by itself: a module each, whose `run(plan)` yields rows. Contestants are the functions beside it."""

from __future__ import annotations

import dataclasses

#: In the order they run.
NAMES = (
    "protocols",
    "chunk_age",
    "abandoned_streams",
    "killed_worker",
    "session_calls",
    "host_tools",
    "bridge_worker",
    "gateway",
    "arrays",
    "large_transfers",
    "settings",
)

#: The adapter whose tools all scenarios call.
TOOLS = "benchmarks.tools"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure."""

    quick: bool
    rounds: int

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full
