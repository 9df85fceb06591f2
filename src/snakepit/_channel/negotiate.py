"""Which protocol a pool's channels use: the first of a chain that both sides have what it takes for. Pure.

auto     grpc, else msgpack, else json
grpc     a gRPC stream; its frames in MessagePack, or in JSON where one side has no MessagePack library
msgpack  an inherited socket, or the worker's stdin and stdout; frames in MessagePack
json     the same, frames in JSON; needs nothing installed
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from snakepit.errors import PoolForked, ProtocolUnavailable, SnakepitError
from snakepit_bridge.wire.codecs import available_codecs
from snakepit_bridge.wire.installed import install_command, is_installed

#: What `protocol="auto"` tries, best first.
AUTO = ("grpc", "msgpack", "json")

#: A foreign server that speaks the public service; and what it cannot do of what workers of ours can.
BRIDGE = "bridge"
BRIDGE_REASONS = (
    "bridge: a cancelled call is not interrupted softly, as the server does not tell when it has ended: its worker is killed and replaced",
    "bridge: streams have no credit of their own: a slow consumer is waited for by HTTP/2 alone, so somewhat more is on its way",
    "bridge: progress of unary calls, snapshots of sessions and what a worker tells of its death are not known to the old protocol",
)

#: What stands in the place of a protocol where workers live inside the host: their frames are in the best codec of the chain.
INSIDE = "memory"

_NEEDS = {"grpc": ("grpcio", "grpcio"), "msgpack": ("msgspec or msgpack", "msgspec")}


@dataclasses.dataclass(frozen=True, slots=True)
class Interpreter:
    """What one Python can do.

    Attributes:
        executable: its path.
        python: its version, such as `3.8.18`.
        grpc: can it import grpc? msgpack: can it import a MessagePack library? pip: can it install one?
        forked_from: the process that used gRPC before this one was forked from it; None: none did.
    """

    executable: str
    python: str
    grpc: bool
    msgpack: bool
    pip: bool = True
    forked_from: int | None = None

    def has(self, protocol: str) -> bool:
        """Is what a protocol needs installed?"""
        return {"grpc": self.grpc, "msgpack": self.msgpack}.get(protocol, True)


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """The protocol that was chosen; and, for each that was passed over, one sentence that says why."""

    protocol: str
    reasons: tuple[str, ...] = ()

    def tell(self, log: logging.Logger) -> None:
        """Into the log."""
        log.info("the pool's channels use %s", self.protocol)
        for reason in self.reasons:
            log.info("the pool's channels use %s: %s", self.protocol, reason)


def chain_of(setting: str | Sequence[str]) -> tuple[str, ...]:
    """The protocols that a setting allows, best first."""
    if isinstance(setting, str):
        return AUTO if setting == "auto" else (setting,)
    return tuple(setting)


def select(setting: str | Sequence[str], host: Interpreter, worker: Interpreter) -> Selection:
    """The first protocol of the setting's chain that both sides can use.

    Raises:
        ProtocolUnavailable: there is none; it says what is missing where, and which command installs it.
        PoolForked: only gRPC is allowed, and it cannot work in this process.
    """
    return _first(chain_of(setting), host, worker)


def _first(chain: Sequence[str], host: Interpreter, worker: Interpreter, *, inherited: bool = False) -> Selection:
    problems: list[SnakepitError] = []
    for protocol in chain:
        problem = _problem(protocol, host, worker, inherited=inherited)
        if problem is None:
            return Selection(protocol, tuple(item.message for item in problems))
        problems.append(problem)
    raise _none_of(problems)


def protocol_of(endpoint: str, codec: str, chain: Sequence[str], *, listens: bool) -> str:
    """What a worker's channel is called by that is reached at an endpoint; empty before it has one."""
    if not endpoint or endpoint == INSIDE:
        return endpoint
    if tuple(chain) == (BRIDGE,):
        return BRIDGE
    return "grpc" if listens else codec


def codec_of(protocol: str) -> str:
    """In what frames travel, but for gRPC."""
    return available_codecs()[0] if protocol == BRIDGE else protocol


def select_bridge(host: Interpreter) -> Selection:
    """The protocol of foreign servers.

    Raises:
        ProtocolUnavailable: this host cannot speak it.
        PoolForked: gRPC cannot work in this process.
    """
    _first(("grpc",), host, host)  # it takes the same
    return Selection(BRIDGE, BRIDGE_REASONS)


def codec_for_grpc(report: Mapping[str, Any]) -> str:
    """The codec of a gRPC channel: the best that both sides have."""
    theirs = report.get("codecs") or ["json"]
    return next(name for name in available_codecs() if name in theirs or name == "json")


def select_on_report(chain: Sequence[str], report: Mapping[str, Any]) -> Selection:
    """`select` for what a worker inherited, its stdin and stdout for one behind a command, on the word of the worker itself.

    Raises:
        ProtocolUnavailable: as `select`.
    """
    if tuple(chain) == (BRIDGE,):
        return Selection(BRIDGE, BRIDGE_REASONS)
    theirs = report.get("codecs") or ["json"]
    host = Interpreter(sys.executable, "", grpc=False, msgpack="msgpack" in available_codecs(), pip=is_installed("pip"))
    executable = str(report.get("executable", "the worker"))
    worker = Interpreter(executable, "", grpc=False, msgpack="msgpack" in theirs, pip=bool(report.get("pip", True)))
    return _first(chain, host, worker, inherited=True)


def _problem(protocol: str, host: Interpreter, worker: Interpreter, *, inherited: bool) -> SnakepitError | None:
    if protocol == "grpc" and inherited:
        text = "protocol 'grpc' does not go with command: a command's stdin and stdout carry msgpack or json"
        return ProtocolUnavailable(text, code="grpc_unavailable", protocol=protocol)
    if protocol == "grpc" and host.forked_from is not None:
        return PoolForked(
            f"process {host.forked_from} has used gRPC, which cannot work in its forked child {os.getpid()}",
            hint="let the pool use another protocol: protocol='auto' does; or start the child by multiprocessing's spawn method",
        )
    for side in (host, worker):
        if not side.has(protocol):
            package, requirement = _NEEDS[protocol]
            return ProtocolUnavailable(
                f"protocol {protocol!r} needs {package}, which {side.executable} does not have",
                code=f"{protocol}_unavailable",
                hint=install_command(side.executable, requirement, has_pip=side.pip),
                protocol=protocol,
                executable=side.executable,
            )
    return None


def _none_of(problems: Sequence[SnakepitError]) -> SnakepitError:
    if len(problems) == 1:
        return problems[0]
    text = "; ".join(problem.message for problem in problems)
    hint = "; or ".join(problem.hint for problem in problems if problem.hint)
    return ProtocolUnavailable(f"no protocol of the chain can be used: {text}", hint=hint)
