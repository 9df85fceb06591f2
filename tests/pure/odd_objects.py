"""Objects that say of themselves, or hold, what a codec can carry."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass
class Renamed:
    """Its own word goes before its fields."""

    inner: int = 1

    def to_dict(self) -> dict[str, Any]:
        """What it is to others."""
        return {"outer": self.inner}


@dataclasses.dataclass
class Fields:
    """Has nothing to say."""

    inner: Any


class Endless:
    """Says of itself that it has another one like it inside."""

    def to_dict(self) -> dict[str, Any]:
        """With two, so that to follow all of them would never end."""
        return {"left": Endless(), "large": bytes(6000), "right": Endless()}
