"""`python -m benchmarks.peers.trial [--quick] [PEER ...]`: each peer plays each scenario once; for those who work on them."""

from __future__ import annotations

import sys
from typing import Any

from .peer import Peer, PeerFailed
from .run import PEERS


def main(*arguments: str) -> None:
    quick = "--quick" in arguments
    for name in [argument for argument in arguments if argument != "--quick"] or PEERS:
        try:
            with Peer(name) as peer:
                for scenario, options in _rounds(quick=quick):
                    print(f"{name} {scenario} {options}: {_played(peer, scenario, options)}", flush=True)
                print(f"{name} left behind: {peer.end()}", flush=True)
        except PeerFailed as error:
            print(error, flush=True)


def _rounds(*, quick: bool) -> list[tuple[str, dict[str, Any]]]:
    count = 200 if quick else 2_000
    return [
        ("sequential", {"count": count}),
        *(("in_flight", {"window": window, "count": 2 * count}) for window in (1, 16, 64, 256)),
        *(("stream", {"count": 5 * count}) for _ in range(2)),
        ("first_chunk", {"streams": 10, "count": 200}),
        *(("transfer", {}) for _ in range(2)),
        ("sessions", {"count": count}),
        ("start", {}),
        ("crash", {"patience": 3.0}),
        *(("cancel", {"kind": kind, "patience": 2.0}) for kind in ("sleep", "loop", "read")),
        ("memory", {}),
        ("slow_consumer", {}),
        ("images", {}),
    ]


def _played(peer: Peer, scenario: str, options: dict[str, Any]) -> str:
    try:
        answer = peer.ask(scenario, **options)
    except PeerFailed as error:
        return f"FAILED {error}"
    figures = ", ".join(
        f"{name} {value if isinstance(value, bool) or value is None else f'{value:.6g}'}" for name, value in answer.figures.items()
    )
    return f"{figures} {answer.cannot and f'cannot: {answer.cannot}'} ({answer.seconds:.2f} s)"


if __name__ == "__main__":
    main(*sys.argv[1:])
