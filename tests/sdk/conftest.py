"""Fixtures of the worker SDK's tests."""

from __future__ import annotations

import sys

import pytest

from pythons import python_3_8


@pytest.fixture(params=["this", "3.8"])
def python(request: pytest.FixtureRequest) -> str:
    """Each interpreter in turn that the worker SDK must run on: this one, and Python 3.8 where there is one."""
    return sys.executable if request.param == "this" else python_3_8()
