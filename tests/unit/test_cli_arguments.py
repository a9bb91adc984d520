"""What a verb refuses before anything is sent: numbers, arguments given twice, addresses."""

import os
import subprocess
import sys

import click
import pytest

from console.cli.ending import run_to_code
from console.cli.following import RunProgress
from console.cli.verbs import recovery
from console.client.far import FarAddressError, ssh_command
from console.places import of_file
from state.api.requests import PlanRunbook
from state.api.run_states import RunState, StepState
from state.api.views.runbooks import RunRow, StepRow
from state.errors import BadArguments, NotFound
from tests.support.run_books import book, started, until
from tests.support.small_estate import COMMANDER, small
from tests.support.views import made


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "0", "5m", "1e400", "１０", "1_0", ""])
@pytest.mark.parametrize(
    "verb", [["run", "watch", "R-1", "--within"], ["run", "start", "b", "--within"], ["lab", "up", "--rate"]]
)
def test_a_number_that_is_none_is_wrong_usage(verb, number, capsys):
    assert run_to_code(recovery, [*verb, number]) == 2
    assert verb[-1] in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "70000", "-1", "x"])
def test_a_port_that_is_none_is_wrong_usage(port, capsys):
    assert run_to_code(recovery, ["engine", "run", "--metrics", port]) == 2
    assert "--metrics" in capsys.readouterr().err


def test_a_parameter_that_is_given_twice_is_refused(capsys):
    assert run_to_code(recovery, ["run", "start", "b", "to=green", "to=blue"]) == 2
    assert "the parameter to is given twice" in capsys.readouterr().err


def test_a_parameter_without_a_value_is_refused(capsys):
    assert run_to_code(recovery, ["run", "start", "b", "to="]) == 2
    assert "the parameter to is empty; leave it out to take its default" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["１０", "1_0", "nan", "x"])
async def test_a_bad_value_names_the_argument_and_not_a_line_of_the_runbook(value):
    steps = {**book({"id": "a", "wait": "1s"}), "params": {"n": {"kind": "number", "default": 1}}}
    async with small(steps) as lab:
        with pytest.raises(BadArguments) as refused:
            await lab.engine.preview(COMMANDER, PlanRunbook(steps["runbook"], {"n": value}))
    assert (refused.value.title, refused.value.exit_code) == ("Bad input", 2)
    assert "argument: found" in str(refused.value)
    assert "n: a number" in str(refused.value)
    assert "yaml" not in str(refused.value)


def test_an_address_in_brackets_reaches_ssh_without_them_and_a_port_is_in_range():
    command = ssh_command("ssh://ada@[::1]:22", ["true"])
    assert command[-4:] == ["22", "--", "ada@::1", "true"]
    for bad in ("ssh://h:0", "ssh://h:99999", "ssh://[::1", "ssh://[-oProxyCommand=x]"):
        with pytest.raises(FarAddressError):
            ssh_command(bad, ["true"])


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffestate: shop\r\n",
        '"estate": shop\n',
        '{"estate": "shop", "sites": {}}',
        "{estate: shop}\n",
        "estate : shop",
    ],
)
def test_an_estate_file_in_every_style_of_yaml_has_its_name(text, tmp_path):
    file = tmp_path / "e.yaml"
    file.write_bytes(text.encode())
    assert of_file(file, "").estate == "shop"


def test_an_account_without_name_and_home_gets_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    file = tmp_path / "e.yaml"
    file.write_text("estate: shop\n")
    with pytest.raises(NotFound, match="account 54321 has no home directory"):
        of_file(file, "")


def test_a_defect_exits_with_a_code_that_is_no_verdict():
    code = "import console.cli, console.cli.verbs as v; v.VERBS['status'] = ('no.such:verb', ''); console.cli.main()"
    done = subprocess.run([sys.executable, "-c", code, "status"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (70, "")
    assert "ModuleNotFoundError" in done.stderr


async def test_a_wait_that_was_stopped_says_how_long_it_waited():
    async with small(book({"id": "a", "wait": "8s"})) as lab:
        run = await started(lab)
        await until(lambda: lab.engine.history.runs[run].latest("a").state == "running")
        await lab.engine.stop_all(COMMANDER)
        await until(lambda: lab.engine.history.runs[run].ended)
        assert lab.engine.history.runs[run].latest("a").message == "stopped after 0 s of 8 s"


def test_a_running_check_tells_its_passes_and_no_verdict():
    run = made(RunRow, id="R-1", state=RunState.RUNNING)
    step = made(
        StepRow,
        run="R-1",
        step="c",
        key="k",
        state=StepState.RUNNING,
        message="fail: x",
        passes=1,
        samples=3,
        title="C",
    )
    told = RunProgress().news(run, [step])
    assert told[0].endswith("C: running: 1 of 3 in a row")


@pytest.mark.parametrize("group", ["run", "journal", "engine"])
def test_verbs_below_a_group_are_offered(group):
    from click.shell_completion import ShellComplete

    complete = ShellComplete(recovery, {}, "recovery", "_RECOVERY_COMPLETE")
    known = recovery.get_command(click.Context(recovery), group).list_commands(None)
    assert {item.value for item in complete.get_completions([group], "")} >= set(known)
    assert "--json" in {item.value for item in complete.get_completions([group], "--")}
