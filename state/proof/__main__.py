"""`python -m state.proof FILE`: whether a bundle or an export of a journal is what was recorded; nothing else needed.

Exit code 0 when it is proven, 1 when something is wrong, 3 when it is not shown.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TextIO

from state.host.regular import opened
from state.proof.anchors import AnchorsRead
from state.proof.bundle import ENTRIES, MANIFEST, UNREADABLE, Selection, files_of, is_bundle, unreadable, verify_files
from state.proof.encoding import Sealed
from state.proof.lines import ExportLines, verify_export
from state.units import counted, utc_date

PROVEN, WRONG, NOT_SHOWN = 0, 1, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Check one file and say what it proves."""
    parser = argparse.ArgumentParser(prog="verify", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="a bundle, or an export of a whole journal")
    parser.add_argument("--anchors", type=Path, action="append", default=[], metavar="FILE", help="lines of a place")
    parser.add_argument("--key", action="append", default=[], metavar="SHA256:…", help="a first key, stored elsewhere")
    parser.add_argument("--head", default="", metavar="HASH", help="the hash of an entry, stored elsewhere")
    parser.add_argument("--list", action="store_true", help="print what the entries say")
    given = parser.parse_args(argv)
    read = AnchorsRead()
    try:
        for path in given.anchors:
            with opened(path) as file:
                read.take(file, path.name)
        if given.anchors and not read.anchors:
            return _told("there is no anchor in the files that were given", ())
        if is_bundle(given.file):
            return _bundle(given.file, read, given.key, listed=given.list)
        return _export(given.file, read, given.key, given.head)
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}", sys.stderr)
        return NOT_SHOWN


def _say(line: str, out: TextIO | None = None) -> None:
    """One line. What a hostile file says must not act on a terminal, nor make a line of its own."""
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)
    out = out or sys.stdout
    coding = out.encoding or "ascii"
    print(shown.encode(coding, "replace").decode(coding), file=out)


def _holds(sealed: int, anchored: int, root: str) -> str:
    return f"sealed up to entry {sealed}, anchored up to entry {anchored}; first key {root or 'none'}"


def _told(problem: str, unproven: Sequence[str]) -> int:
    if problem:
        _say(f"BROKEN: {problem}")
        return WRONG
    for each in unproven:
        _say(f"not shown: {each}")
    return NOT_SHOWN if unproven else PROVEN


def _bundle(path: Path, read: AnchorsRead, keys: Sequence[str], *, listed: bool) -> int:
    try:
        files = files_of(path)
    except UNREADABLE as error:
        return _told(unreadable(error), ())
    found = verify_files(files, anchors=read, trusted=keys)
    if not found.problem:
        asked = counted(found.selected, "entry", "entries")
        _say(f"{asked} ({found.selection}), within entries {found.first} to {found.last}, which are whole")
        _say("what the journal has before and after these is not in this bundle")
        _say(_holds(found.sealed, found.anchored, found.root))
        if listed:
            _list(files)
    return _told(found.problem, found.unproven)


def _list(files: Mapping[str, bytes]) -> None:
    selection = Selection(**json.loads(files[MANIFEST])["selection"])
    for entry in ExportLines(BytesIO(files[ENTRIES])):
        if selection.takes(entry.header):
            _say(_line(entry))


def _line(entry: Sealed) -> str:
    try:
        seq, _, at, _, _, actor, _, kind, *_ = json.loads(entry.header)
        told = json.loads(entry.payload).get("words", "") if entry.payload else "(no payload)"
        return f"{seq:>7}  {utc_date(at)}  {actor!s:<12}  {kind!s:<22}  {told}"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return f"{entry.seq:>7}  is written in another way than an engine does"


def _export(path: Path, read: AnchorsRead, keys: Sequence[str], head: str) -> int:
    with opened(path) as file:
        found = verify_export(file, known=head.lower(), anchors=read.anchors, trusted=keys)
    problem = found.problem or ("" if found.entries else "there is no entry")
    if head and not (problem or found.known):
        problem = f"no entry has the hash {head}"
    if not problem:
        _say(f"the chain of {counted(found.entries, 'entry', 'entries')} is valid, head {found.head.hex()}")
        _say(_holds(found.sealed, found.anchored, found.root))
    unproven = [found.torn] if found.torn else []
    if not (found.anchored or keys or head):
        unproven.append("no anchor, key or head from elsewhere holds it")
    return _told(problem, unproven)


if __name__ == "__main__":
    sys.exit(main())
