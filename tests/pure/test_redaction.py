"""What is masked and what is not: names, shapes, known secrets in every form; and descriptions that never hold a value."""

from __future__ import annotations

import base64
import collections
import dataclasses
import json
import pickle
import time
from traceback import format_exception
from typing import Any
from unittest.mock import MagicMock
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit._pool.argument_errors import ill_typed
from snakepit._pool.argument_scalars import Refused
from snakepit._pool.tools import ParameterSpec, ToolSpec
from snakepit.errors import ToolError
from snakepit_bridge.redaction import MASK, Redactor, describe, find_secret, is_secret_name, mask, masked, secrets_in
from snakepit_bridge.redaction.handover import handed_over, taken_over

CANARY = "CANARY-s3cr3t'\"&%\\value"
PLAIN = "hunter22plus"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0Z3VS5JJcds3xfn\nygWyF0rW\n-----END RSA PRIVATE KEY-----"

SECRET_NAMES = """
password PASSWORD passwd pwd db_password DB_PASSWORD dbPassword userPasswordHash secret client_secret clientSecret token accessToken
auth_token HF_TOKEN csrf-token authorization Authorization Proxy-Authorization api_key apikey api-key x-api-key X-API-KEY openaiApiKey
OPENAI_API_KEY stripe.api.key access_key aws_secret_access_key AWS_ACCESS_KEY_ID private_key privateKey credential credentials
AWS_CREDENTIALS cookie Set-Cookie session_cookie passphrase secrets dbpassword myapikey signing_key encryption_keys db_pass auth basic_auth
SharedAccessKey AccountKey
"""

OTHER_NAMES = """
token_count tokens max_tokens max_token num_tokens tokenizer tokenize eos_token pad_token next_page_token secretary password_length
password_required token_ids secret_names secret_patterns key keys keyboard monkey author authority auth_type compass bypass passenger
cookie_policy token_type public_key sort_key primary_key forward_pass epochs lr session_id tokenization secretariat
"""

MASKED = [
    f"password={PLAIN}",
    f"DB_PASSWORD: {PLAIN}",
    f'{{"openaiApiKey": "{PLAIN}"}}',
    f"{{'password': b'{PLAIN}'}}",
    json.dumps(json.dumps({"user": "bob", "api_key": PLAIN})),
    repr(repr({"token": PLAIN})),
    repr([{"a": {"client_secret": PLAIN}}]),
    f"Authorization: Bearer {PLAIN}",
    f"authorization: Basic {base64.b64encode(PLAIN.encode()).decode()}",
    f"got Bearer {PLAIN}9 instead",
    f"Cookie: a=1; b={PLAIN}",
    f"x-api-key={PLAIN}, next",
    f"('password', '{PLAIN}')",
    f"[(b'authorization', b'Bearer {PLAIN}')]",
    f"--password {PLAIN} --verbose",
    f"--api-key={PLAIN}",
    f"<password>{PLAIN}</password>",
    f"postgres://bob:{PLAIN}@db:5432/x",
    f"redis://:{PLAIN}@host",
    f"https://host/path?user=1&token={PLAIN}&x=1",
    f"Server=x;PWD={PLAIN};Encrypt=yes",
    f"login(user: str, password: str = '{PLAIN}')",
    f"password = {{'main': '{PLAIN}', 'other': ['{PLAIN}']}}",
    f"secrets: ['{PLAIN}', '{PLAIN}']",
    f"token=>{PLAIN}",
    f"aws_secret_access_key = {PLAIN}",
    f"the password is '{PLAIN}'",
    PEM.replace("ygWyF0rW", PLAIN),
    repr(PEM.replace("ygWyF0rW", PLAIN)),
    f"data: {base64.b64encode(f'password={PLAIN}'.encode()).decode()}",
    f"data: {base64.urlsafe_b64encode(json.dumps({'token': PLAIN, 'x': '~~~???'}).encode()).decode()}",
    f"data: {f'password={PLAIN}'.encode().hex()}",
]

SHAPES = [
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "sk-proj-abcdefghijkl1234567890",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl",
    "glpat-abcdefghij0123456789",
    "xoxb-123456789012-abcdefghijkl",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "hf_abcdefghijklmnopqrstuv1234",
    "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfnygWyF0rWMIIEowIBAAKCAQEA0Z3VS5JJc",
]

