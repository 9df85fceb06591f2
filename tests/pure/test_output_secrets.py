"""A worker's output never shows a secret, also where it comes in pieces; what is no secret stays live and whole."""

from __future__ import annotations

import base64
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit._workers.known_secrets import LINGER_CHARACTERS, LINGER_SECONDS, LINGER_SECRETS, KnownSecrets
from snakepit._workers.masked_lines import MaskedLines
from snakepit._workers.output import WorkerOutput
from snakepit_bridge import redaction

CANARY = "CANARY-s3cr3t-value"
KEY = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEowIBAAKCAQ", "ygWyF0rW", "-----END RSA PRIVATE KEY-----"]


def told(*pieces: tuple[str, str], secrets: tuple[str, ...] = (CANARY,)) -> list[str]:
    """What is told of pieces of output: (text, state)."""
    heard: list[str] = []
    output = WorkerOutput("worker-1", lambda _worker, _stream, line: heard.append(line), secrets=lambda: secrets)
    for text, state in pieces:
        output.line("stdout", text, state)
    return heard


def parts(*texts: str, end: str = "") -> list[tuple[str, str]]:
    """Texts that come with pauses between, then the line's end."""
    return [*((text, "part") for text in texts), (end, "line")]


@given(
    st.lists(st.integers(1, len(CANARY) - 1), min_size=1, max_size=6), st.sampled_from(["", "say ", "x='"]), st.sampled_from(["", "' end"])
)
def test_a_known_secret_in_pieces(cuts: list[int], before: str, after: str) -> None:
    """However it is cut by pauses, no two characters of it are told."""
    text, at = before + CANARY + after, [0, *sorted({len(before) + cut for cut in cuts}), len(before + CANARY + after)]
    pieces = [text[start:stop] for start, stop in itertools.pairwise(at)]
    shown = "".join(told(*parts(*pieces)))
    assert shown == before + redaction.MASK + after


@pytest.mark.parametrize(
    "form", [repr(CANARY), json.dumps([CANARY]), base64.b64encode(b"ab" + CANARY.encode() + b"c").decode(), CANARY.encode().hex()]
)
def test_forms_of_a_known_secret_in_pieces(form: str) -> None:
    """Also in a repr, base64 or hex, cut anywhere."""
    raw = CANARY.encode()
    cores = [CANARY[3:-3], raw.hex()[6:-6], base64.b64encode(b"ab" + raw).decode()[4:-4]]
    for cut in range(1, len(form)):
        shown = "".join(told(*parts("x " + form[:cut], form[cut:])))
        assert not any(core[at : at + 8] in shown for core in cores for at in range(len(core) - 7))


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["password=CAN", "ARY more", " and more"], ["password=***", " more", " and more"]),
        (["pass", "word=CAN", "ARY more"], ["pass", "word=***", " more"]),
        (["password=", CANARY], ["password=", "***"]),
        (['{"api_key": "CAN', 'ARY", "n": 1}'], ['{"api_key": "***', '", "n": 1}']),
        (["AKIAIOSFODNN", "7EXAMPLE ok"], ["*** ok"]),
        (["postgres://bob:pa", "ss@host/x"], ["postgres", "://bob:***@host/x"]),
        (["ghp_abcdefghij", "klmnopqrstuvwxyz ok"], ["*** ok"]),
        (["Authorization: Bearer abc", "def"], ["Authorization: ", "***"]),
    ],
)
def test_unknown_secrets_in_pieces(pieces: list[str], shown: list[str]) -> None:
    """What only its name or shape tells is masked as far as it has come, and so is the rest of it."""
    assert [line for line in told(*parts(*pieces), secrets=()) if line] == shown


@pytest.mark.parametrize("first", ["redrawn", "overwritten", "line"])
def test_a_secret_cut_by_a_line_end(first: str) -> None:
    """A carriage return or a newline in the middle of a known secret does not uncover its halves."""
    for cut in range(1, len(CANARY)):
        shown = told((CANARY[:cut], first), (CANARY[cut:], "line"))
        assert not any(CANARY[at : at + 6] in line for line in shown for at in range(len(CANARY) - 5))


def test_a_named_secret_cut_by_a_carriage_return() -> None:
    """The rest of it, behind the return, is masked too."""
    assert told(("password=CAN", "redrawn"), ("ARY", "line"), secrets=()) == ["password=***"]
    assert told(("password=CAN", "overwritten"), ("ARY", "line"), secrets=()) == ["***"]


