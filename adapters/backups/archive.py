"""A folder of WAL and a folder of plain base backups, each with its manifest (PostgreSQL 13 and later).

A backup's end is in its manifest, whose own time is that of its end by the clock of the host that made it.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from adapters.backups.asking import StoreAsked
from adapters.backups.commits import DUMP, CommitTimes, time_for_one
from adapters.backups.segments import HISTORY, USUAL, forks_of, name_of_segment, place_of_segment, runs_of, size_of
from adapters.databases.postgres_descent import parse_lsn
from adapters.net.answers_read import MALFORMED
from state.errors import ReadFailure, Trouble
from state.estate.backups import BackupsEntry
from state.text import clean
from state.world.backup_parts import BackupReading, BackupSet
from state.world.shapes import misfit

LIST = (
    'set -e; cd -- "$1"; for f in *; do echo "wal $f"; done; '
    'for f in *.history; do [ ! -f "$f" ] || sed "s/^/history $f /" "$f"; done; cd -- "$2"; '
    'for d in */; do m="${d}backup_manifest"; l="${d}backup_label"; if [ -f "$m" ] && [ -f "$l" ]; then '
    'echo "base $(stat -c %Y "$m") $(head -n 1 "$l") $(tail -n 20 "$m" | tr -s "[:space:]" " ") in ${d%/}"; '
    'elif [ -d "$d" ]; then echo "bare ${d%/}"; fi; done'
)
"""For a shell: every file of WAL, every history line by line, every backup with its begin and its manifest's end."""
BASE = re.compile(
    r"base (\d+) START WAL LOCATION: ([0-9A-F]+/[0-9A-F]+) \(file ([0-9A-F]{24})\) "
    r'.*"WAL-Ranges": (\[[^\]]*\]).* in (.+)'
)
UNFIT = "it has no manifest with its end, or no label"
LONGEST = 200


class WalArchive:
    """Both folders, on one host."""

    def __init__(self, database: str, entry: BackupsEntry, asked: StoreAsked) -> None:
        self._database, self._entry, self._asked = database, entry, asked
        self._commits = CommitTimes()

    async def read(self, *, deadline: float) -> BackupReading:
        """What is there. Raises ReadFailure."""
        end = time.monotonic() + deadline
        folders = [self._entry.wal or "", self._entry.base or ""]
        said = await self._asked.say(["sh", "-c", LIST, "sh", *folders], deadline=deadline)
        try:
            reading = parse_archive(self._database, said.decode(errors="replace"))
        except MALFORMED as error:
            message = f"the archive of {self._database}: {type(error).__name__}: {error}"
            raise ReadFailure(Trouble.ERROR, clean(message, LONGEST)) from error
        if self._entry.waldump is None:
            return reading
        size = reading.segment_size
        runs = await self._commits.fill(reading.runs, lambda t, s: self._segment(name_of_segment(t, s, size), end))
        return BackupReading(reading.database, "", size, reading.sets, runs, reading.forks)

    async def _segment(self, name: str, end: float) -> str:
        words = [self._entry.waldump or "", f"{self._entry.wal}/{name}"]
        said = await self._asked.say(["sh", "-c", DUMP, "sh", *words], deadline=time_for_one(end, self._entry.timeout))
        return said.decode(errors="replace")


def parse_archive(database: str, said: str) -> BackupReading:
    """What `LIST` says. Raises ValueError, LookupError and TypeError for what is not as it must be."""
    names, bases, bare = list[str](), list[re.Match[str]](), list[str]()
    histories: dict[int, str] = {}
    for line in said.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "wal":
            names.append(rest)
        elif kind == "history" and (found := HISTORY.fullmatch(rest.partition(" ")[0])):
            timeline = int(found[1], 16)
            histories[timeline] = f"{histories.get(timeline, '')}{rest.partition(' ')[2]}\n"
        elif kind == "base" and (whole := BASE.fullmatch(line)):
            bases.append(whole)
        elif kind in ("bare", "base"):
            bare.append(rest.rpartition(" in ")[2] if kind == "base" else rest)
    size = size_of((each[3], parse_lsn(each[2])) for each in bases) if bases else USUAL
    places = [place for name in names if (place := place_of_segment(name, size)) is not None]
    trouble = f"backup {clean(bare[0], 80)} cannot be judged: {UNFIT}" if bare else ""
    sets = tuple(_set(each, size) for each in bases)
    made = BackupReading(database, "", size, sets, runs_of(places), forks_of(histories), trouble)
    if (where := misfit(made)) is not None:
        raise TypeError(f"a value of another kind at {where}")
    return made


def _set(found: re.Match[str], size: int) -> BackupSet:
    """One backup; the time of its manifest is in whole seconds, cut off."""
    ranges: list[dict[str, Any]] = json.loads(found[4])
    first, last = ranges[0], max(ranges, key=lambda each: parse_lsn(each["End-LSN"]))
    timeline = last["Timeline"]
    if type(timeline) is not int:
        raise ValueError("a timeline that is no number")
    return BackupSet(
        found[5], "base", timeline, parse_lsn(first["Start-LSN"]) // size, parse_lsn(last["End-LSN"]),
        float(int(found[1]) + 1),
    )  # fmt: skip
