"""`recovery db comparisons`: what the engine compares, with the code of the newest."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.api.views.comparisons import CompareOutcome, ComparisonRow
from tests.support.served_desk import Running
from tests.support.views import made


def newest(running: Running, outcome: CompareOutcome, age: float | None, **more: Any) -> int:
    """The code of the verb where this one is the newest, ended so many seconds ago; None while it runs."""
    old = made(ComparisonRow, id="C-1", a="orders/n1", b="orders/n2", outcome=CompareOutcome.DIFFERS, ended_at=1.0)
    ended = None if age is None else time.time() - age
    row = made(ComparisonRow, id="C-2", a="orders/n1", b="orders/n3", outcome=outcome, ended_at=ended, **more)
    running.touch("comparisons", comparisons={"C-1": old, "C-2": row})
    return run_to_code(recovery, ["db", "comparisons", "--estate", str(running.estate)])


@pytest.mark.parametrize(
    ("outcome", "age", "code"),
    [
        (CompareOutcome.EQUAL, 60.0, 0),
        (CompareOutcome.EQUAL, 3700.0, 3),
        (CompareOutcome.EQUAL, -60.0, 3),
        (CompareOutcome.DIFFERS, 60.0, 1),
        (CompareOutcome.DIFFERS, 90_000.0, 1),
        (CompareOutcome.RUNNING, None, 3),
        (CompareOutcome.UNKNOWN, 60.0, 3),
        (CompareOutcome.CANCELLED, 60.0, 3),
        (CompareOutcome.FAILED, 60.0, 3),
        (CompareOutcome.INTERRUPTED, 60.0, 3),
    ],
)
def test_only_what_was_equal_a_moment_ago_ends_well(
    running: Running, outcome: CompareOutcome, age: float | None, code: int
) -> None:
    assert newest(running, outcome, age) == code


def test_each_is_a_line_and_texts_from_outside_cannot_act(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    newest(running, CompareOutcome.FAILED, 60.0, actor="ada", reason="no\x1b]52;c;eA==\x07 answer")
    out = capsys.readouterr().out
    assert "C-1  orders/n1 and orders/n2: DIFFERS" in out
    assert "recovery db compare orders/n1 orders/n2" in out
    assert "C-2  orders/n1 and orders/n3: FAILED" in out
    assert "asked for by ada" in out
    assert "\x1b" not in out


def test_none_is_no_pass_and_json_has_every_field(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["db", "comparisons", "--estate", str(running.estate)]
    assert run_to_code(recovery, argv) == 3
    assert "no comparison was asked for" in capsys.readouterr().out
    newest(running, CompareOutcome.DIFFERS, 60.0, rows=5, tables=2)
    capsys.readouterr()
    assert run_to_code(recovery, [*argv, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["comparisons"]["comparisons"]["C-2"]
    assert (told["outcome"], told["rows"], told["tables"], told["b"]) == ("differs", 5, 2, "orders/n3")
