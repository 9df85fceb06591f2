"""`password=...`, `"api_key": "..."`, `Authorization: Bearer ...` in a text: where the values stand.

A secret's word is looked for first, then its whole name is read around it, then the value behind it. What has been read is
not read again, so the time is linear.
"""

import re
from typing import Any, Callable, List, Optional, Tuple

from .shapes import looks_random

_WORDS = (
    r"pass(?:w(?:or)?d|phrase|code)?|pwd?|secret|token|auth(?:orization)?|cred(?:ential)?s?|cookie|key|signature|t?otp|cv[cv]|jwt|[cx]srf|pswd"
    r"|kennwort|senha|contrasena|sessid|phrase|code|seed|pin|pat|verifier"
)
#: What may stand between a name and its value; `: str =` as in a signature; a tag's end.
_BEHIND = (
    r"(?P<close>(?:\\{0,8}[\"']|%2[27])?\]?)"
    r"(?P<between>[ \t]{0,8}(?:=>|->|:=|==|=|%3[AaDd]|:[ \t]{0,4}(?:str|bytes|Any|SecretStr)(?:[ \t]\|[ \t]None)?[ \t]{0,4}=|:)[ \t]{0,8}"
    r"(?:(?:\r?\n|\\{1,8}n)[ \t]{0,80}(?=\\{0,8}[\"']))?"
    r"|[ \t]{0,4},[ \t]{0,4}(?=[bBuU]?\\{0,8}[\"'])|[ \t]{1,4}(?:is|was|\|)[ \t]{1,4}(?=\S)|[ \t]{1,4}(?=\S)|>(?=[^\s<]))"
)
_NAME_BEFORE = re.compile(r"[\w.-]{1,48}\Z")
_VALUE = re.compile(r"[bBuUrRfF]{0,2}(?P<slashes>\\{0,8})(?P<quote>\"\"\"|'''|[\"'])|(?P<bracket>[\[({])|(?P<plain>[^\s\"']\S*)")
_SCHEME = re.compile(r"(?:bearer|basic|token|digest|negotiate|apikey|bot)[ \t]{1,4}(?=\S)", re.IGNORECASE)
_WORD = re.compile(r"\S*")
_LINE_END = re.compile(r"[\r\n]|\\r|\\n")
#: What is plain behind these is a value only if it looks like one: ordinary sentences and tables have them too.
_WEAK = ("->", "|", "is", "was", "")
#: In YAML, the value is the indented lines below.
_BLOCK = re.compile(r"[|>][+-]?\d?[+-]?[ \t]*\r?\n[ \t]+(?P<lines>\S[^\n]*(?:\n[ \t]+\S[^\n]*)*)")
_BLOCK_BEGINS = re.compile(r"(?P<name>[\w.-]{1,48})[\"']?:[ \t]{0,8}[|>][+-]?\d?[+-]?[ \t]{0,8}\Z")
#: In JSON that a program has laid out, a long value may stand in the next line.
_NAME_ENDS = re.compile(r"(?P<quote>[\"'])(?P<name>[\w.-]{1,48})(?P=quote)[ \t]{0,8}:[ \t]{0,8}\Z")
#: So far behind a colon may a line end that one of these matches (characters).
_BEHIND_COLON = 24
#: Stays behind a plain value.
_CLOSING = ",;)]}>\"'"
#: Values that hold no secret; types, as a signature has them.
_HARMLESS = "| > |- >- none null true false str bytes int float bool any object dict list optional[str] optional[bytes] ... *** secretstr"
#: Of these, the value has blanks: it ends with its line.
_WHOLE_LINES = ("authorization", "cookie")
#: What counts in a value in brackets.
_MARKS = re.compile(r"\\.|[\"']|[\[({\])}]", re.DOTALL)
_PAIRS = {"(": ")", "[": "]", "{": "}"}


def finder(further_words: Tuple[str, ...] = ()) -> Any:
    """The expression that finds a secret's word and what stands behind its name."""
    words = "|".join([*further_words, _WORDS])
    return re.compile(r"(?i:(?:%s))(?P<rest>[\w.-]{0,48})%s" % (words, _BEHIND))


def spans(text: str, find: Any, is_secret_name: Callable[[str], bool]) -> List[Tuple[int, int]]:
    """Where the values of secret names stand."""
    found: List[Tuple[int, int]] = []
    at = 0
    while True:
        match = find.search(text, at)
        if match is None:
            return found
        at = match.end("rest")
        before = _NAME_BEFORE.search(text, max(0, match.start() - 48), match.start())
        start = before.start() if before else match.start()
        name = text[start : match.end("rest")]
        if not is_secret_name(name):
            continue
        span = _value(text, match, name, start)
        if span is not None:
            found.append(span)
            at = span[1]


