"""CONTRIBUTING.md as it is written: every recipe is carried out in a copy of the repository and proven there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from adapters.files.located_yaml import parse_yaml
from adapters.files.read import read_yaml
from adapters.registry import kinds
from console.cli.verbs import VERBS
from console.tui.actions.registry import keys_of, shown_key
from state.capabilities import load_events, topics
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.estate.parse import parse_estate
from state.journal.events import EVENTS
from state.runbooks.parse import lint_runbook
from tests.support.recipes import ROOT, RUN_AS_FILES, blocks, carry_out, commands, copied, followed, recipes
from tests.support.small_estate import small

DOCUMENTS = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))

HEADINGS = tuple(dict.fromkeys(block.heading for block in recipes() if block.language in RUN_AS_FILES))
HOUSE = (
    "test_no_file_is_longer_than_400_lines_and_no_function_than_60",
    "test_every_module_and_public_class_says_what_it_is",
    "test_broad_excepts_stand_at_named_boundaries_only",
)
TOOLS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Proven:
    """A copy of the repository in which the recipes were followed, and how its tests ended, by file."""

    tree: Path
    files: tuple[str, ...]
    passed: Mapping[str, int]
    failed: Mapping[str, int]
    output: str

    @property
    def modules(self) -> list[str]:
        """The files that are part of the product."""
        return [file for file in self.files if file.endswith(".py") and not file.startswith("tests/")]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A program in the copy."""
        return run(self.tree, *argv)


