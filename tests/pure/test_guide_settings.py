"""The guide's configuration keys, as the pool's own settings."""

from __future__ import annotations

from typing import Any

import pytest

import snakepit
from snakepit._api.guide import pool_settings

_GUIDE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"grpc_config": {"base_port": 50051, "port_range": 100}}, {"base_port": 50051, "port_range": 100}),
    ({"grpc_config": {"max_concurrent_streams": 10}}, {"max_concurrent_streams": 10}),
    ({"grpc_config": {"connection_timeout": 10, "stream_timeout": 300}}, {"connection_timeout": 10, "stream_timeout": 300}),
    ({"pool_config": {"pool_size": 16, "worker_init_timeout": 30}}, {"size": 16, "start_timeout": 30}),
    ({"pool_size": 4}, {"size": 4}),
    ({"worker_init_timeout": 30.0}, {"start_timeout": 30.0}),
    ({"adapter_module": snakepit.adapters.GRPCPython}, {"protocol": "grpc"}),
    ({"adapter_module": "Snakepit.Adapters.GRPCPython"}, {"protocol": "grpc"}),
    ({"adapter_module": snakepit.adapters.GenericPythonMsgpack}, {"protocol": "msgpack"}),
    ({"adapter_module": "Snakepit.Adapters.GenericPythonV2"}, {"protocol": "json"}),
    ({"adapters": [snakepit.adapters.GRPCPython, "GenericPythonMsgpack"]}, {"protocol": ("grpc", "msgpack")}),
    ({"size": 2, "queue_size": 5}, {"size": 2, "queue_size": 5}),
    ({}, {}),
]


@pytest.mark.parametrize(("given", "meant"), _GUIDE, ids=str)
def test_each_key(given: dict[str, Any], meant: dict[str, Any]) -> None:
    """Each of the guide's keys is the setting it says; the pool's own names pass as they are."""
    assert pool_settings(given) == meant


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pool_sise": 2}, "no setting is named 'pool_sise'.*did you mean pool_size"),
        ({"grpc_config": {"base_prot": 1}}, "no key of grpc_config is named 'base_prot'.*did you mean base_port"),
        ({"pool_config": {"poolsize": 1}}, "no key of pool_config is named 'poolsize'.*did you mean pool_size"),
        ({"grpc_config": {"pool_size": 1}}, "no key of grpc_config is named 'pool_size'"),
        ({"grpc_config": [("base_port", 1)]}, "grpc_config is a list; allowed is a dict"),
        ({"pool_config": None}, "pool_config is a NoneType; allowed is a dict"),
        ({"adapter_module": "my_app.tools:MyAdapter"}, "allowed is a class of snakepit.adapters.*tools are chosen by adapter="),
        ({"adapter_module": 5}, "adapter_module is 5"),
        ({"adapters": snakepit.adapters.GRPCPython}, "adapters is a type; allowed is a list of classes of snakepit.adapters"),
        ({"adapters": [snakepit.adapters.GRPCPython, 5]}, "adapters is 5; allowed is a class of snakepit.adapters"),
        ({"size": 2, "pool_config": {"pool_size": 3}}, "size is given twice: 2, and 3 by pool_config"),
        ({"adapter_module": snakepit.adapters.GRPCPython, "protocol": "auto"}, "protocol is given twice"),
    ],
    ids=str,
)
def test_a_wrong_key(given: dict[str, Any], words: str) -> None:
    """An unknown key, one of the wrong group, or one given twice is an error that says so, with near names."""
    with pytest.raises(snakepit.ConfigurationError, match=f"(?s){words}"):
        pool_settings(given)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"grpc_config": {"connection_timeout": 10_000}}, "write 10"),
        ({"grpc_config": {"stream_timeout": 300_000}}, "write 300"),
        ({"pool_config": {"worker_init_timeout": 30_000}}, "write 30"),
        ({"worker_init_timeout": 30_000}, "write 30"),
    ],
    ids=str,
)
def test_milliseconds_are_refused_not_misread(given: dict[str, Any], seconds: str) -> None:
    """The guide's times were milliseconds: such a value is refused, and the seconds to write are named."""
    with pytest.raises(snakepit.ConfigurationError, match=f"(?s)meant as milliseconds.*{seconds}"):
        pool_settings(given)


def test_the_same_value_twice_is_no_contradiction() -> None:
    """A size that both places agree on is fine."""
    assert pool_settings({"pool_size": 2, "pool_config": {"pool_size": 2}}) == {"size": 2}


def test_configure_refuses_before_anything_starts() -> None:
    """`configure` checks names and values at once, and a refused call changes nothing."""
    with pytest.raises(snakepit.ConfigurationError, match="no setting is named 'pool_zise'"):
        snakepit.configure(pool_zise=3)
    with pytest.raises(snakepit.ConfigurationError, match="base_port is 70000"):
        snakepit.configure(grpc_config={"base_port": 70000})
