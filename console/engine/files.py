"""The files an engine is built from, as it starts and when they change."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from adapters.files.read import LARGEST, runbook_paths
from adapters.wiring import wire
from console.engine.loading import Loaded, load
from console.engine.seats import Seats, seat_of, seats_of
from state.engine.setup import FilesNow, Setup
from state.errors import ConfigError
from state.host.regular import bounded
from state.planning.library import Library
from state.ports.outside import Outside
from state.runbooks.books import whole_hash

Touched = tuple[tuple[str, int, int, int], ...]
"""Path, time of change, size and inode of every file: equal while none was touched."""


class FilesOfEstate:
    """An estate file with its runbooks. Implements `state.engine.setup.EstateFiles`."""

    def __init__(self, file: Path, seats: Seats) -> None:
        """`seats` are held for what is loaded: no second engine of this host acts there."""
        self._file = file
        self._seats = seats
        self._listed: tuple[str, ...] = ("runbooks",)
        self._broken: frozenset[str] = frozenset()
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
        for _ in range(3):
            before = self._touched(self._listed)
            loaded = load(self._file)
            digest = self._digest(loaded.estate.runbooks)
            if self._touched(self._listed) == before:
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
        """A runbook that is in force must not be lost by a mistake in its file."""
        problems = [p for name, found in loaded.broken.items() if name not in self._broken for p in found]
        if problems:
            raise ConfigError(tuple(problems))

    def _setup(self, loaded: Loaded, digest: str, outside: Outside) -> Setup:
        self._listed, self._broken = loaded.estate.runbooks, frozenset(loaded.broken)
        broken = {name: tuple(map(str, problems)) for name, problems in loaded.broken.items()}
        library = Library(loaded.runbooks, loaded.estate, loaded.warnings, broken)
        hashes = {name: whole_hash(runbook, loaded.runbooks) for name, runbook in loaded.runbooks.items()}
        return Setup(loaded.estate, outside, library, digest, hashes)

    def _paths(self, listed: tuple[str, ...]) -> tuple[Path, ...]:
        try:
            return (self._file, *runbook_paths(self._file, listed))
        except (ConfigError, OSError):
            return (self._file,)

    def _touched(self, listed: tuple[str, ...]) -> Touched:
        found: list[tuple[str, int, int, int]] = []
        for path in self._paths(listed):
            try:
                seen = path.stat()
            except OSError:
                continue
            found.append((str(path), seen.st_mtime_ns, seen.st_size, seen.st_ino))
        return tuple(found)

    def _digest(self, listed: tuple[str, ...]) -> str:
        """Of names and bytes of all files."""
        digest = hashlib.sha256()
        for path in self._paths(listed):
            try:
                content = bounded(path, LARGEST)
            except OSError:
                content = b""
            digest.update(os.fsencode(path.name) + f"\0{len(content)}\0".encode() + content)
        return digest.hexdigest()
