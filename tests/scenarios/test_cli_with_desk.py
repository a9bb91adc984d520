"""Verbs against a front door over real sockets, with a desk behind it that answers as it was told."""

import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from console.client.far import READY
from state.api.requests import Decide, Pause, PlanChange, PlanRunbook, PlanUndo, Resume, Skip, Submission, Typed
from state.api.run_states import RunState, StepState
from state.api.views.causes import Cause, NextKind, NextStep, SubjectKind, Victim
from state.api.views.header import DataRisk
from state.api.views.overview import RecoverRow
from state.api.views.replication import ClusterRow, NodeRow
from state.api.views.traffic import BackendRow
from state.errors import Refusal, Refused
from state.health import Health
from tests.support.front_desk import CARD, run_row, step_row
from tests.support.served_desk import Running
from tests.support.views import made

Recovery = Callable[..., int]


@pytest.fixture
def verb(running: Running) -> Recovery:
    return lambda *argv: run_to_code(recovery, [*argv, "--estate", str(running.estate)])


def recover(kind: SubjectKind, name: str, health: Health) -> RecoverRow:
    """A row of the recovery order, read from the desk's only source."""
    return made(RecoverRow, kind=kind, name=name, health=health, message="as it was read", sources=("pg:n1",))


CHECKOUT = recover(SubjectKind.SERVICE, "checkout", Health.PASS)
PROVEN: dict[str, Any] = {
    "health": Health.PASS,
    "summary": "all 1 within their objectives",
    "recover": {"service/checkout": CHECKOUT},
}


@pytest.mark.parametrize(
    ("health", "fresh", "code"),
    [
        (Health.PASS, True, 0),
        (Health.WARN, True, 0),
        (Health.FAIL, True, 1),
        (Health.UNKNOWN, True, 3),
        (Health.PASS, False, 3),
        (Health.WARN, False, 3),
        (Health.FAIL, False, 1),
    ],
)
def test_status_ends_with_the_worst_verdict_and_never_well_on_old_readings(
    running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str], health: Health, fresh: bool, code: int
) -> None:
    row = replace(CHECKOUT, health=health)
    if fresh:
        running.read_now()
    running.touch("overview", **{**PROVEN, "health": health, "recover": {"service/checkout": row}})
    assert verb("status") == code
    out = capsys.readouterr().out
    assert health.value.upper() in out
    assert ("OLD" in out, "old or silent sources" in out) == (not fresh, not fresh)


def test_status_is_one_while_effects_are_refused(
    running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str]
) -> None:
    running.touch("overview", **PROVEN)
    running.read_now()
    running.touch("header", effects="journal.db: the open file was removed")
    assert verb("status") == 1
    assert "EFFECTS REFUSED journal.db: the open file was removed" in capsys.readouterr().out


@pytest.mark.parametrize(("fresh", "shown"), [(True, "data at risk 5.0 MB of"), (False, "data at risk unknown of")])
def test_what_a_failover_could_lose_is_unknown_where_the_screens_say_so(
    running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str], fresh: bool, shown: str
) -> None:
    if fresh:
        running.read_now()
    running.touch("header", risk=DataRisk("orders", 5_000_000, 10_000_000, Health.PASS, "", ("pg:n1",)))
    verb("status")
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize("fresh", [True, False])
def test_a_part_of_the_estate_ends_well_on_fresh_readings_only(running: Running, verb: Recovery, fresh: bool) -> None:
    if fresh:
        running.read_now()
    backend = made(BackendRow, health=Health.PASS, source="pg:n1")
    running.touch("traffic", backends={"edge/shop": backend})
    assert verb("traffic") == (0 if fresh else 3)
    node = made(NodeRow, health=Health.PASS, sources=("pg:n1",))
    cluster = made(ClusterRow, health=Health.PASS, risk=DataRisk("orders", 0, 1, Health.PASS, "", ("pg:n1",)))
    running.touch("replication", clusters={"orders": cluster}, nodes={"orders/n1": node})
    assert verb("db") == (0 if fresh else 3)


@pytest.mark.parametrize(("health", "code"), [(Health.FAIL, 1), (Health.UNKNOWN, 3)])
def test_status_has_databases_and_their_verdict_counts(
    running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str], health: Health, code: int
) -> None:
    row = recover(SubjectKind.DATABASE, "orders", health)
    running.touch("overview", **{**PROVEN, "health": health, "recover": {**PROVEN["recover"], "database/orders": row}})
    assert verb("status") == code
    line = next(line for line in capsys.readouterr().out.splitlines() if " orders " in line)
    assert line.split()[:3] == [health.value.upper(), "orders", "database"]


