"""`recovery status`: the overview for a plain terminal and for scripts."""

from __future__ import annotations

from typing import Any

import click

from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import NOTHING, age, say, say_json, table
from console.client.engine_client import EngineClient
from state.errors import ExitCode
from state.units import megabytes, millis, percent, utc

WORST = ("fail", "unknown", "warn", "pass")
"""Verdicts, gravest first."""


async def gather(client: EngineClient, *topics: str) -> dict[str, Any]:
    """Some views at one instant, with the engine's clocks: `mono` ages what the views hold."""
    hello = await client.hello()
    views = {topic: await client.view(topic) for topic in ("header", *topics)}
    now = await client.hello()
    who = {"person": hello.person, "roles": list(hello.roles), "may_act": hello.may_act}
    return {
        "estate": now.estate,
        "environment": now.environment,
        "mono": now.mono,
        "wall": now.wall,
        "you": who,
        **views,
    }


def verdict_code(verdicts: list[str]) -> ExitCode:
    """The exit code of a reading: unknown is no pass, and nothing read at all is unknown."""
    if "fail" in verdicts:
        return ExitCode.FAILED
    if "unknown" in verdicts or not verdicts:
        return ExitCode.UNKNOWN
    return ExitCode.DONE


@click.command()
@estate_option
@json_option
def status(estate: str | None, as_json: bool) -> int:
    """Services by recovery priority: verdict, figures and the age of every value.

    Exit code 1 when a service fails, 3 when one is unknown.
    """
    seen = ask(gather(client_of(estate, quiet=as_json), "overview"))
    rows = sorted(seen["overview"]["services"].values(), key=lambda row: row["order"])
    if as_json:
        say_json(seen)
    else:
        for line in [*heading(seen), "", *_services(seen, rows), *_alerts(seen)]:
            say(line)
    return verdict_code([row["health"] for row in rows])


def heading(seen: dict[str, Any]) -> list[str]:
    """Where we are, the promise, the risk, what runs: on top of every reading."""
    header = seen["header"]
    you = seen["you"]
    who = f"{you['person'] or 'nobody here'} ({', '.join(you['roles']) or 'no role'})"
    head = f"journal {header['journal_seq']} {header['journal_head'][:8]}"
    lines = [f"{seen['environment'].upper()} {seen['estate']}   {utc(seen['wall'])}   you: {who}   {head}"]
    risk = header["risk"]
    if risk:
        lost = "unknown" if risk["lost_bytes"] is None else megabytes(risk["lost_bytes"])
        lines.append(
            f"data at risk {lost} of {megabytes(risk['target'])} ({risk['database']}: {risk['health'].upper()},"
            f" {age(risk['sources'], header, seen['mono'])}) {risk['message']}"
        )
    if header["effects"]:
        lines.append(f"EFFECTS REFUSED {header['effects']}")
    lines += [f"ALARM {alarm}" for alarm in header["alarms"]]
    if header["running"]:
        lines.append(f"running {', '.join(header['running'])}")
    return lines


def _services(seen: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    body = [
        [
            row["health"].upper(),
            row["name"],
            str(row["tier"]),
            NOTHING if row["error_ratio"] is None else percent(row["error_ratio"]),
            NOTHING if row["p99"] is None else millis(row["p99"]),
            row["releases"],
            age([row["source"]], seen["header"], seen["mono"]) if row["source"] else "never",
            row["message"],
        ]
        for row in rows
    ]
    head = ("VERDICT", "SERVICE", "TIER", "5XX", "P99", "RELEASES", "AGE", "WHY")
    advice = seen["overview"]["advice"]
    return [*([advice] if advice else []), *table(head, body, right=("TIER", "5XX", "P99", "AGE"))]


def _alerts(seen: dict[str, Any]) -> list[str]:
    overview = seen["overview"]
    rows = [
        [row["severity"], row["name"], row["state"], utc(row["started_at"]), row["summary"]]
        for row in overview["alerts"].values()
    ]
    message = f"alerts: {overview['alerts_health'].upper()} {overview['alerts_message']}"
    return ["", message, *(table(("SEVERITY", "ALERT", "STATE", "SINCE", "SUMMARY"), rows) if rows else [])]
