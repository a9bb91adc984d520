"""Checks of an estate's own: a question to something it has, and what its answer means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from state.config_files.findings import Finding, refuse
from state.estate.conditions import AnswerCondition, ValueCondition, found
from state.estate.entry import Entry, Seconds, SecretRef
from state.estate.own import LOCAL, Argv, ExitCode, wrong_programs
from state.estate.own_calls import HeaderName, HeaderValue, needed_by, wrong_urls
from state.estate.own_sessions import KeysCheck, SessionCheck
from state.estate.values import DatabaseName, HostOrLocal, MonitorName
from state.estate.waivers import Waivers

ASKED = ("promql", "http", "sql", "command", "session", "keys")
LOGINS = 30.0
"""Seconds between two logins, at least: each leaves a session behind."""
Query = Annotated[str, Field(min_length=1, max_length=4000)]


class PromqlCheck(Entry):
    """An instant query to a monitor. Every series must fit `pass`; without any series nothing is known.

    `fail` says what fails where not everything else does: what fits neither is unknown then. No sample older than
    `look_back` counts, where the server knows that parameter.
    """

    monitor: MonitorName
    query: Query
    passes: ValueCondition = Field(alias="pass")
    fails: ValueCondition | None = Field(default=None, alias="fail")
    look_back: Seconds = 120.0


class HttpCheck(Entry):
    """A GET; redirects are answers, and are not followed. Without an answer nothing is known, unless `unreachable` says
    that it fails."""

    url: str
    headers: Mapping[HeaderName, HeaderValue] = Field(default_factory=dict)
    secret_headers: Mapping[HeaderName, SecretRef] = Field(default_factory=dict)
    ca: str | None = None
    waive: Waivers = Waivers()
    unreachable: Literal["unknown", "fail"] = "unknown"
    passes: AnswerCondition = Field(default=AnswerCondition(), alias="pass")
    fails: AnswerCondition | None = Field(default=None, alias="fail")

    @model_validator(mode="after")
    def _waives_what_it_needs(self) -> HttpCheck:
        self.waive.refuse_needless(type(self), needed_by(self.url))
        return self


class SqlCheck(Entry):
    """A query in a transaction that only reads, at the primary, by the account that reads the cluster. The first column
    of every row must fit `pass`; without any row nothing is known."""

    database: DatabaseName
    query: Query
    passes: ValueCondition = Field(alias="pass")
    fails: ValueCondition | None = Field(default=None, alias="fail")


class CommandCheck(Entry):
    """A command that only reads. Exit codes that are in neither list are unknown."""

    argv: Argv
    on: HostOrLocal = LOCAL
    passes: tuple[ExitCode, ...] = Field(default=(0,), alias="pass")
    fails: tuple[ExitCode, ...] = Field(default=(1,), alias="fail")


class OwnCheck(Entry):
    """One check, asked all the time like every other source: exactly one of promql, http, sql, command, session and
    keys."""

    title: Annotated[str, Field(max_length=120)] = ""
    promql: PromqlCheck | None = None
    http: HttpCheck | None = None
    sql: SqlCheck | None = None
    command: CommandCheck | None = None
    session: SessionCheck | None = None
    keys: KeysCheck | None = None
    every: Seconds = 10.0
    timeout: Seconds = 5.0
    stale_after: Seconds = 35.0

    @model_validator(mode="after")
    def _sound(self) -> OwnCheck:
        asked = [name for name in ASKED if getattr(self, name) is not None]
        if len(asked) != 1:
            raise ValueError(f"exactly one of {', '.join(ASKED)}, not {' and '.join(asked) or 'none of them'}")
        if self.stale_after <= self.every + self.timeout:
            raise ValueError("a stale_after of more than every and timeout together")
        if self.session is not None and self.every < LOGINS:
            raise ValueError(f"an every of {LOGINS:g}s or more: each login leaves a session behind")
        refuse(type(self), self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        if self.http is not None:
            urls: dict[tuple[str | int, ...], str] = {("http", "url"): self.http.url}
            yield from wrong_urls(urls, plain=self.http.waive.tls is not None)
        if self.command is not None:
            yield from wrong_programs({("command", "argv"): self.command.argv})
            if set(self.command.passes) & set(self.command.fails):
                yield ("command", "fail"), self.command.fails, "other exit codes than those of pass"


def told_apart(passed: bool | None, failed: bool | None, *, has_fail: bool) -> bool | None:
    """Pass or fail from two conditions, each of which may be unknown. Without a second one, what does not pass fails;
    what fits both fails. None is unknown."""
    if failed:
        return False
    if passed is None or failed is None:
        return None
    return True if passed else None if has_fail else False


def by_values(passes: ValueCondition, fails: ValueCondition | None, values: Sequence[Any]) -> bool | None:
    """Pass when all values pass; one that cannot be compared is neither. None is unknown."""
    told = [passes.told(value) for value in values]
    failed = fails is not None and any(fails.fits(value) for value in values)
    return told_apart(None if None in told or not told else all(told), failed, has_fail=fails is not None)


def by_answer(
    passes: AnswerCondition, fails: AnswerCondition | None, status: int, data: Any, *, readable: bool
) -> bool | None:
    """The same of an answer over HTTP; a field of what is not readable cannot be compared."""

    def told(condition: AnswerCondition) -> bool | None:
        if not condition.about(status) or not condition.field:
            return condition.about(status)
        return condition.told(found(data, condition.field)) if readable else None

    failed = told(fails) if fails is not None else False
    absent = fails is not None and readable and found(data, fails.field) is None
    return told_apart(told(passes), False if failed is None and absent else failed, has_fail=fails is not None)
