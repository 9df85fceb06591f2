"""The stock tool, driven directly: incremental indicators agree with plain ones, alerts by threshold, feeds that repeat."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def tools(example: Callable[..., ModuleType]) -> ModuleType:
    """The module under test."""
    return example("realtime_stock_analysis_tools")


@pytest.fixture
def feed(tmp_path: Path) -> Callable[..., str]:
    """Writes a feed of one symbol and gives its path."""

    def write(prices: list[float], volumes: list[int] | None = None) -> str:
        path = tmp_path / "feed.csv"
        rows = [f"X,{price},{volume}" for price, volume in zip(prices, volumes or [100] * len(prices), strict=True)]
        path.write_text("\n".join(["symbol,price,volume", *rows]) + "\n", encoding="utf-8")
        return str(path)

    return write


def run(tools: ModuleType, path: str, **arguments: Any) -> list[dict[str, Any]]:
    """All chunks of a replayed feed but the final one."""
    *chunks, final = tools.StockAdapter().realtime_stock_analysis(["X"], feed_path=path, delay=0, **arguments)
    assert final == {"is_final": True, "message": "Market session ended", "ticks": len(chunks)}
    return chunks


def plain_sma(prices: list[float], length: int) -> list[float | None]:
    """Each mean summed anew."""
    return [None if end < length else sum(prices[end - length : end]) / length for end in range(1, len(prices) + 1)]


def plain_rsi(prices: list[float], length: int = 14) -> list[float | None]:
    """Wilder's RSI by its textbook formula, from the whole list for each price."""
    values: list[float | None] = []
    for end in range(1, len(prices) + 1):
        changes = [after - before for before, after in pairwise(prices[:end])]
        if len(changes) < length:
            values.append(None)
            continue
        gain = sum(max(change, 0) for change in changes[:length]) / length
        loss = sum(max(-change, 0) for change in changes[:length]) / length
        for change in changes[length:]:
            gain = (gain * (length - 1) + max(change, 0)) / length
            loss = (loss * (length - 1) + max(-change, 0)) / length
        values.append(100 - 100 / (1 + gain / loss))
    return values


def plain_ema(values: list[float], length: int) -> list[float | None]:
    """The exponential mean by its sum of weights, from the whole list for each value."""
    alpha = 2 / (length + 1)
    result: list[float | None] = [None] * (length - 1)
    for end in range(length, len(values) + 1):
        later = values[length:end]
        mean = sum(values[:length]) / length * (1 - alpha) ** len(later)
        mean += sum(alpha * value * (1 - alpha) ** (len(later) - 1 - place) for place, value in enumerate(later))
        result.append(mean)
    return result


def test_indicators_agree_with_a_plain_implementation(tools: ModuleType, feed: Callable[..., str]) -> None:
    """RSI, MACD and both averages, kept up tick by tick, are what whole-list formulas give, None while too little is known."""
    prices = [tick.price for tick in islice(tools.random_walk(["X"], 11), 150)]
    chunks = run(tools, feed(prices))
    assert [chunk["rsi"] for chunk in chunks] == pytest.approx(plain_rsi(prices))
    assert [chunk["sma_20"] for chunk in chunks] == pytest.approx(plain_sma(prices, 20))
    assert [chunk["sma_50"] for chunk in chunks] == pytest.approx(plain_sma(prices, 50))
    macd = [
        None if fast is None or slow is None else fast - slow
        for fast, slow in zip(plain_ema(prices, 12), plain_ema(prices, 26), strict=True)
    ]
    known = [value for value in macd if value is not None]
    signal = [None] * (len(macd) - len(known)) + plain_ema(known, 9)
    assert len(known) == 150 - 25
    assert [chunk["macd"] for chunk in chunks] == pytest.approx(macd)
    assert [chunk["macd_signal"] for chunk in chunks] == pytest.approx(signal)
    histogram = [None if line is None else value - line for value, line in zip(macd, signal, strict=True)]
    assert [chunk["macd_histogram"] for chunk in chunks] == pytest.approx(histogram)


