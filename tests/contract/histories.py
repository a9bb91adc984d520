"""A real Prometheus with a history that is written and not waited for: promtool makes blocks of it.

The samples go on for a while after now, so that time passes in it as if somebody scraped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.components import listens, wait_for
from tests.support.ports import free_port

FOREIGN = 50_000
AHEAD = 900.0
"""Seconds for which samples are written ahead."""
RATES = {"200": 90.0, "500": 10.0}
BUCKETS = {"0.1": 50.0, "0.3": 100.0, "+Inf": 100.0}
SECONDS_OF_PACE = (1, 15, 60, 300)


@dataclass(frozen=True)
class ServiceHistory:
    """One service at one scrape target: 100 requests/s, of which a tenth fails, p99 0.296 s.

    `last` is when the last sample was taken, seconds after now, and `first` the first; from `reset` on its counters
    begin again; `value` stands for every counter in their place. The target is down from the last sample on, unless it
    stays up.
    """

    service: str
    every: float
    last: float = AHEAD
    first: float = -3300.0
    instance: str = "app:1"
    reset: float | None = None
    value: str | None = None
    stays_up: bool = False

    def times(self, now: float, *, until: float | None = None) -> Iterator[float]:
        """When its samples were taken."""
        end = self.last if until is None else until
        count = int((end - self.first) / self.every)
        return (now + end - self.every * (count - n) for n in range(count + 1))

    def counters(self, now: float) -> Iterator[str]:
        for code, rate in RATES.items():
            yield from self._lines(f'http_requests_total{{{self._labels},code="{code}"}}', rate, now)

    def buckets(self, now: float) -> Iterator[str]:
        for bound, rate in BUCKETS.items():
            yield from self._lines(f'http_request_duration_seconds_bucket{{{self._labels},le="{bound}"}}', rate, now)

    def up(self, now: float) -> Iterator[str]:
        """Of its target, which only it has: up while there are samples."""
        for at in self.times(now, until=AHEAD):
            yield f'up{{job="app",instance="{self.instance}"}} {int(self.stays_up or at <= now + self.last)} {at:.3f}\n'

    @property
    def _labels(self) -> str:
        return f'service="{self.service}",release="v1",job="app",instance="{self.instance}"'

    def _lines(self, series: str, rate: float, now: float) -> Iterator[str]:
        for at in self.times(now):
            spent = at - now - (self.first if self.reset is None or at < now + self.reset else self.reset)
            yield f"{series} {self.value or f'{1e6 * (self.reset is None) + rate * spent:.3f}'} {at:.3f}\n"


@dataclass(frozen=True)
class PastPrometheus:
    """A running Prometheus with a history, and the log of what it was asked."""

    url: str
    log: Path

    def asked(self) -> list[dict[str, Any]]:
        """Every query with its `params` and `stats`."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def foreign(count: int, samples: int, now: float) -> tuple[Iterator[str], Iterator[str]]:
    """Counters and buckets of so many series in all, of services that are not the estate's, a sample a minute."""

    def lines(series: str, more: str) -> Iterator[str]:
        for n in range(count // 2):
            for at in range(samples):
                labels = f'service="team-{n // 50}",release="v1",pod="pod-{n}",{more}'
                yield f"{series}{{{labels}}} {n + at} {now - 60 * (samples - 1 - at):.3f}\n"

    return lines("http_requests_total", 'code="200"'), lines("http_request_duration_seconds_bucket", 'le="0.1"')


@contextmanager
def remembering(
    folder: Path, services: Iterable[ServiceHistory], *, others: int = FOREIGN, samples: int = 3
) -> Iterator[PastPrometheus]:
    """A Prometheus that has these services since an hour, among so many other series."""
    services, now, page = list(services), time.time(), folder / "history.txt"
    counters, buckets = foreign(others, samples, now)
    with page.open("w") as out:
        out.write("# TYPE http_requests counter\n")
        out.writelines(counters)
        out.writelines(line for each in services for line in each.counters(now))
        out.write("# TYPE http_request_duration_seconds histogram\n")
        out.writelines(buckets)
        out.writelines(line for each in services for line in each.buckets(now))
        out.write("# TYPE up gauge\n")
        own = {each.instance: each for each in services}
        out.writelines(line for each in own.values() for line in each.up(now))
        out.write("# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(page), str(folder / "tsdb")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    page.unlink()
    with started(folder) as running:
        yield running


@contextmanager
def started(folder: Path, scrapes: str = "") -> Iterator[PastPrometheus]:
    """A Prometheus on what its folder has of it, with this configuration of scrapes."""
    program = shutil.which("prometheus")
    assert program is not None, "the contract suite needs prometheus on PATH"
    port, config, log = free_port(), folder / "prometheus.yml", folder / "queries.log"
    config.write_text(f"global: {{query_log_file: {log}}}\n{scrapes}")
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=10y"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port), 120.0)
        yield PastPrometheus(f"http://127.0.0.1:{port}", log)
    finally:
        process.kill()
        process.wait()
