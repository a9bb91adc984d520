"""Whatever stands in a file: an estate, a runbook or a ConfigError with places, and no literal secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.files.located_yaml import parse_yaml
from state.changes.registry import change_kinds
from state.errors import ConfigError
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.runbooks.expand import expand
from state.runbooks.parse import lint_runbook
from state.runbooks.related import any_node
from tests.support.estate_samples import CANARY, CHECKS, FIXTURES, KINDS, mutants, small, small_estate

EXAMPLE = Path(__file__).parents[2] / "config" / "recovery.yaml"


def is_sound(error: ConfigError | None, text: str) -> bool:
    """Nothing wrong, or findings inside the text that say what was expected and give no secret away."""
    if error is None:
        return True
    last = sum(text.count(end) for end in "\n\r\x85\u2028\u2029") + 2
    places = all(p.file == "f" and 1 <= p.line <= last and p.column >= 1 and p.expected for p in error.problems)
    return bool(error.problems) and places and CANARY not in str(error)


def estate_error(text: str) -> ConfigError | None:
    try:
        parse_estate(parse_yaml(text, "f"), KINDS)
    except ConfigError as error:
        return error
    return None


def runbook_error(text: str, estate: Estate) -> ConfigError | None:
    try:
        runbook, _ = lint_runbook(parse_yaml(text, "f"), estate, change_kinds(), CHECKS)
        expand(runbook, {}, estate, {}, any_node(estate))
    except ConfigError as error:
        return error
    return None


def estates(count: int, seed: int) -> int:
    refused = 0
    for text in mutants([small()] * 3 + [EXAMPLE.read_text()], count, seed):
        error = estate_error(text)
        assert is_sound(error, text), (str(error), text)
        refused += error is not None
    return refused


def runbooks(count: int, seed: int) -> int:
    refused, estate = 0, small_estate()
    for text in mutants([(FIXTURES / "runbook.yaml").read_text()], count, seed):
        error = runbook_error(text, estate)
        assert is_sound(error, text), (str(error), text)
        refused += error is not None
    return refused


def test_damaged_estates_are_refused_with_places() -> None:
    assert estates(500, seed=1) > 300


def test_damaged_runbooks_are_refused_with_places() -> None:
    assert runbooks(800, seed=2) > 400


@pytest.mark.torture
def test_a_hundred_thousand_damaged_files() -> None:
    assert estates(50_000, seed=3) > 30_000
    assert runbooks(50_000, seed=4) > 25_000
