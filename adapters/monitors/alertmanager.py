"""Alertmanager (0.22 and newer) over its API v2: all alerts, what suppresses them, and whether its watchdog fires.

Source: Alertmanager, api/v2/openapi.yaml, `GET /alerts`, `/silences` and `/status`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import Field, model_validator

from adapters.context import AdapterContext, Polled
from adapters.monitors.endpoint import Single
from adapters.monitors.watchdog import Confirmations, clock_of
from adapters.net.http_read import HttpReader
from state.api.views.overview import Suppression
from state.config_files.findings import refuse
from state.errors import ReadFailure, Trouble
from state.estate.model import Entry, MonitorEntry, Seconds
from state.health import Health
from state.world.readings import Alert, AlertsReading

KIND = "alertmanager"
PATH = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"
SILENCES = "/api/v2/silences"
STATUS = "/api/v2/status"
PEERS_EVERY = 60.0
"""Seconds between two questions for the members of the cluster, which change when one of them starts again."""
NAMING = ("service", "job", "instance")
"""The labels that stand for an alert without a name, best first."""


DEFAULTS: Mapping[str, Health] = {
    **dict.fromkeys(("critical", "crit", "page", "pager", "error", "fatal", "emergency", "emerg"), Health.FAIL),
    **dict.fromkeys(("alert", "major", "high", "disaster", "p1", "p2", "sev1", "sev2", "sev-1", "sev-2"), Health.FAIL),
    **dict.fromkeys(("warning", "warn", "minor", "medium", "moderate", "average", "ticket"), Health.WARN),
    **dict.fromkeys(("p3", "sev3", "sev-3"), Health.WARN),
    **dict.fromkeys(("info", "information", "informational", "notice", "none", "low", "debug", "ok"), Health.PASS),
    **dict.fromkeys(("p4", "p5", "sev4", "sev5", "sev-4", "sev-5"), Health.PASS),
}
"""The verdict on the usual severities. A pager's severity fails: somebody is being woken."""


class Severities(Entry):
    """Which values of the label `severity` fail, warn or are for information, in any case.

    What is listed here goes before the usual meaning; what is known nowhere warns, and is named.
    """

    fail: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    info: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Severities:
        known: dict[str, str] = {}
        for level in ("fail", "warn", "info"):
            for word in getattr(self, level):
                if known.setdefault(word.lower(), level) != level:
                    message = f"a severity in one list only; it is in {known[word.lower()]} too"
                    refuse(type(self), [((level,), word, message)])
        return self

    def verdict(self, severity: str) -> tuple[Health, bool]:
        """The verdict on a severity, and whether it is known."""
        wanted = severity.strip().lower()
        for words, health in ((self.fail, Health.FAIL), (self.warn, Health.WARN), (self.info, Health.PASS)):
            if wanted in {word.strip().lower() for word in words}:
                return health, True
        return DEFAULTS.get(wanted, Health.WARN), wanted in DEFAULTS


