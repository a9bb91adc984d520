"""Copies of an alert by the servers of one pair are one alert, on a real Alertmanager and wherever it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.monitors.alert_rows import REPLICA_LABELS, fingerprint_of
from state.health import Health
from state.verdicts.cause_alert import alert_causes
from state.views.overview import build as overview
from tests.contract.alertmanagers import NOW, WATCHDOG, Desk, alertmanagers, named, post_alerts, post_silence
from tests.contract.web import canned
from tests.unit.verdict_world import look

REPLICAS = {"replica", "prometheus_replica", "__replica__"}


def copies(alert: dict[str, Any], label: str) -> list[dict[str, Any]]:
    """What the two servers of a pair send, each with its own external label."""
    return [{**alert, "labels": {**alert["labels"], label: f"prom-{each}"}} for each in "ab"]


def by_replica(label: str) -> list[dict[str, Any]]:
    return [each for alert in (WATCHDOG, named("HighErrorRate", service="checkout")) for each in copies(alert, label)]


@pytest.mark.parametrize("label", sorted(REPLICAS))
async def test_20_alertmanager_pair_of_servers_with_external_labels(tmp_path: Path, label: str) -> None:
    with alertmanagers(tmp_path) as (url,):
        post_alerts(url, *by_replica(label))
        desk = Desk(tmp_path, {"am": url})
        verdict = await desk.until(lambda v: v.proven and v.firing and len(v.firing[0].alert.copies) == 2)
        assert (verdict.health, verdict.message) == (Health.FAIL, "1 firing: HighErrorRate")
        assert [known.sources for known in verdict.firing] == [("alerts:am",)]
        view = overview(look(desk.world, estate=desk.estate))
        assert (view.alerts_firing, view.alerts_message) == (1, verdict.message)
        (row,) = view.alerts.values()
        assert (row.name, row.copies, row.service) == ("HighErrorRate", (f"{label}=prom-a", f"{label}=prom-b"), "")
        (cause,) = alert_causes(desk.estate, desk.world, NOW, ())
        assert cause.what == "alert fires: HighErrorRate fires"
        await desk.close()


async def test_a_copy_and_the_alert_without_the_label_are_one(tmp_path: Path) -> None:
    """The fingerprint is that of Alertmanager for the other labels, so another one that has no copies knows it too."""
    plain = named("HighErrorRate", service="Käse")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    with alertmanagers(tmp_path / "a") as (one,), alertmanagers(tmp_path / "b") as (two,):
        post_alerts(one, WATCHDOG, *copies(plain, "replica"))
        post_alerts(two, WATCHDOG, plain)
        desk = Desk(tmp_path, {"a": one, "b": two})
        verdict = await desk.until(lambda v: len(v.shown) and len(v.shown[0].sources) == 2 and v.shown[0].alert.copies)
        assert verdict.message == "1 firing: HighErrorRate"
        (known,) = verdict.shown
        assert known.alert.fingerprint == fingerprint_of(tuple(sorted(plain["labels"].items())))
        await desk.close()


@pytest.mark.parametrize(
    ("replica_labels", "firing"), [(["server"], 1), ([], 2), (["replica"], 2), (list(REPLICA_LABELS), 2)]
)
async def test_the_estate_names_the_replica_labels(tmp_path: Path, replica_labels: Sequence[str], firing: int) -> None:
    with alertmanagers(tmp_path) as (url,):
        post_alerts(url, *by_replica("server"))
        desk = Desk(tmp_path, {"am": url}, replica_labels=replica_labels)
        verdict = await desk.until(lambda v: v.proven and v.firing)
        assert len(verdict.firing) == firing
        await desk.close()


async def test_alerts_that_differ_in_another_label_stay_apart(tmp_path: Path) -> None:
    with alertmanagers(tmp_path) as (url,):
        alerts = [named("PodDown", pod=pod) for pod in ("x", "y")]
        post_alerts(url, WATCHDOG, *(each for alert in alerts for each in copies(alert, "replica")))
        desk = Desk(tmp_path, {"am": url})
        verdict = await desk.until(lambda v: v.proven and len(v.shown) == 2)
        assert verdict.message == "2 firing: PodDown"
        await desk.close()


async def test_a_silence_of_one_copy_leaves_the_alert_firing_and_one_of_both_does_not(tmp_path: Path) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    with alertmanagers(tmp_path) as (url,):
        post_silence(url, "ada", ends, [("alertname", "HighErrorRate"), ("replica", "prom-a")])
        post_alerts(url, *by_replica("replica"))
        desk = Desk(tmp_path, {"am": url})
        verdict = await desk.until(lambda v: v.proven and v.firing and len(v.firing[0].alert.copies) == 2)
        assert (len(verdict.firing), verdict.suppressed) == (1, ())
        post_silence(url, "ada", ends, [("alertname", "HighErrorRate")])
        verdict = await desk.until(lambda v: v.suppressed)
        assert (verdict.health, verdict.firing, len(verdict.suppressed)) == (Health.PASS, (), 1)
        await desk.close()


def row(name: str, replica: str, updated: datetime, starts: str = "2026-11-27T00:00:05Z") -> dict[str, Any]:
    return {
        **named(name, replica=replica),
        "fingerprint": f"{name}-{replica}",
        "status": {"state": "active"},
        "startsAt": starts,
        "updatedAt": updated.isoformat(),
    }


async def test_each_copy_of_a_watchdog_is_confirmed_on_its_own(tmp_path: Path) -> None:
    """Two copies that stand still are no progress, though their times differ; one that moves on is enough."""
    old = datetime.now(UTC) - timedelta(minutes=20)
    rows = [row("Watchdog", "a", old), row("Watchdog", "b", old + timedelta(seconds=9))]
    async with canned({"GET /api/v2/alerts": (200, rows)}) as server:
        desk = Desk(tmp_path, {"am": server.url})
        for _ in range(3):
            assert (await desk.read()).health is Health.UNKNOWN
        rows[1]["updatedAt"] = (old + timedelta(seconds=60)).isoformat()
        assert (await desk.read()).health is Health.PASS
        await desk.close()


async def test_an_alert_fires_since_its_first_copy(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    rows = [
        row("Slow", "a", now, "2026-11-27T00:00:09Z"),
        row("Slow", "b", now, "2026-11-27T00:00:05Z"),
        row("Slow", "c", now, "0001-01-01T00:00:00Z"),
    ]
    async with canned({"GET /api/v2/alerts": (200, rows)}) as server:
        desk = Desk(tmp_path, {"am": server.url})
        (known,) = (await desk.read()).firing
        assert known.alert.started_at == datetime(2026, 11, 27, 0, 0, 5, tzinfo=UTC).timestamp()
        await desk.close()
