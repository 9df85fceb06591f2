"""The secrets that one worker may print or quote: of its environment, its calls, their sessions, of what it is told and tells.

Calls are many and prints are few: a call costs an entry in a dict, and what is secret in it is looked for when something has been
printed. Lives on the loop's thread.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from snakepit_bridge import redaction
from snakepit_bridge.redaction.literals import MAX_LENGTH, MIN_LENGTH

#: Output arrives later than results, and tools keep what they were given: for so long secrets are still masked (seconds).
LINGER_SECONDS = 30.0
#: Of those, the newest, up to so many, and so much of them (characters): each line of output is searched for all of them.
LINGER_SECRETS = 512
LINGER_CHARACTERS = 256 * 1024
#: Of chunks that come together, in a flood, so many are looked at.
_FLOOD = 16


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
        lasting = [value for variables in environments for value in redactor.secrets_of(variables)]
        self._lasting = tuple(dict.fromkeys([*further, *lasting]))
        self._running: dict[Any, Any] = {}  # by call: its arguments, or the tuple of what was found in them
        self._sessions: dict[str, tuple[str, ...]] = {}
        self._lingering: dict[str, float] = {}  # until when, the first to go first
        self._characters = 0  # of those
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
            self._known = None
            self.learn(held if isinstance(held, tuple) else self._redactor.secrets_in(held))

    def session_begun(self, session_id: str, metadata: Mapping[str, Any]) -> None:
        """A session's calls run on the worker from now on."""
        self._sessions[session_id] = self._redactor.secrets_in(dict(metadata))
        self._known = None

    def session_ended(self, session_id: str) -> None:
        """A session's calls run there no longer."""
        found = self._sessions.pop(session_id, ())
        if found:
            self._known = None
            self.learn(found)

    def heard(self, value: Any) -> None:
        """It calls a host tool with this, or gets this from one. Looked at at once: the next line it prints may quote it."""
        self.learn(self._redactor.glance(value))

    def told(self, values: Sequence[Any]) -> None:
        """It has returned or yielded these. What is random under a secret name is masked from now on; words may be a text's."""
        for value in values[:_FLOOD]:
            found = self._redactor.glance(value) if isinstance(value, (dict, list)) else ()
            if found:
                self.learn(filter(redaction.looks_random, found))

    def learn(self, found: Iterable[str]) -> None:
        """These are secrets for a while."""
        for text in found:
            if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
                continue  # it is not looked for
            if self._lingering.pop(text, None) is None:
                self._characters += len(text)
                self._known = None
            self._lingering[text] = self._clock() + LINGER_SECONDS
        while len(self._lingering) > LINGER_SECRETS or self._characters > LINGER_CHARACTERS:
            self._forget_first()

    def __call__(self) -> tuple[str, ...]:
        """All of them now."""
        now = self._clock() if self._lingering else 0.0
        while self._lingering and next(iter(self._lingering.values())) < now:
            self._forget_first()
        if self._known is None:
            for call_id, held in self._running.items():
                if not isinstance(held, tuple):
                    self._running[call_id] = self._redactor.secrets_in(held)
            found = itertools.chain.from_iterable([*self._running.values(), *self._sessions.values()])
            self._known = tuple(dict.fromkeys([*self._lasting, *found, *reversed(self._lingering)]))
        return self._known

    def _forget_first(self) -> None:
        text = next(iter(self._lingering))
        del self._lingering[text]
        self._characters -= len(text)
        self._known = None

    def _may_hold(self, name: Any, value: Any) -> bool:
        plain = value is None or isinstance(value, (str, bytes, int, float))
        return not plain or (isinstance(name, str) and self._redactor.is_secret_name(name))
