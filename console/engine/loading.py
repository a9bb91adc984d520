"""Files become an estate with its runbooks: for the engine's start and for checks without a connection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.calendars.reading import SECONDS, read_calendar
from adapters.files.read import read_yaml, runbook_paths
from adapters.registry import kinds
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.config_files.located import Located
from state.errors import ConfigError, Problem
from state.estate.calendars import CalendarTimes, unread
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.estate.windows import WindowEntry
from state.runbooks.books import calls
from state.runbooks.model import Runbook
from state.runbooks.parse import lint_runbook, structure_of
from state.runbooks.related import unfit
from state.verdicts.windows import dates

MOST_SECONDS = 90.0
"""The most time that is spent on all calendars of an estate."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An estate, its valid runbooks by name, the linter's warnings about them, and the invalid ones. `unread` are the
    windows whose calendars cannot be read: the estate has them, with nothing known of them."""

    estate: Estate
    runbooks: Mapping[str, Runbook]
    warnings: Mapping[str, tuple[str, ...]]
    broken: Mapping[str, tuple[Problem, ...]]
    unread: Mapping[str, tuple[Problem, ...]]

    @property
    def notes(self) -> tuple[str, ...]:
        """Which runbooks do not apply to this estate, and why."""
        return tuple(note for name in self.runbooks for note in self.notes_of(name))

    def notes_of(self, name: str) -> tuple[str, ...]:
        """The same of one of them."""
        why = unfit(self.runbooks[name], self.estate, self.runbooks)
        return (f"{name} does not apply here: {why}",) if why else ()


def load(estate_file: Path) -> Loaded:
    """Read everything. Raises ConfigError for the estate; an invalid runbook or calendar must not prevent the engine's
    start."""
    estate, unread_windows = _with_calendars(estate_file, parse_estate(read_yaml(estate_file), kinds()))
    broken: dict[str, tuple[Problem, ...]] = {}
    found: dict[str, Runbook] = {}
    places: dict[str, Path] = {}
    warnings: dict[str, tuple[str, ...]] = {}
    files, unread = _files(estate_file, estate)
    broken.update(unread)
    books = _structures(files)
    for path, located in files.items():
        try:
            runbook, lint = lint_runbook(located, estate, change_kinds(), check_kinds(), books)
        except ConfigError as error:
            broken[path.stem] = error.problems
            continue
        name = runbook.runbook
        if name in places:
            broken[path.stem] = (Problem(str(path), 1, 1, name, f"another name; {places[name]} has this one"),)
            continue
        found[name], places[name] = runbook, path
        warnings[name] = tuple(str(problem) for problem in lint)
    _leave_out_callers(found, broken)
    return Loaded(estate, found, warnings, broken, unread_windows)


def _with_calendars(estate_file: Path, estate: Estate) -> tuple[Estate, dict[str, tuple[Problem, ...]]]:
    """The estate with what the calendars of its windows say, and why some cannot be read."""
    wall, windows, until = time.time(), dict(estate.windows), time.monotonic() + MOST_SECONDS
    problems: dict[str, tuple[Problem, ...]] = {}
    read: dict[tuple[str, str, str], tuple[CalendarTimes, tuple[Problem, ...]]] = {}
    for name, entry in estate.windows.items():
        if entry.calendar is None:
            continue
        what = entry.calendar, entry.zone, entry.summary
        if what not in read:
            left = min(SECONDS, max(0.1, until - time.monotonic()))
            read[what] = _calendar(estate_file.parent / entry.calendar, entry, wall, left)
        times, found = read[what]
        windows[name] = entry.known(times)
        if found:
            problems[name] = found
    return estate.model_copy(update={"windows": windows}), problems


def _calendar(path: Path, entry: WindowEntry, wall: float, seconds: float) -> tuple[CalendarTimes, tuple[Problem, ...]]:
    try:
        return read_calendar(path, entry.zone, entry.summary, wall, seconds=seconds), ()
    except ConfigError as error:
        return unread(path.name, str(error.problems[0])), error.problems


def _files(estate_file: Path, estate: Estate) -> tuple[dict[Path, Located], dict[str, tuple[Problem, ...]]]:
    """The runbook files that can be read, and why others cannot."""
    files: dict[Path, Located] = {}
    broken: dict[str, tuple[Problem, ...]] = {}
    for path in runbook_paths(estate_file, estate.runbooks):
        try:
            files[path] = read_yaml(path)
        except ConfigError as error:
            broken[path.stem] = error.problems
    return files, broken


def _structures(files: Mapping[Path, Located]) -> dict[str, Runbook]:
    """What can be carried out by others, by name; the first of a name."""
    books: dict[str, Runbook] = {}
    for located in files.values():
        book = structure_of(located)
        if book is not None:
            books.setdefault(book.runbook, book)
    return books


def _leave_out_callers(found: dict[str, Runbook], broken: dict[str, tuple[Problem, ...]]) -> None:
    """A runbook that carries out one that is not valid cannot be started either."""
    while lost := [name for name, book in found.items() if not set(calls(book)) <= set(found)]:
        for name in lost:
            book = found.pop(name)
            missing = next(each for each in calls(book) if each not in found)
            broken[name] = (book.located.problem((), missing, "runbooks inside that are valid themselves"),)


@dataclass(frozen=True, slots=True)
class Checked:
    """Every problem that was found, how many runbooks were looked at, and which of them do not apply here and why."""

    problems: tuple[Problem, ...]
    runbooks: int
    notes: tuple[str, ...] = ()


def checked(estate_file: Path) -> Checked:
    """An estate and its runbooks."""
    try:
        loaded = load(estate_file)
    except ConfigError as error:
        return Checked(error.problems, 0)
    calendars = {problem: None for problems in loaded.unread.values() for problem in problems}
    found = (*calendars, *(problem for problems in loaded.broken.values() for problem in problems))
    notes = (*loaded.notes, *dates(loaded.estate.windows, time.time()))
    return Checked(found, len(loaded.runbooks) + len(loaded.broken), notes)


def checked_runbooks(estate_file: Path) -> Checked:
    """The same, where it is a problem when there is no runbook to look at."""
    found = checked(estate_file)
    if found.problems or found.runbooks:
        return found
    none = Problem(str(estate_file), 0, 0, "no runbook", "one in what the estate lists under `runbooks`: *.yaml, *.yml")
    return Checked((none,), 0)


def checked_runbook(estate_file: Path, runbook: Path) -> Checked:
    """One runbook file, in the library or not, against an estate; or that estate."""
    try:
        estate = parse_estate(read_yaml(estate_file), kinds())
        files, _ = _files(estate_file, estate)
        books = _structures(files)
        linted, _ = lint_runbook(read_yaml(runbook), estate, change_kinds(), check_kinds(), books)
    except ConfigError as error:
        return Checked(error.problems, 1)
    return Checked((), 1, Loaded(estate, {**books, linted.runbook: linted}, {}, {}, {}).notes_of(linted.runbook))
