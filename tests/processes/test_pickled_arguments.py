"""Pickles: where the pool and the tool both say so, of the parameters that are named, and nowhere else."""

from __future__ import annotations

import pathlib
import pickle
import threading
from typing import Any

import numpy
import pytest

import snakepit
from pickle_tools import Far, Mine, Model, PickleTools
from snakepit._api import options
from snakepit.gateway import Gateway, GatewaySettings
from snakepit_bridge.wire.typed import Pickled

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]


@pytest.mark.parametrize("protocol", ["msgpack", "json", "grpc"])
@pytest.mark.parametrize("count", [3, 500_000], ids=["small", "large"])
def test_objects_arrive(protocol: str, count: int) -> None:
    """Small and with large arrays beside them, alone and in a list, in calls and streams; plain values as they always do."""
    model = Model(numpy.ones(count))
    with snakepit.Pool(PickleTools, size=1, protocol=protocol, allow_pickle=True) as pool:
        for _ in range(3):
            assert pool.execute("predict", {"model": model, "x": (1,)}) == ("Model", count, "tuple")
        assert pool.submit("predict", {"model": model}).result(20) == ("Model", count, "int")
        assert pool.execute("predict", {"model": [1.0, 2.0]}) == ("list", 3.0, "int")
        chunks = pool.stream("each", {"models": [model, Model(numpy.zeros(2))]}).values()
        assert [chunk["sum"] for chunk in chunks if "sum" in chunk] == [count, 0]
        assert pool.execute("train", {"model": model}) == 2 * count
        assert model.weights[0] == 1
        assert pool.tools.predict(model) == ("Model", count, "int")
        assert pool.stats().restarts == 0


def test_what_is_given_is_what_it_was() -> None:
    """Pickled when the call is made: what the caller changes then does not reach it."""
    with snakepit.Pool(PickleTools, size=1, allow_pickle=True) as pool:
        models = [Model(numpy.full(50_000, float(number))) for number in range(20)]
        futures = [pool.submit("predict", {"model": model}) for model in models]
        for model in models:
            model.weights[:] = -1
        assert [future.result(20)[1] for future in futures] == [50_000.0 * number for number in range(20)]


@pytest.mark.parametrize(
    ("allowed", "tool", "said"),
    [
        (False, "predict", "'predict' takes model pickled, which this pool does not allow; Pool(..., allow_pickle=True) does"),
        (True, "takes", "a parameter must be named by its tool, of 'takes' too: @tool(pickled=[...])"),
        (False, "takes", "what travels: None, numbers"),
    ],
)
def test_one_word_is_not_enough(allowed: bool, tool: str, said: str) -> None:
    """The error says whose is missing; nothing was pickled."""
    with snakepit.Pool(PickleTools, size=1, allow_pickle=allowed) as pool:
        with pytest.raises(snakepit.SerializationError, match=r"args\['model'\] is a pickle_tools.Mine") as refused:
            pool.execute(tool, {"model": Mine("/nowhere")})
        assert said in refused.value.hint
        if allowed:
            with pytest.raises(snakepit.SerializationError, match=r"args\['x'\] is a pickle_tools.Mine"):
                pool.execute("predict", {"model": Model(1.0), "x": Mine("/nowhere")})


def test_what_cannot_be_pickled_or_read() -> None:
    """Both name the argument and the reason; the worker goes on."""
    with snakepit.Pool(PickleTools, size=1, allow_pickle=True) as pool:
        with pytest.raises(snakepit.InvalidParameter, match=r"predict\(\): 'model', a Model, cannot be pickled: TypeError: .*lock"):
            pool.execute("predict", {"model": Model(threading.Lock())})
        with pytest.raises(snakepit.InvalidParameter, match="'model' came as a pickle, which cannot be read here: ZeroDivisionError"):
            pool.execute("predict", {"model": Far()})
        assert pool.execute("predict", {"model": Model(1.0)}) == ("Model", 1.0, "int")
        assert pool.stats().restarts == 0


