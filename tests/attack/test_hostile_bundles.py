"""A bundle from somebody who wants another journal believed, or the verifier to fall: it runs nothing, needs little
memory, says nothing to the terminal, and holds nothing for proven by what is in the bundle itself."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from console.cli.bundles import tar_of, verifier
from state.audit.bundling import files_of_bundle
from state.engine.events import RequestRefused
from state.proof.anchors import AnchorsRead, placed_lines
from state.proof.bundle import ANCHORS, ENTRIES, MANIFEST, SEALS, Selection, verify_bundle
from tests.support.sealed import Written, written

RUN = "R-7"
EVIL = "R-7\x1b]52;c;AAAA\x07\x9b2J\u202e"
MEMORY = 256 << 20


def journal(seed: int, run: str = RUN) -> Written:
    made = written(seed, periods=2, each=4)
    made.append(RequestRefused("it leads"), run=run)
    made.anchor()
    made.seal()
    made.beat(2)
    return made


def lines_of(made: Written) -> bytes:
    return b"".join(f"{anchor.line}\n".encode() for anchor in made.anchors)


def bundle(made: Written, run: str = RUN, anchors: bytes = b"") -> dict[str, bytes]:
    return files_of_bundle(made.entries, Selection(run=run), anchors, {"estate": "small"})[0]


def at(path: Path, files: dict[str, bytes]) -> Path:
    path.write_bytes(tar_of(files))
    return path


def read(*places: tuple[str, bytes]) -> AnchorsRead:
    found = AnchorsRead()
    for name, lines in places:
        found.take(io.BytesIO(lines), name)
    return found


def verified(folder: Path, path: Path, *more: str) -> subprocess.CompletedProcess[bytes]:
    """By the verifier that is one file, with little memory."""
    (folder / "verify.pyz").write_bytes(verifier())
    return subprocess.run(
        [sys.executable, "-I", "-S", "-E", "verify.pyz", str(path), *more], cwd=folder, capture_output=True,
        check=False, timeout=60, env={}, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )  # fmt: skip


@pytest.mark.parametrize("signed", [True, False])
def test_anchors_in_a_bundle_prove_nothing_of_it(tmp_path: Path, signed: bool) -> None:
    made = journal(1)
    if not signed:
        made.anchors = [replace(each, signature="") for each in made.anchors]
    path = at(tmp_path / "own.tar", bundle(made, anchors=lines_of(made)))
    found = verify_bundle(path)
    assert found.problem == ""
    assert found.anchored == 0
    assert any("from elsewhere" in each for each in found.unproven)
    assert verified(tmp_path, path).returncode == 3
    found = verify_bundle(path, anchors=read(("log", lines_of(made))))
    assert found.unproven == (), "the same lines from elsewhere do"


def test_anchors_of_the_true_journal_find_another_one_whatever_it_is_called(tmp_path: Path) -> None:
    true, false = journal(1), journal(2)
    renamed = [replace(each, node="elsewhere", estate="other") for each in false.anchors]
    false.anchors = [replace(each, signature=false.keys[each.period].sign(each.statement, "anchor.recovery"))
                     for each in renamed]  # fmt: skip
    path = at(tmp_path / "false.tar", bundle(false, anchors=lines_of(false)))
    assert "none is of this journal" in verify_bundle(path, anchors=read(("log", lines_of(true)))).problem
    lying = read(("true", lines_of(true)), ("lying", lines_of(false)))
    assert "of true none is of this journal" in verify_bundle(path, anchors=lying).problem
    both = placed_lines("true", lines_of(true)) + placed_lines("lying", lines_of(false))
    assert "of all/true none is of this journal" in verify_bundle(path, anchors=read(("all", both))).problem
    assert verify_bundle(at(tmp_path / "x.tar", bundle(true)), anchors=read(("true", lines_of(true)))).problem == ""


def test_anchors_in_a_bundle_that_contradict_it_are_told(tmp_path: Path) -> None:
    made = journal(1)
    other = [replace(each, hash="00" * 32) for each in made.anchors]
    made.anchors = other
    assert "is another than" in verify_bundle(at(tmp_path / "x.tar", bundle(made, anchors=lines_of(made)))).problem


def test_lines_of_a_place_are_told_as_anchors_and_nothing_else() -> None:
    made = journal(1)
    told = placed_lines("log", b"\x1b]0;evil\x07" + lines_of(made) + b"\x1b[2J\n{}\n")
    assert b"\x1b" not in told
    assert told.count(b"\n") == len(made.anchors) == len(read(("x", told)).anchors)


def told_form(files: dict[str, bytes], **changed: object) -> dict[str, bytes]:
    return {**files, MANIFEST: json.dumps({**json.loads(files[MANIFEST]), **changed}).encode()}


def chosen(files: dict[str, bytes], **changed: object) -> dict[str, bytes]:
    return told_form(files, selection={"run": "", "incident": "", "since": 0, "until": 0} | changed)


HOSTILE: dict[str, Callable[[dict[str, bytes]], dict[str, bytes]]] = {
    "a time too large": lambda f: chosen(f, until=10**400),
    "a time too early": lambda f: chosen(f, since=-(10**400)),
    "a time that is no number": lambda f: chosen(f, until=float("nan")),
    "an entry too far": lambda f: told_form(f, first=10**300),
    "a form with escapes": lambda f: told_form(f, bundle="\x1b[2J"),
    "a deep manifest": lambda f: {**f, MANIFEST: b"[" * 2_000_000},
    "deep seals": lambda f: {**f, SEALS: b'{"kind":"journal.keyed","payload":"' + b"[" * 9_000 + b'","seq":1}\n'},
    "empty lines": lambda f: {**f, ENTRIES: b"\n" * (30 << 20)},
    "empty lines of seals": lambda f: {**f, SEALS: b"\n" * (30 << 20)},
    "carriage returns": lambda f: {**f, SEALS: b"\r" * (30 << 20)},
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_bundle_is_refused_in_words(tmp_path: Path, how: str) -> None:
    path = at(tmp_path / "x.tar", HOSTILE[how](bundle(journal(1))))
    done = verified(tmp_path, path, "--list")
    assert done.returncode == 1
    assert done.stdout.startswith(b"BROKEN"), done.stderr[-500:]
    assert not done.stderr
    assert b"\x1b" not in done.stdout


def member(kind: bytes, name: str, size: int = 0, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    if kind == tarfile.GNUTYPE_SPARSE:  # the whole of it is a hole
        raw[386:410] = b"%011o\0%011o\0" % (size, 0)
        raw[483:495] = b"%011o\0" % size
    else:
        raw[124:136] = b"%011o\0" % size
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return bytes(raw)


MEMBERS = {
    "holes": [member(tarfile.GNUTYPE_SPARSE, f"f{n}", 1 << 30) for n in range(8)],
    "holes for entries": [member(tarfile.GNUTYPE_SPARSE, ENTRIES, 1 << 30)],
    "more than there is": [member(tarfile.REGTYPE, ENTRIES, 1 << 29)],
    "a link out of it": [member(tarfile.SYMTYPE, "../../etc/passwd", link="/etc/shadow")],
    "a hard link": [member(tarfile.LNKTYPE, ENTRIES, link=MANIFEST)],
    "a device": [member(tarfile.CHRTYPE, ENTRIES)],
    "a pipe": [member(tarfile.FIFOTYPE, ENTRIES)],
    "a second manifest": [member(tarfile.REGTYPE, MANIFEST)],
    "a name with escapes": [member(tarfile.SYMTYPE, "\x1b[2J", link="x")],
}


@pytest.mark.parametrize("how", MEMBERS)
def test_what_is_no_plain_file_is_refused_and_costs_nothing(tmp_path: Path, how: str) -> None:
    manifest = bundle(journal(1))[MANIFEST]
    before = tar_of({MANIFEST: manifest})[: 512 + -(-len(manifest) // 512) * 512]
    path = tmp_path / "x.tar"
    path.write_bytes(before + b"".join(MEMBERS[how]) + bytes(1024))
    done = verified(tmp_path, path)
    assert done.returncode == 1
    assert b"is no plain file of a bundle" in done.stdout, done.stderr[-500:]
    assert b"\x1b" not in done.stdout
    assert sorted(each.name for each in tmp_path.iterdir()) == ["verify.pyz", "x.tar"], "nothing is written"


def test_other_files_of_a_bundle_are_not_even_read(tmp_path: Path) -> None:
    made = journal(1)
    files = {**bundle(made), "../../evil.py": b"raise SystemExit(7)", "state/__init__.py": b"raise SystemExit(7)"}
    done = verified(tmp_path, at(tmp_path / "x.tar", files), "--key", made.root)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_journal_says_does_not_act_on_the_terminal(tmp_path: Path) -> None:
    made = journal(1, EVIL)
    path = at(tmp_path / "x.tar", bundle(made, EVIL))
    done = verified(tmp_path, path, "--list", "--key", made.root)
    assert done.returncode == 0
    assert b"it leads" in done.stdout
    assert all(each.isprintable() or each == "\n" for each in done.stdout.decode())


def test_anchors_of_any_time_are_read(tmp_path: Path) -> None:
    made = journal(1)
    made.anchors = [replace(each, at=1e300, hash="00" * 32) for each in made.anchors]
    (tmp_path / "log").write_bytes(lines_of(made))
    done = verified(tmp_path, at(tmp_path / "x.tar", {**bundle(made), ANCHORS: b""}), "--anchors", "log")
    assert done.returncode == 1
    assert b"is another than the anchor" in done.stdout, done.stderr[-300:]