def goes_on(line: str, is_secret_name: Callable[[str], bool]) -> Tuple[str, bool]:
    """(a secret's name at the end of a line, with what is behind it, if the value follows in the next; is that a block of lines?)."""
    if ":" in line[-_BEHIND_COLON:]:
        for expression, block in ((_NAME_ENDS, False), (_BLOCK_BEGINS, True)):
            found = expression.search(line, max(0, len(line) - 128))
            if found is not None and is_secret_name(found.group("name")):
                return found.group(), block
    return "", False


def _value(text: str, match: Any, name: str, start: int) -> Optional[Tuple[int, int]]:
    """The span of the value, without its quotes; None if nothing secret stands there."""
    between = match.group("between")
    weak = between.strip() in _WEAK
    if weak and not between.strip():
        if _is_option(text, start):
            weak = False
        elif "\t" not in between:
            return None
    if ("\n" in between or "\\" in between) and not match.group("close"):
        return None  # only JSON goes on in the next line
    if "," in between and (not match.group("close") or not _is_pair(text, start)):
        return None
    value = _VALUE.match(text, match.end())
    if value is None or (name in ("PWD", "OLDPWD") and text.startswith("/", match.end())):  # the working directory
        return None
    if value.group("quote"):
        return _quoted(text, value.end(), value.group("slashes") + value.group("quote"))
    if weak:
        return _random(text, value)
    if value.group("bracket"):
        return value.start(), _bracketed(text, value.start())
    return _plain(text, value, name, between)


def _quoted(text: str, start: int, quote: str) -> Optional[Tuple[int, int]]:
    """Up to the same quote that no further backslash escapes; to the end of the text where there is none."""
    at = start
    while True:
        end = text.find(quote, at)
        if end < 0:
            end = len(text)
            break
        slashes = 0
        while end - slashes > start and text[end - slashes - 1] == "\\" and slashes < 64:
            slashes += 1
        if slashes % 2 == 0:
            break
        at = end + len(quote)
    return (start, end) if text[start:end].strip() not in ("", "***") else None


def _bracketed(text: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`; the end of the text where there is none."""
    at = start
    closers: List[str] = []
    for found in _MARKS.finditer(text, start):
        token = found.group()
        if found.start() < at or token[0] == "\\":
            continue
        if token in "\"'":
            span = _quoted(text, found.end(), token)
            at = (span[1] if span else text.find(token, found.end())) + 1
        elif token in _PAIRS:
            closers.append(_PAIRS[token])
        elif closers and token == closers[-1]:
            closers.pop()
            if not closers:
                return found.end()
    return len(text)


def _plain(text: str, value: Any, name: str, between: str) -> Optional[Tuple[int, int]]:
    start, end = value.span("plain")
    block = _BLOCK.match(text, start) if between.strip() == ":" else None
    if block is not None:
        return block.start("lines"), block.end("lines")
    small = name.lower()
    if between == ">":
        closing = text.find("<", start)
        return start, closing if closing >= 0 else len(text)
    if any(word in small for word in _WHOLE_LINES) and ":" in between:
        line = _LINE_END.search(text, start)
        end = line.start() if line else len(text)
    else:
        scheme = _SCHEME.match(text, start)
        if scheme is not None:
            end = _WORD.match(text, scheme.end()).end()  # type: ignore[union-attr]  # there is always one
    while end > start and text[end - 1] in _CLOSING:
        end -= 1
    word = text[start:end]
    if not word or word.lower().rstrip(_CLOSING) in _HARMLESS.split():
        return None
    return start, end


def _random(text: str, value: Any) -> Optional[Tuple[int, int]]:
    """A word that is rather a key than one of a sentence."""
    if not value.group("plain"):
        return None
    start, end = value.span("plain")
    while end > start and text[end - 1] in _CLOSING + ".":
        end -= 1
    return (start, end) if looks_random(text[start:end]) else None


def _is_option(text: str, start: int) -> bool:
    """`--password value` on a command line."""
    return text.startswith("--", start) or text.endswith("--", max(0, start - 2), start)


def _is_pair(text: str, start: int) -> bool:
    """`('password', 'value')`, as headers are often kept."""
    before = text[max(0, start - 6) : start].rstrip("\\\"'bu")
    return before.endswith(("(", "["))
