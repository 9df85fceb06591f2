"""Who may do what at the gateway: TLS, client certificates, tokens; nothing of a token is ever seen."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import traceback
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import snakepit
from gateway_helpers import refusal, request, served
from gateway_tls import TOKENS, bearer, channel, files, issue
from snakepit import errors
from snakepit.gateway import GatewaySettings, Tls, Token
from snakepit.remote.certificates import checked_authorities, checked_pair
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]

_SHOP = Token.of("shop", TOKENS["shop"], tools=["add", "count", "remem*"])
_APP = Token.of("app", TOKENS["app"], pools=["other*"])
_Stub = snakepit_pb2_grpc.BridgeServiceStub


def _every_kind(channel_: Any, headers: Any, *, refused: bool = False) -> dict[str, Any]:
    """A call of each kind, with these headers.

    Args:
        refused: nothing will come of it. A stream of requests is then silent: told while it writes, grpc.aio's client calls it INTERNAL.
    """
    stub, health = _Stub(channel_), health_pb2_grpc.HealthStub(channel_)
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel_)
    asked = request("add", a=1)
    question = None if refused else iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    return {
        "unary": stub.ExecuteTool(asked, metadata=headers),
        "stream": stub.ExecuteStreamingTool(request("count", to=1), metadata=headers),
        "ping": stub.Ping(pb.PingRequest(), metadata=headers),
        "session": stub.InitializeSession(pb.InitializeSessionRequest(session_id="s"), metadata=headers),
        "tools": stub.GetExposedElixirTools(pb.GetExposedElixirToolsRequest(), metadata=headers),
        "elixir": stub.ExecuteElixirTool(pb.ExecuteElixirToolRequest(tool_name="add", parameters=asked.parameters), metadata=headers),
        "check": health.Check(health_pb2.HealthCheckRequest(), metadata=headers),
        "watch": health.Watch(health_pb2.HealthCheckRequest(), metadata=headers),
        "reflection": reflection.ServerReflectionInfo(question, metadata=headers),
        "nowhere": channel_.unary_unary("/no.Such/Method")(b"", metadata=headers),
    }


async def test_without_a_known_token_nothing_is_served() -> None:
    """Missing, unknown or of another scheme: calls, streams, sessions, health, reflection and unknown methods are UNAUTHENTICATED."""
    async with served(tokens=(_SHOP, _APP)) as it:
        for shown in ("", "Bearer another token of that length", f"Basic {TOKENS['shop']}", "Bearer", TOKENS["shop"]):
            headers = (("authorization", shown),) if shown else ()
            for kind, call in _every_kind(it.channel, headers, refused=True).items():
                told = await refusal(call)
                assert (told.code, told.reason) == (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated"), kind
                assert TOKENS["shop"] not in str(told)
        assert it.pool.stats().submitted == 0


async def test_a_known_token_is_served_by_every_service() -> None:
    """With it calls, streams, sessions, health and reflection answer; a method that is not there is UNIMPLEMENTED."""
    async with served(tokens=(_SHOP, _APP)) as it:
        calls = _every_kind(it.channel, bearer("shop"))
        nowhere, watch = calls.pop("nowhere"), calls.pop("watch")
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        for call in calls.values():
            assert await call.read() is not None if hasattr(call, "read") else await call is not None
            call.cancel()
        assert (await refusal(nowhere)).code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_token_allows_its_tools_and_pools_alone() -> None:
    """Patterns choose tools and pools; what is not allowed is neither listed nor hinted at, and is refused whether it is there or not."""
    async with served(tokens=(_SHOP, _APP)) as it:
        calls = [it.stub.ExecuteTool(request(name), metadata=bearer("shop")) for name in ("fail", "no_such_tool")]
        calls.append(it.stub.ExecuteStreamingTool(request("ticks"), metadata=bearer("shop")))
        calls.append(it.stub.ExecuteElixirTool(pb.ExecuteElixirToolRequest(tool_name="fail"), metadata=bearer("shop")))
        calls.append(it.stub.ExecuteTool(request("add", a=1), metadata=bearer("app")))
        calls.append(it.stub.ExecuteTool(request("add", a=1), metadata=(*bearer("app"), ("x-snakepit-pool", "nowhere"))))
        for call in calls:
            told = await refusal(call)
            assert (told.code, told.reason) == (grpc.StatusCode.PERMISSION_DENIED, "access_denied")
        listed = await it.stub.GetExposedElixirTools(pb.GetExposedElixirToolsRequest(), metadata=bearer("shop"))
        assert {tool.name for tool in listed.tools} == {"add", "count", "remember"}
        opened = await it.stub.InitializeSession(pb.InitializeSessionRequest(session_id="s"), metadata=bearer("shop"))
        assert set(opened.available_tools) == {"add", "count", "remember"}
        assert it.pool.stats().submitted == 0


async def test_health_tells_of_a_tokens_own_pools_alone() -> None:
    """Check and Watch of another pool are PERMISSION_DENIED, whether it is there or not; the gateway's own health is everybody's."""
    async with served(tokens=(_SHOP, _APP)) as it:
        health = health_pb2_grpc.HealthStub(it.channel)
        for name in ("main", "nowhere"):
            for method in (health.Check, health.Watch):
                told = await refusal(method(health_pb2.HealthCheckRequest(service=name), metadata=bearer("app")))
                assert (told.code, told.reason) == (grpc.StatusCode.PERMISSION_DENIED, "access_denied")
        for name, token in (("", "app"), ("snakepit.bridge.BridgeService", "app"), ("main", "shop")):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name), metadata=bearer(token))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_tls_and_tokens_with_snakepits_own_client(tmp_path: Path) -> None:
    """`connect_async(token=, tls=)` calls over TLS, under another name too; without TLS, or with another authority, nothing is reached."""
    _, own = files(tmp_path)
    _, strange = files(tmp_path / "strange")
    async with served(tls=own.tls, tokens=(_SHOP,)) as it:
        address = it.gateway.address
        for tls in (own.ca, {"ca": own.ca, "server_name": "gateway.example.org"}):
            async with snakepit.connect_async(address, token=TOKENS["shop"], tls=tls) as pool:
                assert await pool.execute("add", {"a": 2}) == 3
                assert TOKENS["shop"] not in repr(pool)
        for tls in (None, strange.ca):
            with pytest.raises(errors.GatewayUnavailable):
                async with snakepit.connect_async(address, token=TOKENS["shop"], tls=tls):
                    pass
        with pytest.raises(errors.AccessDenied) as told:
            async with snakepit.connect_async(address, token=TOKENS["app"], tls=own.ca):
                pass
        assert TOKENS["app"] not in "".join(traceback.format_exception(told.value)) + repr(told.value)


async def test_client_certificates(tmp_path: Path) -> None:
    """Without a certificate, and with a stranger's, no call gets through; with the right one it does."""
    _, own = files(tmp_path)
    _, strange = files(tmp_path / "strange")
    async with served(tls=own.mutual) as it:
        address = it.gateway.address
        right = {"ca": own.ca, "cert": own.client_cert, "key": own.client_key}
        async with snakepit.connect_async(address, tls=right) as pool:
            assert await pool.execute("add", {"a": 2}) == 3
        for tls in (own.ca, {**right, "cert": strange.client_cert, "key": strange.client_key}):
            with pytest.raises(errors.GatewayUnavailable):
                async with snakepit.connect_async(address, tls=tls):
                    pass


