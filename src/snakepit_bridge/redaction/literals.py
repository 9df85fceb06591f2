"""Known secrets, found wherever they stand: plain, in a repr, in a URL, in base64 at any alignment, in hex."""

import base64
import functools
import json
import re
from typing import Iterator, List, Tuple
from urllib.parse import quote, quote_plus

#: Shorter ones are not looked for: they would be found in the middle of words (characters).
MIN_LENGTH = 6
#: Longer ones are not learned (characters), nor more than so many at a time.
MAX_LENGTH = 64 * 1024
MAX_SECRETS = 256
#: A line of a secret of several lines is looked for alone from this length on (characters).
_MIN_LINE = 12
#: Beginnings of forms are kept up to this length (characters); longer ones are compared.
_BEGINNING = 64

_LINE_ENDS = re.compile(r"[\r\n]+")

#: Values that secrets are set to where there is none; as words of other lines they must stay readable.
_COMMON = (
    "password passwd secret secrets token authorization credentials cookie default disabled enabled development production localhost "
    "required optional unknown undefined nothing hidden redacted changeme"
)


class Literals:
    """Known secrets in all their forms, the longest first."""

    def __init__(self, secrets: Tuple[str, ...]) -> None:
        learned = [item for item in dict.fromkeys(secrets) if _is_learned(item)][:MAX_SECRETS]
        forms = {form for secret in learned for form in _forms_of(secret) if len(form) >= MIN_LENGTH}
        self._forms = sorted(forms, key=len, reverse=True)
        self._long = [form for form in self._forms if len(form) > _BEGINNING]
        self._beginnings = {form[:size] for form in self._forms for size in range(1, min(_BEGINNING, len(form) - 1) + 1)}
        self._last_characters = {beginning[-1] for beginning in self._beginnings}

    def spans(self, text: str, border: int = 0) -> List[Tuple[int, int]]:
        """Where any of the forms stands in the text, joined where they overlap or touch; what only touches at the border is not."""
        joined: List[Tuple[int, int]] = []
        for start, end in sorted(place for form in self._forms for place in _places(text, form)):
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
        if not longest and text[-1] in self._last_characters:
            sizes = range(min(_BEGINNING, len(text)), 0, -1)
            longest = next((size for size in sizes if text[-size:] in self._beginnings), 0)
        return longest


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
