"""A tool that watches a feed of prices, keeps indicators up to date tick by tick, and raises alerts.

The feed is a CSV file replayed (columns symbol, price, volume), or a random walk that is the same for the same seed and
never ends. Standard library alone.
"""

from __future__ import annotations

import csv
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from snakepit_bridge.base_adapter import BaseAdapter, tool
from stock_indicators import Macd, RelativeStrength, SimpleAverage

INDICATORS = ("RSI", "MACD", "SMA_20", "SMA_50")
THRESHOLDS = {"rsi_oversold": 30.0, "rsi_overbought": 70.0, "volume_spike": 2.0}
#: A volume is compared with the mean of so many before it.
VOLUME_WINDOW = 20
FIRST_PRICES = {"AAPL": 175.5, "GOOGL": 142.8, "MSFT": 380.2, "TSLA": 210.15}


class Tick(NamedTuple):
    """One trade."""

    symbol: str
    price: float
    volume: int


class StockAdapter(BaseAdapter):
    """Offers `realtime_stock_analysis`."""

    @tool(description="Analyze a feed of prices tick by tick", supports_streaming=True)
    def realtime_stock_analysis(
        self,
        symbols: list[str],
        indicators: list[str] | None = None,
        alert_thresholds: dict[str, float] | None = None,
        feed_path: str | None = None,
        seed: int = 7,
        delay: float = 0.1,
        speed: float = 1.0,
    ) -> Iterator[dict[str, Any]]:
        """Report each tick of the chosen symbols with its indicators.

        Args:
            symbols: what to watch.
            indicators: "RSI", "MACD", "SMA_20", "SMA_50", or SMA_ with another length. None: these four.
            alert_thresholds: `rsi_oversold`, `rsi_overbought`, `volume_spike` (times the mean volume before).
            feed_path: a CSV file to replay; the stream ends with it. None: a random walk without end.
            seed: picks the random walk.
            delay: seconds between two ticks.
            speed: how many times faster than that.

        Yields:
            `symbol`, `price`, `volume`, `rsi`, the other indicators asked for (`macd`, `macd_signal`, `macd_histogram`, `sma_20`, ...;
            None while too few ticks are known), `trading_signal` (BUY when oversold, SELL when overbought, else HOLD), and
            `alerts`, each with `kind`, `value` and `threshold`. At the end `message` and `ticks`.
        """
        thresholds = _check_thresholds(alert_thresholds)
        if not (delay >= 0 and speed > 0):
            raise ValueError(f"delay must be 0 or more and speed above 0, got delay={delay} and speed={speed}")
        watched = {symbol: Watch(symbol, indicators or INDICATORS, thresholds) for symbol in symbols}
        ticks = 0
        for tick in random_walk(symbols, seed) if feed_path is None else replay(feed_path):
            if tick.symbol in watched:
                ticks += 1
                yield watched[tick.symbol].look(tick)
                time.sleep(delay / speed)
        yield {"is_final": True, "message": "Market session ended", "ticks": ticks}


class Watch:
    """The indicators of one symbol."""

    def __init__(self, symbol: str, indicators: Sequence[str], thresholds: Mapping[str, float]) -> None:
        self.symbol = symbol
        self._thresholds = thresholds
        self._rsi = RelativeStrength()
        self._volume = SimpleAverage(VOLUME_WINDOW)
        self._usual_volume: float | None = None
        self._macd = Macd() if "MACD" in indicators else None
        self._averages = {name.lower(): SimpleAverage(_sma_length(name)) for name in indicators if name not in {"RSI", "MACD"}}

    def look(self, tick: Tick) -> dict[str, Any]:
        """Take a tick; give its chunk."""
        rsi = self._rsi.update(tick.price)
        chunk: dict[str, Any] = {"symbol": tick.symbol, "price": tick.price, "volume": tick.volume, "rsi": rsi}
        if self._macd:
            value = self._macd.update(tick.price)
            chunk.update(macd=value.macd, macd_signal=value.signal, macd_histogram=value.histogram)
        chunk.update((name, average.update(tick.price)) for name, average in self._averages.items())
        chunk["trading_signal"] = self._signal(rsi)
        chunk["alerts"] = list(self._alerts(rsi, tick.volume))
        chunk["is_final"] = False
        self._usual_volume = self._volume.update(tick.volume)
        return chunk

    def _signal(self, rsi: float | None) -> str:
        if rsi is None:
            return "HOLD"
        if rsi < self._thresholds["rsi_oversold"]:
            return "BUY"
        return "SELL" if rsi > self._thresholds["rsi_overbought"] else "HOLD"

    def _alerts(self, rsi: float | None, volume: int) -> Iterator[dict[str, Any]]:
        limits = self._thresholds
        if rsi is not None and rsi < limits["rsi_oversold"]:
            yield {"kind": "rsi_oversold", "value": rsi, "threshold": limits["rsi_oversold"]}
        if rsi is not None and rsi > limits["rsi_overbought"]:
            yield {"kind": "rsi_overbought", "value": rsi, "threshold": limits["rsi_overbought"]}
        if self._usual_volume and volume > limits["volume_spike"] * self._usual_volume:
            yield {"kind": "volume_spike", "value": volume / self._usual_volume, "threshold": limits["volume_spike"]}


def replay(path: str) -> Iterator[Tick]:
    """The ticks of a CSV file, in its order."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if missing := [name for name in Tick._fields if name not in (rows.fieldnames or ())]:
            raise ValueError(f"feed_path: {path} has no column {', '.join(missing)}")
        for row in rows:
            try:
                yield Tick(row["symbol"], float(row["price"]), int(float(row["volume"])))
            except (TypeError, ValueError) as error:
                raise ValueError(f"feed_path: {path}, line {rows.line_num}: {error}") from error


def random_walk(symbols: Sequence[str], seed: int) -> Iterator[Tick]:
    """Ticks of all symbols in turn, without end. Each symbol drifts up or down for a while and sometimes trades a lot."""
    dice = {symbol: random.Random(f"{seed} {symbol}") for symbol in symbols}
    price = {symbol: FIRST_PRICES.get(symbol, 100.0) for symbol in symbols}
    drift = dict.fromkeys(symbols, 0.0)
    for step in count() if symbols else ():
        for symbol in symbols:
            die = dice[symbol]
            if step % 25 == 0:
                drift[symbol] = die.uniform(-0.004, 0.004)
            price[symbol] *= 1.0 + drift[symbol] + die.gauss(0.0, 0.004)
            volume = int(1000 * die.lognormvariate(0.0, 0.3)) * (3 if die.random() < 0.02 else 1)
            yield Tick(symbol, round(price[symbol], 2), volume)


def _check_thresholds(given: Mapping[str, float] | None) -> dict[str, float]:
    if unknown := sorted(set(given or ()).difference(THRESHOLDS)):
        raise ValueError(f"alert_thresholds: unknown {', '.join(map(repr, unknown))}, allowed are {', '.join(THRESHOLDS)}")
    return {**THRESHOLDS, **(given or {})}


def _sma_length(name: str) -> int:
    match = re.fullmatch(r"SMA_([1-9]\d*)", name)
    if match is None:
        raise ValueError(f"indicators: got {name!r}, allowed are RSI, MACD and SMA_ with a length, such as SMA_20")
    return int(match[1])
