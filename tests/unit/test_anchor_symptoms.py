"""Anchors as logs of other tools have them: glued to what a full disk left, wrapped in JSON once or twice."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from state.proof.anchors import AnchorsRead
from tests.support.sealed import written

ANCHORS = written(3).anchors
WRAPPED: dict[str, Callable[[str], str]] = {
    "journalctl -o json": lambda line: json.dumps(
        {"MESSAGE": f"<109>1 2026-11-28T10:00:00Z h recovery 7 anchor - {line}"}
    ),
    "docker's json-file": lambda line: json.dumps({"log": f"{line}\n", "stream": "stdout"}),
    "a shipper of shippers": lambda line: json.dumps({"message": json.dumps({"MESSAGE": line})}),
    "CSV of a table": lambda line: '7,"' + line.replace('"', '""') + '"',
}


@pytest.mark.parametrize("how", list(WRAPPED))
def test_an_anchor_in_a_log_that_was_exported_in_another_form_counts(how: str) -> None:
    read = AnchorsRead()
    read.take([f"{WRAPPED[how](each.line)}\n".encode() for each in ANCHORS], "there")
    assert (read.anchors, read.unreadable) == (ANCHORS, 0)


def test_an_anchor_behind_what_a_full_disk_left_of_another_counts_and_the_other_is_told() -> None:
    torn = ANCHORS[0].line[:60]
    read = AnchorsRead()
    read.take([f"{torn}{ANCHORS[1].line}\n".encode(), f"{torn}\n".encode()], "there")
    assert (read.anchors, read.unreadable) == ([ANCHORS[1]], 2)


def test_an_altered_anchor_in_another_form_is_none() -> None:
    read = AnchorsRead()
    for wrap in WRAPPED.values():
        line = ANCHORS[0].line.replace('"seq":', '"seq" :')
        read.take([wrap(line).encode()], "there")
    assert read.anchors == []
    assert read.unreadable == len(WRAPPED)
