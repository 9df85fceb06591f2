"""Watch prices tick by tick, with indicators and alerts: `python examples/realtime_stock_analysis.py`.

The generated feed never ends: this leaves the stream after `--ticks` lines, which cancels it in the worker. With `--feed`
a CSV file is replayed. `chunk_timeout` ends the wait for a feed that has fallen silent.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import snakepit

ADAPTER = f"{Path(__file__).with_name('realtime_stock_analysis_tools.py')}:StockAdapter"


def show(chunk: dict[str, Any]) -> None:
    """Print one tick and its alerts."""
    head = f"{chunk['symbol']}: ${chunk['price']:.2f}"
    rsi = "RSI: --" if chunk["rsi"] is None else f"RSI: {chunk['rsi']:.1f}"
    match chunk["trading_signal"]:
        case "BUY":
            print(f"🟢 {head} - BUY signal ({rsi})")
        case "SELL":
            print(f"🔴 {head} - SELL signal ({rsi})")
        case _:
            print(f"⚪ {head} - HOLD ({rsi})")
    for alert in chunk["alerts"]:
        if alert["kind"] == "volume_spike":
            print(f"   🔔 volume {alert['value']:.1f} times the usual")


def main() -> None:
    """Follow the feed and print each tick."""
    parser = argparse.ArgumentParser(description="Stream technical analysis of a price feed.")
    parser.add_argument("--symbols", nargs="+", default=["AAPL", "GOOGL", "MSFT", "TSLA"])
    parser.add_argument("--feed", help="a CSV with the columns symbol, price, volume (default: a random walk)")
    parser.add_argument("--seed", type=int, default=7, help="picks the random walk")
    parser.add_argument("--ticks", type=int, default=120, help="leave after so many ticks")
    parser.add_argument("--delay", type=float, default=0.05, help="seconds between two ticks")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times faster than that")
    parser.add_argument("--quiet-seconds", type=float, default=10.0, help="stop when no tick has come for so long")
    options = parser.parse_args()
    arguments = {
        "symbols": options.symbols,
        "indicators": ["RSI", "MACD", "SMA_20", "SMA_50"],
        "alert_thresholds": {"rsi_oversold": 30, "rsi_overbought": 70, "volume_spike": 2.0},
        "feed_path": options.feed,
        "seed": options.seed,
        "delay": options.delay,
        "speed": options.speed,
    }

    with snakepit.Pool(ADAPTER, size=1) as pool:
        try:
            stream = pool.stream("realtime_stock_analysis", arguments, timeout=None, chunk_timeout=options.quiet_seconds)
            for number, chunk in enumerate(stream, 1):
                if chunk["is_final"]:
                    print("📊 Market session ended")
                    break
                show(chunk)
                if number == options.ticks:
                    print(f"📊 Left after {number} ticks")
                    break
        except snakepit.ChunkTimeout:
            print(f"📊 No tick for {options.quiet_seconds:g} s: stopped watching")


if __name__ == "__main__":
    main()
