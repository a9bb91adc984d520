"""One run or one period of a journal with all that proves it, checked on a machine with Python and nothing else."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from console.cli.bundles import tar_of, verifier
from state.audit.bundling import files_of_bundle
from state.engine.events import RequestRefused
from state.proof.anchors import AnchorsRead
from state.proof.bundle import ENTRIES, MANIFEST, SEALS, Selection, verify_bundle
from state.proof.encoding import Sealed
from state.proof.lines import export_line
from tests.support.sealed import Written, written

RUN = Selection(run="R-7")


def with_run(seed: int = 1) -> Written:
    """Three periods, the run in the second and third, two more."""
    made = written(seed, periods=2, each=6)
    made.append(RequestRefused("R-7 leads"), run="R-7")
    made.beat(3)
    made.anchor()
    made.seal()
    made.append(RequestRefused("R-7 leads on"), run="R-7", incident="I-1")
    made.append(RequestRefused("another run"), run="R-8")
    made.beat(4)
    made.anchor()
    made.seal()
    made.beat(5)
    made.seal()
    made.beat(2)
    return made


def lines_of(made: Written) -> bytes:
    return b"".join(f"Nov 1 log recovery: {anchor.line}\n".encode() for anchor in made.anchors)


def bundle(made: Written, selection: Selection = RUN, anchors: bytes = b"") -> dict[str, bytes]:
    return files_of_bundle(made.entries, selection, anchors, {"estate": "small"})[0]


def at(path: Path, files: dict[str, bytes]) -> Path:
    path.write_bytes(tar_of(files))
    return path


def test_a_bundle_proves_its_run_by_a_key_or_an_anchor_from_elsewhere(tmp_path: Path) -> None:
    made = with_run()
    path = at(tmp_path / "r7.tar", bundle(made))
    found = verify_bundle(path, trusted=[made.root])
    assert (found.problem, found.unproven, found.selected) == ("", (), 2)
    read = AnchorsRead()
    read.take(lines_of(made).splitlines(), "log")
    found = verify_bundle(path, anchors=read)
    assert (found.problem, found.unproven) == ("", ())
    assert found.anchored
    alone = verify_bundle(path)
    assert alone.problem == ""
    assert any("from elsewhere" in each for each in alone.unproven), "by itself it proves nothing about its first key"
    assert "is none" not in alone.problem


def test_what_was_not_asked_for_is_there_by_its_header_only(tmp_path: Path) -> None:
    files = bundle(with_run())
    rows = [json.loads(line) for line in files[ENTRIES].splitlines()]
    others = [row for row in rows if json.loads(row["header"])[9] == "R-8"]
    assert others
    assert all(row["payload"] == "" and row["salt"] == "" for row in others)
    assert b"another run" not in b"".join(files.values())
    first = json.loads(rows[0]["header"])[0]
    assert first > 1, "and what was sealed before is not there"
    assert len(rows) < len(with_run().entries)


def test_nothing_recorded_of_it_makes_no_bundle() -> None:
    assert files_of_bundle(with_run().entries, Selection(run="R-99"), b"", {})[0] == {}


def rows(files: dict[str, bytes], change: Callable[[list[bytes]], list[bytes]]) -> dict[str, bytes]:
    return {**files, ENTRIES: b"".join(change(files[ENTRIES].splitlines(keepends=True)))}


def manifest(files: dict[str, bytes], **changed: object) -> dict[str, bytes]:
    return {**files, MANIFEST: json.dumps({**json.loads(files[MANIFEST]), **changed}).encode()}


def without_run_entry(entries: list[bytes]) -> list[bytes]:
    return [line for line in entries if b'R-7\\",\\"\\"' not in line or b"leads on" in line]


def later(entries: list[bytes]) -> list[bytes]:
    return entries[3:]


def second_gone(lines: list[bytes]) -> bytes:
    return b"".join([lines[0], *lines[2:]])


def rechained(
    files: dict[str, bytes], first: int, previous: str, keep: Callable[[dict[str, str]], bool]
) -> dict[str, bytes]:
    """Other entries that follow from each other, from another beginning on."""
    head, made = bytes.fromhex(previous), []
    for line in files[ENTRIES].splitlines():
        row = json.loads(line)
        if row["seq"] < first or not keep(row):
            continue
        seq = first + len(made)
        header = row["header"].replace(f"[{row['seq']},", f"[{seq},", 1).encode()
        head = sha256(head + header).digest()
        payload = row["payload"].encode()
        made.append(export_line(Sealed(seq, header, head, bytes.fromhex(row["salt"]), payload)) + b"\n")
    return manifest({**files, ENTRIES: b"".join(made)}, first=first, previous=previous)


def without_seals(files: dict[str, bytes]) -> dict[str, bytes]:
    told = json.loads(files[MANIFEST])
    return rechained(files, told["first"], told["previous"], lambda row: "journal.sealed" not in row["header"])


def begun_later(files: dict[str, bytes]) -> dict[str, bytes]:
    """At an entry behind which no seal ends, with the right hash before it."""
    row = json.loads(files[ENTRIES].splitlines()[1])
    return rechained(files, row["seq"] + 1, row["hash"], lambda each: True)


def line_without(files: dict[str, bytes], place: int) -> dict[str, bytes]:
    lines = files[SEALS].splitlines(keepends=True)
    return {**files, SEALS: b"".join([*lines[:place], *lines[place + 1 :]])}


OTHER = {"run": "R-9", "incident": "", "since": 0, "until": 0}
FORGED: dict[str, Callable[[dict[str, bytes], Written, Random], dict[str, bytes]]] = {
    "an entry is gone": lambda f, m, c: rows(f, without_run_entry),
    "a payload is another": lambda f, m, c: rows(f, lambda e: [line.replace(b"R-7 leads", b"R-7 steps") for line in e]),
    "its beginning is gone": lambda f, m, c: rows(f, later),
    "it begins later": lambda f, m, c: manifest(rows(f, later), first=json.loads(f[MANIFEST])["first"] + 3),
    "another hash before it": lambda f, m, c: manifest(f, previous=c.randbytes(32).hex()),
    "no hash before it": lambda f, m, c: manifest(f, previous="00" * 32),
    "seals are gone": lambda f, m, c: {**f, SEALS: b""},
    "the last seal is gone": lambda f, m, c: {**f, SEALS: b"".join(f[SEALS].splitlines(keepends=True)[:-2])},
    "a seal is gone": lambda f, m, c: {**f, SEALS: second_gone(f[SEALS].splitlines(keepends=True))},
    "the seals of another journal": lambda f, m, c: {**f, SEALS: bundle(with_run(99))[SEALS]},
    "the entries of another journal": lambda f, m, c: {**f, ENTRIES: bundle(with_run(99))[ENTRIES]},
    "a bundle of another journal": lambda f, m, c: bundle(with_run(99)),
    "another run is meant": lambda f, m, c: manifest(f, selection=OTHER),
    "no manifest": lambda f, m, c: {name: content for name, content in f.items() if name != MANIFEST},
    "no entries": lambda f, m, c: {name: content for name, content in f.items() if name != ENTRIES},
    "a selection of numbers": lambda f, m, c: manifest(f, selection={**OTHER, "run": 7}),
    "a time that is none": lambda f, m, c: manifest(f, selection={**OTHER, "since": "x"}),
    "chained anew without its seals": lambda f, m, c: without_seals(f),
    "begun later, with the right hash": lambda f, m, c: begun_later(f),
    "no first key": lambda f, m, c: line_without(f, 0),
    "a later seal is gone": lambda f, m, c: line_without(f, 2),
    "noise": lambda f, m, c: {**f, ENTRIES: c.randbytes(500)},
}


@pytest.mark.parametrize("kind", FORGED)
@pytest.mark.parametrize("outside", ["key", "anchors"])
def test_every_forged_bundle_is_found(tmp_path: Path, kind: str, outside: str) -> None:
    for seed in range(3):
        made = with_run(seed)
        files = FORGED[kind](bundle(made), copy.deepcopy(made), Random(seed))
        read = AnchorsRead()
        read.take(lines_of(made).splitlines() if outside == "anchors" else (), "log")
        path = at(tmp_path / f"{seed}.tar", files)
        found = verify_bundle(path, anchors=read, trusted=[made.root] if outside == "key" else ())
        assert found.problem, kind


def test_an_anchor_of_another_place_finds_a_bundle_of_a_replaced_journal(tmp_path: Path) -> None:
    true, false = with_run(1), with_run(2)
    read = AnchorsRead()
    read.take(lines_of(true).splitlines(), "log")
    found = verify_bundle(at(tmp_path / "x.tar", bundle(false, anchors=lines_of(false))), anchors=read)
    assert "none is of this journal" in found.problem


def test_an_older_python_says_so_and_not_that_something_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "verify.pyz").write_bytes(verifier())
    older = "import runpy, sys; sys.version_info = (3, 9, 18); runpy.run_path('verify.pyz', run_name='__main__')"
    done = told([sys.executable, "-I", "-S", "-c", older], tmp_path)
    assert done.returncode == 3
    assert done.stderr == "this verifier needs Python 3.11 or newer, and this is 3.9: nothing is shown\n"


def test_the_bundle_is_checked_by_its_own_verifier_with_nothing_but_python(tmp_path: Path) -> None:
    made = with_run()
    path = at(tmp_path / "r7.tar", {**bundle(made, anchors=lines_of(made)), "verify.pyz": verifier()})
    with tarfile.open(path) as tar:
        held = tar.extractfile("verify.pyz")
        assert held is not None
        (tmp_path / "verify.pyz").write_bytes(held.read())
    (tmp_path / "log").write_bytes(lines_of(made))
    run = [sys.executable, "-I", "-S", "-E", "verify.pyz", path.name]
    done = told([*run, "--key", made.root, "--anchors", "log", "--list"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "R-7 leads on" in done.stdout
    assert "another run" not in done.stdout
    files = rows(bundle(made), without_run_entry)
    at(path, files)
    done = told([*run, "--key", made.root], tmp_path)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout
    (tmp_path / "all.ndjson").write_bytes(b"".join(export_line(entry) + b"\n" for entry in made.entries))
    done = told([*run[:-1], "all.ndjson", "--anchors", "log"], tmp_path)
    assert done.returncode == 0, done.stdout
    assert told([*run[:-1], "all.ndjson"], tmp_path).returncode == 3, "without anything from elsewhere it is not shown"


def told(argv: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=120, env={})


def test_a_selection_by_time_and_by_incident() -> None:
    made = with_run()
    headers = [entry.header for entry in made.entries]
    times = [json.loads(header)[2] for header in headers]
    some = [h for h in headers if Selection(since=times[4], until=times[9]).takes(h)]
    assert some == headers[4:10]
    assert sum(Selection(incident="I-1").takes(header) for header in headers) == 1
