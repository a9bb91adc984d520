"""The sources of an estate's own checks: each asks its question and judges the answer by its conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from adapters.commands.command import OwnCommand
from adapters.context import keep_nothing
from adapters.databases.postgres import PostgresNode
from adapters.databases.statements import first_column
from adapters.monitors.promql import PromApi, QuerySeries
from adapters.net.answers_read import Ambiguous, read_json
from adapters.net.http_read import HttpReader
from state.errors import ReadFailure, Trouble
from state.estate.conditions import Limits, found, shown
from state.estate.own_checks import CommandCheck, HttpCheck, PromqlCheck, SqlCheck, by_answer, by_values, told_apart
from state.health import Health
from state.text import clean
from state.world.readings import OwnCheckReading

SHOWN = 3
"""So many series or rows are named."""
SHOWN_TEXT = 80
LONGEST = 300
CASTS = {str: " (cast it: ::numeric)", timedelta: " (cast it: extract(epoch from …))"}
"""How a query makes a number of what is none."""
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
        data, unread = _json(reply.body)
        fits = by_answer(self._entry.passes, self._entry.fails, reply.status, data, readable=not unread)
        told = self._fields(reply.status, data, unread)
        if not told and not self._entry.passes.about(reply.status):
            told = self._shown(reply.text)
        answered = f"answered {reply.status}" + (f": {told}" if told else "")
        return judged(self._name, fits, f"{answered}, wanted {self._entry.passes}")

    def _fields(self, status: int, data: Any, unread: str) -> str:
        """What the fields are that count at this status."""
        both = [each for each in (self._entry.passes, self._entry.fails) if each is not None and each.field]
        asked = [each for each in both if each.about(status)]
        if asked and unread:
            return self._shown(unread)
        return ", ".join(
            {each.field: f"{each.field} {self._is(each, found(data, each.field))}" for each in asked}.values()
        )

    def _is(self, condition: Limits, value: Any) -> str:
        """`is 0`, and what that is where it cannot be compared."""
        if value is None:
            return "has no value"
        unlike = condition.unlike(value)
        return f"is {self._shown(shown(value))}" + (f" ({unlike})" if unlike else "")

    def _shown(self, text: str) -> str:
        return self._hide(text[:MOST_SHOWN])[:SHOWN_TEXT]


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
        said = ", ".join(self._told(each) for each in wrong[:SHOWN])
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        fits = by_values(self._entry.passes, self._entry.fails, rows)
        return judged(self._name, fits, f"{said}{more}, wanted {self._entry.passes}")

    def _told(self, value: Any) -> str:
        unlike = self._entry.passes.unlike(value)
        cast = CASTS.get(type(value), "") if unlike else ""
        return (f"{shown(value)} is {unlike}" if unlike and value is not None else shown(value)) + cast


class CommandSource:
    """Runs a command that only reads."""

    close = staticmethod(keep_nothing)

    def __init__(self, name: str, entry: CommandCheck, target: OwnCommand) -> None:
        self._name, self._entry, self._target = name, entry, target

    async def read(self, *, deadline: float) -> OwnCheckReading:
        """By its exit code. Raises ReadFailure when it did not end by itself."""
        answer = await self._target.read(self._entry.argv, effect="", deadline=deadline)
        passed, failed = answer.code in self._entry.passes, answer.code in self._entry.fails
        return judged(self._name, told_apart(passed, failed, has_fail=True), str(answer))


def _json(body: bytes) -> tuple[Any, str]:
    """The data of an answer, and why there is none."""
    try:
        return read_json(body), ""
    except Ambiguous as error:
        return None, str(error)
    except ValueError:
        return None, f"no JSON: {body[:MOST_SHOWN].decode(errors='replace')}" if body.strip() else "no content"


def _labels(row: QuerySeries) -> str:
    named = {name: value for name, value in row.labels.items() if name != "__name__"}
    return ",".join(f"{name}={value}" for name, value in sorted(named.items()))
