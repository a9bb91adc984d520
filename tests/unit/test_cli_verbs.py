"""The command line without an engine: exit codes, confirmation, completion, and what a start imports."""

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest

from console.card_text import plain_card
from console.cli.acting import Manner, asked, scripted
from console.cli.ending import of_same_engine, run_to_code
from console.cli.entries import instant
from console.cli.look import ALERT, alert_cells, gather, verdict_code
from console.cli.shown import age, table
from console.cli.verbs import VERBS, recovery
from console.client.far import FarAddressError, bridge_command, ssh_command
from console.demo.watch import OrderGap
from state.api.card import Confirm
from state.api.requests import Typed
from state.api.views.header import SourceRow
from state.api.views.overview import AlertRow
from state.errors import (
    ConfigError,
    EffectUnknown,
    ExitCode,
    NotFound,
    Problem,
    ReadFailure,
    RecoveryError,
    Refusal,
    Refused,
    Trouble,
    UnsuitableArgument,
)
from state.health import Health
from state.shell_words import for_any_shell
from tests.support.cards import card
from tests.support.front_desk import CARD, HEADER

PLAIN = Manner(
    plan_only=False, yes_nonce=True, name="", loss="", no_wait=False, within=None, as_json=False, override=()
)


def verb_that(raises: Callable[[], object]) -> click.Group:
    @click.group()
    def group() -> None: ...

    @group.command()
    def fall() -> None:
        raises()

    return group


def throw(error: BaseException) -> Callable[[], object]:
    def thrower() -> None:
        raise error

    return thrower


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError((Problem("e.yaml", 3, 5, "x", "y"), Problem("e.yaml", 9, 1, "", "z"))), 2, "e.yaml:9:1"),
        (NotFound("no run R-9"), 2, "Not found: no run R-9"),
        (ReadFailure(Trouble.TIMEOUT, "no answer"), 3, "No reading"),
        (Refused("floor", "one is left", "Ready another first"), 4, "Refused by rule floor: one is left"),
        (EffectUnknown("silence"), 5, "before you send anything again"),
        (RecoveryError("something"), 1, "Error: something"),
        (click.Abort(), 130, "interrupted"),
        (KeyboardInterrupt(), 130, "runs of the engine continue"),
        (click.UsageError("wrong"), 2, "wrong"),
    ],
)
def test_every_expected_error_has_its_code_and_message(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_to_code(verb_that(throw(error)), ["fall"]) == code
    told = capsys.readouterr()
    assert message in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_a_defect_of_ours_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError):
        run_to_code(verb_that(throw(ZeroDivisionError())), ["fall"])


def test_text_from_outside_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run_to_code(verb_that(throw(NotFound("evil \x1b]0;title\x07"))), ["fall"])
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["nonsense"], ["status", "--nonsense"], ["traffic", "weight", "a", "b", "c", "257"]])
def test_wrong_usage_is_two(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_to_code(recovery, argv) == ExitCode.USAGE
    assert "Usage:" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_to_code(recovery, [verb, "--help"]) == 0
    assert "Usage: recovery" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_to_code(recovery, ["completion", shell]) == 0
    assert "_RECOVERY_COMPLETE" in capsys.readouterr().out


def test_completion_knows_the_verbs() -> None:
    environment = {"_RECOVERY_COMPLETE": "bash_complete", "COMP_WORDS": "recovery jour", "COMP_CWORD": "1"}
    program = "import sys; from console.cli.verbs import recovery; recovery(prog_name='recovery')"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split(",")[1].strip() == "journal"


def test_the_way_to_the_screens_imports_nothing_heavy() -> None:
    program = (
        "import sys; import console.cli, console.cli.ending, console.cli.verbs, console.cli.console_verb;"
        "import console.engine.control, console.client.engine_client;"
        "heavy = {'pydantic', 'aiohttp', 'asyncpg', 'adapters', 'textual', 'rich', 'sqlite3', 'dns', 'ruamel'};"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_engine_process_never_imports_a_screen() -> None:
    program = (
        "import sys; import console.engine.process, console.engine.loading, adapters.api_server;"
        "import adapters.journals.sqlite;"
        "import state.engine.engine; print(sorted({'textual', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_script_states_what_a_person_would_type() -> None:
    assert scripted(CARD, PLAIN).nonce == "AB2C"
    grave = card(Confirm.NONCE_AND_NAME)
    with pytest.raises(Refused, match="--name orders"):
        scripted(grave, PLAIN)
    with pytest.raises(Refused, match="--loss"):
        scripted(grave, replace(PLAIN, name="orders"))
    typed = scripted(grave, replace(PLAIN, name="orders", loss="13.2 MB"))
    assert typed == Typed("K7QX", "orders", "13.2 MB")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "passes"), [("AB2C\n", True), ("ab2c\n", True), ("\n", False), ("y\n", False), ("AB2D\n", False)]
)
def test_a_person_types_the_nonce(typed: str, passes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    if passes:
        assert asked(CARD).nonce.upper() == "AB2C"
    else:
        with pytest.raises(Refused, match="nothing was sent"):
            asked(CARD)


def test_without_a_terminal_nobody_confirms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("AB2C\n"))
    with pytest.raises(Refused, match="not a terminal"):
        asked(CARD)


def test_the_card_shows_refusals() -> None:
    lines = plain_card(replace(CARD, refusals=(Refusal("floor", "one is left", "Return another first", "responder"),)))
    said = "floor: one is left. Return another first. Who may: responder"
    assert any(line.startswith("  REFUSED") and said in line for line in lines)
    assert any("[ok]" in line for line in lines)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [(["pass", "warn"], 0), (["pass", "unknown"], 3), (["unknown", "fail"], 1), ([], 3)],
)
def test_unknown_is_no_pass(verdicts: list[str], code: int) -> None:
    assert verdict_code(verdicts) == code


