"""The engine's verdicts as metrics: services, databases, backends, objectives, the journal, the loaded estate.

Labels are names of the estate and fixed words, so there are as many series as the estate has entries.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client.core import GaugeMetricFamily, Metric

from state.api.messages import API_VERSION
from state.api.service import EngineService
from state.api.views.header import HeaderView
from state.api.views.overview import OverviewView
from state.api.views.replication import ReplicationView
from state.api.views.traffic import BackendRow, TrafficView
from state.health import Health
from state.verdicts.clocks import elapsed
from state.verdicts.evidence import worst

STARTED = time.time()


class Gauges:
    """Gauges of one scrape, by name."""

    def __init__(self) -> None:
        self._made: dict[str, GaugeMetricFamily] = {}

    def add(self, name: str, message: str, value: float, **labels: str) -> None:
        """One sample; the first one of a name says what it means."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = GaugeMetricFamily(f"recovery_{name}", message, labels=list(labels))
        made.add_metric(list(labels.values()), value)

    def health(self, name: str, message: str, health: Health, **labels: str) -> None:
        """A verdict: 1 for the health it is, 0 for the others."""
        for each in Health:
            self.add(name, message, float(each is health), **labels, health=each.value)

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._made.values())


def verdicts(service: EngineService) -> Gauges:
    """Everything the engine has judged, at the moment of a scrape."""
    gauges = Gauges()
    header: HeaderView = service.view("header")
    _engine(gauges, header)
    _services(gauges, service.view("overview"), service.mono())
    _databases(gauges, service.view("replication"))
    _backends(gauges, service.view("traffic"))
    return gauges


def _engine(gauges: Gauges, header: HeaderView) -> None:
    gauges.add(
        "build_info",
        "1; the program's version and what it runs for.",
        1.0,
        version=version("recovery-console"),
        api_version=str(API_VERSION),
        estate=header.estate,
        environment=header.environment,
    )
    gauges.add("start_time_seconds", "When this engine started, in seconds since 1970.", STARTED)
    gauges.add("alarms", "Alarms that stand on every screen.", len(header.alarms))
    writable = not header.effects or header.effects == header.journal_doubt
    gauges.add(
        "journal_writable", "1 while entries can be recorded; without, every effect is refused.", float(writable)
    )
    gauges.add(
        "journal_valid", "0 when the chain is broken or an entry cannot be read.", float(not header.journal_doubt)
    )
    gauges.add("journal_verified_seq", "The entry up to which the chain was verified.", header.journal_verified_seq)
    changed = header.estate_change
    gauges.add(
        "estate_changed", "1 while the estate or a runbook was changed and is not loaded.", float(changed is not None)
    )
    invalid = changed is not None and bool(changed.problem)
    gauges.add("estate_invalid", "1 while what was changed cannot be loaded.", float(invalid))


def _services(gauges: Gauges, view: OverviewView, now_mono: float) -> None:
    for name, row in view.services.items():
        gauges.health("service_health", "1 for the verdict on the service.", row.health, service=name)
        burned = elapsed(row.rto, now_mono) if row.rto is not None and row.rto.ended_mono is None else 0.0
        target = row.rto_target
        gauges.add("service_rto_seconds", "Recovery time objective.", target, service=name)
        gauges.add(
            "service_rto_burned_seconds", "How long the service is impaired; 0 when it is not.", burned, service=name
        )
        gauges.add(
            "service_rto_left_seconds", "Left of the objective; negative when missed.", target - burned, service=name
        )
        gauges.add("service_rto_used_ratio", "Share of the objective that is used.", burned / target, service=name)


def _databases(gauges: Gauges, view: ReplicationView) -> None:
    for name, cluster in view.clusters.items():
        gauges.health("database_health", "1 for the verdict on the database.", cluster.health, database=name)
        gauges.add("database_rpo_bytes", "Bytes the database may lose.", cluster.risk.target, database=name)
        if cluster.risk.lost_bytes is not None:
            message = "Bytes a failover now would lose; absent when unknown."
            gauges.add("database_data_at_risk_bytes", message, cluster.risk.lost_bytes, database=name)
    for node in view.nodes.values():
        gauges.health(
            "node_health", "1 for the verdict on the node.", node.health, database=node.cluster, node=node.node
        )
        if node.lag_bytes is not None:
            message = "Bytes not replayed; absent when unknown."
            gauges.add("node_lag_bytes", message, node.lag_bytes, database=node.cluster, node=node.node)


def _backends(gauges: Gauges, view: TrafficView) -> None:
    places: dict[tuple[str, str], list[BackendRow]] = {}
    for row in view.backends.values():
        if row.service:  # what else a balancer has is not the estate's: as many names as there are, and not ours
            places.setdefault((row.balancer, row.backend), []).append(row)
    for (balancer, backend), rows in places.items():  # of several services on one backend the worst counts
        place = {"balancer": balancer, "backend": backend}
        health = worst(row.health for row in rows)
        gauges.health("backend_health", "1 for the verdict on the backend of a balancer.", health, **place)
        gauges.add("backend_servers_serving", "Servers that take new traffic.", min(r.serving for r in rows), **place)
        gauges.add("backend_servers_floor", "Servers that must serve at least.", max(r.floor for r in rows), **place)
