"""Known secrets of any make, wherever writes and lines are cut: a plain model says which characters are seen, and all others are not."""

from __future__ import annotations

import base64
import itertools
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit._workers import masked_lines
from snakepit._workers.masked_lines import MaskedLines
from snakepit._workers.output import WorkerOutput
from snakepit_bridge import redaction
from test_redaction import MASKED, SHAPES

#: What is seen of a secret's beginning at most (characters); the how-to promises it.
SEEN = 5

#: (text, state) as `Lines` says them.
Pieces = list[tuple[str, str]]


def shown(pieces: Pieces, secrets: tuple[str, ...], context: int = 8192) -> list[str]:
    """What is told of pieces of output, if so much of a line is kept; one item for what stands in one line, also if it came in parts."""
    lines: list[str] = []
    heard: list[str] = []
    output = WorkerOutput("worker-1", lambda _worker, _stream, line: heard.append(line), secrets=lambda: secrets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masked_lines, "_CONTEXT", context)
        for text, state in pieces:
            output.line("stdout", text, state)
            if state != "part":
                lines.append("".join(heard))
                heard.clear()
    return [*lines, *heard]


# Secrets are made of the letters pqr and the text around of others, so that none stands anywhere by chance, also not in hex.

_some = st.text("pqr", min_size=1, max_size=9)
_secrets = st.one_of(
    st.builds(lambda border, middle: border + middle + border, _some, st.text("pqr", max_size=4)),  # ends as it begins
    st.builds(lambda period, size: (period * size)[:size], st.text("pqr", min_size=1, max_size=5), st.integers(6, 24)),  # periodic
    st.text("pqr", min_size=6, max_size=20),
).filter(lambda text: len(text) > SEEN)


@st.composite
def _related(draw: st.DrawFn) -> tuple[str, ...]:
    """One secret, and others that contain it, are contained in it or overlap it."""
    one = draw(_secrets)
    more = [one + draw(_some), draw(_some) + one, draw(_some) + one + draw(_some), one[: draw(st.integers(6, 20))]]
    more.append(one[draw(st.integers(1, len(one))) :] + draw(_some) + "qprqpr")
    return tuple(dict.fromkeys([one, *draw(st.lists(st.sampled_from(more), max_size=3))]))


#: Mostly as it is; small, so that every line counts as one that does not end.
_contexts = st.sampled_from([8192, 8192, 5, 12])


def _pieces_of(secret: str) -> st.SearchStrategy[str]:
    """All of it, twice in a row, its beginning or its end."""
    some = st.integers(1, len(secret))
    return st.one_of(st.just(secret), st.just(secret * 2), some.map(lambda at: secret[:at]), some.map(lambda at: secret[-at:]))


@st.composite
def _cut(draw: st.DrawFn, text: str) -> Pieces:
    """The text, cut anywhere by pauses between writes, line ends and carriage returns."""
    cuts = [0, *sorted(draw(st.sets(st.integers(0, len(text)), max_size=6))), len(text)]
    pieces: Pieces = []
    for start, end in itertools.pairwise(cuts):
        states = ["part", "line", "redrawn"]
        if not pieces or pieces[-1][1] != "part":  # of a line that is overwritten nothing has been told
            states.append("overwritten")
        pieces.append((text[start:end], draw(st.sampled_from(states))))
    return [*pieces, ("", "end")]


def seen(pieces: Pieces, secrets: tuple[str, ...]) -> list[str]:
    """What may be seen of each line: nothing of a secret that is whole when the line ends, or that 6 characters or more may begin."""
    text, lines, begin = "", [], 0
    for piece, state in pieces:
        text += piece
        if state == "part":
            continue
        found = [(place.start(), place.start() + len(secret)) for secret in secrets for place in re.finditer(f"(?={secret})", text)]
        begun = [size for secret in secrets for size in range(SEEN + 1, len(secret)) if text.endswith(secret[:size])]
        found += [(len(text) - size, len(text)) for size in begun]
        hidden = set(itertools.chain.from_iterable(itertools.starmap(range, found)))
        lines.append("".join(text[at] for at in range(begin, len(text)) if at not in hidden and state != "overwritten"))
        begin = len(text)
    return lines


def without_masks(lines: list[str]) -> list[str]:
    """What is seen beside the masks."""
    return [line.replace(redaction.MASK, "") for line in lines]


@settings(max_examples=300)
@given(st.data())
def test_a_whole_secret_is_never_seen(data: st.DataObject) -> None:
    """At most 5 characters of it in one piece, wherever it is cut; the text around comes out unchanged, in order and on its line."""
    secret = data.draw(_secrets)
    around = st.text("xy .", max_size=5)
    text = "".join(data.draw(st.lists(st.one_of(st.just(secret), around), max_size=5)))
    pieces = data.draw(_cut(text))
    lines = without_masks(shown(pieces, (secret,), data.draw(_contexts)))
    assert max((len(run) for line in lines for run in re.findall("[pqr]+", line)), default=0) <= SEEN
    assert [re.sub("[pqr]", "", line) for line in lines] == [re.sub("[pqr]", "", line) for line in seen(pieces, (secret,))]


@settings(max_examples=300)
@given(st.data())
def test_related_secrets_and_pieces_of_them(data: st.DataObject) -> None:
    """Secrets that overlap or contain each other, and what only looks like a part of one: exactly what must be is hidden."""
    secrets = data.draw(_related())
    piece = st.sampled_from(secrets).flatmap(_pieces_of)
    text = "".join(data.draw(st.lists(st.one_of(piece, piece, st.text("xy .", max_size=4)), max_size=6)))
    pieces = data.draw(_cut(text))
    assert without_masks(shown(pieces, secrets, data.draw(_contexts))) == seen(pieces, secrets)


