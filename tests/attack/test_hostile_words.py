"""Arguments, names of files and numbers that were made to hurt: one clean line each, never a traceback (kind 9)."""

from __future__ import annotations

import asyncio
import os
import random
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from adapters.api_server import ApiServer, Sockets
from console.cli.ending import run_to_code
from console.cli.shown import table
from console.cli.verbs import recovery
from state.errors import ConfigError, ExitCode
from state.text import cells
from tests.support.estate_samples import estate, small
from tests.support.small_estate import small as small_engine

HOSTILE = (
    "\x1b[31mred\x1b]0;title\x07", "a\nrecovery: all is well", "", "-1", "9" * 5000, "nan", "1e999", "0x10", "٣",
    "../../../etc/passwd",
    "/dev/full", "/proc/self/mem", "/", ".", "-", "--", "--=", "a\0b", "\u202eabc\u2066", "\ud800",
    "\udcff", "%s%n{0}{}${x}", "~nobody/x", "x" * 100_000, "ssh://-oProxyCommand=id", "a=b", "=", "[/]", "e\u0301" * 50,
)  # fmt: skip
NOT_HERE = {("demo",), ("console",), ("lab", "up"), ("engine", "start"), ("engine", "run"), ("engine", "stop")}
"""They start or end processes; their arguments are read by the same code."""


