"""What a bundle has of a journal: the entries that were asked for, whole, and what proves them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256

from state.audit.controls import CONTROLS
from state.proof.bundle import ANCHORS, ENTRIES, FORM, MANIFEST, SEALS, Selection, of_itself, seal_line
from state.proof.encoding import GENESIS, Sealed, canonical, kind_of
from state.proof.lines import export_line
from state.proof.seals import KEYED, SEALED, seal_of
from state.units import counted

SESSIONS, AROUND = "sessions.ndjson", 300.0
"""The part of the session log in a bundle, and for how many seconds before and after the entries it is told."""
README = """\
This is a part of a journal of recovery, with what proves it. To check it with nothing but Python (3.11 or later):

    python3 verify.pyz THIS-FILE.tar --key SHA256:... --anchors LINES-OF-A-PLACE

Take the key and the anchors from where they were stored outside of the host of the journal; the anchors in this bundle
were given by whoever made it, and do not count. Take verify.pyz from elsewhere, too: this one was put in by the same.
`--list` prints what the entries say. Exit code 0: proven; 1: something is wrong; 3: not all of it is shown.

manifest.json    what was asked for, where the entries begin, and of the estate what its file says: not proven
entries.ndjson   all headers from entry to entry; payloads of what was asked for and of the journal's own entries
seals.ndjson     all seals from the first key on, signed as by ssh-keygen -Y sign, namespace journal.recovery
anchors.txt      anchors of other places
sessions.ndjson  what consoles showed and what was pressed there, in that time: told by the consoles, not proven
controls.md      to which controls these can be evidence; to be checked by a compliance reader
"""


@dataclass(frozen=True, slots=True)
class Bundled:
    """How much is in a bundle: entries that were asked for, the first and the last entry of all that are there."""

    selected: int = 0
    first: int = 0
    last: int = 0

    def __str__(self) -> str:
        asked = counted(self.selected, "entry", "entries")
        return f"{asked} within entries {self.first} to {self.last}"


def files_of_bundle(
    journal: Sequence[Sealed],
    selection: Selection,
    anchors: bytes,
    about: Mapping[str, object],
    sessions: bytes = b"",
) -> tuple[dict[str, bytes], Bundled]:
    """The files by name, from all entries of a journal in order; nothing where none was asked for."""
    keyed = [entry for entry in journal if kind_of(entry.header) in (KEYED, SEALED)]
    seals = [seal for entry in keyed if (seal := seal_of(entry.seq, entry.payload)) is not None]
    chosen = [entry.seq for entry in journal if selection.takes(entry.header)]
    if not chosen:
        return {}, Bundled()
    before = next((seal for seal in reversed(seals) if seal.last < chosen[0]), None)
    behind = next((seal for seal in seals if seal.last >= chosen[-1]), None)
    first, previous = (before.last + 1, before.head) if before else (journal[0].seq, GENESIS.hex())
    last = behind.seq if behind else journal[-1].seq
    part = [_withheld(entry, selection) for entry in journal if first <= entry.seq <= last]
    files = {
        ENTRIES: b"".join(export_line(entry) + b"\n" for entry in part),
        SEALS: b"".join(map(seal_line, keyed)),
        ANCHORS: anchors,
        SESSIONS: _between(sessions, [entry for entry in journal if chosen[0] <= entry.seq <= chosen[-1]]),
        "controls.md": CONTROLS.encode(),
        "README.txt": README.encode(),
    }
    manifest = {
        **about,
        "bundle": FORM,
        "selection": asdict(selection),
        "selected": len(chosen),
        "first": first,
        "previous": previous,
        "journal": journal[0].hash.hex(),
        "files": {name: sha256(content).hexdigest() for name, content in files.items()},
    }
    return {MANIFEST: canonical(manifest) + b"\n", **files}, Bundled(len(chosen), first, last)


def _between(sessions: bytes, entries: Sequence[Sealed]) -> bytes:
    """The lines of the session log from the first to the last of these entries, and a little around."""
    times = [at for entry in entries if isinstance(at := json.loads(entry.header)[2], int | float)]
    if not times:
        return b""
    return b"".join(
        line
        for line in sessions.splitlines(keepends=True)
        if isinstance(at := _at(line), int | float) and min(times) - AROUND <= at <= max(times) + AROUND
    )


def _at(line: bytes) -> object:
    """The time of a line of the session log; None of one that is cut off."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return told.get("at") if isinstance(told, dict) else None


def _withheld(entry: Sealed, selection: Selection) -> Sealed:
    """An entry that was not asked for, without what it says."""
    if selection.takes(entry.header) or of_itself(entry.header):
        return entry
    return replace(entry, salt=b"", payload=b"")
