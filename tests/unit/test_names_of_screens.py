"""Screens and keys that a text names exist: a person at 3 a.m. looks for what is written there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from console.tui.actions.registry import keys_of, shown_key
from console.tui.widgets.table import LineTable
from state.capabilities import topics

ROOT = Path(__file__).parents[2]
TOPICS = {topic.title: topic.name for topic in topics().values() if topic.title}
DOCS = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/products/*.md"), ROOT / "README.md"])
RUNBOOKS = sorted(ROOT.glob("config/runbooks/*.yaml"))
CODE = sorted(file for part in ("console", "state", "adapters") for file in (ROOT / part).rglob("*.py"))
SCREEN = re.compile(r"\b(?:[Tt]he |on )([A-Z]\w*) screen\b")
PLACE = re.compile(r"\b[Oo]n (?:the )?([A-Z][a-z]+)\b|\b([A-Z][a-z]+) (?:shows|says)\b")
KEY_THERE = re.compile(r"\b([A-Za-z.!?]) on ([A-Z][a-z]+)\b")


def texts_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)


def strings_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def keys_there(title: str) -> set[str]:
    return {shown_key(action) for action in keys_of(TOPICS[title])}


def screens_named(text: str) -> set[str]:
    return set(SCREEN.findall(" ".join(text.split())))


def places_named(text: str) -> set[str]:
    return {a or b for a, b in PLACE.findall(" ".join(text.split()))}


def test_a_screen_that_is_not_there_is_found() -> None:
    assert screens_named("The DNS\nscreen shows it") == {"DNS"}
    assert places_named("Look on Traffic. Replication says which.") == {"Traffic", "Replication"}


@pytest.mark.parametrize("file", RUNBOOKS, ids=lambda file: file.stem)
def test_runbooks_name_screens_that_exist(file: Path) -> None:
    for text in texts_of(yaml.safe_load(file.read_text("utf-8"))):
        assert places_named(text) | screens_named(text) <= set(TOPICS), text


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.stem)
def test_documents_name_screens_that_exist(file: Path) -> None:
    assert screens_named(file.read_text("utf-8")) <= set(TOPICS)


def test_texts_of_the_program_name_screens_and_keys_that_exist() -> None:
    named = 0
    for file in CODE:
        for text in strings_of(file):
            assert screens_named(text) <= set(TOPICS), f"{file}: {text}"
            for key, title in KEY_THERE.findall(text):
                if title in TOPICS:
                    named += 1
                    assert key in keys_there(title), f"{file}: {text}"
    assert named >= 2


def test_the_page_of_the_screens_names_their_keys() -> None:
    text = (ROOT / "docs/console.md").read_text("utf-8")
    rows = {
        title: cells
        for _, title, *cells in (re.split(r" *\| *", row)[1:-1] for row in text.splitlines() if "|" in row)
        if title in TOPICS
    }
    assert set(rows) == set(TOPICS)
    for title, cells in rows.items():
        told = set(re.findall(r"`(.)` ", cells[-1]))
        assert told
        assert told <= keys_there(title), title


def test_the_page_of_the_screens_names_keys_that_work_everywhere() -> None:
    text = (ROOT / "docs/console.md").read_text("utf-8")
    part = text[text.index("\n## Everywhere") : text.index("\n## The consequence card")]
    told = {
        key for row in part.splitlines() if row.startswith("| `") for key in re.findall(r"`(\S)`", row.split("|")[1])
    }
    table = {key for binding in LineTable.BINDINGS for key in str(binding.key).split(",")}
    everywhere = set.intersection(*(keys_there(title) for title in TOPICS))
    assert told
    assert told <= everywhere | table | {"j", "h", "k", "l"}
