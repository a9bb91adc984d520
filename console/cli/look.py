"""`recovery status`: the overview for a plain terminal and for scripts, from the same fields as the screen."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import click

from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import NOTHING, age, is_fresh, say, say_json, table, withheld
from console.client.engine_client import EngineClient
from console.cluster_text import withheld as unread
from state.api.messages import Hello
from state.api.views.causes import NextKind, NextStep, SubjectKind
from state.api.views.header import DataRisk, HeaderView
from state.api.views.overview import AlertRow, OverviewView, ServiceRow
from state.api.wire import named, with_utc
from state.errors import ExitCode
from state.health import Health
from state.text import cut_middle
from state.units import clock, least, megabytes, millis, percent, utc, utc_since

V = TypeVar("V")
TRIES = 5
"""So often a view is asked for between two headers that must be the same."""
SEVERITY, ALERT = 12, 40
"""So many cells of an alert's severity and name are shown: they are the monitor's, of any length."""


@dataclass(frozen=True, slots=True)
class SeenView(Generic[V]):
    """One view and the header at one instant; `hello` has the clocks for the ages of its values."""

    hello: Hello
    header: HeaderView
    topic: str
    view: V

    def age(self, sources: Iterable[str]) -> str:
        """The age of what came from some sources."""
        return age(sources, self.header, self.hello.mono)

    def known(self, risk: DataRisk) -> DataRisk:
        """What a failover now could lose: unknown where the header of the screens says so too."""
        if withheld(risk.sources, self.header, self.hello.mono):
            return unread(risk)
        return risk

    @property
    def risk(self) -> DataRisk | None:
        """The worst of them as it is known."""
        return None if self.header.risk is None else self.known(self.header.risk)

    def code(self, verdicts: Collection[Health], sources: Iterable[str]) -> ExitCode:
        """The exit code of what was read from some sources: nothing is better than its evidence is fresh."""
        judged, known = verdict_code(verdicts), self.header.sources
        old = any(key not in known or not is_fresh(known[key], self.hello.mono) for key in sources)
        return ExitCode.UNKNOWN if old and judged is ExitCode.DONE else judged

    def as_json(self) -> dict[str, Any]:
        """One document for scripts."""
        hello = self.hello
        return with_utc(
            {
                "estate": hello.estate,
                "environment": hello.environment,
                "mono": hello.mono,
                "wall": hello.wall,
                "you": {"person": hello.person, "roles": list(hello.roles), "may_act": hello.may_act},
                "header": named(replace(self.header, risk=self.risk)),
                self.topic: named(self.view),
            }
        )


async def gather(client: EngineClient, topic: str) -> SeenView[Any]:
    """One view with the header of the same readings, then the engine's clocks.

    A header that is the same before and after the view is of the same readings. While they come faster than that, the
    newest is taken.
    """
    header = await client.view("header")
    for _ in range(TRIES):
        before, view, header = header, await client.view(topic), await client.view("header")
        if before == header:
            break
    return SeenView(await client.hello(), header, topic, view)


def verdict_code(verdicts: Collection[Health]) -> ExitCode:
    """The exit code of verdicts: unknown is not a pass, and no verdict at all is unknown."""
    if Health.FAIL in verdicts:
        return ExitCode.FAILED
    if Health.UNKNOWN in verdicts or not verdicts:
        return ExitCode.UNKNOWN
    return ExitCode.DONE


@click.command()
@estate_option
@json_option
def status(estate: str | None, as_json: bool) -> int:
    """What is wrong, and every service and database in the order to recover them.

    Exit code 0 when nothing is worse than a warning, on fresh evidence; 1 under an alarm, while effects are refused
    and when something fails; 3 when something is unknown, or a source is old or silent.
    """
    seen: SeenView[OverviewView] = ask(gather(client_of(estate, quiet=as_json), "overview"))
    if as_json:
        say_json(seen.as_json())
    else:
        for line in [*heading(seen), "", *_situation(seen), "", *_recover(seen), *_alerts(seen), *_old(seen)]:
            say(line)
    return status_code(seen)


def status_code(seen: SeenView[OverviewView]) -> ExitCode:
    """The exit code of the whole estate, from what the header and the overview show of it."""
    header, view = seen.header, seen.view
    if header.alarms or header.effects:
        return ExitCode.FAILED
    runs_on = any(row.rto is not None and row.rto.ended_mono is None for row in view.recover.values())
    shown = [
        view.health,
        *([Health.UNKNOWN] if runs_on else []),  # what fails no more is not proven to have recovered
        *(cause.health for cause in header.causes),
        *(row.health for row in view.recover.values()),
    ]
    return seen.code(shown, header.sources)


def lost_text(risk: DataRisk) -> str:
    """The bytes at risk."""
    return "unknown" if risk.lost_bytes is None else megabytes(risk.lost_bytes)


def heading(seen: SeenView[Any]) -> list[str]:
    """The estate, the RTO clock, the data at risk and what runs: the first lines of every reading."""
    header, hello = seen.header, seen.hello
    who = f"{hello.person or 'unknown'} ({', '.join(hello.roles) or 'no role'})"
    head = f"journal {header.journal_seq} {header.journal_head[:8]}"
    if header.journal_erased:
        head += f" ({header.journal_erased} without payload)"
    lines = [f"{hello.environment.upper()} {hello.estate}   {utc(hello.wall)}   you: {who}   {head}"]
    risk = seen.risk
    if risk is not None:
        lines.append(
            f"data at risk {lost_text(risk)} of {megabytes(risk.target)} ({risk.database}: {risk.health.value.upper()},"
            f" {seen.age(risk.sources)}) {risk.message}"
        )
    if header.window is not None:
        lines.append(
            f"{'PROTECTED' if header.window.open else 'next window'} {header.window.title}: {header.window.local}"
            f"{header.window.source}"
        )
    if header.windows_unknown:
        lines.append(f"PROTECTED? nobody knows whether it is now: {', '.join(header.windows_unknown)}")
    if header.effects:
        lines.append(f"EFFECTS REFUSED {header.effects}")
    lines += [f"ALARM {alarm}" for alarm in header.alarms]
    if header.running:
        lines.append(f"running {', '.join(header.running)}")
    return lines


def _situation(seen: SeenView[OverviewView]) -> list[str]:
    """The sentence of the screen, then each cause with what waits for it and what to do next."""
    view, mono = seen.view, seen.hello.mono
    lines = [f"{view.health.value.upper()} {view.summary}"]
    told: set[str] = set()
    for cause in seen.header.causes:
        lines.append(f"{cause.health.value.upper()} {cause.sentence(mono)}")
        if cause.victims:
            label = "waits for it" if cause.waited_for else "concerns"
            lines.append(f"  {label}: {', '.join(f'{v.name} ({v.why})' for v in cause.victims)}")
        if cause.next is not None:
            step = _next(cause.next)
            lines.append("  next: the same as above" if step in told else f"  next: {step}")
            told.add(step)
    return lines


def _next(step: NextStep) -> str:
    """What to do next, with the verb where one does it."""
    if step.kind is NextKind.RUNBOOK:
        given = "".join(f" {name}={value}" for name, value in step.arguments.items())
        return f"{step.message} recovery run start {step.name}{given}"
    if step.kind is NextKind.ROLLBACK:
        return f"{step.message} recovery rollback {step.arguments['service']} --to {step.arguments['to']}"
    return f"{step.title}: {step.message} recovery run show {step.name}" if step.kind is NextKind.RUN else step.message


def _recover(seen: SeenView[OverviewView]) -> list[str]:
    view, mono = seen.view, seen.hello.mono
    body = []
    for row in sorted(view.recover.values(), key=lambda row: row.order):
        service = view.services.get(row.name) if row.kind is SubjectKind.SERVICE else None
        figures = [NOTHING] * 3 if service is None else _figures(service)
        body.append(
            [
                row.health.value.upper(),
                "  " * row.depth + row.name,
                row.kind.value,
                *figures,
                NOTHING if row.rto is None else clock(row.rto.target - (mono - row.rto.started_mono)),
                NOTHING if row.since_mono is None else clock(max(0.0, mono - row.since_mono)),
                seen.age(row.sources),
                ", ".join(row.runs) or NOTHING,
                row.message,
            ]
        )
    head = ("VERDICT", "NAME", "KIND", "TIER", "5XX", "P99", "RTO LEFT", "SINCE", "AGE", "RUN", "WHY")
    return table(head, body, right=("TIER", "5XX", "P99", "RTO LEFT", "SINCE", "AGE"))


def _figures(row: ServiceRow) -> list[str]:
    return [
        str(row.tier),
        NOTHING if row.error_ratio is None else percent(row.error_ratio),
        NOTHING if row.p99 is None else least(millis(row.p99), beyond=row.p99_beyond),
    ]


def _old(seen: SeenView[OverviewView]) -> list[str]:
    """The sources whose values are old, with their ages."""
    mono = seen.hello.mono
    rows = [row for row in seen.header.sources.values() if not is_fresh(row, mono)]
    told = [f"  {row.key}: {seen.age([row.key])} {row.message}".rstrip() for row in rows]
    return ["", "old or silent sources:", *told] if told else []


def _alerts(seen: SeenView[OverviewView]) -> list[str]:
    overview = seen.view
    rows = [alert_cells(row, seen.hello.wall) for row in overview.alerts.values()]
    sign = "" if overview.alerts_health is None else f"{overview.alerts_health.value.upper()} "
    message = f"alerts: {sign}{overview.alerts_message}"
    return ["", message, *(table(("SEVERITY", "ALERT", "STATE", "SINCE", "SUMMARY"), rows) if rows else [])]


def alert_cells(row: AlertRow, wall: float) -> list[str]:
    """One row of the table of alerts at a wall time. A name of any length leaves room for the other columns."""
    return [
        cut_middle(row.severity, SEVERITY),
        cut_middle(row.name, ALERT),
        row.state,
        utc_since(row.started_at, wall),
        row.summary,
    ]