@pytest.mark.parametrize("length", [100, 8_000, 60_000])
def test_a_secret_at_the_cut_of_a_long_line(length: int) -> None:
    """The parts of an endless line hide what lies across their border, also a value longer than what is remembered."""
    text = "x" * length
    assert "".join(told(*parts(text + CANARY[:7], CANARY[7:] + text))) == text + "***" + text
    secret = "".join(chr(97 + i * i % 23) for i in range(length))
    shown = "".join(told(*parts("y" * length + " password='" + secret, secret, secret, end=secret + "' end")))
    assert shown == "y" * length + " password='***' end"


def test_private_keys_of_several_lines() -> None:
    """Hidden from the first line to the last, cut or not; what follows is shown; one without an end does not hide everything."""
    lines = [("before", "line"), *((line, "line") for line in KEY), ("after", "line")]
    assert told(*lines) == ["before", "***", "after"]
    assert told(*parts(KEY[0][:14], KEY[0][14:], end=""), (KEY[1][:5], "part"), (KEY[1][5:], "line"), (KEY[3] + " tail", "line")) == [
        "***",
        "",
        " tail",
    ]
    endless = [(KEY[0], "line"), *((f"line {i}", "line") for i in range(1000))]
    assert told(*endless)[-1] == "line 999"


@pytest.mark.parametrize(
    "pieces",
    [
        [".", "..", "..."],
        ["10%", " 20%", " 30%"],
        ["Continue? "],
        ["[-----", "----------------", "]"],
        ["Downloading ", "====", "====>"],
        ["a" * 70, "b"],
    ],
)
def test_progress_stays_live(pieces: list[str]) -> None:
    """What cannot be the beginning of a secret is told as it comes."""
    assert told(*((text, "part") for text in pieces)) == pieces


@given(st.lists(st.tuples(st.text(alphabet="abc .%1\t", max_size=8), st.sampled_from(["part", "line"])), max_size=12))
def test_ordinary_text_is_told_whole(pieces: list[tuple[str, str]]) -> None:
    """Nothing is lost, added or moved, however it comes."""
    masked = MaskedLines(redaction.DEFAULT, lambda: (CANARY,))
    shown = [masked.part(text) if state == "part" else masked.line(text) for text, state in pieces]
    assert shown == [text for text, _ in pieces]


def test_kept_lines_are_masked_with_what_was_learned_later() -> None:
    """The last lines, which crash reports show, hold no secret that became known after they came."""
    known: list[str] = []
    output = WorkerOutput("worker-1", "discard", secrets=lambda: tuple(known))
    output.line("stderr", f"it is {CANARY}")
    known.append(CANARY)
    assert output.last_lines == ("it is ***",)


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (['{"password":', '  "hunter2plus",', '  "n": 1}'], ['{"password":', '  "***",', '  "n": 1}']),
        (['"token":', "", "'one two'", "x"], ['"token":', "", "'***'", "x"]),
        (["  secret: |", "    one two", "", "    three", "  n: 1"], ["  secret: |", "    ***", "", "    ***", "  n: 1"]),
        (["password: >-", "  one", "  two", "x"], ["password: >-", "  ***", "  ***", "x"]),
        (["Password:", "  accepted"], ["Password:", "  accepted"]),
        (['"user":', '  "bob"', "text: |", "  one"], ['"user":', '  "bob"', "text: |", "  one"]),
    ],
)
def test_values_in_the_next_line(lines: list[str], shown: list[str]) -> None:
    """Of JSON that is laid out, and of YAML's blocks; also where pauses cut that line; a prompt is none."""
    assert told(*((line, "line") for line in lines), secrets=()) == shown
    cut = [piece for line in lines for piece in ((line[:7], "part"), (line[7:], "line"))]
    secret = {"hunter2plus", "one two", "three", "two"} if redaction.MASK in "".join(shown) else set()
    assert not any(word in line for line in told(*cut, secrets=()) for word in secret)


def with_pattern(*pieces: tuple[str, str]) -> list[str]:
    """What is told of pieces of output where `CUST-` and eight digits are a secret; the parts of a line in one."""
    heard: list[str] = []
    redactor = redaction.Redactor(patterns=[r"CUST-\d{8}"])
    output = WorkerOutput("worker-1", lambda _worker, _stream, line: heard.append(line), redactor, lambda: ())
    for text, state in pieces:
        output.line("stdout", text, state)
    return heard


def test_a_pattern_in_pieces() -> None:
    """However writes cut it, nothing is told of what a pool's own pattern matches; the words before it are told at once."""
    text = "see CUST-12345678 now"
    for cut in range(1, len(text)):
        heard = with_pattern(*parts(text[:cut], text[cut:]))
        assert "".join(heard) == "see *** now"
        assert cut < len("see ") or heard[0].startswith("see ")
    three = with_pattern(*parts("see CU", "ST-1234", "", "5678"))
    assert "".join(three) == "see ***"


