"""Every verb explains itself with an example that it accepts, and answers a wrong name with the nearest right one."""

from __future__ import annotations

import shlex

import click
import pytest

from console.cli.ending import run_to_code
from console.cli.examples import EXAMPLES
from console.cli.verbs import recovery
from tests.support.verbs import by_path, options_of

PATHS = by_path()


def taking_words() -> list[tuple[str, str]]:
    """Every verb with each option and argument of it that takes a word."""
    return [
        (path, param.opts[-1] if isinstance(param, click.Option) else "")
        for path, command in PATHS.items()
        for param in command.params
        if not (isinstance(param, click.Option) and (param.is_flag or param.count))
    ]


@pytest.mark.parametrize(("path", "option"), sorted(set(taking_words())))
def test_an_empty_word_is_refused_by_the_name_of_its_option(
    path: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script whose variable is empty must not act on what is meant without the option."""
    assert run_to_code(recovery, [*path.split(), *([option] if option else []), ""]) == 2
    said = capsys.readouterr().err
    assert option in said
    assert "empty" in said or "''" in said


@pytest.mark.parametrize("path", PATHS)
def test_the_help_of_each_verb_has_an_example_that_it_accepts(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_to_code(recovery, [*path.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example:\n  " in shown
    example = shown.split("Example:\n  ")[1].splitlines()[0].strip()
    assert example == EXAMPLES[path]
    assert shown.isascii()
    words = shlex.split(example.removeprefix("ssh bastion2 "))[1:]
    assert words[: len(path.split())] == path.split()
    PATHS[path].make_context(path, words[len(path.split()) :], resilient_parsing=False)


@pytest.mark.parametrize("path", [path for path in PATHS if path not in ("schema", "completion", "bridge")])
def test_what_prints_has_json(path: str) -> None:
    if path in ("console", "engine run", "journal export", "journal anchors", "journal sessions"):
        return  # screens, a process in the foreground, and bytes for a file
    assert "--json" in options_of(PATHS[path])


@pytest.mark.parametrize("path", [path for path in PATHS if path.split()[0] not in ("lab", "demo")])
def test_what_asks_an_engine_has_host(path: str) -> None:
    if path in ("schema", "completion"):
        return  # they ask nobody
    assert "--host" in options_of(PATHS[path])


@pytest.mark.parametrize(
    ("argv", "right"),
    [
        (["statsu"], "status"),
        (["trafic"], "traffic"),
        (["traffic", "drian"], "drain"),
        (["run", "strat"], "start"),
        (["run", "start", "x", "--plan-onyl"], "--plan-only"),
        (["lab", "fault", "injekt"], "inject"),
        (["lab", "stauts"], "status"),
        (["journal", "exprot"], "export"),
        (["journal", "tail", "--kind", "run.strated"], "run.started"),
        (["completion", "bsah"], "bash"),
    ],
)
def test_a_wrong_word_gets_the_nearest_right_one(
    argv: list[str], right: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_to_code(recovery, argv) == 2
    assert right in capsys.readouterr().err


def test_recovery_alone_shows_its_help_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_to_code(recovery, []) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("Usage: recovery")
    assert len(said) > 20
