"""Settings of which each is right, and two of them together are not. Called by `config`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import ConfigurationError


def check_together(given: Mapping[str, Any]) -> None:
    """Refuse settings that do not go together.

    Args:
        given: checked settings, each by itself.

    Raises:
        ConfigurationError: two of them do not.
    """
    threads, profile = given.get("threads_per_worker", 1), given.get("profile", "process")
    if threads > 1 and profile != "thread":
        message = f"threads_per_worker is {threads}; allowed is 1 where profile is {profile!r}, not 'thread'"
        hint = "profile='thread' runs several calls at once in one worker; the adapter has to be thread-safe"
        raise ConfigurationError(message, hint=hint, field="threads_per_worker", value=threads)
    if given.get("hang_timeout") is not None and profile == "thread":
        message = "hang_timeout is given, and only a tool on its worker's main thread can be seen to hang, not one of profile 'thread'"
        raise ConfigurationError(message, hint="leave it out; calls have deadlines (timeout=, chunk_timeout=)", field="hang_timeout")
    protocol = given.get("protocol", "auto")
    if given.get("command"):
        for other in ("python", "base_port"):
            if given.get(other) is not None:
                hint = "the command starts the worker's Python itself, and speaks over its stdin and stdout"
                raise ConfigurationError(f"{other} and command are both given", hint=hint, field=other)
        if given.get("launcher", "spawn") != "spawn":
            hint = "the command starts each worker itself: leave launcher out"
            raise ConfigurationError(f"launcher is {given['launcher']!r}, and command is given", hint=hint, field="launcher")
    if protocol == "bridge" and not given.get("command"):
        hint = 'name the server: command=["python3", "priv/python/grpc_server.py", "--adapter", "my_app.MyAdapter"]'
        raise ConfigurationError("protocol is 'bridge', and no command is given", hint=hint, field="command")
    by = "command" if given.get("command") else "base_port"
    if (given.get("command") and protocol in ("grpc", ("grpc",))) or (
        given.get("base_port") is not None and protocol != "auto" and "grpc" not in protocol
    ):
        hint = "gRPC is the protocol that uses ports; a command's worker speaks msgpack or json over its stdin and stdout"
        raise ConfigurationError(f"protocol is {protocol!r}, which does not go with {by}", hint=hint, field="protocol", value=protocol)
