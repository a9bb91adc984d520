"""Alerts of real Alertmanagers: pairs, silences, inhibition, severities, watchdogs."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from state.checks.alerts import NoAlerts, no_alerts
from state.health import Health
from tests.contract.alertmanagers import NOW, WATCHDOG, Desk, alertmanagers, named, post_alerts, post_silence
from tests.contract.web import canned

CASES = Path(__file__).parents[1] / "fixtures" / "cases"


def case(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((CASES / name / "alerts.json").read_text())
    return rows


async def test_20_alertmanager_pair(tmp_path: Path) -> None:
    with alertmanagers(tmp_path, 2) as (one, two):
        for url in (one, two):
            post_alerts(url, *case("20-alertmanager-pair"))
        desk = Desk(tmp_path, {"a": one, "b": two})
        verdict = await desk.until(lambda v: len(v.firing) == 1 and len(v.firing[0].sources) == 2)
        assert (verdict.health, verdict.message) == (Health.FAIL, "1 firing: HighErrorRate")
        assert [(k.alert.name, k.sources) for k in verdict.shown] == [("HighErrorRate", ("alerts:a", "alerts:b"))]
        silent = desk.age("b", 10.0)
        assert (silent.health, silent.proven) == (Health.FAIL, True)
        assert silent.message.startswith("1 firing: HighErrorRate; b: no data since")
        await desk.close()


@pytest.mark.parametrize("cluster", ["main", ""])
async def test_one_of_a_pair_down_is_still_evidence_two_on_their_own_are_not(tmp_path: Path, cluster: str) -> None:
    with alertmanagers(tmp_path) as (url,):
        post_alerts(url, WATCHDOG)
        desk = Desk(tmp_path, {"a": url, "b": "http://127.0.0.1:1"}, cluster=cluster)
        verdict = await desk.read("a")
        assert verdict.health is (Health.PASS if cluster else Health.UNKNOWN)
        assert "b: no data yet" in verdict.message
        assert verdict.proven is bool(cluster)
        await desk.close()


async def test_alerts_of_two_on_their_own_are_united(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with alertmanagers(tmp_path / "a") as (one,), alertmanagers(tmp_path / "b") as (two,):
        post_alerts(one, WATCHDOG, named("DiskFull", "warning"), named("HighErrorRate"))
        post_alerts(two, WATCHDOG, named("LinkDown"), named("HighErrorRate"))
        desk = Desk(tmp_path, {"a": one, "b": two})
        verdict = await desk.until(lambda v: len(v.firing) == 3)
        assert {k.alert.name: k.sources for k in verdict.firing} == {
            "DiskFull": ("alerts:a",),
            "LinkDown": ("alerts:b",),
            "HighErrorRate": ("alerts:a", "alerts:b"),
        }
        await desk.close()


@pytest.mark.parametrize("severity", ["page", "PAGE", "critical", "CRITICAL", "Critical"])
async def test_22_severity_page(tmp_path: Path, severity: str) -> None:
    rows = case("22-severity-page")
    rows[1]["labels"]["severity"] = severity
    with alertmanagers(tmp_path) as (url,):
        post_alerts(url, *rows)
        desk = Desk(tmp_path, {"am": url})
        verdict = await desk.until(lambda v: v.firing)
        assert (verdict.health, verdict.message) == (Health.FAIL, "1 firing: CheckoutDown")
        assert no_alerts(NoAlerts(severity="critical"), desk.world, desk.estate, NOW).health is (
            Health.FAIL if severity.lower() == "critical" else Health.PASS
        )
        await desk.close()


async def test_severities_of_the_estate_go_before_the_usual_meaning(tmp_path: Path) -> None:
    levels = {"fail": ["Sev-Red"], "warn": ["page"], "info": ["warning"]}
    with alertmanagers(tmp_path) as (url,):
        post_alerts(url, WATCHDOG, named("A", "page"), named("B", "warning"))
        desk = Desk(tmp_path, {"am": url}, severities=levels)
        verdict = await desk.until(lambda v: len(v.shown) == 2)
        assert (verdict.health, verdict.message) == (Health.WARN, "1 firing: A; 1 for information: B")
        post_alerts(url, named("C", "sev-red"), named("D", "purple"))
        verdict = await desk.until(lambda v: len(v.shown) == 4)
        assert verdict.health is Health.FAIL
        assert "severity purple is not in `severities`, taken as a warning" in verdict.message
        await desk.close()


async def test_34_alert_without_name(tmp_path: Path) -> None:
    with alertmanagers(tmp_path) as (url,):
        post_alerts(url, WATCHDOG, *case("34-alert-without-name"))
        desk = Desk(tmp_path, {"am": url})
        verdict = await desk.until(lambda v: v.firing)
        assert (verdict.health, verdict.message) == (Health.WARN, "1 firing: (no name, service=nameless)")
        await desk.close()


async def test_suppressed_alerts_are_apart_with_who_and_until_when(tmp_path: Path) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    with alertmanagers(tmp_path) as (url,):
        post_silence(url, "ada", ends, [("alertname", "Quiet")])
        post_alerts(url, WATCHDOG, named("Quiet"), named("SiteDown", "warning"), named("HostDown"))
        desk = Desk(tmp_path, {"am": url})
        verdict = await desk.until(lambda v: len(v.suppressed) == 2)
        assert [k.alert.name for k in verdict.firing] == ["SiteDown"]
        until = ends.strftime("%H:%M:%SZ")
        told = {k.alert.name: k.alert.suppressed.text for k in verdict.suppressed if k.alert.suppressed}
        assert told == {"Quiet": f"silenced by ada until {until}", "HostDown": "inhibited by SiteDown"}
        assert verdict.health is Health.WARN
        assert verdict.message.startswith("1 firing: SiteDown; 2 suppressed: ")
        silence = next(k.alert.suppressed for k in verdict.suppressed if k.alert.name == "Quiet")
        assert silence is not None
        assert silence.until == ends.timestamp()
        answer = no_alerts(NoAlerts(), desk.world, desk.estate, NOW)
        assert answer.evidence == (verdict.message,)
        await desk.close()


async def test_a_silenced_watchdog_proves_nothing(tmp_path: Path) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    with alertmanagers(tmp_path) as (url,):
        post_silence(url, "ada", ends, [("alertname", "Watchdog")])
        post_alerts(url, WATCHDOG)
        desk = Desk(tmp_path, {"am": url})
        verdict = await desk.until(lambda v: "silenced" in v.message)
        assert (verdict.health, verdict.proven) == (Health.UNKNOWN, False)
        assert verdict.message == (
            f"am: the watchdog alert is silenced by ada until {ends:%H:%M:%SZ}, so it proves nothing"
        )
        await desk.close()


async def test_a_watchdog_that_nobody_confirms_proves_nothing(tmp_path: Path) -> None:
    with alertmanagers(tmp_path) as (url,):
        post_alerts(url, {**WATCHDOG, "endsAt": (datetime.now(UTC) + timedelta(days=2)).isoformat()})
        desk = Desk(tmp_path, {"am": url}, watchdog_within=0.2)
        await asyncio.sleep(0.3)
        verdict = await desk.until(lambda v: "confirmed" in v.message)
        assert (verdict.health, verdict.firing, verdict.proven) == (Health.UNKNOWN, (), False)
        assert "am: the watchdog alert was last confirmed" in verdict.message
        await desk.close()


async def test_a_watchdog_whose_time_is_hours_ahead_and_stands_still_proves_nothing(tmp_path: Path) -> None:
    row = {**WATCHDOG, "fingerprint": "dog", "status": {"state": "active"}, "startsAt": "2026-11-27T00:00:00Z"}
    row["updatedAt"] = (datetime.now(UTC) + timedelta(hours=7)).isoformat()
    async with canned({"GET /api/v2/alerts": (200, [row])}) as server:
        desk = Desk(tmp_path, {"am": server.url})
        verdict = await desk.read()
        assert (verdict.health, verdict.proven) == (Health.UNKNOWN, False)
        await desk.close()
        row["updatedAt"] = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
        desk = Desk(tmp_path, {"am": server.url})
        assert (await desk.read()).health is Health.UNKNOWN
        row["updatedAt"] = (datetime.now(UTC) - timedelta(minutes=9)).isoformat()
        assert (await desk.read()).health is Health.PASS
        await desk.close()
