"""A pool's settings: their defaults, their bounds, and what is said about a wrong one."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import re
from typing import Any

import pytest

import snakepit
from snakepit import config
from snakepit.config import PoolConfig, PoolSettings, pool_config

_WRONG: list[tuple[str, Any, str]] = [
    ("session_ttl", 1e15, "seconds from 0.001 to 315360000"),
    ("session_ttl", 0, "seconds from 0.001"),
    ("session_ttl", float("nan"), "seconds from 0.001"),
    ("size", 0, "whole number from 1 to 10000"),
    ("size", -1, "whole number from 1"),
    ("size", 2.0, "whole number"),
    ("size", True, "whole number"),
    ("size", "2", "whole number"),
    ("protocol", "carrier pigeon", "one of auto, grpc"),
    ("python", "/no/such/python", "does not exist"),
    ("cwd", "/no/such/folder", "does not exist"),
    ("env", {"A": 1}, "must map text to text"),
    ("env", ["A=1"], "must map text to text"),
    ("env", {"A=B": "1"}, "env has a variable named 'A=B', a name with '=' in it"),
    ("env", {"": "1"}, "env has a variable named '', a name with no letter"),
    ("env", {"A\0": "1"}, "a name with a null character in it"),
    ("env", {"A": "a\0b"}, "env['A'] is a text with a null character in it"),
    ("env", {"A": "\ud800"}, "env['A'] is a text with half a pair of surrogates in it"),
    ("command", ["a\0b"], "command[0] is 'a\\x00b', a text with a null character in it"),
    ("command", ["ssh", "\ud800"], "command[1] is '\\ud800', a text with half a pair of surrogates in it"),
    ("command", [""], "command[0] is '', a text with no letter"),
    ("python", "a\0b", "which does not exist or cannot be run"),
    ("cwd", __file__, "which is no directory"),
    ("profile", "fibres", "one of process, thread"),
    ("threads_per_worker", 0, "whole number from 1 to 1000"),
    ("threads_per_worker", 1.5, "whole number"),
    ("base_port", -1, "whole number from 0 to 65535 or None"),
    ("base_port", 65536, "whole number from 0 to 65535"),
    ("port_range", -1, "whole number from 0 to 65535"),
    ("port_range", None, "whole number"),
    ("start_timeout", 0, "seconds above 0"),
    ("start_timeout", None, "seconds above 0"),
    ("connection_timeout", -0.1, "seconds above 0"),
    ("stream_timeout", 0, "seconds above 0, or None"),
    ("stream_timeout", math.nan, "seconds above 0"),
    ("queue_size", -1, "whole number of at least 0"),
    ("queue_timeout", 0, "seconds above 0, or None"),
    ("max_concurrent_streams", 0, "whole number of at least 1 or None"),
    ("cancel_timeout", math.inf, "seconds above 0"),
    ("cancel_timeout", True, "seconds above 0"),
    ("close_timeout", "5", "seconds above 0"),
    ("max_restarts", -1, "whole number of at least 0"),
    ("restart_window", 0, "seconds above 0"),
    ("window_chunks", 0, "whole number of at least 1"),
    ("window_bytes", 0, "whole number of at least 1"),
    ("max_payload", 1024, "whole number of bytes of at least 1048576"),
    ("session_store", "sessions.db", "did you mean 'sqlite:///sessions.db' or pathlib.Path('sessions.db')"),
    ("session_store", "sqlite:///:memory:", "None keeps sessions in memory"),
    ("session_store", pathlib.Path(":memory:"), "None keeps sessions in memory"),
    ("session_store", 5, "is 5; allowed is None (memory)"),
    ("secret_patterns", [re.compile(b"x")], "a list of texts"),
    ("worker_output", "printer", "one of auto, stderr, log, discard, or a function"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), _WRONG, ids=lambda item: str(item)[:20])
def test_a_wrong_value(name: str, value: Any, allowed: str) -> None:
    """The error is a ValueError that names the field, what came and what is allowed."""
    with pytest.raises(ValueError) as caught:
        pool_config({name: value})
    error = caught.value
    assert isinstance(error, snakepit.ConfigurationError)
    assert error.details["field"] == name
    assert name in str(error)
    assert allowed in str(error)


@pytest.mark.parametrize("pool", [snakepit.Pool, snakepit.AsyncPool])
def test_both_pools_check_when_they_are_made(pool: Any) -> None:
    """A wrong setting is an error of the line that has it, not of the first call."""
    with pytest.raises(snakepit.ConfigurationError, match="size is 0"):
        pool(size=0)


def test_an_unknown_setting_names_near_ones() -> None:
    """A misspelt setting is refused with what was probably meant."""
    with pytest.raises(snakepit.ConfigurationError, match="no setting is named 'queue_siez'.*\n.*did you mean queue_size"):
        pool_config({"queue_siez": 5})


def test_an_unknown_setting_without_near_ones_lists_all() -> None:
    """A name like no other is refused with all that there are."""
    with pytest.raises(snakepit.ConfigurationError, match="known: .*size.*window_bytes"):
        pool_config({"zzz": 5})


def test_defaults() -> None:
    """Nothing given: as many workers as usable CPUs, a unix socket, streams of five minutes."""
    checked = pool_config({})
    assert checked == PoolConfig(size=config.usable_cpus())
    assert (checked.base_port, checked.port_range, checked.stream_timeout, checked.queue_timeout) == (None, 100, 300.0, None)


def test_every_setting_has_a_check_and_a_default() -> None:
    """What may be written, what is checked and what results have the same names."""
    names = set(PoolSettings.__annotations__)
    assert names == {field.name for field in dataclasses.fields(PoolConfig)} == set(config._CHECKS)


def test_values_are_normalised(tmp_path: pathlib.Path) -> None:
    """Times become floats, paths absolute text, None the default where there is one; the caller's dict is left alone."""
    env = {"A": "b"}
    checked = pool_config({"size": None, "start_timeout": 3, "cwd": tmp_path, "env": env, "stream_timeout": None})
    assert (checked.start_timeout, checked.stream_timeout, checked.cwd) == (3.0, None, str(tmp_path))
    assert isinstance(checked.start_timeout, float)
    env["A"] = "changed"
    assert checked.env == {"A": "b"}
    assert pool_config({"env": None}).env == {}


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (re.compile("patient-\\d+"), "patient-7", True),
        (re.compile("patient", re.IGNORECASE), "PATIENT", True),
        (re.compile("patient"), "PATIENT", False),
        (re.compile("(?i)a . b # a comment", re.VERBOSE | re.DOTALL), "A\nB", True),
    ],
)
def test_compiled_patterns_keep_their_flags(pattern: re.Pattern[str], text: str, found: bool) -> None:
    """A pattern of `re.compile` means the same as text."""
    (kept,) = pool_config({"secret_patterns": [pattern]}).secret_patterns
    assert bool(re.search(kept, text)) is found


def test_a_checked_configuration_cannot_change() -> None:
    """It is frozen: no part of the pool can move it under another."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        pool_config({}).size = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("limit", "count"), [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("nonsense", 8)]
)
def test_usable_cpus_honour_the_container(monkeypatch: pytest.MonkeyPatch, limit: str, count: int) -> None:
    """A cgroup's quota bounds the number of workers, rounded up, never below one; what cannot be read does not count."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    monkeypatch.setattr(pathlib.Path, "read_text", lambda _self, encoding: limit)
    assert config.usable_cpus() == count


def test_usable_cpus_without_cgroups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a quota file the process's affinity decides; where there is none, the machine's CPUs."""

    def missing(_self: pathlib.Path, encoding: str) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(pathlib.Path, "read_text", missing)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2})
    assert config.usable_cpus() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert config.usable_cpus() == 1
