"""The secrets that one worker may print: those of its environment, of its calls, and of their sessions.

Calls are many and prints are few: a call costs an entry in a dict, and what is secret in it is looked for when something has been
printed. Lives on the loop's thread.
"""

from __future__ import annotations

import collections
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from snakepit_bridge import redaction

#: Output arrives later than results: for how long, and for how many calls, secrets of ended calls are still masked (seconds).
LINGER_SECONDS = 30.0
LINGER_CALLS = 64

#: The working directory, in every shell.
_NO_PASSWORDS = frozenset(("PWD", "OLDPWD"))


class KnownSecrets:
    """What must be masked in the output of one worker now.

    Args:
        environments: variables of the host and of the worker; those with secret names count.
        further: secrets without a name, such as the channel's.
        clock: seconds, as `time.monotonic` gives them.
    """

    def __init__(
        self,
        redactor: redaction.Redactor = redaction.DEFAULT,
        environments: Iterable[Mapping[str, str]] = (),
        further: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redactor = redactor
        self._clock = clock
        named = ((name, value) for variables in environments for name, value in variables.items())
        lasting = [value for name, value in named if name not in _NO_PASSWORDS and redactor.is_secret_name(name)]
        self._lasting = tuple(dict.fromkeys([*further, *lasting]))
        self._running: dict[Any, Any] = {}  # by call: its arguments, or the tuple of what was found in them
        self._sessions: dict[str, tuple[str, ...]] = {}
        self._ended: collections.deque[tuple[float, tuple[str, ...]]] = collections.deque(maxlen=LINGER_CALLS)
        self._known: tuple[str, ...] | None = self._lasting  # None: to be put together anew

    def running(self, call_id: Any, args: Mapping[str, Any]) -> None:
        """A call begins on the worker. Its arguments are looked at when something is printed, or when it ends."""
        if args and any(self._may_hold(name, value) for name, value in args.items()):
            self._running[call_id] = args
            self._known = None

    def ended(self, call_id: Any) -> None:
        """A call has ended; its arguments are let go, what was secret in them is remembered for a while."""
        held = self._running.pop(call_id, None)
        if held is not None:
            found = held if isinstance(held, tuple) else self._redactor.secrets_in(held)
            self._known = None
            if found:
                self._ended.append((self._clock() + LINGER_SECONDS, found))

    def session_begun(self, session_id: str, metadata: Mapping[str, Any]) -> None:
        """A session's calls run on the worker from now on."""
        self._sessions[session_id] = self._redactor.secrets_in(dict(metadata))
        self._known = None

    def session_ended(self, session_id: str) -> None:
        """A session's calls run there no longer."""
        found = self._sessions.pop(session_id, ())
        if found:
            self._ended.append((self._clock() + LINGER_SECONDS, found))
            self._known = None

    def __call__(self) -> tuple[str, ...]:
        """All of them now."""
        while self._ended and self._ended[0][0] < self._clock():
            self._ended.popleft()
            self._known = None
        if self._known is None:
            for call_id, held in self._running.items():
                if not isinstance(held, tuple):
                    self._running[call_id] = self._redactor.secrets_in(held)
            found = itertools.chain(self._running.values(), self._sessions.values(), (item for _, item in self._ended))
            self._known = tuple(dict.fromkeys([*itertools.chain.from_iterable(found), *self._lasting]))
        return self._known

    def _may_hold(self, name: Any, value: Any) -> bool:
        plain = value is None or isinstance(value, (str, bytes, int, float))
        return not plain or (isinstance(name, str) and self._redactor.is_secret_name(name))
