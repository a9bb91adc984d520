"""A small estate and a world to put readings into, for tests of verdicts, views and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.registry import kinds
from state.api.views.causes import Cause
from state.api.views.header import HeaderView, RtoClock
from state.api.views.overview import OverviewView
from state.capabilities import parts
from state.config_files.located import Located
from state.detection.detector import Detector
from state.errors import Trouble
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.journal.projection import Folds, FoldSetting
from state.verdicts.judge import Judge
from state.views.context import JournalState, ViewContext
from state.views.header import build as header
from state.views.memory import Memory
from state.views.overview import build as overview
from state.world.balancer_parts import BalancerReading, Server
from state.world.dns_parts import DnsReading
from state.world.observed import Observed, ReadError
from state.world.postgres_parts import WalSender
from state.world.readings import (
    MetricsReading,
    PatroniMember,
    PatroniReading,
    PostgresReading,
    ProbeReading,
    Reading,
    Scraping,
    ServiceTraffic,
)
from state.world.timelines import TimelineSwitch
from state.world.world import World

NOW = 1000.0
"""The engine's monotonic clock in these tests; wall time is a round hour before the readings."""
WALL = 1_795_417_200.0
MB = 1_000_000
SCRAPED = Scraping(1.0, 10.0, 10.0, 0.2)
"""Samples every second, the newest 0.2 s old."""

_TRAFFIC = {"balancers": ["edge-east", "edge-west"], "backend": "checkout", "floor": 1}
RAW: dict[str, Any] = {
    "estate": "shop",
    "environment": "lab",
    "sites": {"east": {}, "west": {}},
    "people": {"u1": {"title": "Ada"}},
    "services": {
        "checkout": {
            "tier": 1,
            "rto": "15m",
            "rpo": "1MB",
            "owners": ["u1"],
            "depends_on": ["orders"],
            "traffic": {**_TRAFFIC, "colours": {"blue": "v41", "green": "v42"}},
            "objectives": {"error_ratio": "1%", "p99": "300ms"},
            "metrics": {"monitors": ["prometheus", "apps"], "service": "checkout"},
        },
        "catalog": {"tier": 2, "rto": "45m", "rpo": "10MB", "depends_on": ["checkout", "orders"]},
    },
    "databases": {
        "orders": {
            "kind": "patroni",
            "scope": "orders",
            "rpo": "1MB",
            "user": "recovery",
            "tls": "loopback",
            "nodes": {
                "n1": {"site": "east", "postgres": "127.0.0.1:1", "api": "http://127.0.0.1:11"},
                "n2": {"site": "east", "postgres": "127.0.0.1:2", "api": "http://127.0.0.1:12"},
                "n3": {"site": "west", "postgres": "127.0.0.1:3", "api": "http://127.0.0.1:13"},
            },
        }
    },
    "balancers": {
        "edge-east": {"kind": "haproxy", "site": "east", "socket": "/run/east.sock"},
        "edge-west": {"kind": "haproxy", "site": "west", "socket": "/run/west.sock"},
    },
    "zones": {
        "shop.example": {
            "kind": "rfc2136",
            "servers": ["127.0.0.1:53"],
            "records": [{"name": "checkout", "expect": ["10.1.0.10", "10.2.0.10"]}],
        }
    },
    "monitors": {
        "prometheus": {"kind": "prometheus", "url": "http://127.0.0.1:9090"},
        "apps": {"kind": "scrape", "targets": {"blue": {"site": "east", "url": "http://127.0.0.1:1/metrics"}}},
        "alertmanager": {"kind": "alertmanager", "url": "http://127.0.0.1:9093"},
        "probes": {
            "kind": "http",
            "targets": {
                "checkout-east": {"site": "east", "service": "checkout", "url": "http://127.0.0.1:1/"},
                "checkout-west": {"site": "west", "service": "checkout", "url": "http://127.0.0.1:2/"},
            },
        },
    },
}
ESTATE = parse_estate(Located(RAW, "estate.yaml"), kinds())


def put(world: World, key: str, value: Reading, *, age: float = 0.5, limit: float = 3.0) -> None:
    """Read a source `age` seconds ago."""
    world.observed[key] = Observed(key, limit, value, WALL + NOW - age, NOW - age)


def fail(world: World, key: str, trouble: Trouble = Trouble.TIMEOUT, message: str = "gave up") -> None:
    """The newest read of a source gave nothing; the former value stays."""
    seen = world.observed.get(key, Observed(key, 3.0))
    world.observed[key] = seen.failed(ReadError(trouble, message, WALL + NOW))


def blackhole(world: World, key: str, seconds: float = 12.0) -> None:
    """A source has been silent for a while."""
    seen = world.observed[key]
    world.observed[key] = replace(seen, mono=NOW - seconds, at=WALL + NOW - seconds)
    fail(world, key)


def primary(node: str, position: int, timeline: int = 1, **facts: Any) -> PostgresReading:
    """A writable node that sends to the others, unless facts say otherwise; `fork_lsn` is where it left the timeline
    before its own."""
    facts.setdefault("senders", tuple(sender(other) for other in ("n1", "n2", "n3") if other != node))
    if (fork := facts.pop("fork_lsn", None)) is not None:
        facts["history"] = (TimelineSwitch(timeline - 1, fork),)
    return replace(_postgres(node, timeline), write_lsn=position, **facts)


