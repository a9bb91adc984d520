"""What verbs write, as a process in every locale: to terminals of little use, to pipes that end, to full disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from state.api.views.journal import JournalRow
from state.api.views.overview import RecoverRow
from state.health import Health
from tests.support.served_desk import Running, run_verb
from tests.support.views import made

ENCODINGS = {
    "latin1": {"PYTHONIOENCODING": "latin-1"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "koi8": {"PYTHONIOENCODING": "koi8-r"},
    "posix": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "c": {"LC_ALL": "C"},
    "utf8": {"LC_ALL": "C.UTF-8", "TERM": "dumb"},
}
OUTSIDE = "n1 → n2 ✓ é 日本 \udce9 \ud83d"
"""Text from a balancer or a person: signs, letters, and halves of characters that no encoding has."""


@pytest.fixture(scope="session")
def latin1_locale(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The locale of the case, made as its script makes it."""
    folder = tmp_path_factory.mktemp("loc")
    made = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / "de_DE.ISO-8859-1")]
    subprocess.run(made, check=True, capture_output=True)
    return {"LOCPATH": str(folder), "LC_ALL": "de_DE.ISO-8859-1", "PYTHONUTF8": "0"}


def strange(running: Running) -> None:
    """Put signs and outside text into every view that the verbs print."""
    entry = JournalRow(7, 0.0, "u1", "run.started", "", "", OUTSIDE, "")
    running.desk.journal_rows = lambda after, limit: [entry] if after < 7 else []  # type: ignore[method-assign]
    row = made(RecoverRow, name="checkout", health=Health.FAIL, message=OUTSIDE)
    running.touch("overview", recover={"service/checkout": row}, health=Health.FAIL, summary="1 failing → 2 wait …")


def test_23_latin1_terminal(running: Running, latin1_locale: dict[str, str]) -> None:
    strange(running)
    where = ("--estate", str(running.estate))
    plan = run_verb("traffic", "flip", "m", "web", "b", "--plan-only", *where, **latin1_locale)
    assert (plan.returncode, plan.stderr) == (0, b"")
    assert b"100 -> 0" in plan.stdout
    tail = run_verb("journal", "tail", *where, **latin1_locale)
    assert (tail.returncode, tail.stderr) == (0, b"")
    assert "n1 -> n2 ok é".encode("latin-1") in tail.stdout
    status = run_verb("status", *where, **latin1_locale)
    assert (status.returncode, status.stderr) == (1, b"")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gets_the_answer_and_the_exit_code(running: Running, encoding: str) -> None:
    strange(running)
    environment = ENCODINGS[encoding]
    for argv, code in (
        (("status",), 1),
        (("journal", "tail"), 0),
        (("traffic", "flip", "m", "web", "b", "--plan-only"), 0),
        (("run", "show", "é→\udcff"), 2),
        (("stat\u00fcs",), 2),
        (("status", "--h\u00f6st"), 2),
        (("--help",), 0),
        (("run", "--help"), 0),
    ):
        where = () if argv[-1] == "--help" or argv[0] == "stat\u00fcs" else ("--estate", str(running.estate))
        done = run_verb(*argv, *where, **environment)
        assert done.returncode == code, (argv, done.stderr)
        assert b"Traceback" not in done.stderr
        assert b"Error" not in done.stderr
    named = environment.get("PYTHONIOENCODING", "utf-8" if encoding != "posix" else "ascii")
    shown = run_verb("status", "--estate", str(running.estate), **environment).stdout.decode(named)
    assert "1 failing" in shown
    assert ("→" if encoding in {"c", "utf8"} else "->") in shown


