"""The engine's process for real: start, attach, refuse a second, survive a kill, stop."""

import json
import os
import pwd
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.engine.control import listens, terminate
from console.places import EnginePlace, lock_holder, of_file

ESTATE = """\
estate: small-life
environment: drill
sites: {{east: {{title: East}}}}
people:
  me: {{title: Me, accounts: [{account}], roles: [commander, responder]}}
runbooks: []
"""


@pytest.fixture
def place() -> Iterator[EnginePlace]:
    folder = Path(tempfile.mkdtemp(prefix="reng-", dir="/tmp"))
    (folder / "LAB.json").write_text("{}")
    estate = folder / "estate.yaml"
    estate.write_text(ESTATE.format(account=pwd.getpwuid(os.getuid()).pw_name))
    place = of_file(estate, "test")
    yield place
    terminate(place)
    shutil.rmtree(folder)


def recovery(*argv: str, place: EnginePlace) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "console.cli", *argv, "--estate", str(place.file)]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)


def holder(place: EnginePlace) -> int:
    return int(place.lock.read_text().split()[0])


def ended(pid: int) -> bool:
    """Whether a process has ended; where nobody waits for orphans it may still be listed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def test_a_whole_life(place: EnginePlace) -> None:
    started = recovery("engine", "start", place=place)
    assert started.returncode == 0, started.stderr
    assert "serves on" in started.stderr
    pid = holder(place)
    assert os.getsid(pid) == pid  # its own session: no terminal's hang-up reaches it
    assert stat.S_IMODE(place.engine.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.state.stat().st_mode) == 0o700
    assert Path(f"/proc/{pid}/limits").read_text().split("Max core file size")[1].split()[0] == "0"

    again = recovery("engine", "start", place=place)
    assert again.returncode == 4
    assert f"process {pid}" in again.stderr

    os.kill(pid, signal.SIGHUP)
    seen = json.loads(recovery("engine", "status", "--json", place=place).stdout)
    assert (seen["running"], seen["pid"]) == (True, pid)

    stopped = recovery("engine", "stop", place=place)
    assert stopped.returncode == 0, stopped.stderr
    assert ended(pid)
    assert not listens(place)
    assert not place.index.exists()
    for line in place.log.read_text().splitlines():
        assert {"at", "level", "logger", "message"} <= json.loads(line).keys()


def test_a_killed_engine_is_told_as_such_and_the_next_one_starts(place: EnginePlace) -> None:
    assert recovery("engine", "start", place=place).returncode == 0
    first = holder(place)
    os.kill(first, signal.SIGKILL)
    end = time.monotonic() + 5
    while lock_holder(place) is not None and time.monotonic() < end:
        time.sleep(0.02)
    status = recovery("engine", "status", place=place)
    assert status.returncode == 6
    assert "ended without cleaning up" in status.stdout
    assert recovery("engine", "start", place=place).returncode == 0
    assert holder(place) != first
    assert recovery("journal", "verify", place=place).returncode == 0
    kinds = [
        json.loads(line)["kind"] for line in recovery("journal", "tail", "--json", place=place).stdout.splitlines()
    ]
    assert kinds.count("engine.started") == 2
    assert recovery("engine", "stop", place=place).returncode == 0


def test_an_engine_whose_sockets_were_removed_makes_them_anew_or_is_ended_by_its_lock(place: EnginePlace) -> None:
    assert recovery("engine", "start", place=place).returncode == 0
    pid = holder(place)
    shutil.rmtree(place.runtime)
    end = time.monotonic() + 60
    while not (place.index.exists() and listens(place)):
        assert time.monotonic() < end, place.log.read_text()
        time.sleep(0.1)
    seen = json.loads(recovery("engine", "status", "--json", place=place).stdout)
    assert (seen["running"], seen["pid"], holder(place)) == (True, pid, pid)
    assert recovery("stop", place=place).returncode == 0
    assert "were removed; they are made anew" in place.log.read_text()

    shutil.rmtree(place.runtime)
    place.runtime.write_text("no folder can be made here")
    status = recovery("engine", "status", place=place)
    assert status.returncode == 6
    assert f"process {pid}, runs but does not listen in {place.runtime}" in status.stdout
    again = recovery("engine", "start", place=place)
    assert again.returncode in (2, 4), again.stderr
    unreached = recovery("stop", place=place)
    assert unreached.returncode == 6
    assert f"process {pid}, runs but does not listen" in unreached.stderr
    stopped = recovery("engine", "stop", place=place)
    assert stopped.returncode == 0, stopped.stderr
    assert f"engine {pid} has no sockets" in stopped.stderr
    assert ended(pid)
    gone = recovery("engine", "stop", place=place)
    assert gone.returncode == 6
    assert f"`recovery engine start --estate {place.file}`" in gone.stderr


def test_errors_of_the_start_reach_the_person(place: EnginePlace) -> None:
    assert place.file is not None
    place.file.write_text(place.file.read_text().replace("drill", "prodution"))
    started = recovery("engine", "start", place=place)
    assert started.returncode == 2
    assert "prodution" in started.stderr
    assert "estate.yaml:2" in started.stderr
    assert not listens(place)


def test_in_the_foreground_sigterm_ends_in_order(place: EnginePlace) -> None:
    program = [sys.executable, "-m", "console.engine.process", "--estate", str(place.file)]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "serves on" not in (line := process.stderr.readline()):
            assert line, "it ended while starting"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert not place.index.exists()
    assert not place.engine.exists()


def test_an_exported_journal_is_verified_without_an_engine(place: EnginePlace, tmp_path: Path) -> None:
    assert recovery("engine", "start", place=place).returncode == 0
    exported = tmp_path / "journal.jsonl"
    assert recovery("journal", "export", "-o", str(exported), place=place).returncode == 0
    last = json.loads(exported.read_text().splitlines()[-1])
    known, other = (("--head", last["hash"]), ("--head", "00" * 32))
    at = f"entry {last['seq']} has the hash"
    assert at in recovery("journal", "verify", *known, place=place).stdout
    assert recovery("journal", "verify", *other, place=place).returncode == 1
    assert recovery("engine", "stop", place=place).returncode == 0
    verify = ("journal", "verify", "--file", str(exported))
    assert at in recovery("journal", "verify", *known, place=place).stdout
    assert recovery("journal", "verify", *other, place=place).returncode == 1
    good = recovery(*verify, place=place)
    assert (good.returncode, "entries, head" in good.stdout) == (0, True)
    exported.write_bytes(exported.read_bytes().replace(b"engine started", b"engine stopped"))
    assert recovery(*verify, place=place).returncode == 1


def test_the_journal_is_read_without_an_engine(place: EnginePlace, tmp_path: Path) -> None:
    assert recovery("engine", "start", place=place).returncode == 0
    with_engine = recovery("journal", "tail", "--json", place=place)
    exported = recovery("journal", "export", place=place)
    assert recovery("engine", "stop", place=place).returncode == 0
    before = place.journal.read_bytes()
    tail = recovery("journal", "tail", "--json", place=place)
    assert tail.returncode == 0
    assert tail.stdout.startswith(with_engine.stdout)
    assert f"no engine answers; read from {place.journal}: " in tail.stderr
    assert " s old (" in tail.stderr
    assert recovery("journal", "verify", place=place).returncode == 0
    assert recovery("journal", "export", place=place).stdout.startswith(exported.stdout)
    shown = json.loads(recovery("journal", "show", "1", "--json", place=place).stdout)
    assert (shown["seq"], shown["kind"]) == (1, "engine.started")
    assert shown["facts"]
    assert recovery("journal", "show", "999", place=place).returncode == 2
    assert place.journal.read_bytes() == before
    copy = tmp_path / "journal.db"
    shutil.copy(place.journal, copy)
    assert recovery("journal", "verify", "--file", str(copy), place=place).returncode == 0
    with sqlite3.connect(copy) as db:
        db.execute("DROP TRIGGER entries_stay")
        db.execute("UPDATE entries SET header = CAST(replace(header, 'engine', 'engime') AS BLOB)")
    broken = recovery("journal", "verify", "--file", str(copy), place=place)
    assert (broken.returncode, "entry 1" in broken.stderr) == (1, True)


def test_journal_filters(place: EnginePlace) -> None:
    assert recovery("engine", "start", place=place).returncode == 0
    assert len(recovery("journal", "tail", "--kind", "engine", place=place).stdout.splitlines()) == 1
    assert recovery("journal", "tail", "--since", "1h", place=place).stdout.count("engine.started") == 1
    assert recovery("journal", "tail", "--since", "2099-01-01T00:00:00Z", place=place).stdout == ""
    wrong = recovery("journal", "tail", "--kind", "engine.startet", place=place)
    assert (wrong.returncode, "did you mean engine.started?" in wrong.stderr) == (2, True)
    assert recovery("journal", "tail", "--since", "yesterday", place=place).returncode == 2
    assert recovery("journal", "tail", "--run", "R-77", place=place).returncode == 2
    assert recovery("engine", "stop", place=place).returncode == 0


BOOK = """\
runbook: wait
title: Wait
steps:
  - {id: wait, wait: 1s}