def run(tree: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON"))}
    return subprocess.run(argv, cwd=tree, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Proven:
    tree = copied(tmp_path_factory.mktemp("recipes"))
    files = tuple(followed(tree))
    asked = dict.fromkeys(argument for block in recipes() for argument in commands(block))
    modules = [file for file in files if file.endswith(".py") and not file.startswith("tests/")]
    house = [f"tests/arch/test_house.py::{test}[{file}]" for file in modules for test in HOUSE]
    report = tree / "report.xml"
    done = run(tree, sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *asked, *house)
    passed: dict[str, int] = {}
    failed: dict[str, int] = {}
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        counted = failed if case.find("failure") is not None or case.find("error") is not None else passed
        parts = case.get("classname", "").split(".")
        file = next(("/".join(parts[:n]) + ".py" for n in range(len(parts), 0, -1) if parts[n - 1][:5] == "test_"), "")
        counted[file] = counted.get(file, 0) + 1
    return Proven(tree, files, passed, failed, done.stdout + done.stderr)


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_recipe_ends_with_a_command_that_proves_it(proven: Proven, heading: str) -> None:
    below = [block for block in recipes() if block.heading == heading]
    asked = [argument for block in below for argument in commands(block)]
    assert asked, f"{heading} has no `make test`"
    files = {argument.partition("::")[0] for argument in asked}
    for file in files:
        assert proven.passed.get(file, 0) > 0, proven.output[-4000:]
        assert not proven.failed.get(file), proven.output[-4000:]
    written = {block.place for block in below if block.place.startswith("tests/") and "/test_" in block.place}
    assert written <= files, "a test of the recipe is not run by its command"


def test_every_file_of_the_recipes_was_loaded(proven: Proven) -> None:
    def loaded(file: str) -> bool:
        path = proven.tree / file
        return any((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))

    assert [file for file in proven.modules if not loaded(file)] == [], proven.output[-4000:]


def test_the_recipes_keep_the_house_rules(proven: Proven) -> None:
    assert not proven.failed.get("tests/arch/test_house.py"), proven.output[-4000:]
    assert proven.passed["tests/arch/test_house.py"] >= len(HOUSE) * len(proven.modules), proven.output[-4000:]
    python = [file for file in proven.files if file.endswith(".py")]
    for argv in (("ruff", "format", "--check", *python), ("ruff", "check", *python), ("lint-imports", "--no-cache")):
        done = proven.run(str(TOOLS / argv[0]), *argv[1:])
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.torture
def test_the_recipes_are_typed(proven: Proven) -> None:
    done = proven.run(str(TOOLS / "mypy"), "--cache-dir", str(proven.tree / "mypy"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_estate_of_the_balancer_recipe_is_valid(proven: Proven) -> None:
    (proven.tree / "try/edge.json").write_text('{"shop": {"blue": 100, "green": 0}}')
    done = proven.run(sys.executable, "-m", "console.cli", "check", "try/recovery.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```python\nx = 1\n```", "1: the line above names no file"),
        ("`state/text.py`:\n\n```python\nx = 1\n```", "3: state/text.py is there already"),
        ("`Makefile`:\n\n```diff\n+new\n no such line\n```", "3: Makefile has these lines 0 times"),
    ],
)
def test_a_block_that_cannot_be_carried_out_is_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/text.py").touch()
    (tmp_path / "Makefile").write_text("all:\n")
    with pytest.raises(LookupError, match=f"CONTRIBUTING.md:{problem}"):
        carry_out(tmp_path, next(blocks(text)))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_links_lead_somewhere(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", document.read_text()):
        if "://" in target:
            continue
        found = (document.parent / target) if target else document
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings], anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_files_that_are_named_exist(proven: Proven, document: Path) -> None:
    """Names in capitals stand for others. What the recipes write exists in the copy."""
    for name in re.findall(r"`((?:adapters|config|console|docs|state|tests)/[^` {]*)`", document.read_text()):
        if not re.search(r"\b[A-Z]{3,}\b", name):
            assert list(ROOT.glob(name)) or list(proven.tree.glob(name)), name


def test_the_picture_of_the_imports_is_the_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    picture = (ROOT / "ARCHITECTURE.md").read_text().split("```")[3]
    for contract in contracts:
        if contract["type"] == "layers" and contract["containers"] != ["console.tui"]:
            for layer in contract["layers"]:
                assert re.search(rf"(^ |  ){re.escape(layer)}(  |$)", picture, re.MULTILINE), f"not in it: {layer}"
    order = [layer for contract in contracts if contract.get("containers") == ["state"] for layer in contract["layers"]]
    places = [re.search(rf"  {re.escape(layer)}(  |$)", picture, re.MULTILINE) for layer in order]
    starts = [place.start() for place in places if place is not None]
    assert starts == sorted(starts)


def test_the_examples_of_the_documents_are_valid() -> None:
    def example(name: str) -> str:
        text = textwrap.dedent(re.sub(r"^ +(?=```)", "", (ROOT / "docs" / name).read_text(), flags=re.MULTILINE))
        return textwrap.dedent(next(b.text for b in blocks(text) if b.language == "yaml"))

    started = parse_estate(parse_yaml(example("getting-started.md"), "recovery.yaml"), kinds())
    assert started.services["checkout"].traffic is not None
    estate = parse_estate(read_yaml(ROOT / "config/recovery.yaml"), kinds())
    located = parse_yaml(example("runbooks.md"), "shift-away.yaml")
    assert lint_runbook(located, estate, change_kinds(), check_kinds())[1] == ()


async def test_the_verifier_of_the_journals_document_verifies(tmp_path: Path) -> None:
    script = next(b.text for b in blocks((ROOT / "docs/journal.md").read_text()) if b.language == "python")
    async with small() as lab:
        lines = [line async for line in lab.engine.journal_export()]
    for name, content, code in (("good", lines, 0), ("bad", [lines[0].replace(b"pid", b"PID"), *lines[1:]], 1)):
        path = tmp_path / name
        path.write_bytes(b"\n".join(content) + b"\n")
        done = run(tmp_path, sys.executable, "-c", script, str(path))
        assert done.returncode == code, done.stderr


RULE = re.compile(r"(?:Rule|Refusal|Refused)\(\s*\"([a-z][a-z -]*)\"")


def registered() -> dict[str, set[str]]:
    """What the product registers, by the document that lists it."""
    load_events()
    sources = [path.read_text() for top in ("state", "console") for path in (ROOT / top).rglob("*.py")]
    keys = {shown_key(action) for topic in topics() for action in keys_of(topic) if action.shown}
    return {
        "journal.md": {kind for kind, body in EVENTS.items() if body.__module__.startswith("state.")},
        "runbooks.md": {*change_kinds(), *check_kinds()},
        "cli.md": set(VERBS),
        "console.md": {*keys, *(topic.digit for topic in topics().values() if topic.digit)},
        "refusals.md": {rule for source in sources for rule in RULE.findall(source)},
        "estate.md": {kind for _, kind in kinds()},
    }


@pytest.mark.parametrize("document", ["journal.md", "runbooks.md", "cli.md", "console.md", "refusals.md", "estate.md"])
def test_a_document_names_everything_that_is_registered(document: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", (ROOT / "docs" / document).read_text(), flags=re.MULTILINE | re.DOTALL)
    words = {word for name in re.findall(r"`([^`\n]+)`", prose) for word in (name, *name.split())}
    missing = registered()[document] - words - {"^p", "esc"}
    assert not missing, f"docs/{document} does not name {', '.join(sorted(missing))}"