W = "Winter2024Winter"
KEYS = ["-----BEGIN PRIVATE KEY-----", "abc", "-----END PRIVATE KEY----------BEGIN PRIVATE KEY-----", "def", "-----END PRIVATE KEY-----"]


@pytest.mark.parametrize(
    ("secrets", "lines", "expected"),
    [
        pytest.param([W], [f"pw is {W}", "next line"], ["pw is ***", "next line"], id="ends as it begins"),
        pytest.param([W], ["pw is Winter20", "*next"], ["pw is ***", "*next"], id="only its beginning"),
        pytest.param([W], [W, W, "x"], ["***", "***", "x"], id="twice"),
        pytest.param([W], [W, "2024Winter x"], ["***", " x"], id="twice, one in the other"),
        pytest.param([W], ["Win", "ter20", "24Winter x"], ["Win", "***", " x"], id="in three lines"),
        pytest.param([W], ["Winter", "", "2024Winter x"], ["***", "", " x"], id="an empty line between"),
        pytest.param(["abcdef", "abcdefGHI"], ["abcdef", "abcdef", "GHI", "x"], ["***", "***", "", "x"], id="one begins another"),
        pytest.param(["abcdef", "efghijklmnop"], ["abcdefghijklm", "nop x"], ["***", " x"], id="one overlaps another"),
        pytest.param(["hunter-2\n"], ["pw hunter-2 x", "hunter-2", "x"], ["pw *** x", "***", "x"], id="a file's line end"),
        pytest.param(["hunter-2\nsecond-7\nthird-9"], ["hunter-2", "second-7", "third-9 x"], ["***", "", " x"], id="short lines"),
        pytest.param(["hunter-2\nsecond-7"], ["hunter-2second-7 x"], ["*** x"], id="its lines joined"),
        pytest.param([W], [W.encode().hex(), "x", f"{W.encode().hex()[:12]}", "x"], ["***", "x", "***", "x"], id="hex"),
        pytest.param(["a" * 12], [base64.b64encode(b"a" * 24).decode(), "x"], ["***", "x"], id="base64"),
        pytest.param(["z" * 70 + "q" * 70 + "end", "q" * 70 + "k" * 300], ["z" * 70 + "q" * 70, "x"], ["***", "x"], id="long ones"),
        pytest.param([], [*KEYS, "x"], ["***", "", "***", "", "", "x"], id="two keys without a line end between"),
    ],
)
def test_lines_with_known_secrets(secrets: list[str], lines: list[str], expected: list[str]) -> None:
    """Each secret is one mask, on the line where it begins, and the next line is itself."""
    assert shown([(line, "line") for line in lines], tuple(secrets)) == expected


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param([(f"pw {W}", "redrawn"), ("next", "line")], ["pw ***", "next"], id="redrawn"),
        pytest.param([(f"pw {W}", "overwritten"), ("next", "line")], ["", "next"], id="overwritten"),
        pytest.param([("Winter20", "overwritten"), ("24Winter x", "line")], ["", "*** x"], id="goes on in the next state"),
        pytest.param([("password=abcW", "redrawn"), ("def", "line")], ["password=***", ""], id="a named one that ends as another begins"),
        pytest.param([("pw Winter", "part"), ("", "end")], ["pw ***"], id="the end of output"),
        pytest.param([("a bearer", "part"), (" abc", "part"), (" d", "line")], ["a bearer abc d"], id="no shape after all"),
        pytest.param([("abcDEF1234", "part"), ("56", "part"), (" d", "line")], ["abcDEF123456 d"], id="no base64 after all"),
    ],
)
def test_pieces_with_known_secrets(pieces: Pieces, expected: list[str]) -> None:
    """Nothing is told twice, and a mask stands where a secret was."""
    assert shown(pieces, (W,)) == expected


def test_a_secret_that_is_forgotten_while_its_line_goes_on() -> None:
    """What was hidden of a line stays hidden until it ends."""
    known, heard = [W], list[str]()
    output = WorkerOutput("worker-1", lambda _worker, _stream, line: heard.append(line), secrets=lambda: tuple(known))
    output.line("stdout", f"pw is {W}!", "part")
    known.clear()
    output.line("stdout", " and", "part")
    output.line("stdout", " more", "line")
    assert "".join(heard) == "pw is ***! and more"


def test_a_private_key_in_a_line_that_does_not_end() -> None:
    """Also what comes behind the part that is remembered is hidden, up to its end."""
    key = "-----BEGIN PRIVATE KEY-----" + "\\nabcDEF12" * 1200
    pieces = [(key[:5000], "part"), (key[5000:9500], "part"), ("\\nLAST", "part"), ("\\nLINE-----END PRIVATE KEY----- x", "line")]
    assert shown([*pieces, ("next", "line")], ()) == ["*** x", "next"]


@pytest.mark.parametrize("text", [*SHAPES, *(text for text in MASKED if "\n" not in text)])
def test_the_end_of_a_line_hides_no_shape_in_the_next(text: str) -> None:
    """Whatever a line ends with, and whatever known secret begins so: names and shapes at the beginning of the next are seen."""
    masked = redaction.mask(text)
    for last in string.printable.rstrip("\r\n\v\f\t"):
        for end in (last, "zq" + last):
            lines = MaskedLines(redaction.DEFAULT, lambda: (f"{end}-elephant-secret", f"{end * 2}-secret", "channel-secret"))  # noqa: B023
            assert [lines.line("done " + end), lines.line(text)] == ["done " + end, masked]
