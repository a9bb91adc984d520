"""The files an engine is built from, as it starts and when they change."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.calendars.reading import MOST_BYTES
from adapters.files.read import LARGEST, runbook_paths
from adapters.wiring import wire
from console.engine.loading import Loaded, load
from console.engine.seats import Seats, seat_of, seats_of
from state.engine.setup import FilesNow, Setup
from state.errors import ConfigError
from state.estate.model import Estate
from state.host.regular import bounded
from state.planning.library import Library
from state.ports.outside import Outside
from state.runbooks.books import whole_hash

Touched = tuple[tuple[str, int, int, int], ...]
"""Path, time of change, size and inode of every file: equal while none was touched."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What an estate names besides itself: runbooks or folders of them, and calendars."""

    runbooks: tuple[str, ...] = ("runbooks",)
    calendars: tuple[str, ...] = ()


def listed_of(estate: Estate) -> Listed:
    """The same of an estate."""
    calendars = (entry.calendar for entry in estate.windows.values() if entry.calendar is not None)
    return Listed(estate.runbooks, tuple(dict.fromkeys(calendars)))


class FilesOfEstate:
    """An estate file with its runbooks and calendars. Implements `state.engine.setup.EstateFiles`."""

    def __init__(self, file: Path, seats: Seats) -> None:
        """`seats` are held for what is loaded: no second engine of this host acts there."""
        self._file = file
        self._seats = seats
        self._listed = Listed()
        self._broken: frozenset[str] = frozenset()
        self._unread: frozenset[str] = frozenset()
        self._last: tuple[Touched, FilesNow] | None = None

    def first(self) -> Setup:
        """What an engine starts with. Raises ConfigError; an invalid runbook must not prevent the start. Raises Refused
        where another engine of this host acts."""
        loaded, digest = self._read()
        self._seats.hold([seat_of(self._file)])
        outside = wire(loaded.estate, self._file.parent)
        self._seats.hold(seats_of(self._file, outside))
        return self._setup(loaded, digest, outside)

    def load(self, now: Setup) -> Setup:
        """What a running engine takes. What it gives up it holds until the next time: this one may still be refused."""
        loaded, digest = self._read()
        self._require_whole(loaded)
        outside = wire(loaded.estate, self._file.parent, (now.estate, now.outside))
        self._seats.hold([*seats_of(self._file, now.outside), *seats_of(self._file, outside)])
        return self._setup(loaded, digest, outside)

    def _read(self) -> tuple[Loaded, str]:
        """Everything with its digest. What is written meanwhile is read again; a writer without end is told later."""
        listed = self._listed
        for _ in range(3):
            before = self._touched(listed)
            loaded = load(self._file)
            digest = self._digest(listed_of(loaded.estate))
            listed = replace(listed, calendars=listed_of(loaded.estate).calendars)
            if self._touched(listed) == before:
                break
        return loaded, digest

    def look(self) -> FilesNow:
        """The files now; parsed again only when one was touched."""
        touched = self._touched(self._listed)
        if self._last is None or self._last[0] != touched:
            at = max((changed for _, changed, _, _ in touched), default=0) / 1e9
            self._last = touched, FilesNow(self._digest(self._listed), at, self._problem())
        return self._last[1]

    def _problem(self) -> str:
        try:
            self._require_whole(load(self._file))
        except ConfigError as error:
            more = f" and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
            return f"{error.problems[0]}{more}"
        return ""

    def _require_whole(self, loaded: Loaded) -> None:
        """A runbook or a calendar that is in force must not be lost by a mistake in its file."""
        problems = [p for name, found in loaded.broken.items() if name not in self._broken for p in found]
        problems += [p for name, found in loaded.unread.items() if name not in self._unread for p in found]
        if problems:
            raise ConfigError(tuple(problems))

    def _setup(self, loaded: Loaded, digest: str, outside: Outside) -> Setup:
        self._listed, self._broken = listed_of(loaded.estate), frozenset(loaded.broken)
        self._unread = frozenset(loaded.unread)
        broken = {name: tuple(map(str, problems)) for name, problems in loaded.broken.items()}
        library = Library(loaded.runbooks, loaded.estate, loaded.warnings, broken)
        hashes = {name: whole_hash(runbook, loaded.runbooks) for name, runbook in loaded.runbooks.items()}
        return Setup(loaded.estate, outside, library, digest, hashes)

    def _paths(self, listed: Listed) -> tuple[Path, ...]:
        calendars = tuple(self._file.parent / name for name in listed.calendars)
        try:
            return (self._file, *calendars, *runbook_paths(self._file, listed.runbooks))
        except (ConfigError, OSError):
            return (self._file, *calendars)

    def _touched(self, listed: Listed) -> Touched:
        found: list[tuple[str, int, int, int]] = []
        for path in self._paths(listed):
            try:
                seen = path.stat()
            except OSError:
                continue
            found.append((str(path), seen.st_mtime_ns, seen.st_size, seen.st_ino))
        return tuple(found)

    def _digest(self, listed: Listed) -> str:
        """Of names and bytes of all files."""
        digest = hashlib.sha256()
        for path in self._paths(listed):
            try:
                content = bounded(path, max(LARGEST, MOST_BYTES))
            except OSError:
                content = b""
            digest.update(os.fsencode(path.name) + f"\0{len(content)}\0".encode() + content)
        return digest.hexdigest()