def test_what_codecs_carry_goes_without_a_pickle() -> None:
    """None, numbers, texts, lists and dicts of such."""
    with snakepit.Pool(PickleTools, size=1, allow_pickle=True) as pool:
        spec = next(spec for spec in pool.tool_specs() if spec.name == "predict")
    plain: Any = {"model": {"deep": [1, "x", None, 0.5]}}
    assert options.pickled_arguments(spec, plain) == {}
    assert list(options.pickled_arguments(spec, {"model": [plain, Model(1.0)]})) == ["model"]


def test_one_argument_is_given_once() -> None:
    """A pickle beside bytes of the same name is refused, as two arguments of one name are."""
    with (
        snakepit.Pool(PickleTools, size=1, allow_pickle=True) as pool,
        pytest.raises(snakepit.InvalidBinaryParameter, match="'model' is in args and"),
    ):
        pool.execute("predict", {"model": Model(1.0)}, binary_parameters={"model": b"x"})


def test_a_pickle_that_the_pool_has_not_made_is_not_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends one past the pool's own, such as a client of a gateway, runs nothing."""
    trap = Pickled(pickle.dumps(Mine(str(tmp_path / "trap"))), [])
    with snakepit.Pool(PickleTools, size=1) as pool:
        with pytest.raises(snakepit.InvalidParameter, match="which the pool has not made"):
            pool.execute("predict", {"model": trap})
        with pytest.raises(snakepit.InvalidParameter, match="which the tool does not say it takes"):
            pool.execute("takes", {"model": trap})
        with pytest.raises(snakepit.SerializationError, match="a pickle, inside of a value, which nobody reads"):
            pool.execute("takes", {"model": [{"part": trap}]})
    with snakepit.Pool(PickleTools, size=1, allow_pickle=True) as pool:
        with pytest.raises(snakepit.InvalidParameter, match="which the tool does not say it takes"):
            pool.execute("takes", {"model": trap})
        with pytest.raises(snakepit.InvalidParameter, match="which the pool has not made"):
            pool.execute("predict", {"model": trap})
    assert not (tmp_path / "trap").exists()
    unsafe: Any = options.pickled_arguments
    monkeypatch.setattr(options, "pickled_arguments", lambda spec, args: {"model": trap} if spec.pickled else unsafe(spec, args))
    with snakepit.Pool(PickleTools, size=1, allow_pickle=True) as pool, pytest.raises(snakepit.ToolError):
        pool.execute("predict", {"model": 1})  # it would have worked
    assert (tmp_path / "trap").exists()


async def test_a_gateway_s_clients_send_none(tmp_path: pathlib.Path) -> None:
    """Whatever the pool allows, and wherever in a call the pickle is: its makers are not those who wrote the host."""
    trap = Pickled(pickle.dumps(Mine(str(tmp_path / "trap"))), [])
    async with (
        snakepit.AsyncPool(PickleTools, size=1, allow_pickle=True) as pool,
        Gateway({"main": pool}, GatewaySettings(address="127.0.0.1:0")) as gateway,
        snakepit.connect_async(gateway.address) as client,
    ):
        with pytest.raises(snakepit.SerializationError, match="no plain form"):
            await client.execute("predict", {"model": Mine(str(tmp_path / "trap"))})
        for tool, model, refused in [
            ("predict", trap, snakepit.InvalidParameter),
            ("takes", trap, snakepit.InvalidParameter),
            ("takes", [trap], snakepit.SerializationError),
        ]:
            with pytest.raises(refused):
                await client.execute(tool, {"model": model})
        assert await client.execute("takes", {"model": 1}) == await pool.execute("takes", {"model": 1})
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    ("names", "said"), [(["modell"], "pickled names 'modell'; its parameters by name are model"), ("model", "a list of names")]
)
def test_a_tool_that_names_what_it_has_not(names: Any, said: str, tmp_path: pathlib.Path) -> None:
    """The pool does not start, and says which."""
    source = f"from snakepit_bridge import tool\n\n@tool(pickled={names!r})\ndef predict(model):\n    return 1\n"
    (tmp_path / "wrong_tools.py").write_text(source)
    with pytest.raises(snakepit.AdapterError, match=said):
        snakepit.Pool(str(tmp_path / "wrong_tools.py"), size=1).__enter__()
