"""The chunk envelope, without a worker: payloads in, dicts out."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit._api.chunks import BinaryChunk, add_extra, envelope, envelopes, final_chunk

_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
_values = st.recursive(_leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(_values)
def test_every_payload_becomes_a_dict_that_says_whether_it_is_final(payload: Any) -> None:
    """Nothing of the payload is lost, and `is_final` is there, whatever was yielded."""
    before = copy.deepcopy(payload)
    chunk = envelope(payload)
    assert isinstance(chunk, dict)
    if isinstance(before, dict):
        assert chunk == {"is_final": False, **before}
    elif isinstance(before, bytes):
        assert chunk == {"raw_data": before, "is_final": False}
    else:
        assert chunk == {"data": before, "is_final": False}


@given(st.lists(_values))
def test_a_run_is_enveloped_like_its_chunks(payloads: list[Any]) -> None:
    """The fast way for whole runs gives the same as one at a time."""
    assert envelopes(copy.deepcopy(payloads)) == [envelope(payload) for payload in payloads]


@given(st.binary(max_size=200))
def test_base64_on_demand(data: bytes) -> None:
    """`raw_data_base64` is made when asked for, and is neither stored nor listed."""
    chunk = envelope(data)
    assert base64.b64decode(chunk["raw_data_base64"]) == data
    assert chunk.get("raw_data_base64") == chunk["raw_data_base64"]
    assert "raw_data_base64" in chunk
    assert list(chunk) == ["raw_data", "is_final"]
    assert json.dumps(chunk["raw_data_base64"])


def test_a_binary_chunk_is_otherwise_a_plain_dict() -> None:
    """Missing keys, defaults, equality, copies and pickles are those of a dict."""
    chunk = envelope(b"\x00\xff")
    with pytest.raises(KeyError, match="other"):
        chunk["other"]
    assert chunk.get("other") is None
    assert chunk.get("other", 5) == 5
    assert "other" not in chunk
    assert chunk == {"raw_data": b"\x00\xff", "is_final": False}
    again = pickle.loads(pickle.dumps(chunk))
    assert isinstance(again, BinaryChunk)
    assert again["raw_data_base64"] == copy.copy(chunk)["raw_data_base64"] == "AP8="


@given(_values, st.dictionaries(st.text(), _leaves))
def test_final_with_metadata(payload: Any, metadata: dict[str, Any]) -> None:
    """What the worker says beside a chunk makes it final, and its facts win over what the payload says in `_metadata`."""
    chunk = envelope(copy.deepcopy(payload))
    own = chunk.get("_metadata")
    add_extra(chunk, {"final": True, "metadata": metadata}, {"worker_id": "worker-1"})
    assert chunk["is_final"] is True
    assert chunk["_metadata"] == {**(own if isinstance(own, dict) else {}), **metadata, "worker_id": "worker-1"}


def test_metadata_alone() -> None:
    """Metadata of a chunk that is not final is there if there is any, and changes nothing else."""
    chunk = envelope({"a": 1})
    add_extra(chunk, {"metadata": {"tokens": 3}}, {"worker_id": "worker-1"})
    assert chunk == {"a": 1, "is_final": False, "_metadata": {"tokens": 3}}
    chunk = envelope({"a": 1, "_metadata": {"mine": 1}})
    add_extra(chunk, {"metadata": None}, {"worker_id": "worker-1"})
    assert chunk == {"a": 1, "is_final": False, "_metadata": {"mine": 1}}


@pytest.mark.parametrize("said", [True, False, 1, None, "yes"])
def test_a_report_is_not_final(said: Any) -> None:
    """Whatever a report says of itself."""
    chunk = envelope({"progress": 1, "is_final": said})
    add_extra(chunk, {"progress": True}, {"worker_id": "worker-1"})
    assert chunk == {"progress": 1, "is_final": False}


@given(_values)
def test_the_added_final_chunk(value: Any) -> None:
    """It holds the return value, is final, says that it was added, and leaves the value itself as it was."""
    before = copy.deepcopy(value)
    chunk = final_chunk(value, {"chunks": 4, "execution_time_ms": 1.5, "worker_id": "worker-1", "streamed": True})
    assert value == before
    facts = {"chunks": 5, "execution_time_ms": 1.5, "worker_id": "worker-1", "synthetic_final": True}
    metadata = chunk.pop("_metadata")
    own = before.get("_metadata") if isinstance(before, dict) else None
    assert metadata == {**(own if isinstance(own, dict) else {}), **facts}
    expected = {} if before is None else envelope(before)
    expected.pop("_metadata", None)
    assert chunk == {**expected, "is_final": True}


def test_the_added_final_chunk_of_a_call_that_did_not_stream() -> None:
    """A tool that gives one value, read through `stream()`: one chunk."""
    assert final_chunk(5, {})["_metadata"] == {"chunks": 1, "synthetic_final": True}
