"""pgBackRest: what is in a repository, by its own `info`, `repo-ls` and `repo-get`, which only read.

Source: pgBackRest command reference; `info --output=json` as 2.45 gives it. `info` names the first and the last segment
only: gaps are found in the list of files.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from adapters.backups.asking import StoreAsked
from adapters.backups.commits import DUMP, CommitTimes, time_for_one
from adapters.backups.segments import HISTORY, forks_of, name_of_segment, place_of_segment, runs_of, size_of
from adapters.databases.postgres_descent import parse_lsn
from adapters.net.answers_read import MALFORMED, read_json
from state.errors import ReadFailure, Trouble
from state.estate.backups import BackupsEntry
from state.text import clean
from state.world.backup_parts import BackupReading, BackupSet
from state.world.shapes import misfit

UNPACK = {".gz": "gzip -dc", ".lz4": "lz4 -dc", ".zst": "zstd -dqc", ".bz2": "bzip2 -dc", "": "cat"}
"""What reads a segment by the end of its name in the repository."""
SEGMENT_SCRIPT = (
    'set -e; d=$(mktemp -d); trap "rm -rf -- $d" EXIT; w=$1 n=$2 u=$3; shift 3; '
    '"$@" | $u > "$d/$n"; set -- "$w" "$d/$n"; ' + DUMP
)
MOST_HISTORIES = 200
LONGEST = 200


class PgBackRest:
    """One stanza of one repository."""

    def __init__(self, database: str, entry: BackupsEntry, asked: StoreAsked) -> None:
        self._database, self._entry, self._asked = database, entry, asked
        self._histories: dict[str, str] = {}
        self._commits = CommitTimes()
        self._files: dict[tuple[int, int], str] = {}

    async def read(self, *, deadline: float) -> BackupReading:
        """What is there. Raises ReadFailure."""
        end = time.monotonic() + deadline
        try:
            said = await self._asked.say(self._call("info", "--output=json"), deadline=deadline)
            told, archive = parse_info(said, self._database, self._entry.stanza or "", self._entry.repo)
            listed = await self._list(archive, end) if archive else []
            return await self._with_wal(told, listed, archive, end)
        except MALFORMED as error:
            message = f"pgBackRest: its answer is not as expected ({type(error).__name__}: {error})"
            raise ReadFailure(Trouble.ERROR, clean(message, LONGEST)) from error

    def _call(self, command: str, *more: str) -> list[str]:
        return [*self._entry.command, f"--stanza={self._entry.stanza}", f"--repo={self._entry.repo}", command, *more]

    async def _list(self, archive: str, end: float) -> list[str]:
        argv = self._call("repo-ls", "--recurse", f"archive/{self._entry.stanza}/{archive}")
        return (await self._asked.say(argv, deadline=end - time.monotonic())).decode(errors="replace").splitlines()

    async def _with_wal(self, told: BackupReading, listed: Sequence[str], archive: str, end: float) -> BackupReading:
        """What `info` told, with the WAL that is there."""
        size = told.segment_size
        self._files = segments_in(listed, size)
        histories = await self._read_histories(listed, archive, end)
        runs = runs_of(self._files)
        if self._entry.waldump is not None:
            runs = await self._commits.fill(runs, lambda t, s: self._segment(t, s, size, archive, end))
        return replace(told, runs=runs, forks=forks_of(histories))

    async def _read_histories(self, listed: Sequence[str], archive: str, end: float) -> dict[int, str]:
        """Histories by timeline. One that is there is read once."""
        found: dict[int, str] = {}
        for path in [each for each in listed if HISTORY.fullmatch(each.rpartition("/")[2])][-MOST_HISTORIES:]:
            if path not in self._histories:
                argv = self._call("repo-get", f"archive/{self._entry.stanza}/{archive}/{path}")
                said = await self._asked.say(argv, deadline=end - time.monotonic())
                self._histories[path] = said.decode(errors="replace")
            found[int(path.rpartition("/")[2][:8], 16)] = self._histories[path]
        return found

    async def _segment(self, timeline: int, segment: int, size: int, archive: str, end: float) -> str:
        path = self._files[timeline, segment]
        ending = next((each for each in UNPACK if each and path.endswith(each)), "")
        name = name_of_segment(timeline, segment, size)
        get = self._call("repo-get", f"archive/{self._entry.stanza}/{archive}/{path}")
        argv = ["sh", "-c", SEGMENT_SCRIPT, "sh", self._entry.waldump or "", name, UNPACK[ending], *get]
        return (await self._asked.say(argv, deadline=time_for_one(end, self._entry.timeout))).decode(errors="replace")


def parse_info(said: bytes, database: str, stanza: str, repo: int) -> tuple[BackupReading, str]:
    """What `info` tells of a repository, without its WAL, and the folder of the WAL; empty where there is none. Raises
    ReadFailure for a stanza that is not there, and what `MALFORMED` has."""
    told = _stanza(read_json(said), stanza)
    now = _newest_id(told, repo)
    rows = [row for row in told["backup"] if row["database"] == {"id": now, "repo-key": repo}]
    size = size_of((row["archive"]["start"], parse_lsn(row["lsn"]["start"])) for row in rows)
    held = told.get("status", {}).get("lock", {}).get("backup", {}).get("held") is True
    sets = tuple(_set(row, size) for row in rows)
    made = BackupReading(database, _system_id(told, repo), size, sets, (), {}, _trouble(told, repo), held)
    if (where := misfit(made)) is not None:
        raise TypeError(f"a value of another kind at {where}")
    return made, _archive_of(told, repo)


def segments_in(listed: Sequence[str], size: int) -> dict[tuple[int, int], str]:
    """The whole segments of a list of files, each with its file. Each has its checksum behind its name; `.partial`,
    `.backup` and what is being copied have not."""
    found: dict[tuple[int, int], str] = {}
    for path in listed:
        name = path.rpartition("/")[2]
        place = place_of_segment(name[:24], size)
        if place is not None and name[24:25] == "-" and not name.endswith(".pgbackrest.tmp"):
            found[place] = path
    return found


def _stanza(whole: Any, name: str) -> dict[str, Any]:
    found = [each for each in whole if each["name"] == name]
    if len(found) != 1:
        raise ReadFailure(Trouble.EMPTY, f"pgBackRest knows no stanza {name}")
    stanza: dict[str, Any] = found[0]
    return stanza


def _newest_id(stanza: dict[str, Any], repo: int) -> int | None:
    """The database as it is now: after an upgrade the stanza has the older ones too."""
    return max((each["id"] for each in stanza["db"] if each["repo-key"] == repo), default=None)


def _archive_of(stanza: dict[str, Any], repo: int) -> str:
    """The folder of the WAL of the database as it is now."""
    now = _newest_id(stanza, repo)
    found = [each for each in stanza["archive"] if each["database"] == {"id": now, "repo-key": repo}]
    return str(found[-1]["id"]) if found else ""


def _system_id(stanza: dict[str, Any], repo: int) -> str:
    now = _newest_id(stanza, repo)
    found = [each for each in stanza["db"] if each["id"] == now and each["repo-key"] == repo]
    return str(found[0]["system-id"]) if found else ""


def _trouble(stanza: dict[str, Any], repo: int) -> str:
    """What it says is wrong, of the stanza and of the repository."""
    said = [each["status"] for each in stanza.get("repo", []) if each.get("key") == repo] or [stanza["status"]]
    return "; ".join(clean(str(each["message"]), LONGEST) for each in said if each["code"] != 0)


def _set(row: dict[str, Any], size: int) -> BackupSet:
    """One backup. Its times are whole seconds, cut off: it has stopped a second later at the latest."""
    errors: list[str] = []
    if row.get("error") is True:
        listed = row.get("error-list") or []
        errors = [clean(f"page checksum errors in {each}", LONGEST) for each in listed[:5]] or ["flagged with errors"]
    elif row.get("error") is not False:
        errors = ["it does not say whether it has errors"]
    place = place_of_segment(row["archive"]["start"], size)
    if place is None:
        raise ValueError("a backup begins at no segment of WAL")
    return BackupSet(
        row["label"], row["type"], place[0], place[1], parse_lsn(row["lsn"]["stop"]),
        float(row["timestamp"]["stop"] + 1), tuple(row.get("reference") or ()), tuple(errors),
    )  # fmt: skip
