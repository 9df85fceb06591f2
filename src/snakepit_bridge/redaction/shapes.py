"""What secrets look like by themselves: keys of well-known services, tokens, passwords in URLs, private keys.

Each expression begins with a text of its own and is bounded or cannot start inside its own match: their time is linear.
"""

import functools
import re
from typing import Any, List, Tuple

MASK = "***"

#: An expression, and what stays of its match.
_SHAPES: List[Tuple[str, str]] = [
    (r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END )[\s\S])*(?:-----END [A-Z0-9 ]{0,60}-----)?", MASK),
    (r"(://[^\s:/?#@'\"<>]{0,128}:)(?!\d{1,5}(?:/|\s|$))[^\s'\"<>]{1,200}@", r"\1" + MASK + "@"),
    (r"(://)[^\s:/?#@'\"<>]{20,256}@", r"\1" + MASK + "@"),
    (r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{12,124}(?![a-z])", MASK),
    (r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{2,}(?:\.[\w-]{0,4096})?", MASK),
    (r"(?<![A-Za-z0-9])(?:sk|rk)[-_](?=[A-Za-z_-]{0,80}\d)[\w-]{16,256}", MASK),
    (r"(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-|dop_v1_|xox[a-z]-|AIza|ya29\.|SG\.)[\w.-]{16,512}", MASK),
    (r"(\bcurl\b[^\n]{0,200}?[ \t](?:-u|--user)(?:[ \t=]{1,4}|(?=\S))['\"]?[^\s:'\"]{1,64}:)[^\s'\"]{1,200}", r"\1" + MASK),
    (r"(?i)(\bbearer[ \t]{1,4})(?=[A-Za-z._~+/=-]{0,256}\d|\S{24})[\w.~+/=-]{6,8192}", r"\1" + MASK),
]

#: A line of a private key by itself: as long as its lines are, and neither all hex nor a word.
_KEY_LINE = (
    r"(?<![A-Za-z0-9+/=_.-])(?=[a-z0-9+/]{0,76}[A-Z])(?=[A-Z0-9+/]{0,76}[a-z])(?=[A-Za-z+/]{0,76}\d)"
    r"[A-Za-z0-9+/]{63,76}={0,2}(?![A-Za-z0-9+/=_.-])"
)

#: One of these must be in the text (in small letters) for a shape or a name to be there.
HINTS = ("pass", "pw", "secret", "token", "auth", "cred", "cookie", "key", "signature", "bearer", "://", "private", "akia", "asia")
_NAME_HINTS = (
    "otp",
    "cvv",
    "cvc",
    "jwt",
    "csrf",
    "xsrf",
    "pswd",
    "kennwort",
    "senha",
    "contrasena",
    "sessid",
    "phrase",
    "verif",
    "recovery",
)
#: Of `pin` and `pat` only what names have: the letters by themselves are those of each path.
_SHORT_HINTS = ("mfa", "2fa", "wallet", "_pin", "-pin", "_pat=", "-pat=", "_pat:", '_pat"', "_pat ")
_MORE_HINTS = ("abia", "acca", "aroa", "aida", "eyj", "sk-", "sk_", "rk-", "rk_", "gh", "glpat-", "hf_", "npm_", "pypi-", "dop_v1_", "xox")
_ALL_HINTS = (*HINTS, *_NAME_HINTS, *_SHORT_HINTS, *_MORE_HINTS, "aiza", "ya29.", "sg.", "curl")


#: The beginning of a shape at the end of a text that goes on; a run of base64 looks mixed, so that a bar of `---` is none.
_UNFINISHED = (
    r"(?:(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{0,124}|(?<![\w-])eyJ[\w.-]{0,4096}|(?<![A-Za-z0-9])(?:sk|rk)[-_][\w-]{0,256}"
    r"|(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-|dop_v1_|xox[a-z]-|AIza|ya29\.|SG\.)[\w.-]{0,512}"
    r"|://[^\s/?#@'\"<>]{0,128}:[^\s@]{0,200}|(?i:bearer)[ \t]{1,4}[\w.~+/=-]{0,4096}|-----BEGIN [A-Z0-9 ]{0,40}"
    r"|(?<![A-Za-z0-9+/_-])(?=[a-z0-9+/_-]{0,64}[A-Z])(?=[A-Z0-9+/_-]{0,64}[a-z])(?=[A-Za-z+/_-]{0,64}\d)[A-Za-z0-9+/_-]{12,4096}={0,2})\Z"
)
#: How far back it may begin (characters).
_LOOK_BACK = 4200
#: What a user's expression may begin with; no bar or row of dots.
_LAST_WORD = r"(?=\S*[^\W_])\S+\Z"
_LONGEST_WORD = 256
#: Whether something looks random shows in so many characters.
_LONGEST_KEY = 4096


class Shapes:
    """All shapes, compiled: those above and a user's own."""

    def __init__(self, patterns: Tuple[str, ...] = ()) -> None:
        self._own = [re.compile(pattern) for pattern in patterns]
        self._known: List[Tuple[Any, str]] = []

    def own(self, text: str) -> str:
        """Mask what the user's expressions find."""
        for pattern in self._own:
            text = pattern.sub(lambda found: MASK if found.group() else "", text)
        return text

    def unfinished_own(self, text: str) -> int:
        """How many characters at the end of a text that goes on a user's expression may begin with: its last word, whatever it is."""
        word = _expression(_LAST_WORD).search(text, max(0, len(text) - _LONGEST_WORD)) if self._own else None
        return len(text) - word.start() if word else 0

    def known(self, text: str) -> str:
        """Mask what the well-known shapes find."""
        if not self._known:  # not at import: compiling takes milliseconds, which a host that prints nothing need not pay
            self._known = [(re.compile(pattern), kept) for pattern, kept in _SHAPES]
        for pattern, kept in self._known:
            text = pattern.sub(kept, text)
        return text


def is_suspicious(text: str) -> bool:
    """May there be anything to mask by its name or shape?"""
    small = text.lower()
    return any(hint in small for hint in _ALL_HINTS)


def without_key_lines(text: str) -> str:
    """Mask what stands as a line of a private key."""
    return _expression(_KEY_LINE).sub(MASK, text) if len(text) >= 63 else text


def unfinished(text: str) -> int:
    """How many characters at the end of a text that goes on may be the beginning of a shape."""
    found = _expression(_UNFINISHED).search(text, max(0, len(text) - _LOOK_BACK))
    return len(text) - found.start() if found else 0


def looks_random(text: str) -> bool:
    """Is this rather a key than a word? Streams of language models bring words under the name `token`, one by one."""
    if len(text) < 8 or any(character.isspace() for character in text[:_LONGEST_KEY]):
        return False
    digits = sum(character.isdigit() for character in text[:_LONGEST_KEY])
    return len(text) >= 20 or 0 < digits < len(text)


@functools.lru_cache(maxsize=3)
def _expression(pattern: str) -> Any:
    return re.compile(pattern)
