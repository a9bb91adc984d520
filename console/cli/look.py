"""`recovery status`: the overview for a plain terminal and for scripts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import click

from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import NOTHING, age, is_fresh, say, say_json, table
from console.client.engine_client import EngineClient
from state.api.messages import Hello
from state.api.views.header import HeaderView
from state.api.views.overview import OverviewView, ServiceRow
from state.api.views.replication import ReplicationView
from state.api.wire import named, with_utc
from state.errors import ExitCode
from state.health import Health
from state.units import clock, megabytes, millis, percent, utc

V = TypeVar("V")


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
                "header": named(self.header),
                self.topic: named(self.view),
            }
        )


async def gather(client: EngineClient, topic: str) -> SeenView[Any]:
    """One view with the header, then the engine's clocks."""
    header, view = await client.view("header"), await client.view(topic)
    return SeenView(await client.hello(), header, topic, view)


def verdict_code(verdicts: Collection[Health]) -> ExitCode:
    """The exit code of a reading: unknown is not a pass, and no verdict at all is unknown."""
    if Health.FAIL in verdicts:
        return ExitCode.FAILED
    if Health.UNKNOWN in verdicts or not verdicts:
        return ExitCode.UNKNOWN
    return ExitCode.DONE


@click.command()
@estate_option
@json_option
def status(estate: str | None, as_json: bool) -> int:
    """Services and databases by recovery priority: verdict, figures and the age of every value.

    Exit code 0 only when everything passes on fresh evidence, 1 under an alarm or when something fails, 3 when
    something is unknown.
    """
    seen, databases = ask(_everything(client_of(estate, quiet=as_json)))
    services = sorted(seen.view.services.values(), key=lambda row: row.order)
    if as_json:
        say_json({**seen.as_json(), "databases": named(databases.clusters)})
    else:
        rows = _databases(seen, databases) + _services(seen, services)
        for line in [*heading(seen), "", *_table(seen, rows), *_alerts(seen), *_old(seen)]:
            say(line)
    return status_code(seen, [*(r.health for r in services), *(r.health for r in databases.clusters.values())])


async def _everything(client: EngineClient) -> tuple[SeenView[OverviewView], ReplicationView]:
    replication: ReplicationView = await client.view("replication")
    return await gather(client, "overview"), replication


def status_code(seen: SeenView[OverviewView], watched: Collection[Health]) -> ExitCode:
    """The exit code of the whole estate: a failure under any alarm, else the worst of what is watched.

    Alerts count where the estate has a source of them.
    """
    if seen.header.alarms:
        return ExitCode.FAILED
    alerting = any(key.partition(":")[0] == "alerts" for key in seen.header.sources)
    return verdict_code([*watched, *([seen.view.alerts_health] if alerting and watched else [])])


def heading(seen: SeenView[Any]) -> list[str]:
    """The estate, the RTO clock, the data at risk and what runs: the first lines of every reading."""
    header, hello = seen.header, seen.hello
    who = f"{hello.person or 'unknown'} ({', '.join(hello.roles) or 'no role'})"
    head = f"journal {header.journal_seq} {header.journal_head[:8]}"
    lines = [f"{hello.environment.upper()} {hello.estate}   {utc(hello.wall)}   you: {who}   {head}"]
    risk = header.risk
    if risk is not None:
        lost = "unknown" if risk.lost_bytes is None else megabytes(risk.lost_bytes)
        lines.append(
            f"data at risk {lost} of {megabytes(risk.target)} ({risk.database}: {risk.health.value.upper()},"
            f" {seen.age(risk.sources)}) {risk.message}"
        )
    if header.effects:
        lines.append(f"EFFECTS REFUSED {header.effects}")
    lines += [f"ALARM {alarm}" for alarm in header.alarms]
    if header.running:
        lines.append(f"running {', '.join(header.running)}")
    return lines


def _table(seen: SeenView[OverviewView], body: list[list[str]]) -> list[str]:
    head = ("VERDICT", "NAME", "KIND", "TIER", "5XX", "P99", "RTO LEFT", "RELEASES", "AGE", "WHY")
    advice = seen.view.advice
    return [*([advice] if advice else []), *table(head, body, right=("TIER", "5XX", "P99", "RTO LEFT", "AGE"))]


def _databases(seen: SeenView[OverviewView], view: ReplicationView) -> list[list[str]]:
    """A row for each database, with the age of the readings that its data at risk is judged by."""
    sources = {name: [n.sources for n in view.nodes.values() if n.cluster == name] for name in view.clusters}
    return [
        [
            row.health.value.upper(),
            row.name,
            "database",
            *[NOTHING] * 5,
            seen.age(row.risk.sources or [key for keys in sources[row.name] for key in keys]),
            row.message,
        ]
        for row in view.clusters.values()
    ]


def _services(seen: SeenView[OverviewView], rows: list[ServiceRow]) -> list[list[str]]:
    mono = seen.hello.mono
    return [
        [
            row.health.value.upper(),
            row.name,
            "service",
            str(row.tier),
            NOTHING if row.error_ratio is None else percent(row.error_ratio),
            NOTHING if row.p99 is None else millis(row.p99),
            NOTHING
            if row.rto is None or row.rto.ended_mono is not None
            else clock(row.rto.target - (mono - row.rto.started_mono)),
            row.releases or NOTHING,
            seen.age([row.source]) if row.source else "never",
            row.message,
        ]
        for row in rows
    ]


def _old(seen: SeenView[OverviewView]) -> list[str]:
    """The sources whose values are old, with their ages."""
    mono = seen.hello.mono
    rows = [row for row in seen.header.sources.values() if not is_fresh(row, mono)]
    told = [f"  {row.key}: {seen.age([row.key])} {row.message}".rstrip() for row in rows]
    return ["", "old or silent sources:", *told] if told else []


def _alerts(seen: SeenView[OverviewView]) -> list[str]:
    overview = seen.view
    rows = [
        [row.severity, row.name, row.suppressed.text if row.suppressed else row.state, utc(row.started_at), row.summary]
        for row in overview.alerts.values()
    ]
    message = f"alerts: {overview.alerts_health.value.upper()} {overview.alerts_message}"
    return ["", message, *(table(("SEVERITY", "ALERT", "STATE", "SINCE", "SUMMARY"), rows) if rows else [])]