def test_ages_are_of_the_oldest_source_and_marked() -> None:
    read = {"a": 98.0, "b": 60.0, "c": None}
    header = replace(HEADER, sources={key: SourceRow(key, mono, 3.0, "", "") for key, mono in read.items()})
    assert age(["a"], header, 100.0) == "2 s"
    assert age(["a", "b"], header, 100.0) == "40 s OLD"
    assert age(["a", "c"], header, 100.0) == "never"
    assert age(["missing"], header, 100.0) == "never"


def test_tables_align_wide_text_and_numbers() -> None:
    assert table(("A", "N"), [["日本", "1"], ["x", "10"]], right=("N",)) == ["A      N", "日本   1", "x     10"]


def test_the_write_outage_is_the_longest_standstill() -> None:
    gap = OrderGap()
    for count, now in ((5, 10.0), (6, 10.1), (6, 11.5), (7, 11.6), (8, 11.7)):
        gap.record(count, now)
    assert gap.longest == pytest.approx(1.5)


@pytest.mark.parametrize(
    "address", ["ssh://-oProxyCommand=x", "ssh://a b", "host", "ssh://u@-x", "ssh://h;id", "ssh://"]
)
def test_no_address_becomes_an_option_of_ssh(address: str) -> None:
    with pytest.raises(FarAddressError):
        ssh_command(address, ["recovery", "bridge"])


@pytest.mark.parametrize(
    ("argv", "verb"),
    [
        (["status", "--estate", "my shop.yaml"], "`recovery engine start --estate 'my shop.yaml'`"),
        (["status", "--estate=shop"], "`recovery engine start --estate=shop`"),
        (["--json", "stop", "--host", "ssh://b", "--estate", "e"], "`recovery engine start --host ssh://b --estate e`"),
        (["status", "--json"], "`recovery engine start`"),
    ],
)
def test_an_advice_means_the_engine_that_was_meant(argv: list[str], verb: str) -> None:
    assert of_same_engine("Start one with `recovery engine start`.", argv) == f"Start one with {verb}."
    assert of_same_engine("Look at `recovery lab status`.", argv) == "Look at `recovery lab status`."


@pytest.mark.parametrize("text", ["yesterday", "-5m", "5x", "1h banana", " ", "12:00"])
def test_what_is_no_time_is_bad_input_with_the_forms(text: str) -> None:
    with pytest.raises(UnsuitableArgument, match="is no time: write an age like 30m or 2h, or a time like 2026"):
        instant(text)


def test_the_far_command_is_text_for_any_shell() -> None:
    words = bridge_command("a; rm -rf /", observe=True)
    command = ssh_command("ssh://ada@bastion2:2222", words)
    assert command[-3:] == ["--", "ada@bastion2", for_any_shell(words)]
    assert ";" not in command[-1]
    assert command[command.index("-p") + 1] == "2222"


def test_an_alert_of_any_name_leaves_room_for_its_row() -> None:
    row = AlertRow("Node" + "x" * 300 + "Down", "c" * 60, "active", 0.0, "", "am", Health.FAIL, None, ("am",))
    cells = alert_cells(row, 60.0)
    assert len(cells[1]) == ALERT
    assert (cells[1][:4], cells[1][-4:]) == ("Node", "Down")
    assert len(cells[0]) < 20


class MovingClient:
    """An engine that gets readings while it is asked: `moves` of them, one before each header after the first."""

    def __init__(self, moves: int) -> None:
        self.moves, self.reading, self.asked = moves, 0, 0

    async def view(self, topic: str) -> object:
        if topic != "header":
            return self.reading
        self.asked += 1
        if 1 < self.asked <= self.moves + 1:
            self.reading += 1
        return replace(HEADER, journal_seq=self.reading)

    async def hello(self) -> object:
        return None


@pytest.mark.parametrize("moves", [0, 1, 3])
async def test_a_document_is_of_one_set_of_readings(moves: int) -> None:
    client = MovingClient(moves)
    seen = await gather(client, "overview")  # type: ignore[arg-type]
    assert seen.header.journal_seq == seen.view == moves
    assert client.asked == moves + 2


def test_a_lint_of_no_runbook_is_no_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    estate = tmp_path / "recovery.yaml"
    estate.write_text("estate: shop\nenvironment: drill\nsites: {}\nrunbooks: [books]\n")
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "wait.yaml.j2").write_text("runbook: wait\n")
    assert run_to_code(recovery, ["runbook", "lint", "--estate", str(estate)]) == 2
    assert "found no runbook" in capsys.readouterr().err
    assert run_to_code(recovery, ["check", str(estate)]) == 0
    assert "valid, 0 runbooks" in capsys.readouterr().out
    (tmp_path / "books" / "wait.yaml").write_text("runbook: wait\ntitle: Wait\nsteps: [{id: a, wait: 1s}]\n")
    assert run_to_code(recovery, ["runbook", "lint", "--estate", str(estate)]) == 0
    assert "valid, 1 runbook\n" in capsys.readouterr().out
