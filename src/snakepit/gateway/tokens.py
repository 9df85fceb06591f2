"""Bearer tokens: who a client is, and which tools and pools it may use.

Only digests are kept. A token that comes is compared with each of them in constant time, and never shown.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from snakepit.errors import AccessDenied, ConfigurationError
from snakepit.remote import words

#: Shorter ones can be guessed.
_SHORTEST = 16
_LONGEST = 4_096
_MAKE_ONE = 'make one: python -c "import secrets; print(secrets.token_urlsafe(32))"'
_SCHEME = "bearer "
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """One client's right to come in.

    Attributes:
        name: the client's, in logs and limits: letters, digits, `_`, `.` and `-`.
        digest: SHA-256 of the token.
        tools: patterns of the tools it may call, such as `train_*`; pools: of the pools.
    """

    name: str
    digest: bytes = dataclasses.field(repr=False)
    tools: tuple[str, ...] = ("*",)
    pools: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            allowed = "1 to 64 letters, digits, '_', '.' and '-'"
            hint = "it stands before the ids of its sessions, with a colon after it"
            raise ConfigurationError(f"a token is named {str(self.name)[:80]!r}; allowed are {allowed}", hint=hint, field="tokens")

    @classmethod
    def of(cls, name: str, token: str, tools: Iterable[str] = ("*",), pools: Iterable[str] = ("*",)) -> Token:
        """One made from the token itself.

        Raises:
            ConfigurationError: it is too short, or no text that a header can hold.
        """
        if not isinstance(token, str) or not _SHORTEST <= len(token) <= _LONGEST or not token.isascii() or not token.isprintable():
            what = f"of {len(token)} characters" if isinstance(token, str) else f"a {type(token).__name__}"
            raise ConfigurationError(
                f"the token of {name!r} is {what}; allowed is text of {_SHORTEST} printable ASCII characters or more",
                hint=_MAKE_ONE,
                field="tokens",
            )
        return cls(name, _digest(token), _patterns(name, "tools", tools), _patterns(name, "pools", pools))

    def allows_tool(self, tool: str) -> bool:
        """May it call that tool?"""
        return any(fnmatch.fnmatchcase(tool, pattern) for pattern in self.tools)

    def allows_pool(self, pool: str) -> bool:
        """May it use that pool?"""
        return any(fnmatch.fnmatchcase(pool, pattern) for pattern in self.pools)


class Guests:
    """Finds the token that a request shows.

    Args:
        tokens: those that are known; none: everybody may come in.
    """

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._tokens = tuple(tokens)

    def token_of(self, headers: Iterable[tuple[str, Any]]) -> Token | None:
        """Its token; None where no tokens are asked for.

        Raises:
            AccessDenied: it shows none, or one that is not known.
        """
        if not self._tokens:
            return None
        shown = words.header(headers, words.TOKEN)
        if shown[: len(_SCHEME)].lower() != _SCHEME:
            raise AccessDenied(
                "this gateway needs a token", code="unauthenticated", hint="give it in the header 'authorization', after the word Bearer"
            )
        digest, found = _digest(shown[len(_SCHEME) :].strip()), None
        for token in self._tokens:  # all of them, so that the time says nothing
            if hmac.compare_digest(digest, token.digest):
                found = token
        if found is None:
            raise AccessDenied("the gateway does not know this token", code="unauthenticated")
        return found


def token_from(name: str, told: Mapping[str, Any], environment: Mapping[str, str]) -> Token:
    """A token as a settings file tells of it: one of `token`, `sha256`, `env`; with `tools` and `pools`.

    Raises:
        ConfigurationError: it says none of them, or more than one, or something else.
    """
    ways = [key for key in ("token", "sha256", "env") if key in told]
    unknown = set(told) - {"token", "sha256", "env", "tools", "pools"}
    if len(ways) != 1 or unknown:
        what = f"has {', '.join(sorted(unknown))}" if unknown else f"has {' and '.join(ways) or 'neither'}"
        hint = "one of token (the text), sha256 (its digest, 64 hex digits) and env (the variable that holds it); beside it tools and pools"
        raise ConfigurationError(f"tokens.{name} {what}", hint=hint, field="tokens")
    tools, pools = told.get("tools", ["*"]), told.get("pools", ["*"])
    if ways == ["sha256"]:
        try:
            digest = bytes.fromhex(told["sha256"])
        except (TypeError, ValueError):
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise ConfigurationError(f"tokens.{name}.sha256 is not 64 hex digits", field="tokens")
        return Token(name, digest, _patterns(name, "tools", tools), _patterns(name, "pools", pools))
    if ways == ["env"] and told["env"] not in environment:
        raise ConfigurationError(f"tokens.{name}.env names the variable {told['env']!r}, which is not set", field="tokens")
    return Token.of(name, environment[told["env"]] if ways == ["env"] else told["token"], tools, pools)


def forget(tokens: Iterable[Token], environment: MutableMapping[str, str]) -> None:
    """Take the variables that hold one of these tokens out of an environment."""
    digests = {token.digest for token in tokens}
    for name, value in list(environment.items()):
        if _digest(value) in digests:
            del environment[name]


def _patterns(name: str, what: str, patterns: Any) -> tuple[str, ...]:
    listed = tuple(patterns) if isinstance(patterns, (list, tuple)) else (None,)
    if not all(isinstance(item, str) for item in listed):
        raise ConfigurationError(f"tokens.{name}.{what} is {patterns!r}; allowed is a list of names, * for any characters", field="tokens")
    return listed


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