UNTOUCHED = [
    "epoch 3/10 loss=0.123 lr=1e-4",
    "token_count=5 tokens: 512 max_tokens=3 tokenizer=fast secretary=bob password_length=8",
    "PWD=/home/someone OLDPWD=/tmp",
    "password=None token: null secret=False auth: true",
    "login(user: str, password: str) -> bool",
    "the token was lost and the password is wrong",
    "dict(3 keys: epochs, lr, password)",
    "http://host:8080/path@version and https://git@github.com/x/y",
    "KeyError: 'epochs'",
    "sort(key=len) and key: value",
    "bearer authentication is required",
    "/usr/lib/python3.11/site-packages/numpy/core/_methods.py",
    "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sk-learn-contrib-examples are here",
    "",
]


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_names_of_secrets(name: str) -> None:
    """Names with prefixes, suffixes and in every spelling are recognised."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OTHER_NAMES.split())
def test_other_names(name: str) -> None:
    """Names that only contain the words of secrets are none."""
    assert not is_secret_name(name)


@pytest.mark.parametrize("text", MASKED)
def test_values_of_secret_names_are_masked(text: str) -> None:
    """Whatever the notation, the value is gone, and masking again changes nothing."""
    shown = mask(text)
    assert PLAIN not in shown
    assert base64.b64encode(PLAIN.encode()).decode() not in shown
    assert MASK in shown
    assert mask(shown) == shown


@pytest.mark.parametrize("text", SHAPES)
def test_shapes_are_masked(text: str) -> None:
    """Keys of well-known services and tokens are masked without any name, anywhere in a line, and as a key of a dict."""
    assert mask(f"got {text}") == f"got {MASK}"
    assert text not in mask(f"'{text}' was given")
    assert text not in describe({text: 1})


@pytest.mark.parametrize("text", UNTOUCHED)
def test_ordinary_text_stays(text: str) -> None:
    """No false alarm on what resembles a secret."""
    assert mask(text) == text


def test_names_and_surroundings_stay_visible() -> None:
    """Only the value is replaced."""
    assert mask('{"user": "bob", "api_key": "abc", "n": 1}') == f'{{"user": "bob", "api_key": "{MASK}", "n": 1}}'
    assert mask("postgres://bob:pa55@db/x") == f"postgres://bob:{MASK}@db/x"
    assert mask("connect(password='x y', port=1)") == f"connect(password='{MASK}', port=1)"
    assert mask(f"a\n{PEM}\nb") == f"a\n{MASK}\nb"


def _forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        repr(secret),
        repr(repr(secret)),
        repr(raw),
        repr({"x": [secret]}),
        json.dumps(secret),
        quote(secret),
        quote(secret, safe=""),
        raw.hex(),
        *(base64.b64encode(b"x" * shift + raw + b"yz").decode() for shift in range(3)),
        *(base64.urlsafe_b64encode(b"\xff" * shift + raw).decode() for shift in range(3)),
    ]


def _shows(text: str, secret: str) -> bool:
    """Does the text hold the secret in any form?"""
    return any(form in text for form in [*_forms(secret)[:9], *(form[4:-8] for form in _forms(secret)[9:])])


@pytest.mark.parametrize("form", _forms(CANARY))
def test_known_secrets_are_masked_in_every_form(form: str) -> None:
    """Plain, in reprs, URL-quoted, in hex, and in base64 at each alignment."""
    shown = mask(f"before {form} after", [CANARY])
    assert not _shows(shown, CANARY)
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@pytest.mark.parametrize("form", _forms(CANARY))
def test_one_of_many_known_secrets(form: str) -> None:
    """Among hundreds each is found as if it were the only one."""
    others = [f"another-secret-{number}" for number in range(300)]
    assert mask(f"before {form} after", [*others, CANARY]) == mask(f"before {form} after", [CANARY])
    assert mask(f"another-secret-7 {others[299]}x", others) == f"{MASK} {MASK}x"


def test_many_known_secrets_that_change_with_each_call() -> None:
    """What is known is put together anew in a millisecond or two, so that a busy worker's prints hold nothing up."""
    secrets = [f"another-secret-{number}" for number in range(700)]
    mask("line", secrets)
    began = time.process_time()
    for number in range(200):
        mask("a line of output", secrets[number : number + 500])
    assert time.process_time() - began < 2


def test_overlapping_known_secrets_leave_no_rest() -> None:
    """Where two of them overlap, both are masked whole."""
    assert mask("x abcdefghi y", ["abcdef", "defghi"]) == f"x {MASK} y"


def test_a_known_secret_that_overlaps_itself_leaves_no_rest() -> None:
    """Each place where it stands is masked, also where they share characters."""
    assert mask("x Winter24Winter24Winter y", ["Winter24Winter"]) == f"x {MASK} y"
    assert mask("x aabaaabaaabaa y aabaaabaaa y", ["aabaaabaa"]) == f"x {MASK} y {MASK}a y"