async def test_certificates_keep_sessions_apart(tmp_path: Path) -> None:
    """Two certificates, of which one has the other's name among others, share no session, and neither learns the other's id."""
    authority, own = files(tmp_path)
    other = issue(authority, tmp_path / "second", "client.example.org", "second.example.org")
    async with (
        served(tls=own.mutual) as it,
        channel(it.gateway.address, own.ca, (own.client_cert, own.client_key)) as first,
        channel(it.gateway.address, own.ca, other) as second,
    ):
        await _Stub(first).ExecuteTool(request("remember", "s", value="mine"))
        assert (await _Stub(second).ExecuteTool(request("remember", "s"))).result.value == b"null"
        assert (await _Stub(first).ExecuteTool(request("remember", "s"))).result.value == b'"mine"'
        ids = [info.id for info in await it.pool.sessions()]
        assert len(ids) == 2
        for forged in ids:
            told = await refusal(_Stub(second).GetSession(pb.GetSessionRequest(session_id=forged)))
            assert (told.reason, told.facts["session_id"]) == ("session_ended", forged)


async def test_tokens_keep_sessions_apart() -> None:
    """Another token's sessions are not found, touched, ended or called by their ids, whole or not; errors name ids as the client does."""
    app = Token.of("app", TOKENS["app"])
    async with served(tokens=(_SHOP, app)) as it:
        await it.stub.ExecuteTool(request("remember", "s", value="mine"), metadata=bearer("shop"))
        [internal] = [info.id for info in await it.pool.sessions()]
        for forged in ("s", internal, f"../{internal}", "unknown"):
            told = await refusal(it.stub.GetSession(pb.GetSessionRequest(session_id=forged), metadata=bearer("app")))
            assert (told.code, told.facts["session_id"]) == (grpc.StatusCode.NOT_FOUND, forged)
            assert repr(forged) in told.message
            beat = await it.stub.Heartbeat(pb.HeartbeatRequest(session_id=forged), metadata=bearer("app"))
            ended = await it.stub.CleanupSession(pb.CleanupSessionRequest(session_id=forged), metadata=bearer("app"))
            assert (beat.session_valid, ended.success) == (False, False)
            headers = (*bearer("app"), ("x-snakepit-session-open", "1"))
            told = await refusal(it.stub.ExecuteTool(request("remember", forged), metadata=headers))
            assert (told.reason, told.facts["session_id"]) == ("session_ended", forged)
            assert "app:" not in told.message
        assert (await it.stub.ExecuteTool(request("remember", "s"), metadata=bearer("shop"))).result.value == b'"mine"'
        assert len(await it.pool.sessions()) == 1


