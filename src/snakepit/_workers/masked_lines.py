"""One output of a worker with its secrets masked, also where they come in pieces.

What has come of a line is kept until it ends: whenever more comes, the whole is masked again, and what is new in it is told.
So `password=CAN` is told as `password=***`, and of `ARY and more` behind it only ` and more`. What may be the beginning of a secret
that is not seen as one yet waits for what comes next; a bar or a prompt does not look like one, and is told at once.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

from snakepit_bridge import redaction

#: Of a line that does not end, so much is kept as context (characters).
_CONTEXT = 8 * 1024
#: The end of a line that may be the beginning of a known secret is masked from this length on (characters): the rest may come
#: in the next line. Shorter ones are words, and tell little.
_TELLING = 6
#: Of a line that is drawn anew and ends in a secret, so much is kept: the secret's name (characters).
_NAME = 100
#: After so many lines without its end, a private key is thought to have none.
_KEY_LINES = 400

_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?![\s\S]*-----END )")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,60}-----")


class MaskedLines:
    """Masks one output.

    Args:
        secrets: the known secrets, asked at each line.
    """

    def __init__(self, redactor: redaction.Redactor, secrets: Callable[[], tuple[str, ...]]) -> None:
        self._redactor = redactor
        self._secrets = secrets
        self._seen = ""  # of this line, or of the end of the one before where that may go on in this
        self._told = ""  # what has been told of `_seen`
        self._key_lines = 0  # that may still come of a private key; 0: none has begun

    def part(self, text: str) -> str:
        """A line goes on with this; what may be told now."""
        secrets = self._secrets()
        seen = self._seen + text
        if self._key_lines:
            self._seen, self._told = seen[-_CONTEXT:], ""
            return ""
        held = self._redactor.unfinished(seen, secrets)
        masked = self._redactor.mask(seen[: len(seen) - held], secrets)
        news = self._news(masked)
        self._seen, self._told = seen, masked
        if len(seen) > _CONTEXT:
            # What is told already is context enough: behind `password=***`, or an open quote, more of a secret is masked too.
            self._told = masked[-_CONTEXT:]
            self._seen = self._told + seen[len(seen) - held :]
        return news

    def line(self, text: str, *, redrawn: bool = False, shown: bool = True) -> str | None:
        """A line ends with this; what is to be told of it, or None where all of it was told or hidden.

        Args:
            redrawn: a carriage return ends it. A secret at its end may go on behind that.
            shown: will be told; else only its end matters, where a secret may have begun.
        """
        if not self._seen and not text:
            return "" if not self._key_lines else None
        secrets = self._secrets()
        seen = self._seen + text
        if self._key_lines:
            end = _KEY_ENDS.search(seen)
            self._key_lines = 0 if end else self._key_lines - 1
            self._seen = self._told = ""
            if end is None:
                return None
            seen = seen[end.end() :]
            if not seen.strip():
                return None
        elif "-----BEGIN " in seen and _KEY_BEGINS.search(seen):
            self._key_lines = _KEY_LINES
        tail = self._redactor.unfinished_known(seen, secrets)
        rest = seen[len(seen) - tail :]
        if tail >= _TELLING:
            masked = self._redactor.mask(seen[: len(seen) - tail], secrets) + redaction.MASK
        else:
            masked = self._redactor.mask(seen, secrets)
        news = self._news(masked)
        self._seen, self._told = rest, redaction.MASK if tail >= _TELLING and shown else rest
        if redrawn and not tail and masked.endswith(redaction.MASK):
            self._seen = masked[-_NAME:]
            self._told = self._seen if shown else self._seen.removesuffix(redaction.MASK)
        return news if news or not text else None

    def _news(self, masked: str) -> str:
        """What is behind the part that has been told; where masking has changed that, from the change on."""
        if masked.startswith(self._told):
            return masked[len(self._told) :]
        same = next(at for at, (old, new) in enumerate(itertools.zip_longest(self._told, masked)) if old != new)
        return masked[same:]