def standby(node: str, replayed: int, held: int | None = None, timeline: int = 1, **facts: Any) -> PostgresReading:
    """A standby that streams, unless facts say otherwise."""
    made = replace(
        _postgres(node, timeline),
        in_recovery=True,
        receive_lsn=replayed if held is None else held,
        replay_lsn=replayed,
        replay_pause="not paused",
        receiver_state="streaming",
    )
    return replace(made, **facts)


def _postgres(node: str, timeline: int) -> PostgresReading:
    return PostgresReading(
        node, False, timeline, "7001", "17.2", 0.0, "127.0.0.1:1", None, None, None, None, None, None, "", "on"
    )


def sender(node: str, sync: str = "async") -> WalSender:
    return WalSender(node, "streaming", sync, None, None, None, 0.1)


def manager(node: str, leader: str | None, *, timeline: int = 1, **facts: Any) -> PatroniReading:
    """A Patroni node that sees all three members, led by `leader`."""
    members = tuple(
        PatroniMember(n, "leader" if n == leader else "replica", "running", timeline, 0) for n in ("n1", "n2", "n3")
    )
    made = PatroniReading(
        node,
        "orders",
        "primary" if node == leader else "replica",
        "running",
        timeline,
        None,
        "7001",
        "4.1.5",
        False,
        leader is None,
        False,
        1.0,
        1_048_576,
        members,
    )
    return replace(made, **facts)


def healthy_cluster(world: World, position: int = 100 * MB) -> None:
    """n1 leads at `position`, n2 and n3 stream and are caught up, the write rate is known."""
    put(world, "postgres:orders/n1", primary("n1", position, senders=(sender("n2"), sender("n3"))))
    for node in ("n2", "n3"):
        put(world, f"postgres:orders/{node}", standby(node, position))
    for node in ("n1", "n2", "n3"):
        put(world, f"patroni:orders/{node}", manager(node, "n1"))


def server(name: str, weight: int = 100, *, backend: str = "checkout", **facts: Any) -> Server:
    made = Server(backend, name, "127.0.0.1:80", "UP", weight, 100, False, False, True, 3, 0, "L7OK", 1000, 0)
    return replace(made, **{"checked": facts.get("status") != "no check", **facts})


def balancer(name: str, *servers: Server, process: str = "41@100", started: float = WALL) -> BalancerReading:
    return BalancerReading(name, "2.8", process, started, {f"{s.backend}/{s.name}": s for s in servers}, leaving=0)


def metrics(error_ratio: float | None = 0.0, rate: float | None = 50.0, p99: float | None = 0.05) -> MetricsReading:
    return MetricsReading({"checkout": replace(ServiceTraffic("checkout", rate, error_ratio, p99), scraping=SCRAPED)})


def sampled(reading: MetricsReading, age: float) -> MetricsReading:
    """The same figures with samples of this age in seconds."""
    old = {n: replace(t, scraping=replace(SCRAPED, age=age)) for n, t in reading.services.items()}
    return replace(reading, services=old)


DNS = "dns:shop.example@127.0.0.1:53"


def dns(*addresses: str) -> DnsReading:
    """What the zone's one server answers for checkout."""
    return DnsReading("shop.example", "127.0.0.1:53", 1, {"checkout/A": addresses}, {"checkout/A": 5})


def healthy_service(world: World) -> None:
    """Checkout is fine by every witness."""
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", metrics())
    for site in ("east", "west"):
        put(world, f"balancer:edge-{site}", balancer(f"edge-{site}", server("blue"), server("green", 0)))
        put(world, f"probe:probes/checkout-{site}", ProbeReading(f"checkout-{site}", 200, 0.01))
    put(world, DNS, dns("10.1.0.10", "10.2.0.10"))


def healthy_world() -> World:
    world = World()
    healthy_cluster(world)
    healthy_service(world)
    return world


class StillClock:
    """Stands at NOW."""

    def mono(self) -> float:
        return NOW

    def wall(self) -> float:
        return WALL


def look(
    world: World,
    memory: Memory | None = None,
    *,
    estate: Estate = ESTATE,
    clocks: Mapping[str, RtoClock] | None = None,
    drifts: Mapping[str, Mapping[str, str]] | None = None,
    journal: JournalState | None = None,
) -> ViewContext:
    """What views are built from, at NOW; `clocks` and `drifts` are what the detector would have noticed."""
    judge = Judge(estate, world, StillClock().wall)
    setting = FoldSetting(estate, judge, StillClock(), "boot", "engine")
    folds = Folds(tuple(parts("projections")), setting)
    folds.of(Detector)._clocks.update(clocks or {})
    folds.of(Detector)._drifts.update(drifts or {})
    return ViewContext(judge.at(NOW), folds, journal or JournalState(), {}, memory or Memory())


def told(world: World, **facts: object) -> tuple[HeaderView, OverviewView]:
    context: ViewContext = look(world, **facts)  # type: ignore[arg-type]
    return header(context), overview(context)


def first(world: World) -> Cause:
    return told(world)[0].causes[0]


def freeze(world: World, node: str = "n1") -> None:
    """The primary's server and its Patroni are silent; the standbys still hold their connections."""
    blackhole(world, f"postgres:orders/{node}", 6.0)
    blackhole(world, f"patroni:orders/{node}", 6.0)
