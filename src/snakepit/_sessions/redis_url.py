"""Is it the URL of a Redis server? Said before the library is asked: its errors quote what it took for the port, or the host."""

from __future__ import annotations

import urllib.parse

from snakepit.errors import ConfigurationError


def check_url(url: str) -> None:
    """Refuse what would be read otherwise than it was meant.

    Raises:
        ConfigurationError: it is no URL; nothing of it is shown, for any part may be the password.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        parts.port  # noqa: B018 - raises if it is no number
    except ValueError:
        problem = no_url("its host, or the port behind it, cannot be read")
    else:
        beyond = parts.query if parts.scheme == "unix" else parts.path + parts.query
        if "@" not in beyond and not parts.fragment:
            return
        problem = no_url("its host ends before the '@'")
    raise problem  # outside: the other error quotes what it could not read


def no_url(reason: str) -> ConfigurationError:
    """The setting is no URL that can be used."""
    hint = "for example redis://user:password@127.0.0.1:6379/0, where # / ? @ : and % in a password are written %23 %2F %3F %40 %3A and %25"
    return ConfigurationError(f"session_store is no Redis url: {reason}", hint=hint, field="session_store")
