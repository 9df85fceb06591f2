"""The maker of sales files: the same bytes for the same seed, and its count of dirt is true."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def maker(example: Callable[..., ModuleType]) -> ModuleType:
    """The module under test."""
    return example("sales_csv")


def test_same_seed_same_bytes(maker: ModuleType, tmp_path: Path) -> None:
    """A seed fixes every byte of the file, and another seed gives another file."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        maker.make_sales_csv(tmp_path / name, rows=500, seed=seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_dirt_is_counted_truly(maker: ModuleType, tmp_path: Path) -> None:
    """What the maker says about dirty rows is what a plain reader finds in the file."""
    dirt = maker.make_sales_csv(tmp_path / "sales.csv", rows=45_000)
    missing = unparsable = repeated = rows = 0
    last = ""
    with (tmp_path / "sales.csv").open(encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            rows += 1
            if row["order_id"] == last:
                repeated += 1
            elif row["units"] == "":
                missing += 1
            elif not row["units"].isdigit():
                unparsable += 1
            last = row["order_id"]
    assert rows == 45_000
    assert (missing, unparsable, repeated) == (dirt.missing, dirt.unparsable, dirt.repeated)
    assert dirt.total == missing + unparsable + repeated > 60
    assert min(missing, unparsable, repeated) > 0
