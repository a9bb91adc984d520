"""Commands of an estate's own: without a shell, proven by their reading, or said not to be."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
from pathlib import Path
from typing import Any

import pytest

from console.card_pieces import Part
from console.card_text import card_sections
from state.api.card import FactKind, WarningKind
from state.api.requests import PlanRunbook, PlanUndo
from state.changes.model import Finding
from state.changes.own import related_names
from state.changes.own_command import CommandArgs, build
from state.config_files.located import Located
from state.errors import ConfigError, RecoveryError, Refused, UnsuitableArgument
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.journal.events import Body
from state.journal.format import unseal_any
from state.ports.outside import Outside
from state.runs.events import EffectAnswered
from tests.support.own_estate import own, run_command, script
from tests.support.run_books import book, until
from tests.support.small_estate import ESTATE, Small

BARE = {"estate": "own", "environment": "lab", "sites": {}, "people": {}}
SET = "open('state', 'w').write(sys.argv[1]); print('set to', sys.argv[1])"
IS = "sys.exit(0 if os.path.exists('state') and open('state').read() == sys.argv[1] else 1)"


def commands(folder: Path, **more: Any) -> dict[str, Any]:
    read = {"argv": [script(folder, "is", IS), "${to}"]}
    entry = {
        "argv": [script(folder, "set", SET), "${to}"],
        "params": {"to": {"kind": "text"}},
        "risk": "B1",
        "quiet": "300ms",
        "settle": "50ms",
        "timeout": "20s",
        **more,
    }
    back = {**entry, "params": {"to": {"kind": "text", "default": "old"}}, "read": read}
    return {
        "set": {**entry, "read": read, "undo": {"command": "back", "args": {"to": "old"}}},
        "unread": entry,
        "back": back,
    }


async def ended(lab: Small, run: str) -> str:
    return await lab.ended(run, 60)


def bodies(lab: Small) -> list[Body]:
    return [unseal_any(each).body for each in lab.store.rows(0, 10_000)]


async def test_a_command_is_done_when_its_reading_says_so_and_is_undone_by_another(tmp_path: Path) -> None:
    async with own(tmp_path, commands=commands(tmp_path)) as lab:
        card = await lab.preview(run_command("set", to="new"))
        assert card.risk == "B1"
        assert [(d.before, d.after) for d in card.diffs] == [("not done (exit code 1)", "done (exit code 0)")]
        account = next(f.value for f in card.of(FactKind.IDENTITY) if f.name == "as")
        assert account == pwd.getpwuid(os.geteuid()).pw_name
        assert card.warnings == ()
        run = (await lab.submit(card)).run
        assert await ended(lab, run) == "done"
        step = lab.engine.history.runs[run].latest("change")
        assert step.evidence == ("commands/set: exit code 0",)
        assert step.output == ("set to new",)
        again = await lab.preview(run_command("set", to="new"))
        assert again.diffs == (), "it is done already, nothing would be sent"
        back = await lab.preview(PlanUndo(run))
        assert back.refusals == ()
        assert await ended(lab, (await lab.submit(back)).run) == "done"
        assert (tmp_path / "state").read_text() == "old"


async def test_a_command_and_what_undoes_it_fit_into_one_run_and_into_no_two_at_once(tmp_path: Path) -> None:
    here = {"set": {"to": "new"}, "back": {"to": "old"}}
    steps = [
        {"id": name, "change": "command.run", "with": {"command": name, "args": args}} for name, args in here.items()
    ]
    (tmp_path / "state").write_text("old")
    asked = {"id": "q", "decide": {"question": "Go?", "options": {"go": "continue"}}, "timeout": 300}
    held_book = {**book(steps[0], asked), "runbook": "held"}
    async with own(tmp_path, book(*steps), held_book, commands=commands(tmp_path)) as lab:
        card = await lab.preview(PlanRunbook("case"))
        run = (await lab.submit(card)).run
        assert await ended(lab, run) == "done", "what set changes does not refuse what takes it back"
        assert (tmp_path / "state").read_text() == "old"
        assert [each.finding for each in lab.engine.history.runs[run].all_steps()] == [Finding.DONE, Finding.DONE]
        held = (await lab.submit(await lab.preview(PlanRunbook("held")))).run
        assert await ended(lab, held) == "waiting"
        with pytest.raises(Refused, match=held):
            await lab.submit(await lab.preview(run_command("back", to="old")))


async def test_each_step_of_one_command_has_a_row_of_its_own_on_the_card(tmp_path: Path) -> None:
    app = {"kind": "choice", "choices": ["a", "b", "c"]}
    entry = {
        "argv": ["/usr/bin/touch", "${app}.${version}"],
        "params": {"app": app, "version": {"kind": "text"}},
        "risk": "B1",
        "read": {"argv": ["/usr/bin/test", "-e", "${app}.${version}"]},
    }
    steps = [
        {
            "id": each,
            "change": "command.run",
            "with": {"command": "set-version", "args": {"app": each, "version": "v2"}},
        }
        for each in ("a", "b", "c")
    ]
    async with own(tmp_path, book(*steps), commands={"set-version": entry}) as lab:
        card = await lab.preview(PlanRunbook("case"))
        rows = next(s for s in card_sections(card) if s.part is Part.DIFFS).lines
        assert [(row.label, row.before, row.text) for row in rows] == [
            (f"commands/set-version {each} v2", "not done (exit code 1)", "done (exit code 0)")
            for each in ("a", "b", "c")
        ]


async def test_how_long_another_command_took_is_not_on_the_card(tmp_path: Path) -> None:
    entry = {"risk": "B1", "quiet": "200ms", "settle": "50ms"}
    entries = {
        "quick": {**entry, "argv": ["/usr/bin/touch", "quick"], "read": {"argv": ["/usr/bin/test", "-e", "quick"]}},
        "slow": {**entry, "argv": ["/usr/bin/touch", "slow"], "read": {"argv": ["/usr/bin/test", "-e", "slow"]}},
    }
    async with own(tmp_path, commands=entries) as lab:
        assert await ended(lab, (await lab.submit(await lab.preview(run_command("quick")))).run) == "done"
        (tmp_path / "quick").unlink()
        for name, count in (("slow", 0), ("quick", 1)):
            card = await lab.preview(run_command(name))
            facts = card.of(FactKind.HISTORY)
            assert [(fact.subject, fact.figures["count"]) for fact in facts] == [(f"command.run {name}", count)]


def test_what_undoes_each_other_is_one_group_also_over_several() -> None:
    pairs = {"on": "off", "off": "on", "all-on": "off", "start": "stop"}
    assert {name: related_names(name, pairs) for name in ("on", "off", "all-on")} == dict.fromkeys(
        ("on", "off", "all-on"), ("all-on", "off", "on")
    )
    assert related_names("stop", pairs) == ("start", "stop")
    assert related_names("alone", pairs) == ("alone",)


async def test_without_a_reading_nothing_is_called_done(tmp_path: Path) -> None:
    async with own(tmp_path, commands=commands(tmp_path)) as lab:
        card = await lab.preview(run_command("unread", to="new"))
        assert [w.kind for w in card.warnings] == [WarningKind.UNVERIFIED]
        assert [(d.before, d.after) for d in card.diffs] == [("not read", "not verified")]
        run = (await lab.submit(card)).run
        await ended(lab, run)
        row = lab.engine.view("runbooks").runs[run]
        step = lab.engine.view("runbooks").steps[f"{run}/change#1"]
        assert (tmp_path / "state").read_text() == "new"
        assert (row.word, row.verified, step.state.value) == ("unproven", False, "not-verified")
        assert "not verified" in row.message


async def test_how_it_ended_is_no_missing_answer(tmp_path: Path) -> None:
    broken = script(tmp_path, "broken", "sys.exit(4)")
    look = {"argv": [script(tmp_path, "look", "sys.exit(1)")], "not_done": [1]}
    async with own(tmp_path, commands={"broken": {"argv": [broken], "risk": "B1", "quiet": "1s", "read": look}}) as lab:
        run = (await lab.submit(await lab.preview(run_command("broken")))).run
        assert await ended(lab, run) == "failed"
        assert lab.engine.history.runs[run].latest("change").message == "not done: exit code 4"


async def test_a_failure_without_a_reading_has_an_unknown_outcome_and_stops_the_run(tmp_path: Path) -> None:
    broken = script(tmp_path, "broken", "print('half'); sys.exit(3)")
    async with own(tmp_path, commands={"broken": {"argv": [broken], "risk": "B1"}}) as lab:
        run = (await lab.submit(await lab.preview(run_command("broken")))).run
        assert await ended(lab, run) == "failed"
        step = lab.engine.history.runs[run].latest("change")
        assert step.state.value == "failed"
        assert "outcome unknown" in step.message
        assert "exit code 3: half" in step.message


async def test_what_cannot_be_started_was_not_sent(tmp_path: Path) -> None:
    async with own(tmp_path, commands={"gone": {"argv": ["/nowhere/to/be/found"], "risk": "B1"}}) as lab:
        run = (await lab.submit(await lab.preview(run_command("gone")))).run
        assert await ended(lab, run) == "failed"
        assert lab.engine.history.runs[run].latest("change").state.value == "not-done"


async def test_a_reading_that_says_neither_refuses_the_plan(tmp_path: Path) -> None:
    odd = script(tmp_path, "odd", "print('what?'); sys.exit(7)")
    entry = {"argv": ["true"], "risk": "B1", "read": {"argv": [odd]}}
    async with own(tmp_path, commands={"odd": entry}) as lab:
        with pytest.raises(RecoveryError, match="says neither: exit code 7"):
            await lab.preview(run_command("odd"))


async def test_done_by_another_output_than_before(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1")
    restart = script(tmp_path, "restart", "open('pid', 'w').write('2')")
    nothing = script(tmp_path, "nothing", "pass")
    show = {"argv": [script(tmp_path, "show", "print(open('pid').read())")], "changed": True}
    entry = {"risk": "B1", "quiet": "200ms", "settle": "50ms", "read": show}
    entries = {"restart": {"argv": [restart], **entry}, "nothing": {"argv": [nothing], **entry}}
    async with own(tmp_path, commands=entries) as lab:
        for name, state in (("nothing", "failed"), ("restart", "done")):
            run = (await lab.submit(await lab.preview(run_command(name)))).run
            assert await ended(lab, run) == state


def changed(folder: Path, act: str, look: str) -> dict[str, Any]:
    """A command `c` that is done when the stdout of its reading is another one."""
    reading = {"argv": ["/bin/sh", "-c", look], "changed": True, "not_done": []}
    return {"c": {"argv": ["/bin/sh", "-c", act], "risk": "B1", "quiet": "200ms", "settle": "50ms", "read": reading}}


UNRESOLVED = "sudo: unable to resolve host app1: Temporary failure in name resolution"


async def test_what_a_reading_says_on_stderr_is_no_other_output(tmp_path: Path) -> None:
    """The command failed and did nothing; its reading prints a warning that it did not print before."""
    look = f"echo 4711; [ ! -e noise ] || echo '{UNRESOLVED}' >&2"
    async with own(tmp_path, commands=changed(tmp_path, "touch noise; exit 1", look)) as lab:
        run = (await lab.submit(await lab.preview(run_command("c")))).run
        step = lab.engine.history.runs[run].latest("change")
        await until(lambda: step.state.value != "running", 60)
        await asyncio.sleep(2)
        assert (step.state.value, step.finding) == ("unknown", None)
        (tmp_path / "noise").unlink()
        assert await ended(lab, run) == "failed"
        assert step.finding is Finding.NOT_DONE


async def test_a_warning_that_was_there_before_hinders_no_reading(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1")
    look = f"cat pid; echo '{UNRESOLVED}' >&2"
    async with own(tmp_path, commands=changed(tmp_path, "printf 2 > pid", look)) as lab:
        card = await lab.preview(run_command("c"))
        assert card.diffs[0].before == f"exit code 0: 1 (stderr: {UNRESOLVED})"
        run = (await lab.submit(card)).run
        assert await ended(lab, run) == "done"


async def test_an_output_that_is_longer_than_what_is_compared_refuses_the_plan(tmp_path: Path) -> None:
    async with own(tmp_path, commands=changed(tmp_path, "true", "seq 1000")) as lab:
        with pytest.raises(Refused, match="says too much to be compared"):
            await lab.preview(run_command("c"))


async def test_a_command_that_does_not_end_is_unknown_until_it_is_read_and_all_it_started_is_killed(
    tmp_path: Path,
) -> None:
    stubborn = (
        "import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print('begun', flush=True)\ntime.sleep(600)"
    )
    entry = commands(tmp_path, timeout="8s")["set"] | {"argv": [script(tmp_path, "hang", stubborn), "${to}"]}
    async with own(tmp_path, commands={"set": entry, "back": commands(tmp_path)["back"]}) as lab:
        run = (await lab.submit(await lab.preview(run_command("set", to="new")))).run
        assert await ended(lab, run) == "failed"
        step = lab.engine.history.runs[run].latest("change")
        assert step.state.value == "not-done"
        answer = next(e for e in bodies(lab) if isinstance(e, EffectAnswered))
        assert (answer.code, answer.unknown) == ("timeout", True)
        assert answer.output[0] == "begun"
        assert answer.output[-1] == "did not end in time: it was killed with 2 processes"


HOSTILE = [
    "; touch hurt",
    "$(touch hurt)",
    "`touch hurt`",
    "a\ntouch hurt",
    "*",
    "'\"\\",
    "&& false",
    "| cat",
    "ü\u202e",
]


@pytest.mark.parametrize("value", HOSTILE)
async def test_no_value_is_more_than_one_argument(tmp_path: Path, value: str) -> None:
    async with own(tmp_path, commands=commands(tmp_path)) as lab:
        run = (await lab.submit(await lab.preview(run_command("set", to=value)))).run
        assert await ended(lab, run) == "done"
        assert (tmp_path / "state").read_text() == value
        assert not (tmp_path / "hurt").exists()


def built(argv: list[str], value: Any, **spec: Any) -> Any:
    entry = {"argv": argv, "params": {"x": {"kind": "text", **spec}}}
    model = Estate.model_validate({**ESTATE, "commands": {"c": entry}})
    outside = Outside((), {}, {}, commands={"c": None})  # type: ignore[dict-item]
    return build(CommandArgs(command="c", args={"x": value}), model, outside)


@pytest.mark.parametrize(
    ("argv", "value", "spec"),
    [
        (["p", "${x}"], "-rf", {}),
        (["p", "${x}"], "--all", {}),
        (["p", "${x}"], -5, {"kind": "number"}),
        (["p", "${x}${x}"], "-", {}),
        (["p", "${x}"], "a\0b", {}),
        (["p", "${x}"], "x" * 2001, {}),
        (["p", "${x}"], "c", {"choices": ["a", "b"]}),
        (["p", "${x}"], "A1", {"pattern": "[a-z]+"}),
        (["p", "${x}"], "a\nb", {"pattern": "[a-z]+"}),
        (["p", "${x}"], "a/b", {"kind": "name"}),
        (["p", "${x}"], "1e9", {"kind": "number"}),
        (["p", "${x}"], float("nan"), {"kind": "number"}),
        (["p", "${x}"], True, {}),
        (["p", "${x}"], None, {}),
    ],
)
def test_a_value_that_does_not_fit_is_refused(argv: list[str], value: Any, spec: dict[str, Any]) -> None:
    with pytest.raises((UnsuitableArgument, ValueError), match=r"args|x"):
        built(argv, value, **spec)


@pytest.mark.parametrize(
    ("argv", "spec"),
    [(["p", "--", "${x}"], {}), (["p", "--y=${x}"], {}), (["p", "${x}"], {"dash": True})],
)
def test_a_dash_is_a_value_where_it_is_no_option(argv: list[str], spec: dict[str, Any]) -> None:
    assert built(argv, "-rf", **spec).verb.endswith("-rf")


async def test_another_definition_is_another_target(tmp_path: Path) -> None:
    """A later step of a run is pinned by its identity alone: what was confirmed must be what is sent, also after the
    estate was changed and the engine started again."""
    first = commands(tmp_path)
    told = []
    for changed in ({}, {"argv": ["/bin/false"]}, {"risk": "B3"}, {"expect": [0, 7]}):
        async with own(tmp_path, commands={**first, "set": {**first["set"], **changed}}) as lab:
            card = await lab.preview(run_command("set", to="new"))
            told.append(str(next(fact for fact in card.facts if fact.name == "definition").value))
    assert len(set(told)) == 4


def test_what_is_unknown_is_named() -> None:
    with pytest.raises(RecoveryError, match="command"):
        build(CommandArgs(command="c2", args={}), Estate.model_validate(ESTATE), Outside((), {}, {}))


@pytest.mark.parametrize(
    ("sections", "place"),
    [
        ({"commands": {"c": {"argv": ["true"], "on": "app", "read": {"argv": ["true"]}}}}, "not_done: [1]"),
        (
            {"commands": {"c": {"argv": ["true"], "on": "app", "read": {"argv": ["a"], "done": [1], "not_done": []}}}},
            "done: [1]",
        ),
        ({"checks": {"c": {"command": {"argv": ["true"], "on": "app"}}}}, "fail: [1]"),
    ],
)
def test_where_only_forced_commands_run_exit_code_1_says_nothing(sections: dict[str, Any], place: str) -> None:
    def parsed(environment: str) -> None:
        hosts = {"app": {"address": "app.example", "environment": environment}}
        parse_estate(Located({**BARE, "hosts": hosts, **sections}, "own.yaml"), {})

    with pytest.raises(ConfigError, match=re.escape(f"{place}, expected codes other than 1")):
        parsed("send")
    parsed("env")
