"""Alertmanager for tests: real processes, alone or as a cluster, its requests, and the verdict on what it answers."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.context import AdapterContext
from adapters.monitors import alertmanager
from state.estate.model import Estate, Polling, Site
from state.ports.source import Source
from state.verdicts.alerts import AlertsVerdict, alerts_verdict
from state.world.observed import Observed
from state.world.world import World
from tests.contract.components import listens, wait_for
from tests.support.ports import free_port

CONFIG = """
route: {receiver: none, group_wait: 0s}
receivers: [{name: none}]
inhibit_rules:
  - source_matchers: [alertname = SiteDown]
    target_matchers: [alertname = HostDown]
"""


@contextmanager
def alertmanagers(folder: Path, count: int = 1) -> Iterator[list[str]]:
    """The addresses of so many members of one cluster; one alone has no cluster."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program is not None, "the contract suite needs alertmanager on PATH"
    config = folder / "alertmanager.yml"
    config.write_text(CONFIG)
    ports, gossip = [free_port() for _ in range(count)], [free_port() for _ in range(count)]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for place, port in enumerate(ports):
            listen = f"--cluster.listen-address=127.0.0.1:{gossip[place]}" if count > 1 else "--cluster.listen-address="
            peers = [f"--cluster.peer=127.0.0.1:{other}" for other in gossip if count > 1 and other != gossip[place]]
            command = [program, f"--config.file={config}", f"--storage.path={folder / f'am{port}'}"]
            command += [f"--web.listen-address=127.0.0.1:{port}", listen, *peers]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for port in ports:
            wait_for(lambda port=port: listens(port))  # type: ignore[misc]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        for url in urls:
            wait_for(lambda url=url: members(url) == (count if count > 1 else 0))  # type: ignore[misc]
        yield urls
    finally:
        for process in running:
            process.kill()
            process.wait()


def members(url: str) -> int:
    """How many members its cluster has; 0 while it does not answer, and for one on its own."""
    try:
        with urllib.request.urlopen(f"{url}/api/v2/status", timeout=5) as answer:
            return len(json.load(answer)["cluster"].get("peers") or ())
    except OSError:
        return 0


def post_alerts(url: str, *alerts: dict[str, Any]) -> None:
    """Send alerts as Prometheus would."""
    _post(f"{url}/api/v2/alerts", list(alerts))


def post_silence(url: str, author: str, ends: datetime, matchers: Sequence[tuple[str, str]]) -> None:
    """Silence what matches all."""
    found = [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in matchers]
    starts = datetime.now(UTC) - timedelta(seconds=1)
    body = {"matchers": found, "startsAt": starts.isoformat(), "endsAt": ends.isoformat(), "createdBy": author}
    _post(f"{url}/api/v2/silences", {**body, "comment": "planned work"})


def _post(url: str, body: Any) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def named(name: str, severity: str = "critical", **labels: str) -> dict[str, Any]:
    """An alert to post."""
    return {"labels": {"alertname": name, "severity": severity, **labels}, "annotations": {"summary": f"{name} fires"}}


WATCHDOG = named("Watchdog", "none")
NOW = 1000.0


class Desk:
    """An estate whose monitors are Alertmanagers, read by the adapter and judged."""

    def __init__(self, folder: Path, urls: dict[str, str], **options: Any) -> None:
        entries = {n: alertmanager.OPTIONS(kind="alertmanager", url=u, **options) for n, u in urls.items()}
        self.estate = Estate(estate="x", environment="lab", sites={"east": Site()}, monitors=entries)
        context = AdapterContext(folder, Polling())
        self.sources: dict[str, Source] = {n: alertmanager.build(n, e, context)[0] for n, e in entries.items()}
        self.world = World()
        for source in self.sources.values():
            self.world.observed[source.key] = Observed(source.key, 3.0)

    async def read(self, *names: str) -> AlertsVerdict:
        """Read these monitors, all without names; the others are silent."""
        for source in [self.sources[n] for n in names or self.sources]:
            self.world.observed[source.key] = Observed(source.key, 3.0, await source.read(), NOW, NOW)
        return alerts_verdict(self.estate, self.world, NOW)

    async def until(self, true: Callable[[AlertsVerdict], object]) -> AlertsVerdict:
        """Read until the verdict is as awaited: alerts and silences take effect after a while."""
        end = time.monotonic() + 20
        while not true(verdict := await self.read()):
            assert time.monotonic() < end, verdict
            await asyncio.sleep(0.1)
        return verdict

    def age(self, name: str, seconds: float) -> AlertsVerdict:
        """A monitor falls silent."""
        key = f"alerts:{name}"
        seen = self.world.observed[key]
        self.world.observed[key] = Observed(key, 3.0, seen.value, NOW - seconds, NOW - seconds)
        return alerts_verdict(self.estate, self.world, NOW)

    async def close(self) -> None:
        for source in self.sources.values():
            await source.close()
