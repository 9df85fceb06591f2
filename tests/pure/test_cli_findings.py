"""What `snakepit doctor` says of its findings: lines for people, a document for programs."""

from __future__ import annotations

import dataclasses
import json

import pytest

from snakepit.cli.findings import Findings, Problem, Python, Workers, document, python_text, report
from snakepit.cli.lines import json_line

HOST = Python("/host/python", "3.11.7", {"grpcio": "1.60.0", "msgspec": "0.18.6"})
BARE = Python("/bare/python", "3.8.18", {})
SOUND = Findings("Linux 6.1 on x86_64: all that is promised holds", 4, "/tmp", HOST, (Workers("", protocol="grpc"),))


def test_a_sound_machine_in_seven_lines() -> None:
    """Platform, CPUs, directory, host, workers, protocol, verdict."""
    assert report(SOUND) == [
        "platform       Linux 6.1 on x86_64: all that is promised holds",
        "cpus           4 usable: 4 workers by default",
        "run directory  /tmp: unix sockets fit",
        "host           /host/python: CPython 3.11.7, grpcio 1.60.0, msgspec 0.18.6",
        "workers        the same Python",
        "  protocol     grpc",
        "a pool would start",
    ]
    assert SOUND.works


def test_steps_down_are_no_failures() -> None:
    """Each better protocol that is passed over has its reason and its cure; a pool starts all the same."""
    passed_over = (Problem("no grpcio", "install it", "grpc"), Problem("no library", "install one", "msgpack"))
    workers = Workers("bare", BARE, "json", passed_over, tools=("add", "train"), seconds=0.2)
    findings = dataclasses.replace(SOUND, cpus=1, workers=(workers,))
    assert report(findings)[1] == "cpus           1 usable: 1 worker by default"
    assert report(findings)[4:] == [
        "workers        /bare/python: CPython 3.8.18, no grpcio, no MessagePack library",
        "  protocol     json",
        "  not grpc     no grpcio",
        "    cure       install it",
        "  not msgpack  no library",
        "    cure       install one",
        "  started      ready after 0.20 s, tools: add, train",
        "a pool would start",
    ]


def test_one_problem_is_enough() -> None:
    """Workers that do not start make the verdict, whatever the others do; the worker's traceback stands below the cure."""
    bad = Workers("nowhere", problems=(Problem("no such file", "name another", traceback="Traceback:\n  it raised"),))
    findings = dataclasses.replace(SOUND, workers=(*SOUND.workers, bad))
    assert not findings.works
    assert report(findings)[6:] == [
        "workers        nowhere",
        "  problem      no such file",
        "    cure       name another",
        "Traceback:",
        "  it raised",
        "a pool would not start",
    ]


def test_a_machine_that_no_pool_runs_on() -> None:
    """Nothing is said of workers where no worker could be."""
    findings = Findings("Windows 11", 4, "", HOST, problems=(Problem("a pool needs Linux or macOS", "use WSL"),), no_directory="no")
    assert report(findings)[2:] == [
        "run directory  none: no",
        "host           /host/python: CPython 3.11.7, grpcio 1.60.0, msgspec 0.18.6",
        "  problem      a pool needs Linux or macOS",
        "    cure       use WSL",
        "a pool would not start",
    ]


@pytest.mark.parametrize(
    ("libraries", "broken", "words"),
    [
        ({"msgpack": "1.0.8"}, {}, "msgpack 1.0.8, no grpcio"),
        ({"grpcio": ""}, {"msgspec": "ImportError: no"}, "grpcio, msgspec that does not import"),
        ({}, {"grpcio": "ImportError: no"}, "grpcio that does not import, no MessagePack library"),
    ],
)
def test_what_an_interpreter_has_and_lacks(libraries: dict[str, str], broken: dict[str, str], words: str) -> None:
    """A missing library, one that lies there broken, and one that does not tell its version are three things."""
    assert python_text(Python("/p", "3.9.1", libraries, broken)) == f"/p: CPython 3.9.1, {words}"


def test_the_document_is_plain_and_begins_with_the_verdict() -> None:
    """Programs read `works`, and every finding by its name."""
    told = json.loads(json_line(document(SOUND)))
    assert next(iter(told.items())) == ("works", True)
    assert told["host"]["libraries"] == {"grpcio": "1.60.0", "msgspec": "0.18.6"}
    assert told["workers"][0]["protocol"] == "grpc"
    assert told["workers"][0]["tools"] is None
