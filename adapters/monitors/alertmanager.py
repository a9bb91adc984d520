"""Alertmanager (0.22 and newer) over its API v2: all alerts, and whether its watchdog alert fires.

Source: Alertmanager, api/v2/openapi.yaml, `GET /alerts`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from adapters.context import AdapterContext, Polled
from adapters.monitors.endpoint import Single
from adapters.net.http_read import HttpReader
from state.errors import ReadFailure, Trouble
from state.estate.model import MonitorEntry
from state.world.readings import Alert, AlertsReading

KIND = "alertmanager"
PATH = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"


class AlertmanagerOptions(MonitorEntry, Single):
    """`url` of the server; `watchdog` is the alert that always fires, as proof that alerting works."""

    watchdog: str = Field(default="Watchdog", min_length=1)


OPTIONS = AlertmanagerOptions


class Alertmanager:
    """One server's API."""

    def __init__(self, name: str, reader: HttpReader, watchdog: str) -> None:
        self.name = name
        self._reader = reader
        self._watchdog = watchdog

    async def read(self, *, deadline: float) -> AlertsReading:
        """All alerts except the watchdog; only whether it was seen is kept. Raises ReadFailure."""
        body = await self._reader.get(PATH, deadline=deadline)
        try:
            alerts = [_alert(row) for row in json.loads(body)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: the answer is not Alertmanager's") from error
        barking = any(alert.name == self._watchdog and alert.state == "active" for alert in alerts)
        return AlertsReading(tuple(alert for alert in alerts if alert.name != self._watchdog), barking)

    async def close(self) -> None:
        await self._reader.close()


def _alert(row: dict[str, Any]) -> Alert:
    labels = {str(name): str(value) for name, value in row["labels"].items()}
    notes = row.get("annotations", {})
    return Alert(
        name=labels.get("alertname", ""),
        state=row["status"]["state"],
        severity=labels.get("severity", ""),
        started_at=datetime.fromisoformat(row["startsAt"]).timestamp(),
        summary=str(notes.get("summary") or notes.get("description") or ""),
        fingerprint=row["fingerprint"],
        labels=labels,
    )


def build(name: str, options: AlertmanagerOptions, context: AdapterContext) -> Sequence[Polled]:
    """The source `alerts:{name}`."""
    server = Alertmanager(name, options.reader(options.url, context), options.watchdog)
    return [context.source(f"alerts:{name}", server.read, server.close)]