def verbs(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every verb that does something itself."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from verbs(command, (*path, name))
        elif command is not None and (*path, name) not in NOT_HERE:
            yield (*path, name), command


def trials(command: click.Command, word: str) -> Iterator[list[str]]:
    """The word as every argument, and as the value of every option."""
    places = [each for each in command.params if isinstance(each, click.Argument)]
    yield [word] * max(1, len(places))
    for each in command.params:
        if isinstance(each, click.Option) and not each.is_flag:
            yield [each.opts[-1], word, *["x"] * len(places)]
            yield [f"{each.opts[-1]}={word}"]


def assert_clean(told: str, about: object) -> None:
    """Nothing in it acts on a terminal, and no word of ours makes a line of its own."""
    acts = [char for char in told if (ord(char) < 32 and char != "\n") or char in "\x7f\u202e\u2066"]
    assert not acts, (about, told[:400])
    assert not any(line.startswith("recovery: all is well") for line in told.splitlines()), (about, told[:400])
    assert "Traceback" not in told, (about, told)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder of ours, where nothing of this machine is seen."""
    with tempfile.TemporaryDirectory(prefix="rh-", dir="/tmp") as name:
        for variable in ("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(variable, name)
        monkeypatch.chdir(name)
        yield Path(name)


@pytest.mark.parametrize("path", [each for each, _ in verbs(recovery)], ids=" ".join)
def test_no_argument_of_any_verb_ends_in_a_traceback(
    path: tuple[str, ...], stage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = dict(verbs(recovery))[path]
    for word in HOSTILE:
        for words in trials(command, word):
            code = run_to_code(recovery, [*path, *words])
            told = capsys.readouterr()
            assert code in {*ExitCode} - {ExitCode.DEFECT}, words
            assert_clean(told.out + told.err, (path, [each[:60] for each in words]))


async def test_no_argument_that_an_engine_gets_ends_in_a_traceback(
    stage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same where an engine answers: the words go through its socket, and its answers come back."""
    file, runtime = stage / "estate.yaml", stage / "run"
    file.write_text("estate: small\n")
    (stage / "LAB.json").write_text("{}")
    runtime.mkdir(mode=0o700)
    asking = [(path, each) for path, each in verbs(recovery) if "estate" in {p.name for p in each.params}]
    assert len(asking) > 20
    chance = random.Random(8)  # a few of all that there are; `make torture` has none of these, they take too long
    async with small_engine() as lab:
        server = ApiServer(lab.engine, Sockets(runtime))
        await server.start()
        for path, command in asking:
            if path in {("bridge",), ("journal", "tail"), ("run", "watch")}:
                continue  # they carry or follow until their end
            for word in chance.sample(HOSTILE, 4):
                words = [word] * len([each for each in command.params if isinstance(each, click.Argument)])
                argv = [*path, "--estate", str(file), *words]
                code = await asyncio.to_thread(run_to_code, recovery, argv)
                told = capsys.readouterr()
                assert code in {*ExitCode} - {ExitCode.DEFECT}, argv
                assert_clean(told.out + told.err, argv)
        await server.stop()


NAMES = ("a\x1b[31m", "b\nrecovery: all is well", "c\x07", "\udcff\udcfe", "d\u202e", "é" * 60)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_of_files_are_cleaned_as_all_other_text(
    name: str, stage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stage / name
    folder.mkdir()
    (folder / "runbooks").mkdir()
    (folder / "runbooks" / f"{name}.yaml").write_text("runbook: [")
    for content in ("estate: x\n", "estate: [", "", small().replace("runbooks: []", "runbooks: [runbooks]")):
        (folder / "recovery.yaml").write_text(content)
        (folder / f"{name}.yaml").write_text(content)
        for argv in (
            ["check", str(folder)],
            ["check", str(folder / f"{name}.yaml")],
            ["runbook", "lint", str(folder / "runbooks" / f"{name}.yaml"), "--estate", str(folder)],
            ["status", "--estate", str(folder)],
            ["engine", "status", "--estate", str(folder)],
            ["trust", str(folder)],
            ["journal", "verify", "--file", str(folder / f"{name}.yaml")],
        ):
            code = run_to_code(recovery, argv)
            told = capsys.readouterr()
            assert code in {*ExitCode} - {ExitCode.DEFECT}, argv
            assert_clean(told.out + told.err, argv)
    folder.chmod(0o777)
    assert run_to_code(recovery, ["check", str(folder)]) == ExitCode.USAGE
    assert_clean(capsys.readouterr().err, name)


ABSURD = (
    ("rto: 15m", "rto: {}", ("9" * 30, "1e30", "999999d", "1e300s",
        ".nan", ".inf", "-1m", "'nan'", "true", "9" * 400 + "s")),
    ("rpo: 1MB", "rpo: {}", ("9" * 29 + "GB", "1e40", ".nan", "-1", ".inf", "9" * 400)),
    ("floor: 1", "floor: {}", ("9" * 24, "-1", "1.5", ".nan", "1e9")),
    ("tier: 1", "tier: {}", ("9" * 24, "0", "-1", ".nan")),
    ("error_ratio: 0.01", "error_ratio: {}", (".nan", "1e30", "-0.1", "101%", ".inf")),
    ("p99: 300ms", "p99: {}", ("1e30", "400d", ".nan", "0s")),
    ("10.1.0.11:5432", "10.1.0.11:{}", ("0", "65536", "9" * 30, "-1", "٣", "0x10")),
    ("stale_after: 3s", "stale_after: {}", ("9" * 23 + "d", "1e30", ".nan", "0s")),
    ("every: 1s", "every: {}", ("1e-300", ".nan", "-1s", "9" * 30)),
)  # fmt: skip


@pytest.mark.parametrize(("old", "new", "values"), ABSURD, ids=[each[1] for each in ABSURD])
def test_absurd_numbers_are_refused_where_they_are_read(old: str, new: str, values: tuple[str, ...]) -> None:
    text = small()
    assert text.count(old) >= 1
    for value in values:
        with pytest.raises(ConfigError) as refused:
            estate(text.replace(old, new.format(value), 1))
        assert refused.value.problems[0].line > 1, value


def test_one_long_cell_does_not_widen_a_table() -> None:
    rows = [["a", "short", "x"], ["b", "long " * 400, "y"], ["c", "e\u0301" * 900, "z"]]
    shown = table(("NAME", "ALERT", "STATE"), rows)
    assert max(map(cells, shown)) < 200
    assert [line.split()[-1] for line in shown] == ["STATE", "x", "y", "z"]
    assert [line[:1] for line in shown] == ["N", "a", "b", "c"]


def test_what_is_random_is_read_or_refused(stage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Words of bytes: every answer is one of ours."""
    chance = random.Random(20261127)
    known = [path for path, _ in verbs(recovery)]
    for _ in range(300):
        size = chance.randrange(1, 40)
        word = os.fsdecode(bytes(chance.randrange(1, 256) for _ in range(size)))
        argv = [
            *chance.choice(known),
            chance.choice((word, f"--{word}", f"-{chance.choice(string.ascii_letters)}{word}")),
        ]
        code = run_to_code(recovery, argv)
        told = capsys.readouterr()
        assert code in {*ExitCode} - {ExitCode.DEFECT}, argv
        assert_clean(told.out + told.err, argv)
