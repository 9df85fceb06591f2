"""The reference of the gateway says what the code says."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from typing import Any

import pytest

import snakepit.gateway
import snakepit.remote
import test_reference as reference
from snakepit import errors
from snakepit.gateway import Gateway, GatewaySettings, Limits, Tls, Token
from snakepit.gateway.tokens import token_from
from snakepit.remote import statuses, words
from snakepit_bridge.grpc import snakepit_pb2 as pb

_PAGE = (reference._REFERENCE / "gateway.md").read_text(encoding="utf-8")


def rows_of(heading: str, number: int = 0) -> reference.Rows:
    return reference._tables("gateway.md", heading)[number]


def told_of(cell: str) -> Any:
    text = reference._code(cell)
    return Limits() if text == "Limits()" else ast.literal_eval(text) if text else dataclasses.MISSING


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize(("heading", "kind"), [("Settings", GatewaySettings), ("Limits", Limits), ("TLS", Tls)])
def test_every_setting_stands_there_with_its_default(heading: str, kind: Any) -> None:
    """The tables of settings, limits and TLS have each field, no other, in their order, and the defaults of the code."""
    rows = rows_of(heading)
    fields = dataclasses.fields(kind)
    assert reference._first_column(rows) == [field.name for field in fields]
    defaults = [field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default for field in fields]
    assert [told_of(row["default"]) for row in rows] == defaults
    if "type" in rows[0]:
        types = [str(field.type).replace(" | ", " or ") for field in fields]
        assert [reference._code(row["type"]) for row in rows] == types


def test_every_key_of_a_token_stands_there() -> None:
    """A settings file's token may have what the table has, and nothing else; so does `Token.of`."""
    *ways, tools, pools = reference._first_column(rows_of("Tokens"))
    for way in ways:
        value = {"sha256": "0" * 64}.get(way, "a token of some length")
        made = token_from("x", {way: value, tools: ["a*"], pools: ["b"]}, {value: value})
        assert (made.tools, made.pools) == (("a*",), ("b",))
    with pytest.raises(errors.ConfigurationError, match="has more"):
        token_from("x", {"token": "a token of some length", "more": 1}, {})
    assert list(inspect.signature(Token.of).parameters) == ["name", "token", tools, pools]


def test_every_method_of_the_service_stands_there() -> None:
    """Each rpc has a row, those that are not served share one."""
    named = [name for row in rows_of("Requests") for name in names_in(row["method"])]
    assert set(named) == {method.name for method in pb.DESCRIPTOR.services_by_name["BridgeService"].methods}


def test_every_header_stands_there() -> None:
    """But for those by which our own clients and the gateway understand each other."""
    own = {words.ENCODING, words.SESSION_OPEN, words.SESSION_CREATED, words.CORRELATION}
    known = {value for value in vars(words).values() if isinstance(value, str) and value.startswith("x-snakepit-")} | {words.TOKEN}
    assert set(reference._first_column(rows_of("Requests", 1))) == known - own


def test_every_error_stands_at_its_status() -> None:
    """The table of statuses has each error that has a code, at the status that tells of it, and the codes that have one of their own."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SnakepitError)]
    bases = {errors.SnakepitError, errors.CallError, errors.PoolError, errors.SessionError, errors.WorkerError, errors.GatewayError}
    expected = {kind.__name__: statuses.status_code(kind("x")).name for kind in kinds if kind not in bases}
    expected |= {code: status.name for code, status in statuses._BY_CODE.items()}
    told = {name: reference._code(row["status"]) for row in rows_of("Statuses") for name in names_in(row["errors"])}
    assert told == expected


def test_every_fact_of_an_error_stands_there() -> None:
    """The list of facts is the one that statuses carry."""
    listed = _PAGE.partition("<!-- facts -->")[2].partition("\n\n")[0]
    assert tuple(names_in(listed)) == statuses._TOLD


def test_public_names_stand_there() -> None:
    """All that `snakepit.gateway` and `snakepit.remote` offer, and the members of what they offer."""
    for module in (snakepit.gateway, snakepit.remote):
        assert list(module.__all__) == sorted(module.__all__, key=lambda name: (name.islower(), name))
        assert [name for name in module.__all__ if f"`{name}" not in _PAGE and f".{name}(" not in _PAGE] == []
    assert set(snakepit.remote.__all__) <= set(dir(snakepit.remote))
    members = {name.partition("(")[0] for row in rows_of("In a program") for name in names_in(next(iter(row.values())))}
    assert {name for name in vars(Gateway) if not name.startswith("_")} | {"async with", "address"} == members
    for row in rows_of("Clients in Python"):
        listed = set(names_in(row["as"])[1:]) - {"aclose"}
        for cell in (row["sync"], row["with `await`"]):
            kind = getattr(snakepit.remote, reference._code(cell))
            renamed = {"aclose": "close"}
            expected = listed - ({"to_arrow"} if kind.__name__.startswith("Async") else set())  # it is read by what does not await
            assert {renamed.get(name, name) for name in dir(kind) if not name.startswith("_")} - {"as_values", "id", "affinity"} == expected


def test_a_name_that_is_not_there() -> None:
    """It is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="'snakepit.remote' has no attribute 'RemotePol'"):
        _ = snakepit.remote.RemotePol
