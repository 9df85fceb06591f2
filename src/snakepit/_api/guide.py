"""The guide's configuration keys, turned into the pool's own settings. Pure.

`adapter_module` chooses the protocol, `adapters` a chain of them; `grpc_config` and `pool_config` group settings. Their times
are seconds here, like all times; values that can only be milliseconds are refused rather than misread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snakepit import adapters
from snakepit.config import PoolSettings, check_names
from snakepit.errors import ConfigurationError

_GRPC_KEYS = {
    "base_port": "base_port",
    "port_range": "port_range",
    "max_concurrent_streams": "max_concurrent_streams",
    "connection_timeout": "connection_timeout",
    "stream_timeout": "stream_timeout",
}
_POOL_KEYS = {"pool_size": "size", "worker_init_timeout": "start_timeout"}
_TOP_KEYS = {"pool_size": "size", "worker_init_timeout": "start_timeout"}
_GROUPS = {"grpc_config": _GRPC_KEYS, "pool_config": _POOL_KEYS}

#: A start or connection longer than this, or a stream longer than the second, was meant in milliseconds (seconds).
_SURELY_MS = {"connection_timeout": 1_000, "worker_init_timeout": 5_000, "stream_timeout": 100_000}


def pool_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as `Pool` takes them.

    Raises:
        ConfigurationError: an unknown key, a key given twice, or a time that can only be milliseconds.
    """
    known = {*PoolSettings.__annotations__, *_TOP_KEYS, *_GROUPS, "adapter_module", "adapters"}
    check_names(settings, dict.fromkeys(known), "setting")
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if name in _GROUPS:
            for ours, item in _group(name, value).items():
                _put(found, ours, item, name)
        elif name == "adapter_module":
            _put(found, "protocol", protocol_of(value), name)
        elif name == "adapters":
            _put(found, "protocol", _chain(value), name)
        else:
            _refuse_milliseconds(name, value)
            _put(found, _TOP_KEYS.get(name, name), value, name)
    return found


def _group(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} is a {type(value).__name__}; allowed is a dict of settings", field=name)
    check_names(value, _GROUPS[name], f"key of {name}")
    for key, item in value.items():
        _refuse_milliseconds(key, item)
    return {_GROUPS[name][key]: item for key, item in value.items()}


def _put(found: dict[str, Any], ours: str, value: Any, source: str) -> None:
    if ours in found and found[ours] != value:
        raise ConfigurationError(f"{ours} is given twice: {found[ours]!r}, and {value!r} by {source}", field=ours)
    found[ours] = value


def _refuse_milliseconds(name: str, value: Any) -> None:
    limit = _SURELY_MS.get(name)
    if limit is not None and isinstance(value, int | float) and value >= limit:
        raise ConfigurationError(
            f"{name} is {value!r} seconds, which must have been meant as milliseconds",
            hint=f"times are seconds: write {value / 1000:g}",
            field=name,
            value=value,
        )


def protocol_of(module: Any, field: str = "adapter_module") -> str:
    """The protocol that one of the guide's names stands for: a class of `snakepit.adapters`, or its name as text.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(module, str):
        module = getattr(adapters, module.rpartition(".")[2], module)
    protocol = getattr(module, "protocol", None)
    if not isinstance(protocol, str):
        names = ", ".join(name for name, value in vars(adapters).items() if hasattr(value, "protocol"))
        hint = f"tools are chosen by adapter=, the protocol by protocol='grpc' or, as the guide has it, by {names}"
        message = f"{field} is {module!r}; allowed is a class of snakepit.adapters"
        raise ConfigurationError(message, hint=hint, field=field)
    return protocol


def _chain(modules: Any) -> tuple[str, ...]:
    if not isinstance(modules, (list, tuple)):
        message = f"adapters is a {type(modules).__name__}; allowed is a list of classes of snakepit.adapters, the best first"
        raise ConfigurationError(message, field="adapters")
    return tuple(protocol_of(module, "adapters") for module in modules)
