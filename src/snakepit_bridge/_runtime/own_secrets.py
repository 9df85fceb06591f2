"""What this worker knows to be secret, for its own spans and log lines. What tools print and raise is masked by the host.

Told by the host: the pool's names and patterns. Seen here: variables, arguments and metadata of calls, and, while calls are traced,
what passes between them and host tools, and what they yield and return.
"""

import collections
import os
from typing import Any, Deque, Tuple

from .. import redaction
from ..redaction.handover import taken_over

#: So many secrets of earlier calls, and of host tools, are remembered: tools keep them, and may quote them later.
_REMEMBERED = 128


class OwnSecrets:
    """One worker's; from any thread.

    Attributes:
        redactor: masks by the pool's names and patterns.
    """

    def __init__(self) -> None:
        self.redactor = redaction.DEFAULT
        self._seen: Deque[str] = collections.deque(maxlen=_REMEMBERED)

    def set_up(self) -> None:
        """Take over what the host says; once, before a tool is loaded."""
        self.redactor = taken_over(os.environ)

    def remember(self, *values: Any) -> None:
        """These pass by: what stands below secret names in them may be quoted later."""
        for value in values:
            self._seen.extend(self.redactor.glance(value))

    def remember_random(self, value: Any) -> None:
        """The same for what tools return and yield, where a word under such a name may be one of a text."""
        self._seen.extend(filter(redaction.looks_random, self.redactor.glance(value)))

    def known(self, *values: Any) -> Tuple[str, ...]:
        """All that an error may quote: what stands below secret names in these, in the environment, and in what has passed by."""
        found = self.redactor.secrets_in(values)
        return tuple(dict.fromkeys([*found, *self._seen.copy(), *self.redactor.secrets_of(os.environ)]))


#: A worker is a process, with one environment.
OWN = OwnSecrets()
