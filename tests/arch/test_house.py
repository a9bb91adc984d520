"""The house rules, checked: sizes, imports at run time, completeness of registries, no broad excepts."""

from __future__ import annotations

import ast
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from console.cli.trusted import kept_in
from state.capabilities import load_events, topics
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.journal.events import EVENTS
from state.runs.fold import REDUCERS

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for top in ("state", "adapters", "console") for p in (ROOT / top).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BOUNDARIES = {
    "adapters/api_server/answers.py",
    "console/cli/__init__.py",
    "state/engine/noticing.py",
    "state/engine/poller.py",
    "state/engine/reload.py",
    "state/engine/suites.py",
    "state/engine/topics.py",
    "state/runs/executor.py",
}
"""Where a bug of anything below must not silence everything else, or must not end as a verdict; elsewhere a broad
except must raise on."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_file_is_longer_than_400_lines_and_no_function_than_60(path: Path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_every_module_and_public_class_says_what_it_is(path: Path):
    tree = ast.parse(path.read_text())
    if tree.body:
        assert ast.get_docstring(tree), "no module docstring"
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_broad_excepts_stand_at_named_boundaries_only(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = ast.unparse(node.type) if node.type else "everything"
        last = node.body[-1]
        raises_on = isinstance(last, ast.Raise) and last.exc is None
        if caught in ("Exception", "BaseException", "everything"):
            assert raises_on or name(path) in BOUNDARIES


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_tests_neither_patch_our_own_code_nor_hide(path: Path):
    if path == Path(__file__):
        return
    text = path.read_text()
    for word in ("mock.patch", "pytest.mark.skip", "pytest.skip(", "pytest.mark.xfail", "assert True"):
        assert word not in text


def test_what_comes_once_is_no_timer_of_textual():
    """It drops its only call when the process pauses for longer than the wait."""
    console = Path(__file__).parents[2] / "console"
    assert [p.name for p in console.rglob("*.py") if ".set_timer(" in p.read_text()] == []


def test_every_event_has_a_body_with_a_line_and_every_event_of_a_run_a_reducer():
    load_events()
    for kind, body in EVENTS.items():
        assert body.kind == kind
        assert body.__doc__
        assert "line" in dir(body)
    of_runs = {body for body in EVENTS.values() if body.__module__ == "state.runs.events"}
    assert set(REDUCERS) == of_runs


def test_registries_are_complete():
    assert all(kind.title and kind.args for kind in (*change_kinds().values(), *check_kinds().values()))
    digits = [topic.digit for topic in topics().values() if topic.digit]
    assert len(set(digits)) == len(digits)


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(chr(10).join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {m.partition(".")[0] for m in done.stdout.split()}


def test_the_screens_load_no_driver_and_no_validator():
    assert not {"asyncpg", "aiohttp", "pydantic", "dns", "adapters", "prometheus_client"} & loaded_by(
        "import console.tui.app"
    )


def test_the_engine_loads_no_screen():
    assert not {"textual", "rich"} & loaded_by("import console.engine.process")


def test_the_command_line_loads_nothing_heavy_before_a_verb():
    heavy = {"textual", "asyncpg", "aiohttp", "pydantic", "dns", "adapters", "ruamel"}
    assert not heavy & loaded_by("import console.cli")


def test_a_contract_holds_between_the_packages():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_no_file_of_tests_is_longer_than_400_lines(path: Path):
    assert len(path.read_text().splitlines()) <= 400


def test_what_tests_remember_is_not_remembered_for_this_account():
    kept = kept_in()
    assert kept is not None
    assert not kept.is_relative_to(Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local")
