"""No module imports itself through others, function-level and type-checking imports included."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    graph = grimp.build_graph("state", "adapters", "console", cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_there_is_no_import_circle(imports: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


@pytest.mark.parametrize("package", ["state", "adapters", "console", "console.tui", "adapters.lab"])
def test_packages_do_not_lean_on_one_another_in_a_circle(imports: dict[str, set[str]], package: str) -> None:
    depth = package.count(".") + 1
    rooms: dict[str, set[str]] = {}
    for module, known in imports.items():
        if module.startswith(f"{package}."):
            here = module.split(".")[depth]
            there = {m.split(".")[depth] for m in known if m.startswith(f"{package}.")}
            rooms.setdefault(here, set()).update(there - {here})
    try:
        TopologicalSorter(rooms).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_no_type_has_the_name_of_another(imports: dict[str, set[str]]) -> None:
    import ast
    from importlib.util import find_spec
    from pathlib import Path

    homes: dict[str, list[str]] = {}
    for module in imports:
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        for node in ast.parse(Path(spec.origin).read_text()).body:
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module)
    assert not {name: places for name, places in homes.items() if len(places) > 1}
