"""`python -m state.proof FILE`: whether a bundle or an export of a journal is what was recorded; nothing else needed.

Exit code 0 when it is proven, 1 when something is wrong, 3 when it is not shown.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from state.host.regular import opened
from state.proof.anchors import AnchorsRead
from state.proof.bundle import ENTRIES, MANIFEST, Selection, files_of, is_bundle, verify_bundle
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
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return NOT_SHOWN


def _holds(sealed: int, anchored: int, root: str) -> str:
    return f"sealed up to entry {sealed}, anchored up to entry {anchored}; first key {root or 'none'}"


def _told(problem: str, unproven: Sequence[str]) -> int:
    if problem:
        print(f"BROKEN: {problem}")
        return WRONG
    for each in unproven:
        print(f"not shown: {each}")
    return NOT_SHOWN if unproven else PROVEN


def _bundle(path: Path, read: AnchorsRead, keys: Sequence[str], *, listed: bool) -> int:
    found = verify_bundle(path, anchors=read, trusted=keys)
    if not found.problem:
        asked = counted(found.selected, "entry", "entries")
        print(f"{asked} ({found.selection}), within entries {found.first} to {found.last}, which are whole")
        print("what the journal has before and after these is not in this bundle")
        print(_holds(found.sealed, found.anchored, found.root))
        if listed:
            _list(path)
    return _told(found.problem, found.unproven)


def _list(path: Path) -> None:
    files = files_of(path)
    selection = Selection(**json.loads(files[MANIFEST])["selection"])
    for entry in ExportLines(files[ENTRIES].splitlines(keepends=True)):
        if not selection.takes(entry.header):
            continue
        seq, _, at, _, _, actor, _, kind, *_ = json.loads(entry.header)
        print(f"{seq:>7}  {utc_date(at)}  {actor:<12}  {kind:<22}  {_words(entry.payload)}")


def _words(payload: bytes) -> str:
    said: Any = json.loads(payload).get("words", "") if payload else "(no payload)"
    return "".join(each if each.isprintable() else "�" for each in str(said))


def _export(path: Path, read: AnchorsRead, keys: Sequence[str], head: str) -> int:
    with opened(path) as file:
        found = verify_export(file, known=head.lower(), anchors=read.anchors, trusted=keys)
    problem = found.problem or ("" if found.entries else "there is no entry")
    if head and not (problem or found.known):
        problem = f"no entry has the hash {head}"
    if not problem:
        print(f"the chain of {counted(found.entries, 'entry', 'entries')} is valid, head {found.head.hex()}")
        print(_holds(found.sealed, found.anchored, found.root))
    unproven = [found.torn] if found.torn else []
    if not (found.anchored or keys or head):
        unproven.append("no anchor, key or head from elsewhere holds it")
    return _told(problem, unproven)


if __name__ == "__main__":
    sys.exit(main())
