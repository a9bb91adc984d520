"""Arguments of an own command in a runbook: a text stays as it was written, or is refused."""

from __future__ import annotations

import pytest

from state.estate.model import Estate
from tests.unit.test_runbook_language import TREE, lint, problem

SAY = {
    "argv": ["/usr/bin/printf", "%s", "${v}"],
    "params": {"v": {"kind": "text"}, "n": {"kind": "number", "default": 1}},
}
SAYING = Estate.model_validate({**TREE, "commands": {"say": SAY}})
STEP = """\
runbook: case
title: Case
steps:
  - {{id: say, change: command.run, with: {{command: say, args: {{{args}}}}}}}
"""


@pytest.mark.parametrize("written", ["007", "1.10", "1e3", "0x10", "7"])
def test_a_number_where_text_is_meant_is_refused(written: str) -> None:
    """YAML makes 7 of 007 and 1.1 of 1.10: a release would be another one."""
    assert "in quotes: unquoted, YAML reads a number" in problem(STEP.format(args=f"v: {written}"), SAYING)
    lint(STEP.format(args=f'v: "{written}"'), SAYING)


def test_a_number_is_a_number_where_one_is_meant() -> None:
    lint(STEP.format(args='v: "x", n: 7'), SAYING)


def test_text_that_utf_8_cannot_hold_is_refused() -> None:
    assert "half of a surrogate pair" in problem(STEP.format(args='v: "\\ud800"'), SAYING)
