"""TLS files, checked before gRPC has them: it takes many a wrong one without a word, and no connection ever comes about.

A certificate is tried in a handshake in memory, with itself as what is trusted: so its times and its key count, and nothing else.
"""

from __future__ import annotations

import os
import pathlib
import ssl
import time
from typing import Any

from snakepit.errors import ConfigurationError

_MOST_ROUNDS = 10


def read(name: str, path: Any) -> bytes:
    """A file's content.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return pathlib.Path(path).read_bytes()
    except (OSError, TypeError, ValueError) as error:
        raise _wrong(name, path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def checked_authorities(name: str, path: Any) -> bytes:
    """Certificates of authorities in PEM format.

    Raises:
        ConfigurationError: they are not, or all of them have expired.
    """
    data = read(name, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=data.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise _wrong(name, path, "holds no certificates in PEM format") from None
    until = [ssl.cert_time_to_seconds(str(item["notAfter"])) for item in context.get_ca_certs()]
    if until and max(until) < time.time():
        raise _wrong(name, path, "has expired")
    return data


def checked_pair(cert: Any, key: Any, *, server: bool) -> tuple[bytes, bytes]:
    """(certificate, key), both in PEM format, that belong together.

    Args:
        server: it is to be shown to clients; else to servers.

    Raises:
        ConfigurationError: one is not what it should be, or the certificate is not valid now.
    """
    pair = read("cert", cert), read("key", key)
    if b"-----BEGIN CERTIFICATE-----" not in pair[0]:
        raise _wrong("cert", cert, "holds no certificate in PEM format")
    if b"PRIVATE KEY-----" not in pair[1]:
        raise _wrong("key", key, "holds no private key in PEM format")
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname, theirs.verify_mode = False, ssl.CERT_NONE
    for context in (ours, theirs):
        _load(context, cert, key)
    judge = theirs if server else ours
    judge.verify_mode = ssl.CERT_REQUIRED
    judge.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    judge.load_verify_locations(cadata=pair[0].decode("ascii", "replace"))
    try:
        _shake(ours, theirs)
    except ssl.SSLCertVerificationError as error:
        raise _wrong("cert", cert, f"is refused: {error.verify_message}") from None
    return pair


def _load(context: ssl.SSLContext, cert: Any, key: Any) -> None:
    try:
        context.load_cert_chain(os.fspath(cert), os.fspath(key), password=_no_password)
    except _LockedError:
        raise _wrong("key", key, "is locked with a password; give one that is not") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _wrong("key", key, f"is not that of the certificate in {os.fspath(cert)!r}") from None
        raise _wrong("cert", cert, f"cannot be used with the key {os.fspath(key)!r}: {error.reason or error}") from None


def _shake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(_MOST_ROUNDS):
        for side in list(sides):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            sides.remove(side)
        if not sides:
            return


class _LockedError(Exception):
    """A key wants a password."""


def _no_password() -> str:
    raise _LockedError


def _wrong(name: str, path: Any, what: str) -> ConfigurationError:
    shown = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    hint = "give the path of a file in PEM format that is valid now"
    return ConfigurationError(f"tls.{name} is {shown!r}, which {what}", hint=hint, field=f"tls.{name}")
