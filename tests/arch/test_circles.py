"""No module imports itself through others, wherever the import stands: in a function or for type checking too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def modules(package: str) -> dict[str, ast.Module]:
    """Every module of a package by its dotted name."""
    found = {}
    for path in (ROOT / package).rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text())
    return found


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Module and name of every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.name, "") for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, each.name) for each in node.names)


@pytest.mark.parametrize("package", ["console", "state", "adapters"])
def test_no_import_circle(package: str) -> None:
    trees = modules(package)
    graph: dict[str, set[str]] = {}
    for name, tree in trees.items():
        places = {f"{module}.{what}" if f"{module}.{what}" in trees else module for module, what in imported(tree)}
        graph[name] = (places & trees.keys()) - {name}
    assert len(graph) > 20
    TopologicalSorter(graph).prepare()