def pipeline(running: Running, *argv: str, reads: int) -> tuple[int, bytes]:
    """A verb whose reader ends after some bytes; its exit code and what it wrote to stderr."""
    program = [sys.executable, "-m", "console.cli", *argv, "--estate", str(running.estate)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(reads)
        process.stdout.close()
        try:
            return process.wait(30), process.stderr.read()
        finally:
            process.kill()


@pytest.mark.parametrize("reads", [0, 10])
def test_a_reader_that_ends_leaves_the_verdict_as_exit_code(running: Running, reads: int) -> None:
    rows = {f"s{n}": made(RecoverRow, name=f"s{n}", health=Health.FAIL, message="x" * 200) for n in range(900)}
    running.touch("overview", recover=rows, health=Health.FAIL)
    assert pipeline(running, "status", reads=reads) == (1, b"")
    assert pipeline(running, "status", "--json", reads=reads) == (1, b"")


def test_a_follower_without_a_reader_ends(running: Running) -> None:
    everything = len(run_verb("journal", "tail", "--estate", str(running.estate)).stdout)
    for reads in (10, everything):  # in the second case it writes nothing more
        assert pipeline(running, "journal", "tail", "-f", reads=reads)[0] == 141


def test_closed_streams_and_a_full_disk(running: Running) -> None:
    program = f"{sys.executable} -m console.cli status --estate {running.estate}"
    row = made(RecoverRow, name="checkout", health=Health.PASS)
    running.touch("overview", recover={"service/checkout": row}, health=Health.PASS)
    running.read_now()
    for redirect, code in ((">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), (">/dev/full", 74), ("2>/dev/full", 0)):
        done = subprocess.run(["sh", "-c", f"{program} {redirect}"], capture_output=True, check=False, timeout=30)
        assert done.returncode == code, redirect
        assert b"Traceback" not in done.stderr


def error_of(done: subprocess.CompletedProcess[bytes]) -> dict[str, object]:
    document = json.loads(done.stdout)
    assert list(document) == ["error"]
    assert done.stderr == b""
    assert document["error"]["exit"] == done.returncode
    error: dict[str, object] = document["error"]
    return error


def test_errors_are_one_document_under_json(running: Running, tmp_path: Path) -> None:
    where = ("--estate", str(running.estate))
    (tmp_path / "estate.yaml").write_text("estate: gone\n")
    (tmp_path / "LAB.json").write_text("{}")
    (tmp_path / "bad.yaml").write_text("environment: lab\n")
    for argv, kind, code in (
        (("status", "--json", "--estate", str(tmp_path / "estate.yaml")), "unreachable", 6),
        (("status", "--json", "--estate", str(tmp_path / "bad.yaml")), "config", 2),
        (("status", "--json", "--nonsense"), "usage", 2),
        (("statsu", "--json"), "usage", 2),
        (("runbook", "show", "nothing", "--json", *where), "not-found", 2),
        (("run", "start", "drain-server", "server", "--json", *where), "usage", 2),
        (("traffic", "drain", "m", "web", "b", "--json", *where), "refused", 4),
    ):
        error = error_of(run_verb(*argv))
        assert (error["kind"], error["exit"]) == (kind, code)
        assert error["message"]


def test_an_answer_that_could_not_be_had_is_unknown(running: Running) -> None:
    def broken(topic: str) -> object:
        raise ZeroDivisionError(topic)

    running.desk.view = broken  # type: ignore[method-assign]
    for argv in (("status",), ("traffic",), ("db",), ("run", "list"), ("run", "show", "R-1"), ("runbook", "list")):
        where = ("--estate", str(running.estate))
        error = error_of(run_verb(*argv, "--json", *where))
        assert (error["kind"], error["exit"]) == ("engine-error", 3)
        assert "engine.log" in str(error["next"])
        said = run_verb(*argv, *where)
        assert (said.returncode, said.stdout) == (3, b""), said.stderr
        assert b"recovery: Engine failed: the engine failed at GET /v1/view/" in said.stderr


def test_a_defect_behind_an_acting_request_leaves_its_outcome_unknown(running: Running) -> None:
    running.desk.raises = ZeroDivisionError("a defect")
    where = ("--json", "--estate", str(running.estate))
    for argv in (("stop",), ("run", "pause", "R-1"), ("run", "stop", "R-1"), ("engine", "reload")):
        error = error_of(run_verb(*argv, *where))
        assert (error["kind"], error["exit"]) == ("outcome-unknown", 5)
    plan = error_of(run_verb("traffic", "drain", "m", "web", "b", "--yes-nonce", *where))
    assert (plan["kind"], plan["exit"]) == ("engine-error", 3), "a preview changes nothing"


def test_times_are_given_in_rfc_3339_beside_epoch(running: Running) -> None:
    where = ("--estate", str(running.estate))
    assert json.loads(run_verb("journal", "tail", "--json", "-n", "1", *where).stdout)["at_utc"] == (
        "1970-01-01T00:00:00.000Z"
    )
    assert json.loads(run_verb("status", "--json", *where).stdout)["wall_utc"].endswith("Z")


def test_help_is_ascii() -> None:
    for verb in ("", "run", "traffic", "journal", "engine", "lab", "demo", "status", "console"):
        done = run_verb(*([verb] if verb else []), "--help")
        assert done.returncode == 0
        done.stdout.decode("ascii")


def test_signals_end_a_follower_as_interrupted(running: Running) -> None:
    program = [sys.executable, "-m", "console.cli", "journal", "tail", "-f", "--estate", str(running.estate)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, 2)
        assert process.wait(30) == 130
