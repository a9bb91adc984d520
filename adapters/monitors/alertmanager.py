"""Alertmanager (0.22 and newer) over its API v2: all alerts, what suppresses them, and whether its watchdog fires.

Source: Alertmanager, api/v2/openapi.yaml, `GET /alerts`, `/silences` and `/status`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from pydantic import Field

from adapters.context import AdapterContext, Polled
from adapters.monitors.alert_rows import REPLICA_LABELS, alerts_of, instant, worst_of
from adapters.monitors.endpoint import Single
from adapters.monitors.lasting import LastingAlerts
from adapters.monitors.watchdog import Confirmations, clock_of
from adapters.net.answers_read import MALFORMED, SMALL, read_json, understood, worked
from adapters.net.http_read import HttpReader
from state.errors import ReadFailure, Trouble
from state.estate.model import Seconds
from state.estate.severities import Severities
from state.world.readings import Alert, AlertsReading

KIND = "alertmanager"
PATH = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"
SILENCES = "/api/v2/silences"
STATUS = "/api/v2/status"
STATUS_EVERY = 60.0
"""Seconds between two questions for the members of the cluster, which change when one of them starts again."""
STATUS_SOON = 5.0
"""The same while no watchdog proves anything: it may have started again."""
SENT_AGAIN = 120.0
"""Seconds after its start within which an Alertmanager has every alert again: it keeps none, and a Prometheus sends
each again after a minute and its interval of evaluation, a minute too unless set."""

MANY = 100
"""Alerts of an answer from which on they are taken beside the event loop."""
MOST = 1000
"""Alerts that are kept of an answer, the worst ones: everything behind this is done for each of them."""
REMEMBERED = 86_400.0
"""Seconds for which a watchdog alert that was seen is missed; after that its Prometheus is gone for good."""
COMMON = ("alertname", "severity")
"""Labels that watchdog alerts have in common."""


class AlertmanagerOptions(Single):
    """`url` of the server; `watchdog` is the alert that always fires, as proof that alerting works.

    It counts while it was confirmed within `watchdog_within`. Monitors of one `cluster` are one Alertmanager.
    Alerts that differ in nothing but `replica_labels` are copies of one.
    """

    watchdog: str = Field(default="Watchdog", min_length=1)
    watchdog_within: Seconds = 300.0
    severities: Severities = Severities()
    cluster: str = ""
    replica_labels: tuple[str, ...] = REPLICA_LABELS

    @property
    def alert_severities(self) -> Sequence[str]:
        return self.severities.words()

    @property
    def alert_cluster(self) -> str:
        return self.cluster


OPTIONS = AlertmanagerOptions


class Alertmanager:
    """One server's API."""

    def __init__(self, name: str, reader: HttpReader, options: AlertmanagerOptions) -> None:
        self.name = name
        self._reader = reader
        self._options = options
        self._confirmations, self._lasting = Confirmations(), LastingAlerts()
        self._peers: frozenset[str] = frozenset()
        self._started: float | None = None
        self._dogs: dict[str, tuple[str, float]] = {}
        self._asked = self._status_due = 0.0

    async def read(self, *, deadline: float) -> AlertsReading:
        """All alerts except the watchdog, with what suppresses them. Raises ReadFailure."""
        until = time.monotonic() + deadline
        rows, clock = await self._ask(PATH, deadline)
        asked = time.monotonic()
        silences: Mapping[str, Any] = {}
        if self._any(rows, "silencedBy"):
            with suppress(ReadFailure):  # then a silence is told without its author and end
                told = (await self._ask(SILENCES, _left(until)))[0]
                silences = {name: row for row in told if isinstance(name := row.get("id"), str)}
        if time.monotonic() >= self._status_due:
            await self._ask_status(_left(until))
        try:
            severities, replicas = self._options.severities, self._options.replica_labels
            taken = partial(alerts_of, rows, silences, severities, replicas)
            alerts = await worked(taken, large=len(rows) > MANY)
        except MALFORMED as error:
            raise self._strange() from error
        return self._reading(alerts, clock, asked)

    def _reading(self, alerts: Sequence[Alert], clock: float, now: float) -> AlertsReading:
        dogs = [alert for alert in alerts if alert.labels.get("alertname") == self._options.watchdog][:MOST]
        active = [dog for dog in dogs if dog.state == "active" and dog.suppressed is None]
        proof = [dog for dog in active if self._confirmed(dog, clock, now)]
        self._confirmations.keep({_copy(dog) for dog in active})
        kept, omitted = worst_of(
            [each for each in alerts if each.labels.get("alertname") != self._options.watchdog], MOST
        )
        others, several = self._lasting.take(kept, now)
        self._dogs |= {dog.fingerprint: (_told(dog), clock) for dog in proof}
        proven = frozenset(dog.fingerprint for dog in proof)
        lost = {each: seen for each, seen in self._dogs.items() if each not in proven and clock - seen[1] < REMEMBERED}
        doubtful = None if proof else next(iter([*active, *dogs]), None)
        awaited = None
        if not dogs and self._started is not None and 0 <= clock - self._started < SENT_AGAIN:
            awaited = self._started + SENT_AGAIN
        if not proof:
            self._status_due = min(self._status_due, self._asked + STATUS_SOON)
        if lost and self._started is not None and 0 <= clock - self._started < SENT_AGAIN:
            lost = {}  # it started a moment ago, and what it lacks may still come
        return AlertsReading(others, bool(proof), doubtful, self._peers, awaited, proven, lost, several, omitted)

    def _confirmed(self, dog: Alert, clock: float, now: float) -> bool:
        if dog.updated_at is None:
            return False
        at = self._confirmations.take(_copy(dog), dog.updated_at, clock, now)
        return at is not None and now - at <= self._options.watchdog_within

    async def _ask(self, path: str, deadline: float) -> tuple[list[dict[str, Any]], float]:
        """A list of objects, and the server's time (epoch seconds). Raises ReadFailure."""
        page = await self._reader.page(path, deadline=deadline)
        clock = clock_of(page.date, time.time())
        try:
            rows = await understood(page.body, lambda data: data)
        except ValueError as error:
            raise self._strange() from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._strange()
        return rows, clock

    async def _ask_status(self, deadline: float) -> None:
        """When it started, and the names of the members of its cluster: the same on every member. What has none, stays
        on its own."""
        self._asked = time.monotonic()
        self._status_due = self._asked + STATUS_EVERY
        with suppress(ReadFailure, *MALFORMED):
            status = read_json(await self._reader.get(STATUS, deadline=deadline, cap=SMALL))
            self._peers = frozenset(str(peer["name"]) for peer in status["cluster"].get("peers") or ())
            self._started = instant(status["uptime"])

    @staticmethod
    def _any(rows: Sequence[dict[str, Any]], field: str) -> bool:
        return any(isinstance(row.get("status"), dict) and row["status"].get(field) for row in rows)

    def _strange(self) -> ReadFailure:
        return ReadFailure(Trouble.ERROR, f"{self.name}: the answer is not Alertmanager's")

    async def close(self) -> None:
        await self._reader.close()


def _told(dog: Alert) -> str:
    """The labels that tell one watchdog from another."""
    shown = (f"{name}={value}" for name, value in sorted(dog.labels.items()) if name not in COMMON)
    return ", ".join(shown) or dog.name


def _copy(dog: Alert) -> str:
    """One copy of a watchdog alert: each of them moves on in its own time."""
    return " ".join((dog.fingerprint, *dog.copies))


def _left(until: float) -> float:
    return max(0.01, until - time.monotonic())


def build(name: str, options: AlertmanagerOptions, context: AdapterContext) -> Sequence[Polled]:
    """The source `alerts:{name}`."""
    server = Alertmanager(name, options.reader(name, options.url, context), options)
    return [context.source(f"alerts:{name}", server.read, server.close)]
