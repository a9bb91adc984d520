"""Every estate and runbook of the cookbook is one that `recovery check` accepts, without a warning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from console.engine.loading import load
from state.runbooks.expand import expand
from state.runbooks.related import any_node
from state.runbooks.steps import placed
from tests.support.cookbook import COOKBOOK, ESTATE, blocks, write_all

RECIPES = 11
GIVEN = {"feature-off": {"flag": "new-cart"}, "empty-node": {"node": "w1"}, "dump-and-restart": {"name": "inc-7"}}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cookbook")
    write_all(folder)
    return folder


def test_every_yaml_block_has_a_file(written: Path) -> None:
    text = COOKBOOK.read_text()
    assert text.count("```yaml") == len(list(blocks()))
    recipes = text.partition("\n## Recipes\n")[2].count("\n### ")
    assert recipes == RECIPES
    assert len(list((written / "shop" / "runbooks").iterdir())) == RECIPES


@pytest.mark.parametrize("name", ["first", "shop"])
def test_estate_and_runbooks_are_valid_without_a_warning(written: Path, name: str) -> None:
    loaded = load(written / name / ESTATE)
    assert not loaded.broken, {n: [str(p) for p in found] for n, found in loaded.broken.items()}
    assert loaded.notes == ()
    assert {found for each in loaded.warnings.values() for found in each} == set()
    for book in loaded.runbooks.values():
        steps = expand(book, GIVEN.get(book.runbook, {}), loaded.estate, loaded.runbooks, any_node(loaded.estate)).steps
        assert all(each.step.title for each in steps)


def test_own_commands_have_a_reading_but_the_one_that_says_so(written: Path) -> None:
    estate = load(written / "shop" / ESTATE).estate
    assert [name for name, command in estate.commands.items() if command.read is None] == ["vacuum-app1"]
    assert all(call.read for call in estate.http_calls.values())


def test_every_entry_of_the_recipes_is_used_by_one(written: Path) -> None:
    loaded = load(written / "shop" / ESTATE)
    used = {value for book in loaded.runbooks.values() for _, step in placed(book.steps) for value in step.args.values()
            if isinstance(value, str)}  # fmt: skip
    used |= {
        step.when.args["check"] for book in loaded.runbooks.values() for _, step in placed(book.steps) if step.when
    }
    estate = loaded.estate
    used |= {each.undo.command for each in estate.commands.values() if each.undo}
    used |= {each.undo.statement for each in estate.sql_calls.values() if each.undo}
    entries = {*estate.commands, *estate.http_calls, *estate.sql_calls, *estate.checks}
    assert entries - used == set()


def test_links_within_the_page_lead_somewhere() -> None:
    text = COOKBOOK.read_text()
    titles = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= titles
