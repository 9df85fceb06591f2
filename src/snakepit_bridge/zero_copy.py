"""`ZeroCopyRef`: how Snakepit's adapters name a buffer that lies elsewhere. A plain record; nothing is mapped or copied here."""

from typing import Any, Dict, Mapping


class ZeroCopyRef:
    """A reference to a buffer.

    Attributes:
        payload: what it was made of. kind, device, dtype, shape, owner, ref, copy, bytes: of that, None where it says nothing.
        metadata: further facts.
    """

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.payload = dict(payload)
        self.kind = payload.get("kind")
        self.device = payload.get("device")
        self.dtype = payload.get("dtype")
        self.shape = payload.get("shape")
        self.owner = payload.get("owner")
        self.ref = payload.get("ref")
        self.copy = payload.get("copy")
        self.bytes = payload.get("bytes")
        self.metadata: Dict[str, Any] = dict(payload.get("metadata") or {})

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "ZeroCopyRef":
        """The reference that a payload describes."""
        return cls(payload)

    def to_payload(self) -> Dict[str, Any]:
        """What it was made of, as a dict of its own."""
        return dict(self.payload)

    def __repr__(self) -> str:
        return "<ZeroCopyRef %s %r on %s>" % (self.kind, self.ref, self.device)
