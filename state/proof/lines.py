"""An exported journal: one entry a line, with everything that a verifier needs who has nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from state.proof.anchors import Anchor
from state.proof.chain import Verification, Verifier
from state.proof.encoding import Sealed, canonical

OTHER_FILES = {
    b"\x1f\x8b": "it is compressed (gzip): unpack it first",
    b"BZh": "it is compressed (bzip2): unpack it first",
    b"\xfd7zXZ": "it is compressed (xz): unpack it first",
    b"\x28\xb5\x2f\xfd": "it is compressed (zstd): unpack it first",
    b"PK\x03\x04": "it is an archive (zip): unpack it first",
    b"\xff\xfe": "it was rewritten in UTF-16: export it again with -o FILE",
    b"\xfe\xff": "it was rewritten in UTF-16: export it again with -o FILE",
}
"""What a file that is no export begins with."""
BOM = b"\xef\xbb\xbf"
MOST_EMPTY = 1000
"""Empty lines that may be behind the last entry."""


def export_line(entry: Sealed) -> bytes:
    """One entry as a line of an export: everything an offline verifier needs."""
    return canonical(
        {
            "seq": entry.seq,
            "header": entry.header.decode("ascii", "replace"),
            "hash": entry.hash.hex(),
            "salt": entry.salt.hex(),
            "payload": entry.payload.decode("ascii", "replace"),
        }
    )


def verify_export(
    lines: Iterable[bytes], *, known: str = "", anchors: Sequence[Anchor] = (), trusted: Collection[str] = ()
) -> Verification:
    """Check the lines of an export. A last one without its end is torn (a crash, a copy that was cut), not tampering.

    With `known` the entry is found whose hash begins so. Without it and without `anchors` nothing shows that whole
    lines are missing at the end. `trusted`: see `Verifier.prove`.
    """
    read, verifier = ExportLines(lines), Verifier(known, anchors=anchors)
    verifier.feed(read)
    found = verifier.prove(trusted=trusted)
    if found.problem or not read.broken:
        return found
    if read.torn and found.entries:
        return replace(found, torn=f"{read.broken}: it is cut short")
    return replace(found, problem=read.broken)


class ExportLines:
    """The entries of an export up to the first line that is none, which is then `broken`; `torn` when it is the last
    one and not ended. Behind the last entry there may be empty lines."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines, self.broken, self.torn = lines, "", False

    def __iter__(self) -> Iterator[Sealed]:
        empty = 0
        for number, line in enumerate(self._lines, 1):
            if self.broken:
                self.torn = False
                return
            if not line.strip(b"\r\n"):
                empty += 1
                if empty < MOST_EMPTY:
                    continue
            entry = None if empty else _entry(line.removeprefix(BOM) if number == 1 else line)
            if entry is None:
                other = next((what for magic, what in OTHER_FILES.items() if line.startswith(magic)), "")
                self.broken = f"line {number} is not a journal entry" + (f": {other}" if other else "")
                self.torn = not line.endswith(b"\n")
            else:
                yield entry


def _entry(line: bytes) -> Sealed | None:
    """The entry of a line; None for all bytes but those that `export_line` makes of it: what is written in another way
    might be read in another way."""
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    try:
        raw = json.loads(line)
        seq = raw["seq"]
        if type(seq) is not int:
            return None
        entry = Sealed(
            seq,
            raw["header"].encode("ascii"),
            bytes.fromhex(raw["hash"]),
            bytes.fromhex(raw["salt"]),
            raw["payload"].encode("ascii"),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return entry if export_line(entry) == line else None
