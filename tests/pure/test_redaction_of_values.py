"""Descriptions that never hold a value, secrets in nested values, a pool's own rules, and errors without their secrets."""

from __future__ import annotations

import collections
import dataclasses
import pickle
import time
from traceback import format_exception
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit._pool.argument_errors import ill_typed
from snakepit._pool.argument_scalars import Refused
from snakepit._pool.tools import ParameterSpec, ToolSpec
from snakepit.errors import ToolError
from snakepit_bridge.redaction import MASK, Redactor, describe, is_secret_name, mask, masked, nested, objection, secrets_in
from snakepit_bridge.redaction.handover import handed_over, taken_over
from test_redaction import CANARY, PLAIN, SHAPES, shows


@dataclasses.dataclass
class Login:
    user: str
    password: str


class Odd(dict):  # type: ignore[type-arg]
    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __iter__(self) -> Any:
        raise RuntimeError("no items")


class NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError(CANARY)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(CANARY)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None"),
        (True, "bool"),
        (12, "int"),
        (1.5, "float"),
        ("x" * 12, "str(12)"),
        (b"x" * 1_200_000, "bytes(1.2 MB)"),
        (bytearray(3), "bytearray(3)"),
        (memoryview(b"abcd"), "memoryview(4)"),
        ({}, "dict(empty)"),
        ({"epochs": 1, "lr": 2, "password": CANARY}, "dict(3 keys: epochs, lr, password)"),
        ({1: 2}, "dict(1 key: int)"),
        ({f"k{i}": i for i in range(100)}, "dict(100 keys: k0, k1, k2, k3, k4, k5, k6, k7, ...)"),
        ({"k" * 100: 1}, f"dict(1 key: {'k' * 29}...)"),
        ([1.0] * 1000, "list(1000 of float)"),
        ([1, "a", None], "list(3 of int, str, NoneType)"),
        ((), "tuple(empty)"),
        ({1}, "set(1 of int)"),
        (Login("bob", CANARY), "Login(user, password)"),
        (Odd(a=1), "Odd(1 key: a)"),
        (NoRepr(), "NoRepr"),
        (MagicMock(), "MagicMock"),
        (ValueError(CANARY), "ValueError"),
    ],
    ids=range(22),
)
def test_descriptions(value: Any, words: str) -> None:
    """Type, size and key names; nothing of the value, and nothing of it is called."""
    assert describe(value) == words
    assert mask(words) == words


def test_arrays_are_described_by_shape() -> None:
    """As far as numpy is there."""
    numpy = pytest.importorskip("numpy")
    assert describe(numpy.zeros((3, 224, 224), "float32")) == "ndarray(float32 3x224x224)"


def test_a_description_costs_the_same_for_any_size() -> None:
    """A million items are not looked at."""
    value = {"items": list(range(1_000_000)), **{str(i): i for i in range(100_000)}}
    began = time.process_time()
    for _ in range(100):
        describe(value)
        describe(value["items"])
    assert time.process_time() - began < 0.1


def test_secrets_in_nested_arguments() -> None:
    """Everything below a secret's name: text, bytes, numbers, in dicts, lists and dataclasses."""
    point = collections.namedtuple("point", "x token")  # noqa: PYI024
    args = {
        "db": {"password": "one", "port": 5432},
        "api_key": b"two",
        "credentials": [{"a": "three"}, ("four", 555)],
        "login": Login("bob", "six"),
        "point": point(1, "seven"),
        "token_count": "no",
        "n": [1, 2],
    }
    assert secrets_in(args) == ("one", "two", "three", "four", "555", "six", "seven")


def test_integers_of_any_size_are_walked() -> None:
    """One that is too long to be written cannot be searched."""
    assert secrets_in({10**6000: {"password": 10**6000, "token": 555}}) == ("555",)
    assert _first({10**6000: {"password": "x"}}, "args") == ("a key of args", False)
    assert _first({"password": 10**6000}, "args") == ("args['password']", True)
    assert _first({"n": 10**6000}, "args") == ("args['n']", False)


def test_a_glance_finds_what_is_near() -> None:
    """The same secrets as a search, in dicts, lists and dataclasses, also under keys it has met before."""
    own = Redactor()
    for value in ({"n": 1}, {"n": {"password": "one"}}, [{"token": b"two"}], {"n": [{"api_key": ["three", 444444]}]}, Login("bob", "six")):
        assert own.glance(value) == own.secrets_in(value)
    assert own.glance({"n": 1, "password": "one"}) == ("one",)
    assert own.glance("x") == own.glance({}) == own.glance(NoRepr()) == ()


def test_a_glance_costs_the_same_for_any_size() -> None:
    """A million items, a deep value and one that contains itself are left after the first few."""
    loop: dict[str, Any] = {"n": 1}
    loop["self"] = [loop]
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    values = [loop, deep, list(range(1_000_000)), [{"a": 1}] * 1_000_000, {str(i): [i] for i in range(100_000)}]
    began = time.process_time()
    for _ in range(100):
        assert [Redactor().glance(value) for value in values] == [()] * 5
    assert time.process_time() - began < 2


