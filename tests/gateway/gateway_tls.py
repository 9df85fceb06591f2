"""Certificates for tests, and requests over TLS."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
import trustme

from snakepit.gateway import Tls

TOKENS = {"shop": "the token of the shop, which is long", "app": "the token of the app, which is long"}


class Files(NamedTuple):
    """An authority with a server's certificate and a client's; paths."""

    ca: str
    cert: str
    key: str
    client_cert: str
    client_key: str

    @property
    def tls(self) -> Tls:
        return Tls(cert=self.cert, key=self.key)

    @property
    def mutual(self) -> Tls:
        return Tls(cert=self.cert, key=self.key, client_ca=self.ca)


def files(folder: Path, *clients: str) -> tuple[trustme.CA, Files]:
    folder.mkdir(exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issue(authority, folder / "server", "127.0.0.1", "gateway.example.org")
    issue(authority, folder / "client", "client.example.org")
    names = ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")
    return authority, Files(*(str(folder / name) for name in names))


def issue(authority: trustme.CA, path: Path, *names: str, expired: bool = False) -> tuple[str, str]:
    until = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC) if expired else None
    issued = authority.issue_cert(
        *names,
        common_name=names[0],
        not_after=until,
        **({"not_before": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)} if expired else {}),
    )
    cert, key = path.with_suffix(".pem"), path.with_suffix(".key")
    cert.write_bytes(b"".join(item.bytes() for item in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    return str(cert), str(key)


def channel(address: str, ca: str, pair: tuple[str, str] | None = None) -> Any:
    cert, key = (Path(name).read_bytes() for name in pair) if pair else (None, None)
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(Path(ca).read_bytes(), key, cert))


def bearer(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {TOKENS[name]}"),)
