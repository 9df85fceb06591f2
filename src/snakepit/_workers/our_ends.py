"""The host's ends of what its workers and guardians hold. A forked copy of the host must not hold them open: they say that it lives."""

from __future__ import annotations

import contextlib
import os

#: The descriptors: whoever opens one adds it, and takes it out before closing it.
our_ends: set[int] = set()


def _after_fork_in_child() -> None:
    for fd in our_ends:
        with contextlib.suppress(OSError):
            os.close(fd)
    our_ends.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
