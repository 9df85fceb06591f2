"""`snakepit call`: one call behind a gateway, shown as `snakepit run` shows one. Called by `app`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from snakepit.errors import ConfigurationError

from .run_command import RunCommand

if TYPE_CHECKING:
    import snakepit

#: Holds the token, which must not stand on a command line, where others see it.
TOKEN_VARIABLE = "SNAKEPIT_GATEWAY_TOKEN"


class CallCommand(RunCommand):
    """One run of one tool, elsewhere.

    Args:
        target: the gateway's `host:port`. pool: which of its pools; None: its default.
        tls: see `snakepit.connect`.
    """

    def __init__(self, tool: str, items: list[str], base: str | None, *, target: str, pool: str | None, tls: Any, **rest: Any) -> None:
        super().__init__(tool, items, base, adapter=None, size=1, **rest)
        self.adapter = ""  # the tools are the gateway's
        self._target = target
        self._pool = pool
        self._tls = tls

    def pool(self, **_settings: Any) -> snakepit.Pool:
        """The pool behind the gateway; it has of `Pool` what a run needs."""
        import snakepit

        token = os.environ.get(TOKEN_VARIABLE) or None
        return cast("snakepit.Pool", snakepit.connect(self._target, token=token, tls=self._tls, pool=self._pool))


def tls_option(*, tls: bool, ca: str | None, cert: str | None, key: str | None) -> Any:
    """What `connect` is told of TLS.

    Raises:
        ConfigurationError: of a certificate and its key one is missing.
    """
    if (cert is None) != (key is None):
        raise ConfigurationError("--cert and --key belong together: one of them is missing")
    files = {name: path for name, path in (("ca", ca), ("cert", cert), ("key", key)) if path is not None}
    return files or tls or None
