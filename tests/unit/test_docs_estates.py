"""The documents as an estate: what they show can be loaded, and every page can be found from the first one."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from adapters.files.located_yaml import parse_yaml
from adapters.registry import kinds
from state.estate.model import Estate
from state.estate.parse import parse_estate
from tests.support.recipes import ROOT, blocks

PRODUCTS = sorted((ROOT / "docs" / "products").glob("*.md"))
PAGES = [*PRODUCTS, ROOT / "docs/estate.md", ROOT / "docs/getting-started.md"]
BASE = """\
estate: shown
environment: staging
sites: {east: {}, west: {}}
runbooks: []
hosts: {app1: {address: app1.example}}
"""
BESIDE = {
    "docs/estate.md": """\
balancers:
  edge-east: {kind: memory, site: east, backends: {checkout: {blue: 100, green: 0}}}
  edge-west: {kind: memory, site: west, backends: {checkout: {blue: 100, green: 0}}}
services:
  checkout: {tier: 1, rto: 5m, rpo: 0B, traffic: {balancers: [edge-east, edge-west], backend: checkout}}
commands:
  start-app: {argv: [/usr/bin/true], params: {unit: {kind: choice, choices: [shop.service, cart.service]}}}
""",
    "docs/store.md": "databases: {orders: {tls: verify-full, ca: ca.pem}}",
    "docs/managers.md": """\
hosts: {host-a: {address: a}, host-b: {address: b}, host-w: {address: w}, host-m: {address: m}}
""",
    "docs/products/streaming.md": """\
commands:
  rebuild-a: {argv: [/usr/bin/true]}
  rebuild-b: {argv: [/usr/bin/true]}
  rejoin-b: {argv: [/usr/bin/true]}
  stop-b: {argv: [/usr/bin/true]}
""",
}
"""What an example names and another page shows."""
FRAGMENTS = {("waive",), ("password",)}
"""Keys of an entry, shown without it."""


def yaml(text: str) -> Any:
    """As data; the rules of estate files are tested below."""
    return YAML(typ="safe").load(text)


def shown(page: Path) -> Iterator[tuple[int, str]]:
    """The YAML blocks of a page that are part of an estate. Another product's file is named in the first line."""
    text = re.sub(r"^ +(?=```)", "", page.read_text(), flags=re.MULTILINE)
    for block in blocks(text):
        body = textwrap.dedent(block.text)
        of_other = re.match(r"# (?!recovery)\S+\.yml\n", body)
        if block.language == "yaml" and not of_other:
            yield block.line, body


def keys_of(text: str) -> tuple[str, ...]:
    """The keys at the left margin."""
    return tuple(dict.fromkeys(re.findall(r"^(\w+):", text, re.MULTILINE)))


def merged(into: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in more.items():
        into[key] = merged(into[key], value) if isinstance(value, dict) and isinstance(into.get(key), dict) else value
    return into


def written(tree: Mapping[str, Any], folder: Path) -> str:
    path = folder / "recovery.yaml"
    YAML().dump(tree, path)
    return path.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_of_an_estate_is_one(page: Path, tmp_path: Path) -> None:
    name = str(page.relative_to(ROOT))
    tree = merged(yaml(BASE), yaml(BESIDE.get(name, "{}")))
    found = [(line, text) for line, text in shown(page) if keys_of(text) not in FRAGMENTS]
    assert found
    for line, text in found:
        unknown = set(keys_of(text)) - set(Estate.model_fields)
        assert not unknown, f"{name}:{line}: {unknown}"
        merged(tree, yaml(text))
    parse_estate(parse_yaml(written(tree, tmp_path), name), kinds())


@pytest.mark.parametrize("page", PRODUCTS, ids=lambda page: page.stem)
def test_a_page_of_a_product_is_short_and_answers_the_same_questions(page: Path) -> None:
    text = page.read_text()
    assert len(text.splitlines()) <= 80
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert titles[0].startswith("At ")
    assert {"In the estate", "Waived", "Limits"} <= set(titles)
    assert any(title.startswith("What is") for title in titles)


def test_every_page_can_be_found_from_the_readme() -> None:
    seen, open_ = set(), [ROOT / "README.md"]
    while open_:
        page = open_.pop().resolve()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
        open_ += [page.parent / link for link in links if "://" not in link]
    assert set((ROOT / "docs").rglob("*.md")) - seen == set()