def test_signals_and_alerts_follow_the_thresholds(tools: ModuleType, feed: Callable[..., str]) -> None:
    """Falling prices are bought and rising ones sold, by the caller's thresholds, and a spike of volume is told."""
    falling, rising = [100.0 - step for step in range(15)], [86.0 + step for step in range(40)]
    volumes = [100] * 54 + [350]
    chunks = run(tools, feed(falling + rising, volumes), alert_thresholds={"volume_spike": 3.0, "rsi_overbought": 80})
    assert [chunk["trading_signal"] for chunk in chunks[:14]] == ["HOLD"] * 14
    assert chunks[14]["trading_signal"] == "BUY"
    assert chunks[14]["alerts"] == [{"kind": "rsi_oversold", "value": 0.0, "threshold": 30.0}]
    assert chunks[-1]["trading_signal"] == "SELL"
    assert [alert["kind"] for alert in chunks[-1]["alerts"]] == ["rsi_overbought", "volume_spike"]
    assert chunks[-1]["alerts"][1] == {"kind": "volume_spike", "value": 3.5, "threshold": 3.0}
    assert all((chunk["trading_signal"] == "SELL") == (chunk["rsi"] > 80) for chunk in chunks[14:])


def test_only_the_indicators_asked_for_are_given(tools: ModuleType, feed: Callable[..., str]) -> None:
    """The keys follow the request; rsi is always there, since the signal rests on it."""
    base = {"symbol", "price", "volume", "rsi", "trading_signal", "alerts", "is_final"}
    path = feed([1.0, 2.0, 3.0])
    assert set(run(tools, path, indicators=["RSI"])[0]) == base
    assert set(run(tools, path, indicators=["SMA_2"])[0]) == base | {"sma_2"}
    assert [chunk["sma_2"] for chunk in run(tools, path, indicators=["SMA_2"])] == [None, 1.5, 2.5]
    assert set(run(tools, path)[0]) == base | {"macd", "macd_signal", "macd_histogram", "sma_20", "sma_50"}


def test_a_price_that_stands_still_is_neutral(tools: ModuleType, feed: Callable[..., str]) -> None:
    """Without any movement the RSI is 50 and nothing is traded."""
    last = run(tools, feed([5.0] * 20))[-1]
    assert (last["rsi"], last["trading_signal"], last["alerts"]) == (50.0, "HOLD", [])


def test_a_random_walk_is_the_same_for_the_same_seed(tools: ModuleType) -> None:
    """The generated feed repeats for a seed, differs between seeds, and takes the symbols in turn."""
    adapter, symbols = tools.StockAdapter(), ["AAPL", "TSLA"]
    walks = [list(islice(adapter.realtime_stock_analysis(symbols, seed=seed, delay=0), 60)) for seed in (1, 1, 2)]
    assert walks[0] == walks[1] != walks[2]
    assert [chunk["symbol"] for chunk in walks[0][:4]] == ["AAPL", "TSLA", "AAPL", "TSLA"]
    assert {chunk["is_final"] for chunk in walks[0]} == {False}


def test_delay_and_speed_set_the_pause(tools: ModuleType, feed: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two ticks the tool waits delay/speed seconds."""
    pauses: list[float] = []
    monkeypatch.setattr(tools.time, "sleep", pauses.append)
    list(tools.StockAdapter().realtime_stock_analysis(["X"], feed_path=feed([1.0, 2.0]), delay=1.0, speed=4.0))
    assert pauses == [0.25, 0.25]


def test_other_symbols_of_a_feed_are_passed_over(tools: ModuleType, feed: Callable[..., str]) -> None:
    """A feed may hold more symbols than are watched."""
    (final,) = tools.StockAdapter().realtime_stock_analysis(["Y"], feed_path=feed([1.0, 2.0]), delay=0)
    assert final["ticks"] == 0


def test_wrong_arguments_are_named(tools: ModuleType, tmp_path: Path) -> None:
    """Unknown indicators and thresholds, impossible speeds and broken feeds say what is wrong."""
    watch = tools.StockAdapter().realtime_stock_analysis
    with pytest.raises(ValueError, match=r"indicators: got 'VWAP', allowed are RSI, MACD and SMA_"):
        next(watch(["X"], indicators=["VWAP"]))
    with pytest.raises(ValueError, match=r"unknown 'rsi_low', allowed are rsi_oversold"):
        next(watch(["X"], alert_thresholds={"rsi_low": 1}))
    with pytest.raises(ValueError, match=r"speed above 0, got delay=0\.1 and speed=0"):
        next(watch(["X"], speed=0))
    broken = tmp_path / "broken.csv"
    broken.write_text("symbol,price,volume\nX,1,2\nX,cheap,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.csv, line 3: could not convert string to float: 'cheap'"):
        list(watch(["X"], feed_path=str(broken), delay=0))
    broken.write_text("symbol,price\nX,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no column volume"):
        list(watch(["X"], feed_path=str(broken), delay=0))
