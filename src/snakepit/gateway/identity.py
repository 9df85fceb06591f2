"""Who a client is: its token's name, else its certificate's, else its address; and what that makes of its sessions' ids. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

from .clients import Client
from .tokens import Token

_CERTIFICATE = "certificate "
#: What gRPC tells of a client's certificate that stays when it is renewed.
_LASTING = ("x509_subject_alternative_name", "x509_subject", "x509_common_name")
_DIGITS = 16


def name_of(token: Token | None, context: Any) -> str:
    """Whom a request comes from, in logs and limits; different for different clients."""
    if token is not None:
        return f"token {token.name}"
    known = context.auth_context()
    if known.get("x509_pem_cert"):
        return _CERTIFICATE + _of_certificate(known)
    kind, _, rest = str(context.peer()).partition(":")
    return f"address {rest.rpartition(':')[0] if kind in ('ipv4', 'ipv6') else kind}"


def prefix_of(client: Client) -> str:
    """What comes before its sessions' ids in a pool, so that no client reaches another's; empty for who cannot be told from others.

    A token's name has no colon, so that `a` and session `b:x` are not `a:b` and session `x`; none begins with an @.
    """
    if client.token is not None:
        return f"{client.token.name}:"
    return f"@{client.name[-_DIGITS:]}:" if client.name.startswith(_CERTIFICATE) else ""


def _of_certificate(known: Any) -> str:
    """Its name, and a digest of all that its names are: two certificates may share one of them."""
    names = [(key, *(bytes(item) for item in known.get(key) or ())) for key in _LASTING]
    if not any(len(item) > 1 for item in names):
        names = [("x509_pem_cert", *known["x509_pem_cert"])]
    shown = (known.get("x509_subject_alternative_name") or known.get("x509_common_name") or [b"without a name"])[0]
    text = "".join(char if char.isprintable() else "?" for char in bytes(shown).decode("utf-8", "replace"))
    return f"{text[:100]} {hashlib.sha256(repr(names).encode()).hexdigest()[:_DIGITS]}"
