"""Files that the verbs make of runbooks: a new one that lints, and the page to follow by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.cli.ending import run_to_code
from console.cli.runbook_new import TEMPLATES, write_new
from console.cli.runbook_page import page
from console.cli.verbs import recovery
from console.engine.loading import checked, load
from state.errors import BadArguments, ConfigError, NotFound
from state.estate.own_checks import OwnCheck
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


def test_the_page_says_what_a_check_is_held_against(printed: Callable[..., str], estate: Path) -> None:
    text = printed("drain-server", service="catalog", server="a", remain="3")
    assert "Read: enough servers serve with balancer edge-east, backend catalog, at least 3." in text
    assert "Read: server takes no new connections and is empty with" in text
    assert "server a, sessions 0." in text
    text = printed("switch-database", to="n3", behind="4MB")
    assert "Read: standbys have applied the primary's WAL with database orders, node n3, bytes 4MB." in text


@pytest.mark.parametrize(
    ("kind", "args", "sent"),
    [
        ("server.drain", {"server": "a"}, "state drain"),
        ("server.maint", {"server": "a"}, "state maint"),
        ("server.weight", {"server": "a", "weight": 0}, "weight 0"),
        ("backend.weights", {"weights": {"a": 0, "b": 100}}, "weight 0"),
        ("backend.flip", {"to": "a"}, "weight 100"),
    ],
)
def test_the_floor_is_read_before_what_no_rule_guards_by_hand(
    estate: Path, kind: str, args: dict[str, Any], sent: str
) -> None:
    loaded = load(estate)
    step = {"id": "a", "change": kind, "with": {"balancer": "edge-east", "backend": "catalog", **args}}
    text = "\n".join(page(runbook({"runbook": "x", "title": "T", "steps": [step]}), {}, loaded.estate, loaded.runbooks))
    floor = loaded.estate.services["catalog"].traffic
    assert floor is not None
    least = f"at least {floor.floor} of catalog must serve, the floor of catalog; if not, do not send what follows"
    assert text.index(least) < text.index(f"{sent}' | socat")


def test_the_shipped_pages_say_nothing_that_only_the_engine_does(estate: Path) -> None:
    for file in sorted((CONFIG / "runbooks").glob("*.yaml")):
        prose = [line for line in file.read_text().splitlines() if not line.strip().startswith("#")]
        assert not [line for line in prose if "Refused below" in line or "othing was sent" in line], file.name


OWN = {
    "up": {"promql": {"monitor": "prometheus", "query": "min(up)", "pass": {"at_least": 1}}},
    "web": {"http": {"url": "https://a.example/health?x=1", "pass": {"status": [200]}}},
    "queue": {"sql": {"database": "orders", "query": "select count(*) from q", "pass": {"at_most": 5}}},
    "job": {"command": {"argv": ["/usr/bin/test", "-e", "a b"], "fail": [1, 3]}},
}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("up", "ask prometheus, which passes with at least 1: min(up)"),
        ("web", "curl -sS -i 'https://a.example/health?x=1'"),
        ("web", "which passes with status 200"),
        ("queue", "at the primary of orders, which passes with at most 5: select count(*) from q"),
        ("job", "/usr/bin/test -e 'a b'"),
        ("job", "exit code 0 passes, 1 or 3 fails, any other one tells nothing"),
    ],
)
def test_the_page_has_the_question_of_an_own_check(estate: Path, name: str, told: str) -> None:
    loaded = load(estate)
    checks = {key: OwnCheck.model_validate(value) for key, value in OWN.items()}
    step = {"id": "a", "check": "own.check", "with": {"check": name}}
    with_checks = loaded.estate.model_copy(update={"checks": checks})
    text = page(runbook({"runbook": "x", "title": "T", "steps": [step]}), {}, with_checks, loaded.runbooks)
    assert told in "\n".join(text)


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
