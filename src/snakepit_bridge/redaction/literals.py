"""Known secrets, found wherever they stand: plain, in a repr, in a URL, in base64 at any alignment, in hex."""

import base64
import functools
import json
from typing import List, Tuple
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

    def spans(self, text: str) -> List[Tuple[int, int]]:
        """Where any of the forms stands in the text, joined where they touch."""
        found: List[Tuple[int, int]] = []
        for form in self._forms:
            at = text.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = text.find(form, at + len(form))
        found.sort()
        joined: List[Tuple[int, int]] = []
        for start, end in found:
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined

    def unfinished(self, text: str) -> int:
        """How many characters at the end of the text may be the beginning of one of the forms."""
        if not text:
            return 0
        for form in self._long:
            at = text.find(form[:_BEGINNING], max(0, len(text) - len(form) + 1))
            while at >= 0:
                if form.startswith(text[at:]):
                    return len(text) - at
                at = text.find(form[:_BEGINNING], at + 1)
        if text[-1] in self._last_characters:
            for size in range(min(_BEGINNING, len(text)), 0, -1):
                if text[-size:] in self._beginnings:
                    return size
        return 0


@functools.lru_cache(maxsize=32)
def literals(secrets: Tuple[str, ...]) -> Literals:
    """Those of these secrets that are long enough, and no common words."""
    return Literals(secrets)


def _is_learned(secret: str) -> bool:
    common = (secret.isalpha() and secret.lower() in _COMMON.split()) or "***" in secret or not secret.strip()
    return MIN_LENGTH <= len(secret) <= MAX_LENGTH and not common


def _forms_of(secret: str) -> List[str]:
    lines = [line.strip() for line in secret.splitlines()] if len(secret.splitlines()) > 1 else []
    forms: List[str] = []
    for text in [secret, *(line for line in lines if len(line) >= _MIN_LINE)]:
        raw = text.encode("utf-8", "surrogatepass")
        quoted = repr(text)[1:-1]
        forms += [text, quoted, repr(quoted)[1:-1], repr(raw)[2:-1], json.dumps(text)[1:-1], ascii(text)[1:-1]]
        forms += [text.replace("'", "\\'"), text.replace('"', '\\"')]  # repr chooses its quotes by the text around
        forms += [quote(raw), quote(raw, safe=""), quote_plus(raw), raw.hex(), raw.hex().upper()]
        forms += _in_base64(raw)
    return forms


def _in_base64(raw: bytes) -> List[str]:
    """Its core in base64 at each alignment: the characters that do not depend on what stands before and after it."""
    forms = []
    for shift in range(3):
        padded = b"\0" * shift + raw
        encoded = base64.b64encode(padded).decode("ascii").rstrip("=")
        core = encoded[(0, 2, 3)[shift] : len(padded) * 8 // 6]
        forms += [core, core.replace("+", "-").replace("/", "_")]
    return forms
