"""Which telemetry events are wanted: said by the host, obeyed wherever events are made. Pure; used by both sides.

Patterns are those of the shell (`python.*`, `tool.execution.st?p`) and case counts. `deny` outweighs `allow`; of `sampling` the
first pattern that matches decides.
"""

import fnmatch
from typing import Any, Callable, Dict, Iterable, List, Mapping, Tuple

#: Names whose fate is remembered; with more of them all are looked up anew.
_MOST_KNOWN = 1024


class EventFilter:
    """What the host wants.

    Args:
        enabled: are events sent at all?
        sampling: (pattern, share from 0 to 1) pairs; what matches none is sent.
        allow: only what matches one of these; none: everything. deny: nothing of this.
    """

    def __init__(
        self,
        enabled: bool = True,
        sampling: Iterable[Tuple[str, float]] = (),
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
    ) -> None:
        self.enabled = enabled
        self.sampling = tuple(sampling)
        self.allow = tuple(allow)
        self.deny = tuple(deny)
        self._number = _numbers() if self.sampling else _certain
        self._shares: Dict[str, float] = {}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "EventFilter":
        """What a frame says; what makes no sense in it is left out."""
        sampling = [
            (pair[0], float(pair[1]))
            for pair in _listed(told.get("sampling"))
            if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], (int, float))
        ]
        return cls(bool(told.get("enabled")), sampling, _texts(told.get("allow")), _texts(told.get("deny")))

    def told(self) -> Dict[str, Any]:
        """As it stands in a frame."""
        sampling = [[pattern, share] for pattern, share in self.sampling]
        return {"enabled": self.enabled, "sampling": sampling, "allow": list(self.allow), "deny": list(self.deny)}

    def wants(self, name: str) -> bool:
        """Is this event one to send? Of those that are sampled each answer is another throw of the dice."""
        share = self._shares.get(name)
        if share is None:
            if len(self._shares) >= _MOST_KNOWN:
                self._shares.clear()
            share = self._shares[name] = self._share_of(name)
        return share >= 1.0 or (share > 0.0 and self._number() < share)

    def _share_of(self, name: str) -> float:
        if not self.enabled or _matches(name, self.deny) or (self.allow and not _matches(name, self.allow)):
            return 0.0
        return next((share for pattern, share in self.sampling if fnmatch.fnmatchcase(name, pattern)), 1.0)


def _numbers() -> Callable[[], float]:
    """Numbers of its own: those of `random` itself belong to the tools, which may have seeded them."""
    import random  # here: most workers never need it, and start sooner without

    return random.Random().random  # noqa: S311 - a share of events


def _certain() -> float:
    return 0.0


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _listed(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []


def _texts(value: Any) -> List[str]:
    return [item for item in _listed(value) if isinstance(item, str)]
