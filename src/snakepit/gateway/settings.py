"""What a gateway is told: where it listens, who may come in, how much each client may have. Checked, frozen. Times in seconds."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import pathlib
from typing import Any

from snakepit.config import check_timeout
from snakepit.errors import ConfigurationError

from .tokens import Token

_MEBI = 1024 * 1024
_MOST_PORT = 65_535
#: Limits of several messages together.
_SUMS = ("client_bytes", "all_bytes")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one client may have at once; what goes beyond is refused with RESOURCE_EXHAUSTED and the limit's name.

    A client is a token; without tokens a client certificate's name; without either all who call from one address.

    Attributes:
        message_bytes: of one message, in either direction.
        json_bytes: of one request's parameters that are JSON, together.
        calls: open requests, of any kind. streams: those of them that stream.
        sessions: sessions that it has opened.
        call_seconds: how long one call may take, whatever its deadline.
        request_seconds: until a request has come after its headers.
        late_requests: those that have not come after half a second, uploads and reflection's among them. Beside `client_bytes`,
            each of them may have a message in memory.
        client_bytes: of its requests until they have ended, and its answers until it has read them.
        all_calls: open requests of all clients together. all_bytes: of all clients together.
    """

    message_bytes: int = 64 * _MEBI
    json_bytes: int = 4 * _MEBI
    calls: int = 1_000
    streams: int = 500
    sessions: int = 1_000
    call_seconds: float = 3_600.0
    request_seconds: float = 30.0
    late_requests: int = 8
    client_bytes: int = 512 * _MEBI
    all_calls: int = 10_000
    all_bytes: int = 2_048 * _MEBI

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_seconds"):
                check_timeout(f"limits.{field.name}", value, optional=False)
            elif isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < (2**62 if field.name in _SUMS else 2**31):
                raise ConfigurationError(f"limits.{field.name} is {value!r}; allowed is a whole number from 1 on", field=field.name)
        for name in _SUMS:
            if getattr(self, name) < 2 * self.message_bytes:  # a request and its answer
                message = f"limits.{name} is {getattr(self, name)}, and limits.message_bytes {self.message_bytes}"
                raise ConfigurationError(message, hint=f"make {name} at least twice message_bytes", field=name)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in PEM format.

    Attributes:
        cert: the gateway's certificate, and those of whoever has signed it. key: its private key.
        client_ca: clients must show a certificate that one of these has signed; None: they need none.
    """

    cert: str
    key: str
    client_ca: str | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "client_ca":
                continue
            if not isinstance(value, (str, os.PathLike)) or not pathlib.Path(value).is_file():
                hint = "give the path of a file in PEM format"
                raise ConfigurationError(f"tls.{field.name} is {value!r}, which is no file", hint=hint, field=field.name)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Where a gateway listens and whom it serves.

    Attributes:
        address: `host:port`, port 0 for any free one, or `unix:/path`.
        default: the pool of requests that name none; empty: the first.
        tls: files; None: no encryption.
        tokens: who may come in; empty: whoever reaches it.
        limits: see `Limits`.
        drain_timeout: how long open calls may take to end when it is told to stop.
        notice: how long it goes on taking calls after its health has become NOT_SERVING, so that balancers can look away.
        tracebacks: tell clients the traceback of a tool that raised.

    Raises:
        ConfigurationError: a setting is wrong, or the address leaves this machine without TLS and tokens.
    """

    address: str = "127.0.0.1:50051"
    default: str = ""
    tls: Tls | None = None
    tokens: tuple[Token, ...] = ()
    limits: Limits = dataclasses.field(default_factory=Limits)
    drain_timeout: float = 20.0
    notice: float = 0.0
    tracebacks: bool = False

    def __post_init__(self) -> None:
        host = _host_of(self.address)
        check_timeout("drain_timeout", self.drain_timeout, optional=False)
        if self.notice != 0:
            check_timeout("notice", self.notice, optional=False)
        if not isinstance(self.tracebacks, bool):
            raise ConfigurationError(f"tracebacks is {self.tracebacks!r}; allowed is true or false", field="tracebacks")
        known = self.tls is not None and (self.tokens or self.tls.client_ca is not None)
        if not known and not _is_here(host):
            missing = "tokens, or certificates of clients" if self.tls is not None else "TLS and tokens" if not self.tokens else "TLS"
            raise ConfigurationError(
                f"address is {self.address!r}, which others than this machine reach, without {missing}",
                hint="give tls (cert, key) and tokens, or tls.client_ca; or listen on 127.0.0.1 alone",
                field="address",
            )


def _host_of(address: Any) -> str:
    """The host part; empty for a unix socket."""
    if isinstance(address, str) and address.startswith("unix:") and len(address) > len("unix:"):
        return ""
    host, colon, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    if not colon or not host or not port.isdecimal() or int(port) > _MOST_PORT:
        hint = "for example 127.0.0.1:50051, [::1]:0, unix:/run/snakepit.sock"
        raise ConfigurationError(f"address is {address!r}; allowed is host:port or unix:/path", hint=hint, field="address")
    return host.strip("[]")


def _is_here(host: str) -> bool:
    """Does an address stay on this machine?"""
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def fields_of(kind: type) -> list[str]:
    """The names of a settings class's fields."""
    return [field.name for field in dataclasses.fields(kind)]
