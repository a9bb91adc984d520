"""Files that the verbs make of runbooks: a new one that lints, and the page to follow by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from console.cli.ending import run_to_code
from console.cli.runbook_new import TEMPLATES, write_new
from console.cli.runbook_page import page
from console.cli.verbs import recovery
from console.engine.loading import checked, load
from state.errors import BadArguments, ConfigError, NotFound
from tests.support.small_estate import runbook

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    shutil.copy(CONFIG / "recovery.yaml", tmp_path)
    shutil.copytree(CONFIG / "runbooks", tmp_path / "runbooks")
    return tmp_path / "recovery.yaml"


@pytest.mark.parametrize("template", [*TEMPLATES, "drain-server"])
def test_a_new_runbook_is_valid_and_commented(estate: Path, template: str) -> None:
    path = write_new(estate, "patch-night", template)
    text = path.read_text()
    assert path == estate.parent / "runbooks" / "patch-night.yaml"
    assert text.count("#") > 3
    assert text.startswith("# yaml-language-server: $schema=")
    assert checked(estate).problems == ()
    loaded = load(estate)
    assert "patch-night" in loaded.runbooks
    assert loaded.warnings["patch-night"] == ()
    with pytest.raises(BadArguments, match="another name"):
        write_new(estate, "patch-night", template)
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["../evil", "a b", "", "x" * 64, ".hidden"])
def test_a_name_that_is_none_is_refused(estate: Path, name: str) -> None:
    with pytest.raises(BadArguments, match="a name of letters"):
        write_new(estate, name, "service")


def test_an_unknown_template_is_told_with_the_nearest(estate: Path) -> None:
    with pytest.raises(NotFound, match="did you mean drain-server"):
        write_new(estate, "mine", "drain-sever")


@pytest.fixture
def printed(estate: Path) -> Callable[..., str]:
    loaded = load(estate)

    def print_it(name: str, **params: str) -> str:
        return "\n".join(page(loaded.runbooks[name], params, loaded.estate, loaded.runbooks))

    return print_it


def test_the_page_has_each_step_with_its_commands_and_words(printed: Callable[..., str]) -> None:
    text = printed("roll-back-release", service="checkout", to="blue")
    assert text.count("\n## ") == 9
    assert "## 3. Flip edge-east to blue" in text
    assert "echo 'set server checkout/blue weight 100' | socat stdio /run/haproxy/east.sock" in text
    assert "echo 'set server checkout/green weight 0' | socat stdio /run/haproxy/west.sock" in text
    assert "**If it fails:** Nothing more is flipped" in text
    assert "When it does not succeed: take back what was changed" in text
    assert "It has to hold 10 times in a row, 00:02 apart, within 02:00." in text
    assert "at most 1.0% of its answers" in text or "at most 1% of its answers" in text


def test_the_page_of_a_database_has_the_managers_commands(printed: Callable[..., str]) -> None:
    text = printed("switch-database", to="n2")
    assert "patronictl switchover orders --candidate n2" in text
    assert "select pg_is_in_recovery()" in text


def test_the_page_tells_where_answers_lead(printed: Callable[..., str]) -> None:
    text = printed("drain-server", service="catalog", server="a")
    assert "- Leave it drained: go on at 8" in text
    assert "- Stop here: end here" in text


def test_the_page_says_which_roles_it_was_written_for(estate: Path) -> None:
    write_new(estate, "mine", "database")
    loaded = load(estate)
    text = "\n".join(page(loaded.runbooks["mine"], {}, loaded.estate, loaded.runbooks))
    assert "written as if `n1` led `orders`" in text
    assert text.index("n2 has caught up") < text.index("n1 has caught up")


def test_the_page_needs_the_parameters_of_a_run(printed: Callable[..., str]) -> None:
    with pytest.raises(ConfigError, match="a value for the parameter 'service'"):
        printed("drain-server", server="a")


def test_text_from_files_cannot_act_on_the_page(estate: Path) -> None:
    loaded = load(estate)
    hostile = runbook(
        {
            "runbook": "x",
            "title": "T `\x1b[2J",
            "steps": [{"id": "a", "wait": "1s", "title": "`rm`", "why": "```\nrm -rf /\n```"}],
        }
    )
    text = "\n".join(page(hostile, {}, loaded.estate, loaded.runbooks))
    assert "\x1b" not in text
    assert "`rm`" not in text
    assert "```" not in text


def test_what_does_not_apply_is_a_note_and_no_problem(tmp_path: Path) -> None:
    shutil.copytree(CONFIG / "runbooks", tmp_path / "runbooks")
    bare = tmp_path / "bare.yaml"
    bare.write_text("estate: bare\nenvironment: lab\nsites: {east: {}}\n")
    found = checked(bare)
    assert found.problems == ()
    assert {note.split()[0] for note in found.notes} == {p.stem for p in (tmp_path / "runbooks").glob("*.yaml")}
    assert "switch-database does not apply here: the estate has no database" in found.notes


def test_the_verb_writes_the_file_and_prints_the_page(estate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--estate", str(estate))
    assert run_to_code(recovery, ["runbook", "new", "mine", "--from", "loop", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(estate.parent / "runbooks" / "mine.yaml")}
    assert run_to_code(recovery, ["runbook", "new", "mine", *where]) == 2
    assert run_to_code(recovery, ["runbook", "lint", *where]) == 0
    capsys.readouterr()
    assert run_to_code(recovery, ["runbook", "show", "mine", "service=checkout", "--markdown", *where]) == 0
    assert "## 1. Enough servers of checkout serve on edge-east" in capsys.readouterr().out