def test_what_begins_no_pattern_is_told() -> None:
    """A last word that nothing follows is told after some seconds, the rest of its line at once; bars and dots do not wait."""
    assert with_pattern(("Continue? [y/n]", "part"), ("", "waited")) == ["Continue? ", "[y/n]"]
    assert with_pattern(("Continue? [y/n]", "part"), ("", "waited"), (" y", "line")) == ["Continue? ", "[y/n]", " y"]
    assert with_pattern((".", "part"), ("..", "part"), (" ===>", "part")) == [".", "..", " ===>"]
    assert with_pattern(("x" * 1000, "part"), ("y", "part"))[0] == "x" * (1000 - 256)


# What is known --------------------------------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_secrets_of_the_environment() -> None:
    """Values of secret names count, those of others do not; the working directory is none."""
    known = KnownSecrets(
        environments=[{"HOME": "/root", "PWD": "/work", "MY_TOKEN": "one-one"}, {"DB_PASSWORD": "two-two"}], further=["three-3"]
    )
    assert known() == ("three-3", "one-one", "two-two")


def test_secrets_of_calls() -> None:
    """Known while the call runs, and for a while after; arguments are let go when it ends."""
    clock = Clock()
    known = KnownSecrets(clock=clock)
    known.running(1, {"user": "bob", "password": "one-one"})
    known.running(2, {"config": {"db": {"token": b"two-two"}}})
    known.running(3, {"n": 1, "text": "three-3"})
    assert known() == ("one-one", "two-two")
    known.ended(1)
    known.ended(3)
    assert set(known()) == {"one-one", "two-two"}
    clock.now += LINGER_SECONDS - 1
    known.ended(2)
    clock.now += 2
    assert known() == ("two-two",)
    clock.now += LINGER_SECONDS
    assert known() == ()


def test_many_calls_between_do_not_uncover_a_secret() -> None:
    """A thread that prints late is masked after hundreds of further calls; a busy worker does not remember for ever all the same."""
    known = KnownSecrets(further=["channel-secret"], clock=Clock())
    for number in range(1000):
        known.running(number, {"password": f"secret-{number}"})
        known.ended(number)
        if number == LINGER_SECRETS // 2:
            assert "secret-0" in known()
    assert known() == ("channel-secret", *(f"secret-{number}" for number in range(999, 999 - LINGER_SECRETS, -1)))


def test_large_secrets_do_not_fill_the_memory() -> None:
    """What is remembered is bounded in characters too, and the newest stays."""
    known = KnownSecrets(clock=Clock())
    for number in range(100):
        known.heard({"token": f"{number:05}" * 2000})
    assert 0 < sum(map(len, known())) <= LINGER_CHARACTERS
    assert known()[0] == "00099" * 2000


def test_a_secret_that_comes_again_stays() -> None:
    """Its time begins anew, and it is remembered once."""
    clock = Clock()
    known = KnownSecrets(clock=clock)
    known.heard({"token": "one-one"})
    clock.now += LINGER_SECONDS - 1
    known.heard({"token": "one-one"})
    clock.now += 2
    assert known() == ("one-one",)
    clock.now += LINGER_SECONDS
    assert known() == ()


def test_secrets_of_host_tools() -> None:
    """What passes between a worker and host tools is known at once, nested or not."""
    known = KnownSecrets(clock=Clock())
    known.heard({"args": [], "kwargs": {"password": "one-one"}})
    known.heard([{"db": {"api_key": b"two-two"}}])
    known.heard(5)
    assert set(known()) == {"one-one", "two-two"}


def test_secrets_of_results_and_chunks() -> None:
    """What is random under a secret name is known from then on; a word is none: language models yield those under `token`."""
    known = KnownSecrets(clock=Clock())
    known.told([{"password": "0a1b2c3d4e"}, {"login": {"secret": "abcdefghij-klmnopqrstuvw"}}, 7])
    known.told([{"token": " capital"}, {"token": "wonderful"}, {"token": 1002571}, {"token": "10 to the 4"}, {"n": "0a1b2c3d"}])
    assert set(known()) == {"0a1b2c3d4e", "abcdefghij-klmnopqrstuvw"}


def test_secrets_of_sessions() -> None:
    """Those of its metadata count while the session is there."""
    clock = Clock()
    known = KnownSecrets(clock=clock)
    known.session_begun("s", {"db": {"password": "one-one"}})
    assert known() == ("one-one",)
    known.session_ended("s")
    clock.now += LINGER_SECONDS + 1
    assert known() == ()
