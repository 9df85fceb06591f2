"""Known secrets, found wherever they stand: plain, in a repr, in a URL, in base64 at any alignment, in hex."""

import base64
import functools
import json
import re
from typing import Dict, Iterator, List, Tuple
from urllib.parse import quote, quote_plus

#: Shorter ones are not looked for: they would be found in the middle of words (characters).
MIN_LENGTH = 6
#: Longer ones are not learned (characters), nor more than so many at a time.
MAX_LENGTH = 64 * 1024
MAX_SECRETS = 1024
#: A line of a secret of several lines is looked for alone from this length on (characters).
_MIN_LINE = 12
#: Beginnings of forms are looked for up to this length (characters); of longer forms, more is compared.
_BEGINNING = 64

#: The forms of secrets up to this length are kept for the next time (characters).
_KEPT = 1024
#: So many forms are looked for one by one.
_FEW_FORMS = 64

_LINE_ENDS = re.compile(r"[\r\n]+")

#: Values that secrets are set to where there is none; as words of other lines they must stay readable.
_COMMON = (
    "password passwd secret secrets token authorization credentials cookie default disabled enabled development production localhost "
    "required optional unknown undefined nothing hidden redacted changeme"
)


class Literals:
    """Known secrets in all their forms. A busy worker's change with each call, so most of the work is done once per secret."""

    def __init__(self, secrets: Tuple[str, ...]) -> None:
        learned = [item for item in dict.fromkeys(secrets) if _is_learned(item)][:MAX_SECRETS]
        known = [_kept_secret(item) if len(item) <= _KEPT else _Secret(item) for item in learned]
        self._forms = list(dict.fromkeys(form for secret in known for form in secret.forms))
        self._long = [form for form in self._forms if len(form) > _BEGINNING]
        self._by_start: Dict[str, List[str]] = {}
        for form in self._forms:
            self._by_start.setdefault(form[:MIN_LENGTH], []).append(form)
        self._starts = frozenset().union(*(secret.starts for secret in known))

    def spans(self, text: str, border: int = 0) -> List[Tuple[int, int]]:
        """Where any of the forms stands in the text, joined where they overlap or touch; what only touches at the border is not."""
        joined: List[Tuple[int, int]] = []
        for start, end in sorted(place for form in self._candidates(text) for place in _places(text, form)):
            if joined and (start < joined[-1][1] or start == joined[-1][1] != border):
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined

    def unfinished(self, text: str) -> int:
        """How many characters at the end of the text may be the beginning of one of the forms; the most, where several may be."""
        if not text:
            return 0
        longest = max((_begun(text, form) for form in self._long), default=0)
        return longest or self._short_unfinished(text[-_BEGINNING:])

    def _candidates(self, text: str) -> List[str]:
        """The forms that may stand in the text. Of many, few begin with what is in it, which is faster to find than each of them."""
        if len(self._forms) <= _FEW_FORMS:
            return self._forms
        grams = {text[at : at + MIN_LENGTH] for at in range(len(text) - MIN_LENGTH + 1)}
        return [form for start in grams.intersection(self._by_start) for form in self._by_start[start]]

    def _short_unfinished(self, text: str) -> int:
        for at in range(len(text) - MIN_LENGTH + 1):
            forms = self._by_start.get(text[at : at + MIN_LENGTH])
            if forms is not None and any(len(form) > len(text) - at and form.startswith(text[at:]) for form in forms):
                return len(text) - at
        return next((size for size in range(min(MIN_LENGTH - 1, len(text)), 0, -1) if text[-size:] in self._starts), 0)


class _Secret:
    """One secret: its forms, and how they begin, up to the length by which they are found."""

    __slots__ = ("forms", "starts")

    def __init__(self, secret: str) -> None:
        self.forms = list(dict.fromkeys(form for form in _forms_of(secret) if len(form) >= MIN_LENGTH))
        self.starts = frozenset(form[:size] for form in self.forms for size in range(1, MIN_LENGTH))


_kept_secret = functools.lru_cache(maxsize=1024)(_Secret)


def _places(text: str, form: str) -> Iterator[Tuple[int, int]]:
    """Where the form stands, also where it overlaps itself. A run of one period is one place: so the time stays linear."""
    start = text.find(form)
    while start >= 0:
        end = start + len(form)
        again = text.find(form, start + 1)
        if 0 <= again < end:
            period = form[start - again :]
            while text.startswith(period, end):
                end += len(period)
            again = text.find(form, end - len(form) + 1)
        yield start, end
        start = again


def _begun(text: str, form: str) -> int:
    """How many characters at the end of the text are the beginning of this long form; 0 if less than are kept of each."""
    at = text.find(form[:_BEGINNING], max(0, len(text) - len(form) + 1))
    while at >= 0 and not form.startswith(text[at:]):
        at = text.find(form[:_BEGINNING], at + 1)
    return len(text) - at if at >= 0 else 0


@functools.lru_cache(maxsize=32)
def literals(secrets: Tuple[str, ...]) -> Literals:
    """Those of these secrets that are long enough, and no common words."""
    return Literals(secrets)


def _is_learned(secret: str) -> bool:
    common = (secret.isalpha() and secret.lower() in _COMMON.split()) or "***" in secret or not secret.strip()
    return MIN_LENGTH <= len(secret) <= MAX_LENGTH and not common


def _forms_of(secret: str) -> List[str]:
    forms: List[str] = []
    for text in _texts_of(secret):
        raw = text.encode("utf-8", "surrogatepass")
        quoted = repr(text)[1:-1]
        forms += [text, quoted, repr(quoted)[1:-1], repr(raw)[2:-1], json.dumps(text)[1:-1], ascii(text)[1:-1]]
        forms += [text.replace("'", "\\'"), text.replace('"', '\\"')]  # repr chooses its quotes by the text around
        forms += [quote(raw), quote(raw, safe=""), quote_plus(raw), raw.hex(), raw.hex().upper()]
        forms += _in_base64(raw)
    return forms


def _texts_of(secret: str) -> List[str]:
    """Itself; without the line end that a file gave it; without those inside, as who reads line by line sees it; its long lines."""
    texts = [secret, *filter(_is_learned, (secret.strip(), _LINE_ENDS.sub("", secret)))]
    lines = secret.splitlines()
    if len(lines) > 1:
        texts += [line for line in map(str.strip, lines) if len(line) >= _MIN_LINE]
    return list(dict.fromkeys(texts))


def _in_base64(raw: bytes) -> List[str]:
    """Its core in base64 at each alignment: the characters that do not depend on what stands before and after it."""
    forms = []
    for shift in range(3):
        padded = b"\0" * shift + raw
        encoded = base64.b64encode(padded).decode("ascii").rstrip("=")
        core = encoded[(0, 2, 3)[shift] : len(padded) * 8 // 6]
        forms += [core, core.replace("+", "-").replace("/", "_")]
    return forms