_ODD = [
    ("x-snakepit-session-ttl", "nan"),
    ("x-snakepit-session-ttl", "inf"),
    ("x-snakepit-session-ttl", "-1"),
    ("x-snakepit-session-ttl", "1e400"),
    ("x-snakepit-session-ttl", "soon"),
    ("x-snakepit-affinity", "nonsense"),
    ("x-snakepit-retry", "{"),
    ("x-snakepit-retry", "[" * 5000),
    ("x-snakepit-retry", '{"attempts": 1e9}'),
    ("x-snakepit-retry", '{"errors": [1]}'),
    ("x-snakepit-retry", '{"no": 1}'),
    ("x-snakepit-retry", "NaN"),
]


async def test_odd_headers_are_refused_by_name() -> None:
    """Lifetimes that are none, and options of calls that make no sense, are INVALID_ARGUMENT, and no worker is asked."""
    async with served() as it:
        for header in _ODD:
            if "ttl" in header[0]:
                call = it.stub.InitializeSession(pb.InitializeSessionRequest(session_id="s"), metadata=(header,))
            else:
                call = it.stub.ExecuteTool(request("add", "s", a=1), metadata=(header,))
            told = await refusal(call)
            assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_parameter"), header
        assert it.pool.stats().submitted == 0
        huge = await refusal(it.stub.ExecuteTool(request("add", a=1), metadata=(("x-snakepit-retry", "x" * 100_000),)))
        assert huge.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await it.stub.ExecuteTool(request("add", a=1))).result.value == b"2"


