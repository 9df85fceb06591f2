"""Makes the sales file that `process_large_dataset` reads: any number of rows, the same for the same seed, dirt counted.

Standard library alone; about a second per million rows. Columns: order_id, day, region, product, units, unit_price.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("order_id", "day", "region", "product", "units", "unit_price")
REGIONS = ("north", "south", "east", "west")
PRODUCTS = ("anvil", "bell", "compass", "drill", "easel", "flute")
BLOCK_ROWS = 20_000

# One row in so many is dirty; primes, so that the kinds rarely meet in one row.
MISSING_EVERY = 1_009
UNPARSABLE_EVERY = 2_003
REPEATED_EVERY = 4_001


@dataclass(frozen=True, slots=True)
class Dirt:
    """How many rows of a file are dirty, by kind; a row counts once."""

    missing: int = 0
    unparsable: int = 0
    repeated: int = 0

    @property
    def total(self) -> int:
        """All dirty rows."""
        return self.missing + self.unparsable + self.repeated


def make_sales_csv(path: str | Path, rows: int = 1_000_000, seed: int = 7) -> Dirt:
    """Write `rows` rows of sales to `path`.

    Args:
        path: the file to make or replace.
        rows: data rows, the header not counted.
        seed: the same seed gives the same bytes.

    Returns:
        The dirty rows among them: units missing, units that are no number, and orders sent twice in a row.
    """
    dice = random.Random(seed)
    dirt = Dirt()
    with Path(path).open("w", encoding="ascii", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        for start in range(1, rows + 1, BLOCK_ROWS):
            block = list(_clean_rows(dice, start, min(start + BLOCK_ROWS, rows + 1)))
            dirt = _soil(block, start, dirt)
            file.writelines(block)
    return dirt


def _clean_rows(dice: random.Random, start: int, stop: int) -> Iterator[str]:
    count = stop - start
    regions = dice.choices(REGIONS, k=count)
    products = dice.choices(PRODUCTS, k=count)
    units = dice.choices(range(1, 25), k=count)
    cents = dice.choices(range(199, 9999), k=count)
    for number, region, product, unit, cent in zip(range(start, stop), regions, products, units, cents, strict=True):
        yield f"{number},2025-{number % 12 + 1:02d}-{number % 28 + 1:02d},{region},{product},{unit},{cent / 100}\n"


def _soil(block: list[str], start: int, before: Dirt) -> Dirt:
    """Spoil the rows whose number says so; the first rule that fits a row wins."""
    missing = unparsable = repeated = 0
    for number in _multiples(MISSING_EVERY, start, len(block)):
        block[number - start] = _with_units(block[number - start], "")
        missing += 1
    for number in _multiples(UNPARSABLE_EVERY, start, len(block)):
        if number % MISSING_EVERY:
            block[number - start] = _with_units(block[number - start], "a few")
            unparsable += 1
    for number in _multiples(REPEATED_EVERY, start, len(block)):
        previous = number - start - 1  # below 0 at the start of a block: then there is nothing to repeat
        if number % MISSING_EVERY and number % UNPARSABLE_EVERY and previous >= 0:
            block[number - start] = block[previous]
            repeated += 1
    return Dirt(before.missing + missing, before.unparsable + unparsable, before.repeated + repeated)


def _multiples(step: int, start: int, count: int) -> range:
    return range(-(-start // step) * step, start + count, step)


def _with_units(row: str, units: str) -> str:
    cells = row.split(",")
    cells[4] = units
    return ",".join(cells)


def main() -> None:
    """Make a file from the command line."""
    parser = argparse.ArgumentParser(description="Make a CSV file of sales with a known number of dirty rows.")
    parser.add_argument("path")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    dirt = make_sales_csv(options.path, options.rows, options.seed)
    kinds = f"{dirt.missing:,} missing, {dirt.unparsable:,} unparsable, {dirt.repeated:,} repeated"
    print(f"{options.path}: {options.rows:,} rows; dirty: {kinds}")


if __name__ == "__main__":
    main()