def test_status_is_one_under_any_alarm(running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str]) -> None:
    running.touch("overview", **PROVEN)
    running.read_now()
    assert verb("status") == 0
    running.touch("header", alarms=("orders: two nodes accept writes",))
    capsys.readouterr()
    assert verb("status") == 1
    assert "ALARM orders: two nodes accept writes" in capsys.readouterr().out
    assert verb("status", "--json") == 1
    assert json.loads(capsys.readouterr().out)["header"]["alarms"] == ["orders: two nodes accept writes"]


def test_status_of_nothing_is_unknown(running: Running, verb: Recovery) -> None:
    running.touch("overview", health=Health.UNKNOWN, summary="nothing is watched", recover={}, services={})
    assert verb("status") == 3


def test_status_says_the_sentence_and_the_next_step(
    running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str]
) -> None:
    step = NextStep(NextKind.RUNBOOK, "switch-database", {"database": "orders"}, "d", "switch over", "Switch over.")
    cause = made(
        Cause,
        name="orders",
        what="primary n1 does not answer",
        health=Health.FAIL,
        victims=(Victim(SubjectKind.SERVICE, "checkout", "writes fail"),),
        next=step,
    )
    running.touch("overview", **{**PROVEN, "health": Health.FAIL, "summary": "1 failing of 2"})
    running.touch("header", causes=(cause,))
    assert verb("status") == 1
    out = capsys.readouterr().out
    assert "FAIL orders: primary n1 does not answer." in out
    assert "waits for it: checkout (writes fail)" in out
    assert "next: Switch over. recovery run start switch-database database=orders" in out


def test_reading_verbs_answer_in_json(verb: Recovery, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (("status",), ("traffic", "show"), ("db", "show"), ("run", "list"), ("runbook", "list")):
        verb(*argv, "--json")
        told = capsys.readouterr()
        json.loads(told.out)
        assert told.err == ""


def test_plan_only_submits_nothing(running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb("traffic", "drain", "edge-east", "catalog", "a", "--plan-only") == 0
    assert "edge-east/checkout/blue weight   100 → 0" in capsys.readouterr().out
    assert [name for name, _ in running.desk.calls] == ["preview"]
    args = {"balancer": "edge-east", "backend": "catalog", "server": "a"}
    assert running.desk.requests == [PlanChange("server.drain", args)]


def test_a_refused_plan_is_four_and_nothing_is_submitted(
    running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str]
) -> None:
    running.desk.card = replace(CARD, refusals=(Refusal("floor", "one is left", "Return another first"),))
    assert verb("traffic", "drain", "e", "c", "a", "--yes-nonce") == 4
    assert "Refused by rule floor: one is left" in capsys.readouterr().err
    assert [name for name, _ in running.desk.calls] == ["preview"]


def test_without_a_terminal_an_acting_verb_is_refused(
    running: Running, verb: Recovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("AB2C\n"))
    assert verb("traffic", "drain", "e", "c", "a") == 4
    assert [name for name, _ in running.desk.calls] == ["preview"]


@pytest.mark.parametrize(
    ("state", "code"), [(RunState.DONE, 0), (RunState.FAILED, 1), (RunState.STOPPED, 1), (RunState.UNKNOWN, 5)]
)
def test_an_acting_verb_waits_and_ends_as_its_run(
    running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str], state: RunState, code: int
) -> None:
    running.touch("runbooks", order=("R-1",), runs={"R-1": run_row(RunState.RUNNING)})
    threading.Timer(0.6, lambda: running.touch("runbooks", runs={"R-1": run_row(state, "as read")})).start()
    began = time.monotonic()
    assert verb("traffic", "drain", "e", "c", "a", "--yes-nonce", "--within", "2") == code
    assert 0.5 < time.monotonic() - began < 3
    assert running.desk.requests[1] == Submission("p-1", "f-1", Typed("AB2C", "edge-east/checkout"))
    assert "R-1" in capsys.readouterr().err