@pytest.mark.parametrize("name", ["a:b", "", "a b", "é", "@1", "x" * 65])
def test_names_of_tokens_cannot_forge_prefixes(name: str) -> None:
    """A token's name has no colon and no @, so that the ids of its sessions are nobody else's."""
    with pytest.raises(errors.ConfigurationError, match="letters, digits"):
        Token.of(name, TOKENS["shop"])


async def test_a_token_is_never_seen(caplog: pytest.LogCaptureFixture) -> None:
    """At level DEBUG no record holds a token, neither one that is known nor one that is not; the settings keep digests only."""
    caplog.set_level(logging.DEBUG)
    settings = {"tokens": (_SHOP, _APP)}
    async with served(**settings) as it:
        await it.stub.ExecuteTool(request("add", a=1), metadata=bearer("shop"))
        await refusal(it.stub.ExecuteTool(request("add"), metadata=bearer("shop")))
        await refusal(it.stub.ExecuteTool(request("add"), metadata=(("authorization", "Bearer one that is not known here"),)))
    text = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    kept = repr(dataclasses.asdict(GatewaySettings(**settings)))
    for secret in (*TOKENS.values(), "one that is not known here"):
        assert secret not in text + kept + repr(settings)
    assert "refused ipv4:127.0.0.1" in text
    assert "does not know this token" in text
    assert "listens on 127.0.0.1" in text
    assert "2 tokens" in text


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "10.0.0.1:1", "gateway.example.org:1"])
def test_addresses_that_leave_the_machine_need_tls_and_an_identity(address: str, tmp_path: Path) -> None:
    """Nothing, tokens alone and TLS alone are refused; TLS with tokens or with certificates of clients is not."""
    _, own = files(tmp_path)
    for wrong in ({}, {"tokens": (_SHOP,)}, {"tls": own.tls}):
        with pytest.raises(errors.ConfigurationError, match="which others than this machine reach"):
            GatewaySettings(address=address, **wrong)
    GatewaySettings(address=address, tls=own.tls, tokens=(_SHOP,))
    GatewaySettings(address=address, tls=own.mutual)


def test_wrong_tls_files_are_named(tmp_path: Path) -> None:
    """No PEM, another certificate's key, one that has expired, a folder: each says which file and what is wrong, before anything listens."""
    authority, own = files(tmp_path)
    old, old_key = issue(authority, tmp_path / "old", "127.0.0.1", expired=True)
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("-----BEGIN nothing")
    for cert, key, what in [
        (str(nonsense), own.key, "nonsense.pem', which holds no certificate"),
        (own.cert, str(nonsense), "nonsense.pem', which holds no private key"),
        (own.cert, own.client_key, "client.key', which is not that of the certificate"),
        (old, old_key, "old.pem', which is refused: certificate has expired"),
        (own.cert, str(tmp_path), "which cannot be read: Is a directory"),
    ]:
        for server in (True, False):
            with pytest.raises(errors.ConfigurationError, match=what):
                checked_pair(cert, key, server=server)
    for path in (str(nonsense), own.key):
        with pytest.raises(errors.ConfigurationError, match="no certificates in PEM format"):
            checked_authorities("client_ca", path)
    checked_pair(own.cert, own.key, server=True)
    checked_pair(own.client_cert, own.client_key, server=False)
    assert b"CERTIFICATE" in checked_authorities("client_ca", own.ca)


async def test_wrong_tls_files_are_told_at_the_start(tmp_path: Path) -> None:
    """A gateway with an expired certificate does not start, and starts no pool either."""
    authority, _ = files(tmp_path)
    cert, key = issue(authority, tmp_path / "old", "127.0.0.1", expired=True)
    async with asyncio.timeout(20):
        with pytest.raises(errors.ConfigurationError, match="has expired"):
            async with served(tls=Tls(cert=cert, key=key)):
                pass
