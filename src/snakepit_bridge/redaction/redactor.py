"""The masks: all rules of one user, applied to texts and values."""

import base64
import binascii
import functools
import re
from typing import Any, Iterable, List, Mapping, Optional, Set, Tuple

from . import assignments, describing, nested, objections, shapes
from .colours import with_colours, without_colours
from .literals import Literals, literals
from .names import further_names, is_secret, words_of
from .shapes import MASK

_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){8,}\Z")
_URL_SAFE = str.maketrans("-_", "+/")
#: So many keys are remembered (number).
_HARMLESS = 1024
#: Variables of every shell, whose names end like a password's.
_DIRECTORIES = frozenset(("PWD", "OLDPWD"))
#: What is masked may uncover more (base64 in base64, a quote that closes elsewhere): looked at again, at most so often.
_ROUNDS = 6
_DEPTH = 2


class Redactor:
    """Finds and masks secrets.

    Args:
        names: further names of secrets, beside the usual ones; `patient_id` also covers `PATIENT_ID` and `thePatientId`.
        patterns: further regular expressions; their whole match is masked.

    Raises:
        re.error: a pattern is no regular expression.
    """

    def __init__(self, names: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        self._names = further_names(names)
        patterns = tuple(patterns)
        self._shapes = shapes.Shapes(patterns)
        #: What makes it find other things than another one; to compare.
        self.rules = (self._names, patterns)
        self._hints = tuple(words[-1] for words in self._names)
        self._find: Any = None
        self._harmless: Set[str] = set()  # keys that `glance` has met, and that name no secrets
        self.is_secret_name = functools.lru_cache(maxsize=4096)(self._is_secret_name)

    def describe(self, value: Any, extra: Iterable[str] = ()) -> str:
        """What a value is, never what it holds; its cost does not grow with the value. Never raises.

        Args:
            extra: secrets that are known, as `mask` takes them: names of keys are shown, and one may hold a secret.
        """
        return describing.describe(value, functools.partial(self.mask, extra=extra) if extra else self.mask)

    def mask(self, text: str, extra: Iterable[str] = ()) -> str:
        """The text without its secrets: `***` stands for each. Never raises: what cannot be searched is all masked.

        Args:
            extra: secrets that are known, masked in every form; those of less than 6 characters are not looked for.
        """
        try:
            return self._mask(text, extra)
        except Exception:
            return MASK

    def _mask(self, text: str, extra: Iterable[str]) -> str:
        known = literals(tuple(extra)) if extra else None
        for _ in range(_ROUNDS):
            masked = self._mask_once(text, known, _DEPTH)
            if masked == text:
                break
            text = masked
        return text

    def unfinished_shape(self, text: str, *, waited: bool = False) -> int:
        """How many characters at the end of a text that goes on may be the beginning of a shape that is not seen as one yet.

        Args:
            waited: it has waited for long: a user's own patterns, which may begin with anything, hold it no longer.
        """
        return max(shapes.unfinished(text), 0 if waited else self._shapes.unfinished_own(text))

    def unfinished_known(self, text: str, extra: Iterable[str]) -> int:
        """How many characters at the end of a text may be the beginning of one of these secrets."""
        return literals(tuple(extra)).unfinished(text) if extra else 0

    def known_spans(self, text: str, extra: Iterable[str], border: int = 0) -> List[Tuple[int, int]]:
        """Where these secrets stand whole, in order; those that overlap or touch are one, unless they only touch at the border."""
        return literals(tuple(extra)).spans(text, border) if extra else []

    def goes_on(self, line: str) -> Tuple[str, bool]:
        """(a secret's name at the end of a line, with what is behind it, if the value follows in the next; is that a block of lines?)."""
        return assignments.goes_on(line, self.is_secret_name)

    def masked(self, value: Any, extra: Iterable[str] = (), name: str = "") -> Any:
        """A copy of nested dicts, lists and tuples with their texts masked; what stands below a secret's name is `***`."""
        extra = tuple(extra)
        return nested.masked(value, name, self.is_secret_name, lambda text: self.mask(text, extra))

    def secrets_in(self, value: Any) -> Tuple[str, ...]:
        """The texts that stand below secret names in nested values, for the `extra` of `mask`."""
        return nested.secrets_in(value, self.is_secret_name)

    def glance(self, value: Any) -> Tuple[str, ...]:
        """`secrets_in` of the outermost items alone, for each value that passes by. Never raises.

        A flat dict with keys that have been seen before, as most chunks are, costs a fraction of a microsecond, others some of them.
        """
        if type(value) is not dict:
            return nested.glance(value, self.is_secret_name)
        if value.keys() <= self._harmless and nested.LEAVES.issuperset(map(type, value.values())):
            return ()
        found = nested.glance(value, self.is_secret_name)
        if not found and len(value) + len(self._harmless) <= _HARMLESS:
            self._harmless.update(key for key in value if isinstance(key, str) and not self.is_secret_name(key))
        return found

    def secrets_of(self, variables: Mapping[str, str]) -> List[str]:
        """Of environment variables, the values of those with secret names; the working directory is none."""
        return [value for name, value in variables.items() if name not in _DIRECTORIES and self.is_secret_name(name)]

    def objection(self, value: Any, name: str = "") -> Optional[objections.Objection]:
        """Why a value must not be kept on disk; None if it may be. Its path reads like `metadata['db']['password']`."""
        return objections.Search(self.is_secret_name, lambda text: self.mask(text) != text).find(value, name)

    def secret_name_in(self, value: Any, name: str = "") -> Optional[objections.Objection]:
        """As `objection`, by names and bounds alone; what the texts themselves look like is not searched."""
        return objections.Search(self.is_secret_name, lambda text: False).find(value, name)

    def _is_secret_name(self, name: str) -> bool:
        return is_secret(words_of(name), self._names)

    def _mask_once(self, text: str, known: Optional[Literals], depth: int) -> str:
        plain, codes = without_colours(text) if "\x1b[" in text else (text, [])
        if codes:
            masked = self._mask_plain(plain, known, depth)
            if masked != plain:
                text = with_colours(masked, codes, plain, MASK)
        return self._mask_plain(text, known, depth)

    def _mask_plain(self, text: str, known: Optional[Literals], depth: int) -> str:
        if known is not None:
            text = _cut(text, known.spans(text))
        text = shapes.without_key_lines(self._shapes.own(text))
        if shapes.is_suspicious(text) or (self._hints and any(hint in text.lower() for hint in self._hints)):
            text = self._shapes.known(text)
            if self._find is None:
                self._find = assignments.finder(tuple(r"[\W_]{0,2}".join(map(re.escape, words)) for words in self._names))
            text = _cut(text, assignments.spans(text, self._find, self.is_secret_name))
        if depth and len(text) >= 16:
            text = _RUN.sub(lambda found: MASK if self._hides_secret(found.group(), known, depth - 1) else found.group(), text)
        return text

    def _hides_secret(self, run: str, known: Optional[Literals], depth: int) -> bool:
        """Is this base64 or hex of a text that holds a secret?"""
        return any(self._mask_once(text, known, depth) != text for text in _decoded(run))


def _cut(text: str, spans: List[Tuple[int, int]]) -> str:
    if not spans:
        return text
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], MASK]
        at = end
    return "".join([*parts, text[at:]])


def _decoded(run: str) -> List[str]:
    """The texts that a run of base64 or hex may stand for; the run may have been cut, so every alignment is tried."""
    found = []
    if _HEX.match(run):
        found.append(bytes.fromhex(run))
    letters = run.rstrip("=").translate(_URL_SAFE)
    for shift in range(4):
        part = letters[shift:]
        part = part[: len(part) - 1] if len(part) % 4 == 1 else part
        try:
            found.append(base64.b64decode(part + "=" * (-len(part) % 4)))
        except (binascii.Error, ValueError):
            continue
    return [text for text in map(_as_text, found) if text]


def _as_text(raw: bytes) -> str:
    """Its text, if it reads like one."""
    if not raw.isascii() and sum(byte < 32 and byte not in (9, 10, 13) for byte in raw[:64]) > 3:
        return ""
    text = raw.decode("utf-8", "replace")
    return text if text.count("\ufffd") * 8 < len(text) else ""
