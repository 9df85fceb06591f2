"""What a store may keep where it outlives its process: nothing secret, by the usual rules and by those of the pools that use it."""

from __future__ import annotations

from typing import Any

from snakepit.errors import InvalidParameter
from snakepit_bridge.redaction import DEFAULT, Redactor
from snakepit_bridge.redaction.objections import Objection

from .records import check_metadata, check_program_id, check_session_id, decode, encode


class Guard:
    """Refuses secrets, by name and never by value. May be used from several threads.

    Args:
        redactor: whose rules hold; by default those of pools without names and patterns of their own.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._redactors = {DEFAULT.rules: DEFAULT}
        if redactor is not None:
            self.add(redactor)

    def add(self, redactor: Redactor) -> None:
        """A pool with these rules uses the store too: they hold from now on."""
        if redactor.rules not in self._redactors:
            # The usual rules are part of every redactor. Another dict, so that other threads may read meanwhile.
            kept = {rules: item for rules, item in self._redactors.items() if item is not DEFAULT}
            self._redactors = {**kept, redactor.rules: redactor}

    def session_id(self, value: Any) -> str:
        """A session's id that may be kept.

        Raises:
            InvalidParameter: it is none, or looks like a secret.
        """
        session_id = check_session_id(value)
        self._refuse_secrets(session_id, "session_id")
        return session_id

    def program_id(self, value: Any) -> str:
        """A program's id that may be kept.

        Raises:
            InvalidParameter: it is none, or looks like a secret.
        """
        program_id = check_program_id(value)
        self._refuse_secrets(program_id, "program_id")
        return program_id

    def encode(self, value: Any, what: str) -> bytes:
        """`records.encode` for what may be kept.

        Raises:
            InvalidParameter: it cannot travel, holds what looks like a secret, or more than can be searched for one.
        """
        data = encode(value, what)
        # Searched is what will be on disk: on the way there an enum becomes its value, a path its text. The names of a named
        # tuple's fields are left behind on it, so these are looked at before.
        self._refuse_secrets(decode(data), what, value)
        return data

    def encode_metadata(self, metadata: Any) -> bytes:
        """`encode` for metadata, which is a dict with text keys."""
        return self.encode(check_metadata(metadata), "metadata")

    def _refuse_secrets(self, kept: Any, what: str, given: Any = None) -> None:
        for redactor in self._redactors.values():
            found = redactor.objection(kept, what)
            if found is None and given is not None:
                found = redactor.secret_name_in(given, what)
            if found is not None:
                raise _refusal(found, redactor.mask(found.path))  # a key on the path may be a secret too


def _refusal(found: Objection, path: str) -> InvalidParameter:
    if found.secret:
        hint = "keep secrets out of sessions, or use the memory store, which never leaves this process"
        message = f"{path} {found.reason}, and this session store keeps nothing secret"
    else:
        hint = "keep large values in a file and their path in the session, or use the memory store"
        message = f"{path} {found.reason}, too much to be searched for secrets, and this session store keeps nothing secret"
    return InvalidParameter(message, hint=hint, field=path)