class AlertmanagerOptions(MonitorEntry, Single):
    """`url` of the server; `watchdog` is the alert that always fires, as proof that alerting works.

    It counts while it was confirmed within `watchdog_within`. Monitors of one `cluster` are one Alertmanager.
    """

    watchdog: str = Field(default="Watchdog", min_length=1)
    watchdog_within: Seconds = 300.0
    severities: Severities = Severities()
    cluster: str = ""

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
        self._confirmations = Confirmations()
        self._peers: frozenset[str] = frozenset()
        self._peers_due = 0.0

    async def read(self, *, deadline: float) -> AlertsReading:
        """All alerts except the watchdog, with what suppresses them. Raises ReadFailure."""
        until = time.monotonic() + deadline
        rows, clock = await self._ask(PATH, deadline)
        asked = time.monotonic()
        silences: Mapping[str, Any] = {}
        if self._any(rows, "silencedBy"):
            with suppress(ReadFailure):  # then a silence is told without its author and end
                silences = {row["id"]: row for row in (await self._ask(SILENCES, _left(until)))[0] if "id" in row}
        if time.monotonic() >= self._peers_due:
            await self._ask_peers(_left(until))
        try:
            alerts = [_alert(row, rows, silences, self._options.severities) for row in rows]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._strange() from error
        return self._reading(alerts, clock, asked)

    def _reading(self, alerts: Sequence[Alert], clock: float, now: float) -> AlertsReading:
        dogs = [alert for alert in alerts if alert.labels.get("alertname") == self._options.watchdog]
        active = [dog for dog in dogs if dog.state == "active" and dog.suppressed is None]
        proof = [dog for dog in active if self._confirmed(dog, clock, now)]
        self._confirmations.keep({dog.fingerprint for dog in active})
        others = tuple(alert for alert in alerts if alert not in dogs)
        doubtful = None if proof else next(iter([*active, *dogs]), None)
        return AlertsReading(others, bool(proof), doubtful, self._peers)

    def _confirmed(self, dog: Alert, clock: float, now: float) -> bool:
        if dog.updated_at is None:
            return False
        at = self._confirmations.take(dog.fingerprint, dog.updated_at, clock, now)
        return at is not None and now - at <= self._options.watchdog_within

    async def _ask(self, path: str, deadline: float) -> tuple[list[dict[str, Any]], float]:
        """A list of objects, and the server's time (epoch seconds). Raises ReadFailure."""
        page = await self._reader.page(path, deadline=deadline)
        try:
            rows = json.loads(page.body)
        except ValueError as error:
            raise self._strange() from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._strange()
        return rows, clock_of(page.date, time.time())

    async def _ask_peers(self, deadline: float) -> None:
        """The names of the members of the cluster: the same on every member. What has none, stays on its own."""
        self._peers_due = time.monotonic() + PEERS_EVERY
        with suppress(ReadFailure, ValueError, KeyError, TypeError, AttributeError):
            cluster = json.loads(await self._reader.get(STATUS, deadline=deadline))["cluster"]
            self._peers = frozenset(str(peer["name"]) for peer in cluster.get("peers") or ())

    @staticmethod
    def _any(rows: Sequence[dict[str, Any]], field: str) -> bool:
        return any(isinstance(row.get("status"), dict) and row["status"].get(field) for row in rows)

    def _strange(self) -> ReadFailure:
        return ReadFailure(Trouble.ERROR, f"{self.name}: the answer is not Alertmanager's")

    async def close(self) -> None:
        await self._reader.close()


def _left(until: float) -> float:
    return max(0.01, until - time.monotonic())


def _alert(
    row: dict[str, Any], rows: Sequence[dict[str, Any]], silences: Mapping[str, Any], severities: Severities
) -> Alert:
    labels = {str(name): str(value) for name, value in row["labels"].items()}
    notes = row.get("annotations") or {}
    severity = labels.get("severity", "")
    health, mapped = severities.verdict(severity)
    updated = row.get("updatedAt")
    state, fingerprint = row["status"]["state"], row.get("fingerprint") or ""
    if not isinstance(state, str) or not isinstance(fingerprint, str):
        raise TypeError("state and fingerprint are texts")
    suppressed = _suppression(row["status"], rows, silences)
    if suppressed is None and state == "suppressed":
        suppressed = Suppression("suppressed", "", None, "")
    return Alert(
        name=_name(labels),
        state=state,
        severity=severity,
        started_at=_instant(row["startsAt"]),
        summary=str(notes.get("summary") or notes.get("description") or ""),
        fingerprint=fingerprint,
        labels=labels,
        health=health,
        mapped=mapped,
        suppressed=suppressed,
        updated_at=None if updated is None else _instant(updated),
    )


def _name(labels: Mapping[str, str]) -> str:
    """The label `alertname`, which is only a convention; without it what names the alert best."""
    if labels.get("alertname"):
        return labels["alertname"]
    others = [name for name in sorted(labels) if name not in ("severity", "alertname")]
    best = next((name for name in [*NAMING, *others] if labels.get(name)), None)
    return "(no name)" if best is None else f"(no name, {best}={labels[best]})"


def _suppression(
    status: Mapping[str, Any], rows: Sequence[dict[str, Any]], silences: Mapping[str, Any]
) -> Suppression | None:
    """What suppresses an alert: the silence that ends last, else the alerts that inhibit it, else its mute times."""
    if silenced := status.get("silencedBy"):
        known = [silences[each] for each in silenced if each in silences]
        if not known:
            return Suppression("silenced", "", None, "")
        last = max(known, key=lambda silence: _instant(silence["endsAt"]))
        comment, author = str(last.get("comment", "")), str(last.get("createdBy", ""))
        return Suppression("silenced", author, _instant(last["endsAt"]), comment)
    if inhibited := status.get("inhibitedBy"):
        names = [_name(row["labels"]) for row in rows if row["fingerprint"] in inhibited]
        return Suppression("inhibited", ", ".join(dict.fromkeys(names)), None, "")
    if muted := status.get("mutedBy"):
        return Suppression("muted", ", ".join(map(str, muted)), None, "")
    return None


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def build(name: str, options: AlertmanagerOptions, context: AdapterContext) -> Sequence[Polled]:
    """The source `alerts:{name}`."""
    server = Alertmanager(name, options.reader(options.url, context), options)
    return [context.source(f"alerts:{name}", server.read, server.close)]
