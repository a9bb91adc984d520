"""A process id leads to a signal in one place only; programs are started isolated from the current folder."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for top in ("state", "adapters", "console") for p in (ROOT / top).rglob("*.py"))
SIGNALS = {"kill", "killpg", "pidfd_open", "pidfd_send_signal"}
OWN = {
    "state/host/processes.py": "the one place",
    "adapters/access/on_host/running.py": "on another host: by a pidfd, or everything of one uid",
    "adapters/confined/run.py": "the group of its own child, which it has not waited for",
    "adapters/confined/warden.py": "its own children, in a process that has nothing else",
    "adapters/commands/process.py": "the session of its own child, which it has not waited for",
    "adapters/net/child_process.py": "itself",
    "console/client/far.py": "its own child, which it has not waited for",
    "console/engine/process.py": "itself",
}
"""Where else a number is signalled, and whose it is."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_signals_go_through_one_place(path: Path) -> None:
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("os", "signal")
    }
    assert not called & SIGNALS or name(path) in OWN


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_python_is_started_without_the_current_folder(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        words = node.elts if isinstance(node, ast.List | ast.Tuple) else node.args if isinstance(node, ast.Call) else []
        shown = [ast.unparse(word) for word in words]
        if "sys.executable" in shown:
            after = ast.unparse(words[shown.index("sys.executable") + 1])
            assert after.lstrip("*(").startswith(("'-P'", "'-I'")), f"line {node.lineno}"


def test_both_rules_find_what_they_look_for() -> None:
    found = [p for p in SOURCES if "sys.executable," in p.read_text()]
    assert len(found) >= 4
    assert all((ROOT / each).is_file() for each in OWN)
