"""Short histories derived from readings: error ratios, lags, request rates and WAL rates."""

from __future__ import annotations

import math

from state.verdicts.lag import standby_lag
from state.world.balancer_parts import BalancerReading, Server
from state.world.observed import Observed
from state.world.readings import MetricsReading, PostgresReading, Reading
from state.world.world import World

CHARTED_SERVERS = 200
"""Balancers with more servers keep no trend per server: thousands of sparklines are of no use."""


def observe_trends(world: World, key: str, reading: Reading, previous: Observed[Reading] | None) -> None:
    """Push the points a good read gives; call it once the world holds the reading.

    `previous` is the observation before it. Rates come from counter deltas; a counter that went backwards or
    another process gives no point.
    """
    seen = world.observed.get(key)
    before = previous.value if previous is not None else None
    seconds = seen.mono - previous.mono if seen and previous and seen.mono and previous.mono is not None else 0.0
    role, _, name = key.partition(":")
    if isinstance(reading, MetricsReading):
        _errors(world, name, reading)
    elif isinstance(reading, PostgresReading) and role == "postgres":
        _wal(world, name, reading, before if isinstance(before, PostgresReading) else None, seconds)
    elif isinstance(reading, BalancerReading) and isinstance(before, BalancerReading) and seconds > 0:
        _loads(world, name, reading, before, seconds)


def _errors(world: World, monitor: str, reading: MetricsReading) -> None:
    """Error ratios by the service's name at the monitor; the preferred monitor is chosen when shown."""
    for name, traffic in reading.services.items():
        if traffic.error_ratio is not None and math.isfinite(traffic.error_ratio):
            world.push(f"errors/{name}@{monitor}", round(traffic.error_ratio, 4))


def _wal(world: World, name: str, reading: PostgresReading, before: PostgresReading | None, seconds: float) -> None:
    """On a primary its write rate in bytes/s; on a standby its lag behind the newest primary position."""
    if reading.write_lsn is not None:
        if before is not None and before.write_lsn is not None and seconds > 0:
            world.push(f"wal/{name}", max(0.0, (reading.write_lsn - before.write_lsn) / seconds))
        return
    cluster = name.partition("/")[0]
    seen = world.observed.get(f"postgres:{name}")
    now = seen.mono if seen is not None and seen.mono is not None else 0.0
    keys = [k for k in world.keys("postgres") if k.startswith(f"postgres:{cluster}/")]
    others = [r for k in keys if (r := world.fresh(k, PostgresReading, now)) is not None and not r.in_recovery]
    lag = standby_lag(reading, others[0]) if len(others) == 1 else None
    if lag is not None and lag.replay is not None:
        world.push(f"lag/{name}", float(lag.replay))


def _loads(world: World, name: str, reading: BalancerReading, before: BalancerReading, seconds: float) -> None:
    same = reading.process == before.process
    world.push(f"counted/{name}", 1.0 if same else 0.0)
    if not same:
        return
    charted = len(reading.servers) <= CHARTED_SERVERS
    for key, server in reading.servers.items():
        old = before.servers.get(key)
        if old is server or old is None or server.requests < old.requests:
            rate, errors = 0.0, 0.0
        else:
            rate = round((server.requests - old.requests) / seconds, 1)
            errors = round(_errors_between(old, server) / seconds, 1)
        trend = f"load/{name}/{key}"
        if charted or rate or trend in world.trends:
            world.push(trend, rate)
        failing = f"load-errors/{name}/{key}"
        if errors or failing in world.trends:
            world.push(failing, errors)


def _errors_between(old: Server, server: Server) -> int:
    return max(0, server.errors_5xx - old.errors_5xx)
