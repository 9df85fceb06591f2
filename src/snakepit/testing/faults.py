"""What goes wrong on a memory channel, and when: by a script, or by a seed. Decides only; `lanes` does it.

MemoryPool(Adapter, faults=Faults.script([Fault("drop", 3), Fault("kill", 7)]))
MemoryPool(Adapter, faults=Faults(seed=4711, rate=0.05))
"""

from __future__ import annotations

import collections
import dataclasses
import random
from collections.abc import Iterable, Sequence
from typing import Literal, Self, get_args

from snakepit.errors import ConfigurationError
from snakepit_bridge.wire import frames

Kind = Literal["drop", "delay", "duplicate", "truncate", "kill", "kill_after"]
Direction = Literal["to_host", "to_worker"]

_KINDS: tuple[Kind, ...] = get_args(Kind)
_DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
_NAMES = {
    value: name
    for name, value in vars(frames).items()
    if type(value) is int and name.isupper() and name not in ("PROTOCOL_VERSION", "HOST_CALL_BASE", "PIECE_BYTES")
}
#: So many frames are remembered, the newest.
_REMEMBERED = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one frame.

    Attributes:
        kind: `drop`: it never arrives. `delay`: it and what is behind it arrive later. `duplicate`: it arrives twice. `truncate`: half
            of its bytes arrive. `kill`: the worker dies in its place. `kill_after`: it arrives, and the worker is dead behind it.
        frame: which one, counted from 0 for each worker and direction.
        direction: `to_host` or `to_worker`.
        seconds: of a delay.
        worker: whose; `worker-1` is the first that a pool starts.

    Raises:
        ConfigurationError: a field is wrong.
    """

    kind: Kind
    frame: int
    direction: Direction = "to_host"
    seconds: float = 1.0
    worker: str = "worker-1"

    def __post_init__(self) -> None:
        _check("kind", self.kind, _KINDS)
        _check("direction", self.direction, _DIRECTIONS)
        if type(self.frame) is not int or self.frame < 0:
            raise ConfigurationError(f"frame is {self.frame!r}; allowed is a whole number of at least 0", field="frame")
        if not 0 <= self.seconds < float("inf"):
            raise ConfigurationError(f"seconds is {self.seconds!r}; allowed is a number of at least 0", field="seconds")


@dataclasses.dataclass(frozen=True, slots=True)
class Passed:
    """A frame that came by.

    Attributes:
        worker, direction, frame: as in `Fault`.
        kind: such as `CALL`, `CHUNK`, `RESULT`: see `snakepit_bridge.wire.frames`.
        call_id: the call it is about; 0: none.
        fault: what was done to it; None: nothing.
    """

    worker: str
    direction: Direction
    frame: int
    kind: str
    call_id: int
    fault: Fault | None

    def __str__(self) -> str:
        arrow = "<-" if self.direction == "to_host" else "->"
        done = f"  {self.fault.kind}" if self.fault is not None else ""
        return f"{arrow} {self.worker} {self.frame:3} {self.kind} {self.call_id or ''}".rstrip() + done


class Faults:
    """What goes wrong in one pool. Each frame of a message, and each chunk of a run, counts as one.

    Args:
        seed: decides for each frame, by its worker, direction and number; None: nothing goes wrong but what a script says.
        rate: how many frames have a fault, from 0 to 1.
        kinds: the faults to choose from.
        max_delay: the longest delay (seconds).

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(self, *, seed: int | None = None, rate: float = 0.02, kinds: Sequence[Kind] = _KINDS, max_delay: float = 5.0) -> None:
        if not 0 <= rate <= 1:
            raise ConfigurationError(f"rate is {rate!r}; allowed is a number from 0 to 1", field="rate")
        for kind in kinds:
            _check("kinds", kind, _KINDS)
        self._seed = seed
        self._rate = rate if kinds else 0.0
        self._kinds = tuple(kinds)
        self._max_delay = max_delay
        self._script: dict[tuple[str, Direction, int], Fault] = {}
        self._passed: collections.deque[Passed] = collections.deque(maxlen=_REMEMBERED)

    @classmethod
    def script(cls, faults: Iterable[Fault]) -> Self:
        """Exactly these; one for each frame at most, of which the last holds."""
        made = cls()
        made._script = {(fault.worker, fault.direction, fault.frame): fault for fault in faults}
        return made

    @property
    def passed(self) -> tuple[Passed, ...]:
        """The frames that came by, as far as they are remembered (the newest 10,000), in order."""
        return tuple(self._passed)

    @property
    def done(self) -> tuple[Fault, ...]:
        """What went wrong, in order."""
        return tuple(item.fault for item in self._passed if item.fault is not None)

    def of(self, worker: str, direction: Direction, frame: int, kind: int, call_id: int) -> Fault | None:
        """For the channel: a frame comes by; what is to be done to it."""
        fault = self._script.get((worker, direction, frame)) or self._by_chance(worker, direction, frame)
        self._passed.append(Passed(worker, direction, frame, _NAMES.get(kind, str(kind)), call_id, fault))
        return fault

    def _by_chance(self, worker: str, direction: Direction, frame: int) -> Fault | None:
        if self._seed is None:
            return None
        dice = random.Random(f"{self._seed}/{worker}/{direction}/{frame}")  # noqa: S311 - repeats
        if dice.random() >= self._rate:
            return None
        return Fault(dice.choice(self._kinds), frame, direction, round(dice.uniform(0, self._max_delay), 3), worker)

    def __str__(self) -> str:
        return "\n".join(map(str, self._passed))

    def __repr__(self) -> str:
        origin = f"seed={self._seed}, rate={self._rate:g}" if self._seed is not None else f"script of {len(self._script)}"
        return f"<Faults {origin}, {len(self.done)} done>"


def _check(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{name} is {value!r}; allowed are {', '.join(allowed)}", field=name)