@pytest.mark.parametrize("period", ["a", "ab" * 40, "a" * 999 + "b"])
def test_periodic_secrets_take_linear_time(period: str) -> None:
    """A long one that may begin at every character, and stands almost everywhere in a long text."""
    secret, text = (period * 30_000)[:30_000], (period * 300_000)[:300_000]
    assert mask(secret, [secret]) == MASK  # its forms are made once
    began = time.process_time()
    assert mask(f"{text}. {text}", [secret]).replace(MASK, "").strip(period) == ". "
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "secret", ["hunter-22\n", " hunter-22", "hunter-22\r\n", "before-1\nhunter-22-hunter\nafter-1", "hunt\ner-2\n2-hunter"]
)
def test_line_ends_of_a_known_secret(secret: str) -> None:
    """A file's line end belongs to no secret; long lines count alone, and all without the line ends."""
    assert mask("(hunter-22-hunter)", [secret]) in (f"({MASK})", f"({MASK}-hunter)")
    assert mask("a password y", ["password\n"]) == "a password y"


def test_short_and_common_secrets_are_not_learned() -> None:
    """They would be found in the middle of words."""
    text = "a cat and a password"
    assert mask(text, ["cat", "password", "", "      "]) == text


@given(
    st.text(alphabet="abz019-_=:'\"\\{}[](),;& \n*/+@.", max_size=60),
    st.sampled_from(["password", "token: ", "'api_key': '", "://u:", "Bearer "]),
)
def test_masking_twice_changes_nothing(text: str, start: str) -> None:
    """A masked text is stable."""
    for whole in (start + text, text + start + text):
        once = mask(whole)
        assert mask(once) == once


@given(st.text(min_size=6, max_size=40).filter(lambda text: text.strip() and "*" not in text), st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_never_stays(secret: str, before: str, after: str) -> None:
    """Whatever stands around it."""
    if secret not in mask(secret):  # it is masked without being known
        return
    if mask(secret, [secret]) == secret:
        assert len(secret) < 6 or secret.lower().strip() in "password secret token default hidden required optional unknown nothing"
    else:
        assert secret not in mask(before + secret + after, [secret])


HOSTILE = ["a", "A1b", "token", "password=", "=", "://:", "://a:", "eyJ", "\\", "\\'", "key ", "[({", "token=[", "bearer ", "sk-", "sk-a", "password: {'", "-----BEGIN PRIVATE KEY", "-----BEGIN PRIVATE KEY-----", "ghp_", "AKIA", "password='\\", "token , 'x", "authorization: ", "pass.", "_", "-", "secret is '"]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_hostile_text_takes_linear_time(part: str) -> None:
    """Sixteen times the text takes about sixteen times as long, never 256 times."""
    small, large = part * (16_384 // len(part)), part * (262_144 // len(part))
    began = time.process_time()
    mask(small)
    between = time.process_time()
    mask(large)
    ended = time.process_time()
    assert ended - between < max(1.0, 64 * (between - began))
    assert ended - between < 3


@pytest.mark.slow
def test_a_hostile_megabyte_takes_seconds() -> None:
    """The worst of them, in one line."""
    began = time.process_time()
    mask("token" * 200_000, ("CANARY-one",))
    assert time.process_time() - began < 10


def test_ordinary_lines_cost_microseconds() -> None:
    """A line without anything suspicious is left after a glance."""
    lines = [f"line {i} of the output, epoch 3/10 loss=0.123, with nothing in it" for i in range(2000)]
    began = time.process_time()
    for line in lines:
        mask(line, ("CANARY-one", "CANARY-two"))
    assert (time.process_time() - began) / len(lines) < 100e-6


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
    """One that is too long to be written is no secret, and its key is described where a path is told."""
    assert secrets_in({10**6000: {"password": 10**6000, "token": 555}}) == ("555",)
    assert find_secret({10**6000: {"password": "x"}}, "args") == "args[an int of 19932 bits]['password']"


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


def test_finding_the_first_secret() -> None:
    """Its path, by name or by shape; empty values and flags are none."""
    assert find_secret({"db": {"host": "x", "password": "y"}}, "metadata") == "metadata['db']['password']"
    assert find_secret({"items": [1, "AKIAIOSFODNN7EXAMPLE"]}, "metadata") == "metadata['items'][1]"
    assert find_secret("y", "token") == "token"
    assert find_secret({"AKIAIOSFODNN7EXAMPLE": 1}, "metadata") == "a key of metadata"
    assert find_secret({"user": "bob", "token": None, "password": "", "secret": True, "max_tokens": 5}, "metadata") is None


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
    assert own.find_secret({"a": "ACC-123456"}, "it") == "it['a']"
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
    assert not _shows(shown, CANARY)


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