def test_no_wait_returns_at_once(running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb("run", "start", "drain-server", "server=a", "--yes-nonce", "--no-wait", "--json") == 0
    assert json.loads(capsys.readouterr().out)["run"] == "R-1"
    assert running.desk.requests[0] == PlanRunbook("drain-server", {"server": "a"})


def test_steering_verbs_name_the_step_instance_they_were_meant_for(
    running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = step_row("R-1", "return", 2, StepState.WAITING, question="Return it?", options=("yes", "no"))
    steps = [step_row("R-1", "drained", 1, StepState.FAILED), step_row("R-1", "drained", 2, StepState.FAILED), asked]
    row = replace(run_row(RunState.PAUSED), steps_of={"resume": ("drained#2",)}, next_actions=("resume",))
    running.touch("runbooks", order=("R-1",), runs={"R-1": row}, steps={step.key: step for step in steps})
    assert verb("run", "pause", "R-1") == 0
    assert verb("run", "skip", "R-1", "drained", "--reason", "known good") == 0
    assert verb("run", "resume", "R-1") == 0
    assert verb("run", "decide", "R-1", "yes") == 0
    assert "R-1 asks at return#2: Return it? (yes / no)" in capsys.readouterr().err
    assert verb("run", "decide", "R-1", "yes", "--step", "return#1") == 4
    assert verb("stop") == 0
    acted = [name for name, _ in running.desk.calls if name != "hello"]
    assert acted == ["control R-1"] * 4 + ["stop"]
    assert running.desk.requests == [
        Pause(),
        Skip("drained#2", "known good"),
        Resume("drained#2"),
        Decide("yes", "return#2"),
    ]


@pytest.mark.parametrize("state", [RunState.PAUSED, RunState.WAITING])
def test_a_run_that_needs_a_person_is_seven_and_the_next_verb_is_named(
    running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str], state: RunState
) -> None:
    row = replace(run_row(state, "as read"), steps_of={"skip": ("c#1",), "stop": ()}, next_actions=("skip", "stop"))
    running.touch("runbooks", order=("R-1",), runs={"R-1": row})
    for argv in (("run", "watch", "R-1"), ("traffic", "drain", "e", "c", "a", "--yes-nonce")):
        assert verb(*argv) == 7
        assert "recovery run skip R-1 c#1 --reason TEXT" in capsys.readouterr().err


def test_done_without_every_proof_is_three(running: Running, verb: Recovery) -> None:
    row = replace(run_row(RunState.DONE, "not verified: c (failed)"), unmet=("c (failed)",))
    running.touch("runbooks", order=("R-1",), runs={"R-1": row})
    assert verb("run", "watch", "R-1") == 3


def test_undo_is_a_verb_with_a_card(running: Running, verb: Recovery) -> None:
    assert verb("run", "undo", "R-1", "--plan-only") == 0
    assert running.desk.requests == [PlanUndo("R-1")]


def test_the_engines_refusal_is_told_with_its_rule(
    running: Running, verb: Recovery, capsys: pytest.CaptureFixture[str]
) -> None:
    running.desk.raises = Refused("role", "ben is observer", "Ask a person who has the role")
    assert verb("stop") == 4
    err = capsys.readouterr().err
    assert "rule role: ben is observer" in err
    assert "Ask a person who has the role" in err


def test_journal_verbs(running: Running, verb: Recovery, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb("journal", "tail", "-n", "3", "--json") == 0
    assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == [5, 6, 7]
    assert verb("journal", "export", "-o", str(tmp_path / "j.jsonl")) == 0
    assert (tmp_path / "j.jsonl").stat().st_mode & 0o777 == 0o600
    assert verb("journal", "verify", "--head", "aa" * 4) == 0
    assert "7 entries, head aaaa" in (told := capsys.readouterr().out)
    assert "entry 7 has the hash that was given" in told
    assert verb("journal", "verify", "--head", "00") == 2
    assert verb("journal", "verify") == 0
    running.desk.problem = "entry 4 does not follow from entry 3"
    assert verb("journal", "verify") == 1
    assert "entry 4" in capsys.readouterr().err


READING = (
    ("status",),
    ("traffic", "show"),
    ("db", "show"),
    ("run", "list"),
    ("run", "show", "R-1"),
    ("run", "watch", "R-1"),
    ("runbook", "list"),
    ("runbook", "show", "drain-server"),
    ("journal", "tail"),
    ("journal", "show", "1"),
    ("journal", "verify"),
    ("journal", "export"),
    ("engine", "status"),
)
ACTING = (
    ("stop",),
    ("engine", "stop"),
    ("run", "pause", "R-1"),
    ("run", "start", "drain-server", "--yes-nonce"),
    ("traffic", "drain", "m", "web", "b", "--yes-nonce"),
    ("db", "switchover", "orders", "--yes-nonce"),
)


@pytest.mark.parametrize("argv", [*READING, *ACTING], ids=" ".join)
def test_without_an_engine_it_is_six(tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]) -> None:
    (tmp_path / "LAB.json").write_text("{}")
    (tmp_path / "estate.yaml").write_text("estate: gone\n")
    assert run_to_code(recovery, [*argv, "--estate", str(tmp_path / "estate.yaml")]) == 6
    told = capsys.readouterr()
    assert "no engine of gone listens" in told.out + told.err


@pytest.mark.parametrize("argv", READING, ids=" ".join)
def test_an_estate_that_is_not_there_is_two(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]) -> None:
    assert run_to_code(recovery, [*argv, "--estate", "no-such-estate"]) == 2
    assert "no engine of that name runs here" in capsys.readouterr().err


def test_the_bridge_carries_a_request(running: Running) -> None:
    argv = [sys.executable, "-m", "console.cli", "bridge", "--observe", "--estate", str(running.estate)]
    request = b"GET /v1/hello HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n"
    done = subprocess.run(argv, input=request, capture_output=True, check=False, timeout=10)
    assert done.returncode == 0
    assert done.stdout.startswith(READY + b"HTTP/1.1 200 OK")
