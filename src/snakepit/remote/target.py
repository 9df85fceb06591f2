"""Where a gateway is, and how it is reached: target, token, TLS; and what each request carries. Checked before anything is sent."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Mapping
from typing import Any, TypeAlias

import grpc
import grpc.aio

from snakepit.errors import ConfigurationError

from . import words
from .certificates import checked_authorities, checked_pair

#: `True`: as the system trusts; a path: whom to trust, in PEM format; a dict: `ca`, `cert`, `key`, `server_name`.
TlsOption: TypeAlias = bool | str | os.PathLike[str] | Mapping[str, Any] | None
_TLS_KEYS = ("ca", "cert", "key", "server_name")


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A gateway, as a client was told of it.

    Raises:
        ConfigurationError: something of it is wrong, or a token would leave this machine without encryption.
    """

    address: str
    token: str | None = dataclasses.field(default=None, repr=False)
    tls: TlsOption = None
    pool: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.address, str) or not self.address or self.address.isspace():
            hint = "for example gateway.example.org:50051, or unix:/run/snakepit.sock"
            raise ConfigurationError(f"target is {self.address!r}; allowed is host:port", hint=hint, field="target")
        if self.token is not None and (not isinstance(self.token, str) or not self.token.isascii() or not self.token.isprintable()):
            raise ConfigurationError("token is no text of printable ASCII characters", field="token")
        if self.token is not None and not self.tls and not _is_here(self.address):
            hint = "give tls=True, or tls='ca.pem' with the authority that has signed its certificate"
            message = f"a token for {self.address!r} would travel unencrypted"
            raise ConfigurationError(message, hint=hint, field="tls")

    def channel(self) -> Any:
        """A channel to it, on the loop that runs."""
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ]
        if not self.tls:
            return grpc.aio.insecure_channel(self.address, options=options)
        files = self._files()
        if files.get("server_name"):
            options.append(("grpc.ssl_target_name_override", files["server_name"]))
        ca = checked_authorities("ca", files["ca"]) if files.get("ca") is not None else None
        cert, key = files.get("cert"), files.get("key")
        if (cert is None) != (key is None):
            raise ConfigurationError("tls has one of cert and key, which belong together", field="tls")
        cert, key = checked_pair(cert, key, server=False) if cert is not None else (None, None)
        return grpc.aio.secure_channel(self.address, grpc.ssl_channel_credentials(ca, key, cert), options=options)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """What each request carries."""
        told = [(words.ENCODING, words.MSGPACK)]
        if self.token is not None:
            told.append((words.TOKEN, f"Bearer {self.token}"))
        if self.pool is not None:
            told.append((words.POOL, self.pool))
        return tuple(told)

    def _files(self) -> dict[str, Any]:
        if self.tls is True:
            return {}
        if isinstance(self.tls, Mapping):
            unknown = [str(name) for name in self.tls if name not in _TLS_KEYS]
            if unknown:
                raise ConfigurationError(f"tls has {', '.join(unknown)}; allowed are {', '.join(_TLS_KEYS)}", field="tls")
            return dict(self.tls)
        return {"ca": self.tls}


def _is_here(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