"""


def logged(place: EnginePlace, part: str) -> str:
    """Wait for a line of the log."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for line in place.log.read_text().splitlines():
            if part in (message := json.loads(line)["message"]):
                return str(message)
        time.sleep(0.05)
    raise AssertionError(place.log.read_text())


def test_a_changed_estate_is_announced_and_taken_by_verb_and_by_signal_or_refused_with_the_reason(
    place: EnginePlace,
) -> None:
    assert place.file is not None
    assert recovery("engine", "start", place=place).returncode == 0
    pid, whole = holder(place), place.file.read_text()

    (place.file.parent / "books").mkdir()
    (place.file.parent / "books/wait.yaml").write_text(BOOK)
    more = whole.replace("runbooks: []", "runbooks: [books]") + "services: {shop: {tier: 1, rto: 5m, rpo: 1MB}}\n"
    place.file.write_text(more)
    end = time.monotonic() + 20
    while "recovery engine reload" not in (said := recovery("status", "--json", place=place).stdout):
        assert time.monotonic() < end, said
        time.sleep(0.1)
    taken = recovery("engine", "reload", place=place)
    assert taken.returncode == 0, taken.stderr
    assert "added services/shop, runbook/wait" in taken.stdout
    assert "wait" in recovery("runbook", "list", place=place).stdout
    assert "nothing has changed" in recovery("engine", "reload", place=place).stdout

    place.file.write_text(more.replace("tier: 1", "tier: 9"))
    refused = recovery("engine", "reload", place=place)
    assert refused.returncode == 2
    assert "found 9" in refused.stderr
    os.kill(pid, signal.SIGHUP)
    assert "found 9" in logged(place, "not reloaded")

    place.file.write_text(more)
    (place.file.parent / "books/wait.yaml").write_text(BOOK.replace("1s", "soon"))
    assert recovery("engine", "reload", place=place).returncode == 2, "a runbook in force is not lost by a mistake"
    (place.file.parent / "books/wait.yaml").write_text(BOOK.replace("1s", "2s"))
    os.kill(pid, signal.SIGHUP)
    assert logged(place, "changed runbook/wait").startswith("reloaded: estate ")

    place.file.write_text(more.replace("environment: drill", "environment: lab"))
    assert recovery("engine", "reload", place=place).returncode == 4
    assert holder(place) == pid
    kinds = [
        json.loads(line)["kind"] for line in recovery("journal", "tail", "--json", place=place).stdout.splitlines()
    ]
    assert kinds.count("estate.reloaded") == 2
    assert recovery("engine", "stop", place=place).returncode == 0
