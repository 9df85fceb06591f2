"""`snakepit serve`'s settings file: TOML with the gateway's settings, `[tls]`, `[limits]`, `[tokens.NAME]` and `[pools.NAME]`."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tomllib
from collections.abc import Mapping
from typing import Any

from snakepit.config import check_names
from snakepit.errors import ConfigurationError

from .settings import GatewaySettings, Limits, Tls, fields_of
from .tokens import Token, token_from

#: Holds one token for all tools, where no others are given.
TOKEN_VARIABLE = "SNAKEPIT_GATEWAY_TOKEN"
_GROUPS = ("tls", "limits", "tokens", "pools")
_PATHS = ("cert", "key", "client_ca")
#: Of a pool without a name.
MAIN = "main"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What `snakepit serve` is to serve: the gateway's settings, and each pool's (adapter among them) by name."""

    settings: GatewaySettings
    pools: Mapping[str, Mapping[str, Any]]


def read_plan(file: str | os.PathLike[str] | None, given: Mapping[str, Any], environment: Mapping[str, str]) -> Plan:
    """A settings file with what the command line gave over it.

    Args:
        file: its path; None: only what is given.
        given: as the file's content; groups are merged, name by name.

    Raises:
        ConfigurationError: it cannot be read, or something in it is wrong.
    """
    told: dict[str, Any] = {} if file is None else _read(pathlib.Path(file))
    for key, value in given.items():
        told[key] = {**told.get(key, {}), **value} if key in _GROUPS else value
    own = {key: value for key, value in told.items() if key not in _GROUPS}
    check_names(told, dict.fromkeys([*fields_of(GatewaySettings), *_GROUPS]), "setting of a gateway")
    groups = {key: _table(key, told.get(key, {})) for key in _GROUPS}
    check_names(groups["limits"], dict.fromkeys(fields_of(Limits)), "limit of a gateway")
    check_names(groups["tls"], dict.fromkeys(fields_of(Tls)), "setting of tls")
    if groups["tls"]:
        own["tls"] = Tls(**{"cert": None, "key": None, **groups["tls"]})
    pools = {name: _table(f"pools.{name}", settings) for name, settings in groups["pools"].items()} or {MAIN: {}}
    default = own.get("default", "")
    if default and default not in pools:
        raise ConfigurationError(f"default is {default!r}; the pools are {', '.join(pools)}", field="default")
    own["tokens"] = _tokens(groups["tokens"], environment)
    return Plan(GatewaySettings(**own, limits=Limits(**groups["limits"])), pools)


def _tokens(group: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[Token, ...]:
    if group:
        return tuple(token_from(name, _table(f"tokens.{name}", told), environment) for name, told in group.items())
    return (Token.of("token", environment[TOKEN_VARIABLE]),) if environment.get(TOKEN_VARIABLE) else ()


def _read(path: pathlib.Path) -> dict[str, Any]:
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the settings file {str(path)!r} cannot be read: {error.strerror or error}", field="config") from None
    except ValueError as error:  # TOML's and UTF-8's
        raise ConfigurationError(f"the settings file {str(path)!r} is not TOML: {error}", field="config") from None
    tls = told.get("tls")
    if isinstance(tls, dict):  # paths in a file mean those beside it
        told["tls"] = {key: str(path.parent / item) if key in _PATHS and isinstance(item, str) else item for key, item in tls.items()}
    return told


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} is {value!r}; allowed is a table, [{name}] and the settings below it", field=name)
    return dict(value)