def test_nested_walks_end() -> None:
    """A structure that contains itself, a deep one and a large one are looked at as far as is reasonable."""
    loop: dict[str, Any] = {"password": "x"}
    loop["self"] = loop
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert secrets_in(loop) == ("x",)
    assert secrets_in({"password": deep}) == ()
    assert len(secrets_in({"password": [str(i) for i in range(100_000)]})) <= 128
    assert masked(loop)["password"] == MASK


PLAIN_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["password", "a", "rows", 5, (1, 2)]), inner, max_size=3)
    ),
    max_leaves=30,
)


@given(PLAIN_VALUES)
def test_first_look_overlooks_nothing(value: Any) -> None:
    """Values that seem to hold no secret at first sight hold none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nested, "_is_harmless", lambda *_: False)
        found = secrets_in(value)
    assert secrets_in(value) == found


@pytest.mark.parametrize("secret", [{"token": "late"}, [{"token": "late"}], Login("bob", "late")])
def test_secret_behind_many_plain_values(secret: Any) -> None:
    """It is found in and behind a long list, as far as is looked; and far more values than that cost hardly more."""
    many = [0.5] * 15_000
    assert secrets_in({"rows": [*many, secret]}) == ("late",)
    assert secrets_in({"rows": many, "more": secret}) == ("late",)
    began = time.process_time()
    assert secrets_in({"rows": many * 100}) == ()
    assert time.process_time() - began < 0.02


def _first(value: Any, name: str) -> Any:
    found = objection(value, name)
    return found and (found.path, found.secret)


def test_finding_the_first_secret() -> None:
    """Its path, by name or by shape, also in a key; empty values and flags are none."""
    assert _first({"db": {"host": "x", "password": "y"}}, "metadata") == ("metadata['db']['password']", True)
    assert _first({"items": [1, "AKIAIOSFODNN7EXAMPLE"]}, "metadata") == ("metadata['items'][1]", True)
    assert _first("y", "token") == ("token", True)
    assert _first({"AKIAIOSFODNN7EXAMPLE": 1}, "metadata") == ("a key of metadata", True)
    assert _first({"password": 12.5}, "metadata") == ("metadata['password']", True)
    assert _first({b"password": "x"}, "metadata") == ("metadata[bytes]", True)
    assert _first({b"AKIAIOSFODNN7EXAMPLE": 1}, "metadata") == ("a key of metadata", True)
    assert _first({("AKIAIOSFODNN7EXAMPLE", 1): 1}, "metadata") == ("a key of metadata[0]", True)
    assert _first({"headers": [["Accept", "*/*"], ["Authorization", "Basic dTpw"]]}, "m") == ("m['headers'][1][1]", True)
    assert _first({"passPhrase": "x"}, "m") == ("m['passPhrase']", True)
    assert _first({"x_" * 80 + "password": "y"}, "m") is not None
    assert _first([["words", "password"], ["password"], ["password", ""], ["password", "x", "y"]], "m") is None
    assert _first({"user": "bob", "token": None, "password": "", "secret": True, "max_tokens": 5}, "metadata") is None


def _nested(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = {"k": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        _nested(14, {"password": "hunter2hunter2"}),
        {"t": "a " * 40_000 + " password=hunter2hunter2"},
        {"t": "a " * 32_760 + "password=hunter2hunter2" + " b" * 40_000},
        {"t": b"a " * 40_000 + b" password=hunter2hunter2"},
        {"l": [0] * 25_000, "z": {"password": "hunter2hunter2"}},
        {"password": b"\x00" * 70_000},
    ],
)
def test_a_secret_is_found_however_far_down_it_is(value: Any) -> None:
    """Deep, behind much else, at the seam of two pieces, in long bytes."""
    found = objection(value, "metadata")
    assert found is not None
    assert found.secret


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (_nested(33, 1), "is nested more than 32 deep"),
        ({"l": [0] * 100_001}, "holds more than 100000 values"),
        ({"a": {str(n): 0 for n in range(60_000)}, "b": [[0] * 1000] * 60}, "holds more than 100000 values"),
        ({"a": "x" * 600_000, "b": b"x" * 600_000}, "goes beyond 1048576 characters"),
    ],
)
def test_what_cannot_be_searched_is_objected_to(value: Any, reason: str) -> None:
    """By the reason, with what is allowed; it is not taken for clean, nor for a secret."""
    found = objection(value, "metadata")
    assert found is not None
    assert (found.reason, found.secret) == (reason, False)
    assert found.path.startswith("metadata")


def test_a_large_clean_value_is_searched_in_reasonable_time() -> None:
    """Up to the bounds there is no objection."""
    begun = time.monotonic()
    assert objection({"l": [0] * 90_000, "text": "the key of the token is long " * 36_000}, "metadata") is None
    assert time.monotonic() - begun < 20


def test_masked_copies() -> None:
    """Texts are masked, values of secret names replaced, other objects kept, the original untouched."""
    value = {"db": {"password": "one"}, "lines": ("token=abc", "fine"), "n": 5, "raw": b"token=abc", "o": pytest}
    assert masked(value) == {"db": {"password": MASK}, "lines": (f"token={MASK}", "fine"), "n": 5, "raw": b"token=***", "o": pytest}
    assert value["db"] == {"password": "one"}


def test_further_names_and_patterns() -> None:
    """A user's own names are treated like the others, in every spelling; a pattern's whole match is masked."""
    own = Redactor(names=["patient_id"], patterns=[r"\bACC-\d{6}\b", r"x*"])
    assert own.is_secret_name("thePatientId")
    assert not is_secret_name("patient_id")
    assert not own.is_secret_name("patient_id_count")
    assert own.mask("patient-id: 12345, PATIENT_ID=7 ACC-123456 fine") == f"patient-id: {MASK}, PATIENT_ID={MASK} {MASK} fine"
    assert own.secrets_in({"patient_id": "12345"}) == ("12345",)
    assert own.objection({"a": "ACC-123456"}, "it") == ("it['a']", "looks like a secret", True)
    assert own.objection({"ACC-123456": 1}, "it") == ("a key of it", "looks like a secret", True)
    assert own.mask("password=abc") == f"password={MASK}"


def test_a_worker_gets_the_names_and_patterns(capsys: pytest.CaptureFixture[str]) -> None:
    """They travel in a variable, which is gone once it has been read; a pattern that cannot be read there masks everything."""
    assert handed_over([], []) == {}
    variables = {"HOME": "/root", **handed_over(["patient_id"], [r"\bACC-\d{6}\b"])}
    own = taken_over(variables)
    assert variables == {"HOME": "/root"}
    assert own.mask("patient_id=77 ACC-123456 fine") == f"patient_id={MASK} {MASK} fine"
    assert taken_over({}).mask("patient_id=77 token=abc") == f"patient_id=77 token={MASK}"
    assert capsys.readouterr().err == ""
    assert taken_over(handed_over([], ["(?newer)"])).mask("anything\nat all") == MASK
    assert "masked whole" in capsys.readouterr().err


def test_a_described_key_that_is_a_known_secret() -> None:
    """Names of keys are shown, but for secrets among them."""
    assert Redactor().describe({CANARY: 1, "epochs": 2}, [CANARY]) == f"dict(2 keys: {MASK}, epochs)"


# In errors -----------------------------------------------------------------------------------------------------------


def test_errors_are_masked_when_they_are_made() -> None:
    """Message, hint, details, traceback and cause; `details` stays a dict, and other values in it stay as they are."""
    traceback = f"Traceback ...\nValueError: token={PLAIN}"
    error = ToolError(f"password={PLAIN}", hint=f"not {SHAPES[0]}", traceback=traceback, password=PLAIN, path=f"token: {PLAIN}", n=5)
    shown = f"{error}\n{error!r}\n{error.args}\n{error.details}\n{error.traceback}\n{''.join(format_exception(error))}"
    assert PLAIN not in shown
    assert SHAPES[0] not in shown
    assert error.details == {"password": MASK, "path": f"token: {MASK}", "n": 5}
    again = pickle.loads(pickle.dumps(error))
    assert (again.message, again.hint, again.details, again.traceback) == (error.message, error.hint, error.details, error.traceback)


def test_errors_are_masked_further_by_a_pool() -> None:
    """With what only the pool knows: its own names, and known secrets."""
    error = ToolError(f"it was {CANARY} of patient_id=77", hint=CANARY, traceback=f"at {CANARY!r}", note=[CANARY])
    error.mask_more(Redactor(names=["patient_id"]), [CANARY])
    shown = f"{error}\n{error!r}\n{error.details}\n{''.join(format_exception(error))}"
    assert str(error) == f"it was {MASK} of patient_id={MASK}\n  hint: {MASK}"
    assert not shows(shown, CANARY)


@pytest.mark.parametrize(("name", "where"), [("api_key", ""), ("config", "['db']['password']")])
def test_a_refused_secret_argument_is_described(name: str, where: str) -> None:
    """The error says what came, not its value, also for a key below a harmless name, and offers no cure that quotes it."""
    parameter = ParameterSpec(name, annotation="int", schema={"type": "integer"})
    spec = ToolSpec("login", parameters=(parameter,))
    error = ill_typed(spec, parameter, name, Refused(PLAIN, where))
    assert PLAIN not in f"{error} {error.details}"
    assert "str(12)" in error.message
    plain = ParameterSpec("epochs", annotation="int", schema={"type": "integer"})
    assert "'five'" in ill_typed(spec, plain, "epochs", Refused("five")).message
