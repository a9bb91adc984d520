"""No pattern takes more than linear time, whatever it is given: counted in steps, not in seconds."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import adapters
import console
import state
from adapters.monitors.exposition import Exposition
from adapters.monitors.sample_lines import labels_of
from adapters.monitors.scrape import ScrapeOptions
from state.config_files.explain import NAME_PATTERN
from tests.support.regex_steps import SUSPECT, Matcher, worst_growth

ROOT = Path(__file__).parents[2]
SEARCHING = ("search", "findall", "finditer", "sub", "subn", "split")
PLACED = ("match", "fullmatch")
TAKES_A_PATTERN = {f"re.{name}" for name in (*SEARCHING, *PLACED, "compile")}
NAME = "the pattern of a name, tested below"
MADE_LATER = {
    "adapters/monitors/exposition.py": "`#`, blanks, a name and a word: tested below",
    "state/discovery/names.py": "words of sites between letters",
    "state/runbooks/params.py": NAME,
    "console/places.py": NAME,
    "console/cli/runbook_new.py": NAME,
    "state/estate/arguments.py": "a pattern of the estate's author, on a text of bounded length",
    "adapters/monitors/figures.py": "literals that are escaped, one of them: tested below",
}
"""Where patterns are not literals at the top of a module."""


def modules() -> Iterator[Any]:
    for top in (adapters, state, console):
        for found in pkgutil.walk_packages(top.__path__, top.__name__ + "."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def searched(name: str, text: str) -> bool:
    """Whether a module looks for a pattern anywhere in a text, and not at one place only."""
    return re.search(rf"\b{name}\.(?:{'|'.join(SEARCHING)})\(", text) is not None


def python_files() -> list[Path]:
    return [path for top in ("adapters", "state", "console") for path in (ROOT / top).rglob("*.py")]


def patterns() -> dict[str, tuple[re.Pattern[Any], bool]]:
    """Every pattern of the product by its place, and whether it is looked for anywhere."""
    sources = {path: path.read_text() for path in python_files()}
    whole = "\n".join(sources.values())
    found: dict[str, tuple[re.Pattern[Any], bool]] = {}
    for module in modules():
        own = sources[Path(module.__file__)]
        for name, value in vars(module).items():
            place = f"{module.__name__}.{name}"
            if isinstance(value, re.Pattern):
                found[place] = value, searched(name, own if name.startswith("_") else whole)
            elif isinstance(value, tuple | list | Mapping):
                each = value.items() if isinstance(value, Mapping) else enumerate(value)
                found |= {f"{place}[{n}]": (v, True) for n, v in each if isinstance(v, re.Pattern)}
    for path, text in sources.items():
        for line, pattern, anywhere in _inline(ast.parse(text)):
            found[f"{path.relative_to(ROOT)}:{line}"] = pattern, anywhere
    unique = {(p.pattern, p.flags, anywhere): (place, p) for place, (p, anywhere) in found.items()}
    return {place: (p, anywhere) for (_, _, anywhere), (place, p) in unique.items()}


def _inline(tree: ast.AST) -> Iterator[tuple[int, re.Pattern[Any], bool]]:
    """Literal patterns that are handed to `re.search` and its like."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in TAKES_A_PATTERN and node.args:
            kind, first = ast.unparse(node.func)[3:], node.args[0]
            if isinstance(first, ast.Constant) and kind != "compile":
                yield node.lineno, re.compile(first.value), kind in SEARCHING


FOUND = patterns()


@pytest.mark.parametrize("place", sorted(FOUND))
def test_every_pattern_is_linear(place: str) -> None:
    pattern, anywhere = FOUND[place]
    growth, text = worst_growth(pattern, anywhere=anywhere)
    assert growth < SUSPECT, f"{pattern.pattern!r} takes {growth:.0f} times the steps for four times {text}"


def test_all_are_found() -> None:
    assert len(FOUND) > 70
    made: set[str] = set()
    for path in python_files():
        tree = ast.parse(path.read_text())
        assigned = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
        at_the_top = {call for node in assigned for call in ast.walk(node)}
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func) in TAKES_A_PATTERN and node.args):
                continue
            if not isinstance(node.args[0], ast.Constant) and node not in at_the_top:
                made.add(str(path.relative_to(ROOT)))
    assert made <= MADE_LATER.keys()


BAD = ((r"(a+)+$", False), (r"\s+$", True), (r"a*a*b", False), (r"://[^/@]*:[^@]*@", False))


@pytest.mark.parametrize(("text", "anywhere"), BAD)
def test_what_is_worse_than_linear_is_seen(text: str, anywhere: bool) -> None:
    assert worst_growth(re.compile(text), anywhere=anywhere)[0] >= SUSPECT


def test_the_matcher_finds_what_python_finds() -> None:
    chance, compared = random.Random(48), 0
    for pattern, _ in FOUND.values():
        if not isinstance(pattern.pattern, str):
            continue
        matcher = Matcher(pattern)
        pieces = [*matcher.alphabet(), "ab", "12", matcher.example(list(matcher.tree))]
        for _ in range(20):
            text = "".join(chance.choices(pieces, k=chance.randrange(6)))
            found = pattern.match(text)
            assert matcher.first(text, anywhere=False) == (found.end() if found else None), (pattern.pattern, text)
            compared += 1
    assert compared > 1000


def test_patterns_that_are_texts_are_linear() -> None:
    naming = ScrapeOptions(targets={}, kind="scrape")
    assert worst_growth(Exposition(naming, ["shop"], 30.0)._type, anywhere=True)[0] < SUSPECT
    for text in (NAME_PATTERN, naming.failed, naming.told):
        assert worst_growth(re.compile(text), anywhere=False)[0] < SUSPECT


def test_white_space_among_labels_is_looked_at_once() -> None:
    """120,000 blanks behind the last comma took minutes: a search began again at each of them."""
    name, labels = labels_of(b'requests_total{a="b",' + b" " * 120_000 + b"}")
    assert (name, labels) == ("requests_total", {"a": "b"})
    assert labels_of(b'x{a="b" , "c d"= "e,\\"}" ,}') == ("x", {"a": "b", "c d": 'e,"}'})
