"""The sources of an estate's own checks: each asks its question and judges the answer by its conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from adapters.commands.command import OwnCommand
from adapters.context import keep_nothing
from adapters.databases.postgres import PostgresNode
from adapters.databases.statements import first_column
from adapters.monitors.promql import PromApi, QuerySeries
from adapters.net.answers_read import read_json
from adapters.net.http_read import HttpReader
from state.errors import ReadFailure, Trouble
from state.estate.conditions import ValueCondition, all_fit, no_number
from state.estate.own_checks import CommandCheck, HttpCheck, PromqlCheck, SqlCheck, fits_any, told_apart
from state.health import Health
from state.text import clean
from state.world.readings import OwnCheckReading

SHOWN = 3
"""So many series or rows are named."""
LONGEST = 300
MOST_BYTES = 1 << 20
MOST_SHOWN = 4096
"""So much of an answer is looked at for what is shown of it."""


def judged(name: str, fits: bool | None, message: str) -> OwnCheckReading:
    """The reading of an answer; what fits neither condition is unknown."""
    health = Health.UNKNOWN if fits is None else Health.PASS if fits else Health.FAIL
    said = f"neither passes nor fails: {message}" if fits is None else message
    return OwnCheckReading(name, health, clean(said, LONGEST))


class PromqlSource:
    """Asks Prometheus."""

    def __init__(self, name: str, entry: PromqlCheck, api: PromApi) -> None:
        self._name, self._entry, self._api = name, entry, api
        self.close = api.close

    async def read(self, *, deadline: float) -> OwnCheckReading:
        """Every series must fit. Raises ReadFailure without any."""
        rows = await self._api.query(self._entry.query, deadline=deadline, look_back=self._entry.look_back)
        if not rows:
            young = f"younger than {self._entry.look_back:g} s"
            raise ReadFailure(Trouble.EMPTY, f"{self._api.name} has no series for it that is {young}")
        values = tuple(row.value for row in rows)
        fits = by_values(self._entry.passes, self._entry.fails, values)
        wrong = [row for row in rows if not self._entry.passes.fits(row.value)] or rows
        said = ", ".join(f"{_labels(row)} {row.value:g}".strip() for row in wrong[:SHOWN])
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        return judged(self._name, fits, f"{said}{more}, wanted {self._entry.passes}")


class HttpSource:
    """Asks one address."""

    def __init__(self, name: str, entry: HttpCheck, reader: HttpReader, path: str, hide: Callable[[str], str]) -> None:
        self._name, self._entry, self._reader, self._path, self._hide = name, entry, reader, path, hide
        self.close = reader.close

    async def read(self, *, deadline: float) -> OwnCheckReading:
        """Any complete answer is judged. Raises ReadFailure without one."""
        try:
            reply = await self._reader.fetch(self._path, deadline=deadline, cap=MOST_BYTES)
        except ReadFailure as error:
            if self._entry.unreachable == "fail" and error.trouble in (Trouble.UNREACHABLE, Trouble.TIMEOUT):
                return judged(self._name, False, error.message)
            raise
        try:
            data: Any = read_json(reply.body) if reply.body else None
        except ValueError:
            data = None
        passed = self._entry.passes.answered(reply.status, data)
        failed = None if self._entry.fails is None else self._entry.fails.answered(reply.status, data)
        said = self._hide(reply.text[:MOST_SHOWN])[:80] if not passed else ""
        answered = f"answered {reply.status}" + (f": {said}" if said else "")
        return judged(self._name, told_apart(passed, failed), f"{answered}, wanted {self._entry.passes}")


class SqlSource:
    """Asks the primary of a cluster."""

    close = staticmethod(keep_nothing)

    def __init__(self, name: str, entry: SqlCheck, servers: Sequence[PostgresNode]) -> None:
        self._name, self._entry, self._servers = name, entry, servers

    async def read(self, *, deadline: float) -> OwnCheckReading:
        """The first column of every row must fit. Raises ReadFailure without a row or a primary."""
        rows = await first_column(self._servers, self._entry.query, deadline=deadline)
        if not rows:
            raise ReadFailure(Trouble.EMPTY, "the query gives no row")
        wrong = [each for each in rows if not self._entry.passes.fits(each)] or list(rows)
        said = ", ".join(str(each) for each in wrong[:SHOWN])
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        fits = by_values(self._entry.passes, self._entry.fails, rows)
        return judged(self._name, fits, f"{said}{more}, wanted {self._entry.passes}")


class CommandSource:
    """Runs a command that only reads."""

    close = staticmethod(keep_nothing)

    def __init__(self, name: str, entry: CommandCheck, target: OwnCommand) -> None:
        self._name, self._entry, self._target = name, entry, target

    async def read(self, *, deadline: float) -> OwnCheckReading:
        """By its exit code. Raises ReadFailure when it did not end by itself."""
        answer = await self._target.read(self._entry.argv, effect="", deadline=deadline)
        return judged(
            self._name, told_apart(answer.code in self._entry.passes, answer.code in self._entry.fails), str(answer)
        )


def by_values(passes: ValueCondition, fails: ValueCondition | None, values: tuple[Any, ...]) -> bool | None:
    """Pass when all values pass; a value that is no number is neither. None is unknown."""
    if any(value is None or no_number(value) for value in values):
        return False if fails is not None and fits_any(fails, values) else None
    return told_apart(all_fit(passes, values), None if fails is None else fits_any(fails, values))


def _labels(row: QuerySeries) -> str:
    named = {name: value for name, value in row.labels.items() if name != "__name__"}
    return ",".join(f"{name}={value}" for name, value in sorted(named.items()))
