"""One output of a worker with its secrets masked, also where they come in pieces.

What has come of a line is kept until it ends: whenever more comes, the whole is masked again, and what is new in it is told.
So `password=CAN` is told as `password=***`, and of `ARY and more` behind it only ` and more`. What may be the beginning of a secret
that is not seen as one yet waits for what comes next; a bar or a prompt does not look like one, and is told at once.

Of a line that has ended, what may be the beginning of a known secret is remembered, but never told later: if the secret ends in the
next line, that much is hidden there, and if it does not, the next line stands for itself.
"""

from __future__ import annotations

import dataclasses
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
#: So many secrets are remembered for a line that does not end.
_REMEMBERED = 1024
#: After so many lines without its end, a private key is thought to have none.
_KEY_LINES = 400

_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?![\s\S]*-----END )")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,60}-----")


@dataclasses.dataclass(frozen=True, slots=True)
class _Reading:
    """Where known secrets stand in what came before a line and the line itself; all places are of both together."""

    border: int  # here the line begins
    over: int  # a secret that began before the line ends here; the border if none does
    begins: int  # from here on all may be the beginning of a secret; the end if it is not
    cut: int  # up to here it can be told; never inside of a secret that is there whole: its half would not be seen as one


class MaskedLines:
    """Masks one output.

    Args:
        secrets: the known secrets, asked at each line.
    """

    def __init__(self, redactor: redaction.Redactor, secrets: Callable[[], tuple[str, ...]]) -> None:
        self._redactor = redactor
        self._secrets = secrets
        self._known: tuple[str, ...] = ()  # the secrets that this line is masked with
        self._before = ""  # what came before `_line`, as far as it may be the beginning of a known secret
        self._context = ""  # what came before `_line`, masked, where more of a secret's value may follow
        self._standing = False  # a mask that has been told stands for the end of both
        self._line = ""  # what has come of this line
        self._cut = 0  # so much of `_line` has been told,
        self._told = ""  # as this
        self._key_lines = 0  # that may still come of a private key; 0: none has begun
        self._block: int | None = None  # a secret stands in the lines below that are indented more than this

    def part(self, text: str, *, waited: bool = False) -> str:
        """A line goes on with this; what may be told now. `waited`: what came before has waited for long."""
        secrets = self._secrets_of_line()
        self._line += text
        if self._key_lines or self._block is not None:
            self._line = self._line[-_CONTEXT:]
            return ""
        read = self._read(secrets, self._redactor.unfinished_shape(self._line, waited=waited))
        masked, own = self._masked(read, secrets, hidden=read.over > read.border)
        news = _news(self._told, own)
        self._cut, self._told = read.cut - read.border, own
        if len(self._line) > _CONTEXT and self._cut:
            self._shorten(read, masked)
        return news

    def line(self, text: str, *, redrawn: bool = False, shown: bool = True) -> str | None:
        """A line ends with this; what is to be told of it, or None where all of it was told or hidden.

        Args:
            redrawn: a carriage return ends it. A secret at its end may go on behind that.
            shown: will be told; else only its end matters, where a secret may have begun.
        """
        if not self._line and not text:
            return "" if not self._key_lines else None
        secrets = self._secrets_of_line()
        self._line += text
        if self._key_lines and not self._leave_key():
            return None
        if self._block is not None and (indent := self._leave_block()):
            return indent + redaction.MASK
        if "-----BEGIN " in self._line and _KEY_BEGINS.search(self._line):
            self._key_lines = _KEY_LINES
        read = self._read(secrets)
        tail = (self._before + self._line)[read.begins :]
        masked, own = self._masked_to_end(read, secrets, telling=len(tail) >= _TELLING)
        news = _news(self._told, own)
        ends_masked = masked.endswith(redaction.MASK)
        self._standing = ends_masked and (shown or self._told.endswith(redaction.MASK))
        self._before, self._context = tail, masked[-_NAME:] if redrawn and ends_masked else ""
        if not self._context and not redrawn:
            self._context = self._next_value()
        self._line, self._cut, self._told = "", 0, ""
        return news if news or not text else None

    def _secrets_of_line(self) -> tuple[str, ...]:
        """Those that are known now, or were when the line began: it is masked again, and what was hidden must stay so."""
        known = self._secrets()
        if self._line and known != self._known:
            known = tuple(dict.fromkeys([*known, *self._known]))[:_REMEMBERED]
        self._known = known
        return known

    def _read(self, secrets: tuple[str, ...], unfinished: int = 0) -> _Reading:
        """Where known secrets stand; so many characters at the end must wait for another reason. What is told does not wait again."""
        text, border = self._before + self._line, len(self._before)
        begins = len(text) - self._redactor.unfinished_known(text, secrets)
        cut, over = max(min(begins, len(text) - unfinished), border + self._cut), border
        ordinary = not border and cut == len(text)  # most lines are: nothing before them matters, and nothing waits
        for start, end in () if ordinary else self._redactor.known_spans(text, secrets, border):
            if start < cut < end:
                cut = end
            if start < border < end:
                over = end
        return _Reading(border, over, begins, cut)

    def _masked_to_end(self, read: _Reading, secrets: tuple[str, ...], *, telling: bool) -> tuple[str, str]:
        """The context and the whole line, masked; and what of it is the line's own. `telling`: also what may begin a secret."""
        if not telling:
            return self._masked(dataclasses.replace(read, cut=read.border + len(self._line)), secrets, hidden=read.over > read.border)
        masked, own = self._masked(read, secrets, hidden=read.begins < read.border or read.over > read.border)
        return (masked, own) if masked.endswith(redaction.MASK) else (masked + redaction.MASK, own + redaction.MASK)

    def _masked(self, read: _Reading, secrets: tuple[str, ...], *, hidden: bool) -> tuple[str, str]:
        """The context and the line up to the cut, masked; and what of it is the line's own. `hidden`: it begins within a secret."""
        text = self._line[read.over - read.border : read.cut - read.border]
        left = self._context
        if hidden and not left.endswith(redaction.MASK):
            left += redaction.MASK
        masked = self._redactor.mask(left + text, secrets)
        own = _news(left, masked)
        swallowed = left.endswith(redaction.MASK) and text[:1] != own[:1]  # more of a value, whose name is in the context
        if (hidden or swallowed) and not self._standing and not own.startswith(redaction.MASK):
            own = redaction.MASK + own
        return masked, own

    def _shorten(self, read: _Reading, masked: str) -> None:
        """Of a line that does not end, keep what must wait, and what is told as context.

        That is enough: behind `password=***`, or an open quote, more of a secret is masked too.
        """
        if _KEY_BEGINS.search(self._line):
            self._key_lines = _KEY_LINES
        text = self._before + self._line
        self._before, self._line = text[read.begins : read.cut], text[read.cut :]
        self._context, self._standing = masked[-_CONTEXT:], True
        self._cut, self._told = 0, ""

    def _next_value(self) -> str:
        """A secret's name at the end of the line, whose value comes in the next; or, as a block, in some."""
        name, block = self._redactor.goes_on(self._line)
        if block:
            self._block = len(self._line) - len(self._line.lstrip(" \t"))
        return "" if block else name

    def _leave_block(self) -> str:
        """Inside of a block: is this line still of it? Its indentation if so; all of it is the secret's."""
        indent = self._line[: len(self._line) - len(self._line.lstrip(" \t"))]
        if len(indent) <= (self._block or 0):
            self._block = None
            return ""
        self._before = self._context = self._line = self._told = ""
        self._cut, self._standing = 0, False
        return indent

    def _leave_key(self) -> bool:
        """Inside of a private key: does it end in this line? What is behind its end is left of the line."""
        end = _KEY_ENDS.search(self._line)
        self._key_lines = 0 if end else self._key_lines - 1
        self._line = self._line[end.end() :] if end else ""
        self._before = self._context = self._told = ""
        self._cut = 0
        return bool(self._line.strip())


def _news(told: str, masked: str) -> str:
    """What is behind the part that has been told; where masking has changed that, from the change on."""
    if masked.startswith(told):
        return masked[len(told) :]
    same = next(at for at, (old, new) in enumerate(itertools.zip_longest(told, masked)) if old != new)
    return masked[same:]
