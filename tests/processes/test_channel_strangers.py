"""Who may talk to a worker: the host that knows the run's secret, and nobody else; and who may see that secret."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import grpc
import pytest

import snakepit
from pool_helpers import TOOLS, endpoints

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

_ATTACH = "/snakepit.channel.Channel/Attach"


@pytest.fixture(scope="module", params=[None, 0], ids=["unix", "tcp"])
def pool(request: pytest.FixtureRequest) -> Iterator[snakepit.Pool]:
    """A pool of one worker, on a unix socket and on a TCP port."""
    with snakepit.Pool(TOOLS, size=1, base_port=request.param) as pool:
        yield pool


def knock(endpoint: str, metadata: list[tuple[str, str | bytes]], method: str = _ATTACH) -> tuple[grpc.StatusCode, str]:
    """What a worker answers to a client of ours."""
    with grpc.insecure_channel(endpoint, options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.stream_stream(method)(iter([b"\x91\x90"]), metadata=metadata, timeout=10)
        with pytest.raises(grpc.RpcError) as caught:
            next(call)
        return caught.value.code(), caught.value.details()


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("x-snakepit-secret", "")],
        [("x-snakepit-secret", "guess")],
        [("x-snakepit-secret", "0" * 64), ("x-snakepit-codec", "json")],
        [("x-snakepit-secret-bin", b"\xff\xfe")],
        [("x-snakepit-secret", "x" * 4000)],
    ],
    ids=["none", "empty", "wrong", "right length", "binary", "long"],
)
def test_a_stranger_is_turned_away(pool: snakepit.Pool, metadata: list[tuple[str, str | bytes]]) -> None:
    """Without the secret, or with a wrong one, a client gets UNAUTHENTICATED; the worker works on for its host."""
    (before,) = pool.workers()
    (endpoint,) = endpoints(pool)
    code, details = knock(endpoint, metadata)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "only the host that started it" in details
    assert pool.execute("pid") == before.info().pid
    assert pool.stats().restarts == 0


def test_a_stranger_during_a_stream(pool: snakepit.Pool) -> None:
    """Strangers who knock while a stream runs do not disturb it."""
    (endpoint,) = endpoints(pool)
    numbers = []
    for number in pool.stream("count", {"n": 5000}).values():
        if number["n"] % 1000 == 0:
            assert knock(endpoint, [])[0] is grpc.StatusCode.UNAUTHENTICATED
        numbers.append(number["n"])
    assert numbers == list(range(5000))


def test_there_is_no_other_method(pool: snakepit.Pool) -> None:
    """The worker serves one method; any other is UNIMPLEMENTED, whoever asks."""
    (endpoint,) = endpoints(pool)
    assert knock(endpoint, [], "/snakepit.channel.Channel/Shutdown")[0] is grpc.StatusCode.UNIMPLEMENTED
    assert pool.execute("add", {"a": 1}) == 2


def test_a_second_host_with_the_secret(pool: snakepit.Pool) -> None:
    """A worker has one host: another client is turned away even if it knows the secret."""
    (endpoint,) = endpoints(pool)
    code, _ = knock(endpoint, [("x-snakepit-secret", _secret_of(pool)), ("x-snakepit-codec", "json")])
    assert code is grpc.StatusCode.ALREADY_EXISTS
    assert pool.execute("add", {"a": 1}) == 2


def test_the_secret_is_not_shown_to_tools(pool: snakepit.Pool) -> None:
    """A tool finds the secret neither in os.environ, nor on the command line, nor do processes that it starts inherit it."""
    secret = _secret_of(pool)
    assert len(secret) >= 32
    assert pool.execute("secrets_seen", {"secret": secret}) == []


def test_the_secret_is_not_on_the_command_line(pool: snakepit.Pool) -> None:
    """Other users of the machine, who may read command lines, do not see it; and it is no part of the worker's repr or info."""
    (handle,) = pool.workers()
    secret = _secret_of(pool)
    assert secret not in pathlib.Path(f"/proc/{handle.info().pid}/cmdline").read_text(encoding="utf-8")
    assert secret not in repr((handle, handle.info(), pool, handle._worker._spec))


def test_each_pool_has_its_own_secret() -> None:
    """What one pool's workers accept, another's refuse."""
    with snakepit.Pool(TOOLS, size=1) as one, snakepit.Pool(TOOLS, size=1) as other:
        assert _secret_of(one) != _secret_of(other)
        code, _ = knock(endpoints(one)[0], [("x-snakepit-secret", _secret_of(other))])
        assert code is grpc.StatusCode.UNAUTHENTICATED


def _secret_of(pool: snakepit.Pool) -> str:
    (handle,) = pool.workers()
    return handle._worker._spec.secret
