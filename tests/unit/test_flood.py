"""A storm of alerts, and hostile names in it: the journal stays small, decisions stay findable, nothing is smuggled."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from adapters.api_server import EngineMetrics, LoopLag
from adapters.balancers.memory import MemoryBalancer
from state.api.views.journal import JournalRow
from state.api.wire import named, revive
from state.engine.events import Heartbeat
from state.health import Health
from state.journal.events import Event, Recorded
from state.journal.format import Sealer, canonical, unseal
from state.proof.lines import export_line
from state.runs.events import RunStopRequested
from state.text import decode, is_clean
from state.verdicts.alerts import alerts_verdict
from state.views.journal import KEPT, JournalTail, journal_row
from state.world.readings import Alert, AlertsReading
from tests.support.run_books import until
from tests.support.small_estate import small
from tests.unit.night import ALERTS, Night, alert, calm_night

pytestmark = pytest.mark.virtual_time

HOSTILE = 'Disk"} 1\nup{x="\x1b]0;owned\x07\u202eevil\u2028\x9b31m\x00[@click=app.quit]'


@pytest.fixture
def night() -> Night:
    return calm_night()


def storm(night: Night, minutes: int, every: int) -> list[Recorded]:
    """What 500 alerts leave that come and go, each second one at the same time."""
    night.ticks = 1
    alerts = tuple(alert(f"{n:04}") for n in range(500))
    before = len(night.journal)
    for turn in range(minutes * 60 // every):
        night.put(ALERTS, AlertsReading(tuple(a for n, a in enumerate(alerts) if (turn + n) % 2), True))
        night.sleep(every)
    return night.journal[before:]


def decision(night: Night) -> None:
    """Somebody decides something."""
    event = Event(RunStopRequested("stopped by ada"), "ada", run="R-1")
    sealed = Sealer("n", "boot").seal(
        event, seq=len(night.journal) + 1, previous=bytes(32), at=night.clock.wall(), mono=night.clock.now
    )
    night.journal.append(unseal(sealed))


def proven(night: Night, new: list[Recorded], most: int, most_bytes: int) -> None:
    assert 0 < len(new) < most
    assert sum(len(canonical(entry.body.as_json())) for entry in new) < most_bytes
    tail = JournalTail()
    for entry in night.journal:
        tail.fold(entry)
    assert "run.stop-requested" in [row.kind for row in tail.rows().values()]


@pytest.mark.parametrize("every", [2, 5])
def test_500_alerts_that_flap_leave_few_entries(night: Night, every: int) -> None:
    decision(night)
    proven(night, storm(night, 15, every), 60, 1_000_000)


@pytest.mark.torture
@pytest.mark.parametrize("every", [2, 7, 60, 400])
def test_500_alerts_that_flap_for_hours_leave_few_entries(night: Night, every: int) -> None:
    decision(night)
    proven(night, storm(night, 6 * 60, every), 6 * 60, 6_000_000)


def test_observations_and_heartbeats_take_no_decision_off_the_screen(night: Night) -> None:
    decision(night)
    for n in range(50):
        night.put(ALERTS, AlertsReading((alert(f"{n:04}"),), True))
        night.sleep(4)
        night.record(Heartbeat("running"))  # type: ignore[arg-type]
    observed = [e for e in night.journal if e.kind.startswith("alert.")]
    tail = JournalTail()
    for copy in range(20):  # as if it went on for days
        for entry in night.journal if not copy else observed:
            tail.fold(entry)
    rows = tail.rows()
    kinds = [row.kind for row in rows.values()]
    assert "run.stop-requested" in kinds
    assert kinds.count("engine.heartbeat") == 1
    assert len(rows) <= 2 * KEPT + 1


def test_the_rows_are_in_order_whatever_their_class(night: Night) -> None:
    storm(night, 1, 5)
    decision(night)
    storm(night, 1, 5)
    tail = JournalTail()
    for entry in night.journal:
        tail.fold(entry)
    told = [row.seq for row in tail.rows().values()]
    assert told == sorted(told)


class Named(Alert):
    """An alert that refuses to be compared with another one in all of its parts: with thousands that takes minutes."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("alerts are told apart by their fingerprint")

    __hash__ = None  # type: ignore[assignment]


def test_alerts_are_told_apart_by_their_fingerprint(night: Night) -> None:
    alerts = [replace(alert(f"{n}"), health=Health.PASS if n % 3 else Health.FAIL) for n in range(9)]
    fields = ("name", "state", "severity", "started_at", "summary", "fingerprint")
    made = tuple(Named(*(getattr(a, f) for f in fields), health=a.health) for a in alerts)
    night.put(ALERTS, AlertsReading(made, True))
    night.poll()
    verdict = alerts_verdict(night.estate, night.world, night.clock.now)
    assert (len(verdict.firing), "6 for information" in verdict.message) == (3, True)
    night.sleep(5)
    assert "alert.fired" in night.kinds()


def test_hostile_names_are_one_clean_line_that_tells_what_was_received(night: Night) -> None:
    night.put(ALERTS, AlertsReading((Alert(HOSTILE, "active", "critical", 1.0, HOSTILE, HOSTILE),), True))
    night.sleep(5)
    [entry] = [e for e in night.journal if e.kind == "alert.fired"]
    row = revive(JournalRow, named(journal_row(entry)))
    assert is_clean(row.message)
    assert HOSTILE in decode(row.message)
    sealed = Sealer("n", "b").seal(entry.event, seq=1, previous=bytes(32), at=1.0, mono=1.0)
    line = export_line(sealed)
    assert all(0x20 <= byte < 0x7F for byte in line)
    assert json.loads(line)


async def test_hostile_names_add_nothing_to_the_metrics() -> None:
    balancer = MemoryBalancer("edge", {"shop": {"blue": 100, HOSTILE: 50}, HOSTILE: {"x": 1}})
    async with small(balancer=balancer) as lab:
        await until(lambda: lab.engine.view("header").sources["balancer:edge"].mono is not None)
        registry = CollectorRegistry()
        registry.register(EngineMetrics(lab.engine, LoopLag(), lambda: 1))
        text = generate_latest(registry).decode()
    assert all(line.isprintable() for line in text.split("\n"))
    assert list(text_string_to_metric_families(text))
    assert "owned" not in text
