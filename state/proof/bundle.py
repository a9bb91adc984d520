"""A bundle: one run, one incident or one period of a journal with all that proves it, in one tar file.

It has every header from the seal before the first entry that was asked for to the seal behind the last, so that nothing
can be left out unseen; payloads of what was asked for and of what the journal says of itself; every seal from the first
key on; and the anchors that other places had.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from state.host.regular import opened
from state.proof.anchors import AnchorCheck, AnchorsRead
from state.proof.chain import Verifier
from state.proof.encoding import GENESIS, Sealed, canonical, kind_of
from state.proof.lines import ExportLines
from state.proof.seals import KEYED, SEALED, Seal, followed, seal_of
from state.proof.sshsig import fingerprint
from state.units import counted

MANIFEST, ENTRIES, SEALS, ANCHORS = "manifest.json", "entries.ndjson", "seals.ndjson", "anchors.txt"
FORM = 1
READ = (MANIFEST, ENTRIES, SEALS, ANCHORS)
"""The files of a bundle that prove something; no other one is read."""
LARGEST = 1 << 30
"""Bytes of one file in a bundle, at most."""
LATEST = 253_402_300_800
"""Seconds since 1970 at which the last year with four digits is over."""
UNREADABLE = (
    *(OSError, tarfile.TarError, EOFError),
    *(ValueError, LookupError, TypeError, ArithmeticError, RecursionError, AttributeError),
)
OF_ITSELF = ("journal.", "anchor.", "engine.", "clock.")
"""Kinds of entries whose payloads are in every bundle: who ran, whose clock, what was sealed, what was out of reach."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for: entries of a run, of an incident, or recorded from `since` until `until`, seconds since 1970;
    what is empty or 0 asks for nothing."""

    run: str = ""
    incident: str = ""
    since: float = 0.0
    until: float = 0.0

    def takes(self, header: bytes) -> bool:
        """Whether an entry is one of them."""
        try:
            told = json.loads(header)
            at, incident, run = told[2], told[8], told[9]
        except (ValueError, LookupError, TypeError, RecursionError):
            return False
        if self.run or self.incident:
            return bool((self.run and run == self.run) or (self.incident and incident == self.incident))
        return isinstance(at, float | int) and self.since <= at and (not self.until or at <= self.until)

    def __str__(self) -> str:
        if self.run or self.incident:
            return " and ".join(filter(None, (self.run and f"run {self.run}", self.incident)))
        return f"from {self.since:.0f} until {self.until:.0f}" if self.until else f"from {self.since:.0f} on"


def of_itself(header: bytes) -> bool:
    """Whether an entry is about the journal or its engine."""
    return kind_of(header).startswith(OF_ITSELF)


@dataclass(frozen=True, slots=True)
class BundleProof:
    """What a bundle proves. `problem` is what is wrong with it, `unproven` what it cannot show by itself; `selected` of
    its entries were asked for, from `first` to `last` of the journal. `anchored` is the last entry that an anchor from
    elsewhere names: those in the bundle are of whoever made it. `root` is the fingerprint of the first key."""

    problem: str = ""
    unproven: tuple[str, ...] = ()
    selection: str = ""
    selected: int = 0
    first: int = 0
    last: int = 0
    sealed: int = 0
    anchored: int = 0
    root: str = ""


def is_bundle(path: Path) -> bool:
    """Whether a file begins as a bundle does: a tar file whose first one is the manifest. Raises OSError."""
    with opened(path) as file:
        return file.read(len(MANIFEST) + 1) == MANIFEST.encode() + b"\0"


def _selected(told: Mapping[str, Any]) -> Selection:
    """Raises ValueError and TypeError for what is none."""
    found = Selection(**told)
    texts, times = (found.run, found.incident), (found.since, found.until)
    if not all(isinstance(each, str) for each in texts) or not all(isinstance(each, float | int) for each in times):
        raise ValueError("no selection")
    if not all(0 <= each < LATEST for each in times):
        raise ValueError("a time of its selection is none")
    return found


def verify_bundle(path: Path, *, anchors: AnchorsRead | None = None, trusted: Collection[str] = ()) -> BundleProof:
    """Check a bundle by its bytes alone, with anchors and keys that were stored elsewhere."""
    try:
        files = files_of(path)
    except UNREADABLE as error:
        return BundleProof(unreadable(error))
    return verify_files(files, anchors=anchors, trusted=trusted)


def unreadable(error: BaseException) -> str:
    """What is told of a file that is no bundle."""
    return f"it cannot be read as a bundle: {str(error) or type(error).__name__}"


def verify_files(
    files: Mapping[str, bytes], *, anchors: AnchorsRead | None = None, trusted: Collection[str] = ()
) -> BundleProof:
    """Check the files of a bundle."""
    try:
        told = json.loads(files[MANIFEST])
        selection, rows = _selected(told["selection"]), files[ENTRIES]
        begin, before, journal = int(told["first"]), bytes.fromhex(told["previous"]), str(told["journal"])
        if told["bundle"] != FORM:
            return BundleProof(f"it is of form {told['bundle']}, and this verifier reads {FORM}")
        if begin < 1 or len(before) != len(GENESIS) or (begin == 1) != (before == GENESIS):
            return BundleProof("its manifest names no entry that it may begin with")
    except UNREADABLE as error:
        return BundleProof(unreadable(error))
    elsewhere = anchors.anchors if anchors else []
    verifier = Verifier(after=(begin - 1, before), anchors=elsewhere, partly=True)
    verifier.anchors.begin(journal, begin - 1)
    lines = ExportLines(BytesIO(rows))
    kept: list[Sealed] = []
    verifier.feed(_heard(lines, kept))
    broken = lines.broken or _own_anchors(files.get(ANCHORS, b""), journal, begin, kept)
    return _judged(told, selection, verifier, kept, broken, files.get(SEALS, b""), trusted)


def _own_anchors(lines: bytes, journal: str, begin: int, kept: Sequence[Sealed]) -> str:
    """What the anchors in the bundle have against its entries. They prove nothing: whoever made it put them in."""
    read = AnchorsRead()
    read.take(BytesIO(lines), ANCHORS)
    check = AnchorCheck(read.anchors)
    check.begin(journal, begin - 1)
    for entry in kept:
        if entry.seq == check.due and (problem := check.passed(entry.seq, entry.hash)):
            return problem
    return check.end(kept[-1].seq if kept else 0, whole=False)


def _judged(
    told: Mapping[str, Any],
    selection: Selection,
    verifier: Verifier,
    kept: Sequence[Sealed],
    broken: str,
    seal_lines: bytes,
    trusted: Collection[str],
) -> BundleProof:
    begin, end = int(told["first"]), verifier.entries
    begun, seals, problem = _line_of(seal_lines)
    chosen = [entry for entry in kept if selection.takes(entry.header)]
    bare = [str(entry.seq) for entry in chosen if not entry.payload]
    root = fingerprint(begun[0][1]) if begun else ""
    found = verifier.finish()
    problem = (
        broken
        or found.problem
        or problem
        or _root(begun, trusted)
        or _held(verifier, seals, int(told["first"]), str(told["previous"]))
        or verifier.anchors.end(end, whole=False)
        or ("" if chosen else "there is none of the entries that were asked for")
    )
    anchored = found.anchored
    unproven: list[str] = []
    if bare:
        unproven.append(f"of {counted(len(chosen), 'entry', 'entries')} these have no payload: {', '.join(bare[:20])}")
    if not trusted and not anchored:
        unproven.append(
            "no anchor and no key from elsewhere holds it: compare the first key; its own anchors do not count"
        )
    if chosen and max(found.sealed, anchored) < chosen[-1].seq:
        unproven.append(f"entries after {max(found.sealed, anchored, begin - 1)} have neither seal nor anchor yet")
    return BundleProof(
        problem, tuple(unproven), str(selection), len(chosen), begin, end, found.sealed, anchored, root
    )  # fmt: skip


def _heard(lines: Iterable[Sealed], kept: list[Sealed]) -> Iterable[Sealed]:
    for entry in lines:
        kept.append(entry)
        yield entry


def files_of(path: Path) -> dict[str, bytes]:
    """The files that prove something, by name; nothing is written anywhere, and no more is read than the file has.
    Raises OSError, and ValueError for one that is too large or not plain."""
    found: dict[str, bytes] = {}
    with opened(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        whole = os.fstat(file.fileno()).st_size
        for member in tar:
            plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
            if not plain or member.size > min(LARGEST, whole) or member.name in found:
                raise ValueError(f"{member.name} is no plain file of a bundle")
            held = tar.extractfile(member)
            assert held is not None, "it is a regular file"
            found[member.name] = held.read(member.size) if member.name in READ else b""
    return {name: content for name, content in found.items() if name in READ}


def seal_line(entry: Sealed) -> bytes:
    """An entry about keys, as a line of the seals of a bundle."""
    told = {"kind": kind_of(entry.header), "payload": entry.payload.decode("ascii", "replace"), "seq": entry.seq}
    return canonical(told) + b"\n"


def _line_of(lines: bytes) -> tuple[list[tuple[int, str]], list[Seal], str]:
    """The keys with which lines begin, all seals, and what is wrong with them."""
    begun: list[tuple[int, str]] = []
    parts: list[list[Seal]] = []
    for number, line in enumerate(BytesIO(lines), 1):
        try:
            told = json.loads(line)
            seq, kind, payload = int(told["seq"]), told["kind"], str(told["payload"]).encode()
            if kind == KEYED:
                begun.append((seq, str(json.loads(payload)["public"])))
                parts.append([])
                continue
        except (ValueError, LookupError, TypeError, RecursionError):
            return begun, [], f"line {number} of {SEALS} cannot be read"
        seal = seal_of(seq, payload) if kind == SEALED else None
        if seal is None or not parts:
            return begun, [], f"line {number} of {SEALS} is no seal"
        if not parts[-1] and seal.public != begun[-1][1]:
            return begun, [], f"the seal of entry {seq} is made with another key than entry {begun[-1][0]} names"
        parts[-1].append(seal)
    seals = [seal for part in parts for seal in part]
    return begun, seals, next(filter(None, map(followed, parts)), "")


def _root(begun: Sequence[tuple[int, str]], trusted: Collection[str]) -> str:
    for seq, public in begun if trusted else begun[1:]:
        if fingerprint(public) not in trusted:
            return f"entry {seq} begins with the key {fingerprint(public)}, which nothing from elsewhere proves"
    return "there is no key in it, and one was given" if trusted and not begun else ""


def _held(verifier: Verifier, seals: Sequence[Seal], begin: int, previous: str) -> str:
    """Whether the seals of the line are those of the entries that are here."""
    here = {seal.seq: seal for seal in verifier.seals.seals}
    known = {seal.seq: seal for seal in seals}
    for seq, seal in here.items():
        if known.get(seq) != seal:
            return f"the seal of entry {seq} is not in the line of keys"
    between = [seal for seal in seals if begin <= seal.seq <= verifier.entries and seal.seq not in here]
    if between:
        return f"the line of keys has a seal in entry {between[0].seq}, which the entries have not"
    former = [seal for seal in seals if seal.last == begin - 1]
    if begin > 1 and former and former[-1].head != previous:
        return f"what follows entry {begin - 1} does not follow from what was sealed there"
    if begin > 1 and seals and not former:
        return f"it begins at entry {begin}, and no seal ends before it"
    return ""
