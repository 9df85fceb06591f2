"""What a link needs of the carrier that writes its messages."""

from typing import Protocol


class Writer(Protocol):
    """The writing half of a carrier. It is told once, from any thread, and not again until `next_message` has given None.

    Attributes:
        sure: what it has taken before it asks for the next, has left this process by then; a library may have kept some of it otherwise.
    """

    sure: bool

    def wake(self) -> None:
        """Messages wait."""

    def wake_for_chunk(self) -> None:
        """A lone chunk waits, of a stream that has time to see it off."""

    def wake_for_flood(self) -> None:
        """Chunks wait, and more will come at once: they are better off in batches. Takes no lock and writes nothing itself."""
