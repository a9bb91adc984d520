"""Checks: pass needs fresh evidence, fail needs it too, everything else is unknown."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.monitors import version
from state.checks.integrity import IntegrityArgs, suite_key
from state.checks.model import Answer
from state.checks.registry import check_kinds
from state.errors import NotFound
from state.estate.colours import Colour
from state.estate.own_checks import CommandCheck, OwnCheck
from state.estate.releases import SchemaEntry, ServiceReleases
from state.health import Health
from state.world.balancer_parts import BalancerReading, StickTable
from state.world.dns_parts import DnsReading
from state.world.integrity_parts import IntegrityLine, IntegrityReading
from state.world.readings import Alert, AlertsReading, OwnCheckReading, PostgresReading
from state.world.release_parts import SchemaReading, VersionReading
from state.world.world import World
from tests.support.stores import backup, store
from tests.unit.test_restore_window import ENTRY, archiver
from tests.unit.verdict_world import (
    ESTATE,
    MB,
    NOW,
    WALL,
    balancer,
    blackhole,
    manager,
    metrics,
    primary,
    put,
    server,
    standby,
)

BLUE = {"balancer": "edge-east", "backend": "checkout", "server": "blue"}
DIGEST = f"sha256:{'1' * 64}"
RELEASES = ServiceReleases(read_schema=SchemaEntry(database="orders", query="select 12"))
VERSIONS = version.OPTIONS.model_validate(
    {
        "kind": "version",
        "targets": {
            site: {"site": site, "service": "checkout", "server": "blue", "url": "http://127.0.0.1:1/version"}
            for site in ("east", "west")
        },
    }
)
ALL: dict[str, dict[str, Any]] = {
    "service.healthy": {"service": "checkout"},
    "service.errors-below": {"service": "checkout", "ratio": "1%"},
    "server.serving": BLUE,
    "server.drained": {**BLUE, "server": "green", "sessions": 3},
    "site.drained": {"balancer": "edge-east", "backend": "checkout", "site": "west", "sessions": 3},
    "backend.floor": {"balancer": "edge-east", "backend": "checkout", "at_least": 1},
    "backend.active": BLUE,
    "backend.share": {"balancer": "edge-east", "backend": "checkout", "to": "blue", "percent": 100},
    "sticky.kept": {"balancer": "edge-east", "table": "web", "at": "edge-west"},
    "database.one-primary": {"database": "orders"},
    "database.caught-up": {"database": "orders", "bytes": "64kB"},
    "database.leader": {"database": "orders", "node": "n1"},
    "database.streaming": {"database": "orders"},
    "alerts.none": {},
    "evidence.database": {"database": "orders"},
    "evidence.backend": {"balancer": "edge-east", "backend": "checkout"},
    "evidence.service": {"service": "checkout"},
    "evidence.alerts": {},
    "database.integrity": {"database": "orders"},
    "database.restorable": {"database": "orders"},
    "dns.answers": {"zone": "shop.example", "record": "checkout"},
    "own.check": {"check": "queue"},
    "release.fits": {
        "service": "checkout", "version": "v41", "schema_min": "11", "schema_max": "12", "until": ("12",),
        "needs": ("queue",),
    },
    "release.running": {"service": "checkout", "digest": DIGEST},
    "schema.at": {"service": "checkout", "version": "12"},
    "schema.undoable": {"service": "checkout", "now": "12", "version": "11", "running": {"checkout": (DIGEST,)}},
}  # fmt: skip
TRAFFIC = ESTATE.services["checkout"].traffic
assert TRAFFIC is not None
SPANNING = TRAFFIC.model_copy(update={"colours": {**TRAFFIC.colours, "green": Colour(release="v42", site="west")}})
CHECKED = ESTATE.model_copy(
    update={
        "checks": {"queue": OwnCheck(command=CommandCheck(argv=("true",)))},
        "databases": {"orders": ESTATE.databases["orders"].model_copy(update={"backups": ENTRY})},
        "services": {
            **ESTATE.services,
            "checkout": ESTATE.services["checkout"].model_copy(update={"releases": RELEASES, "traffic": SPANNING}),
        },
        "monitors": {**ESTATE.monitors, "versions": VERSIONS},
    }
)
BACKUPS = store((backup("A", 2),), {1: range(1, 20)})


@pytest.fixture
def world(world: World) -> World:
    fine = IntegrityReading("orders", (IntegrityLine("writer", "cluster", Health.PASS, "n1 alone accepts writes"),))
    put(world, suite_key(IntegrityArgs(database="orders")), fine)
    seen = world.fresh("postgres:orders/n1", PostgresReading, NOW)
    assert seen is not None
    put(world, "postgres:orders/n1", replace(seen, archiver=archiver(19)))
    put(world, "backup:orders", BACKUPS)
    put(world, "alerts:alertmanager", AlertsReading((), watchdog=True))
    answers = {"checkout/A": ("10.1.0.10", "10.2.0.10")}
    put(world, "dns:shop.example@127.0.0.1:53", DnsReading("shop.example", "127.0.0.1:53", 1, answers))
    put(world, "schema:checkout", SchemaReading("checkout", "12"))
    for site in ("east", "west"):
        put(world, f"version:versions/{site}", VersionReading(site, DIGEST, "v41", "", 1.0))
    for name, rate in (("blue", 9.0), ("green", 0.0)):
        world.push(f"load/edge-east/checkout/{name}", rate)
    world.push("counted/edge-east", 1.0)
    for site in ("east", "west"):
        seen = world.fresh(f"balancer:edge-{site}", BalancerReading, NOW)
        table = {"web": StickTable(2, frozenset({"k1", "k2"}))}
        assert seen is not None
        put(world, f"balancer:edge-{site}", replace(seen, tables=table))
    put(world, "check:queue", OwnCheckReading("queue", Health.PASS, "exit code 0"))
    return world


def ask(world: World, kind: str, not_before: float = -math.inf, **changed: Any) -> Answer:
    check = check_kinds()[kind]
    args = check.args.model_validate({**ALL[kind], **changed})
    return check.ask(args, world, CHECKED, NOW, not_before)


def test_every_kind_is_tried() -> None:
    assert set(check_kinds()) == set(ALL)


@pytest.mark.parametrize("kind", ALL)
def test_healthy_world_passes(world: World, kind: str) -> None:
    answer = ask(world, kind)
    assert answer.health is Health.PASS, answer
    assert all(answer.evidence)


@pytest.mark.parametrize("kind", ALL)
def test_trap_12_no_reading_is_unknown(kind: str) -> None:
    answer = ask(World(), kind)
    assert answer.health is Health.UNKNOWN
    assert answer.evidence


@pytest.mark.parametrize("kind", ALL)
def test_trap_12_stale_readings_are_unknown(world: World, kind: str) -> None:
    for key in world.observed:
        blackhole(world, key)
    assert ask(world, kind).health is Health.UNKNOWN


@pytest.mark.parametrize("kind", ALL)
def test_readings_from_before_the_step_do_not_count(world: World, kind: str) -> None:
    answer = ask(world, kind, not_before=NOW - 0.1)
    assert answer.health is Health.UNKNOWN
    assert "waiting for a reading younger than the step" in "; ".join(answer.evidence)


@pytest.mark.parametrize("kind", ALL)
def test_arguments_are_strict(kind: str) -> None:
    with pytest.raises(ValidationError):
        check_kinds()[kind].args.model_validate({**ALL[kind], "extra": 1})


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("service.healthy", {"service": "nope"}),
        ("server.serving", {"balancer": "nope"}),
        ("site.drained", {"site": "moon"}),
        ("sticky.kept", {"at": "nope"}),
        ("database.leader", {"node": "n9"}),
        ("database.streaming", {"database": "nope"}),
        ("dns.answers", {"record": "nope"}),
        ("own.check", {"check": "nope"}),
        ("release.fits", {"service": "nope"}),
        ("release.running", {"service": "nope"}),
        ("schema.at", {"service": "nope"}),
        ("schema.undoable", {"service": "nope"}),
    ],
)
def test_unknown_names_are_not_found(world: World, kind: str, changed: dict[str, str]) -> None:
    with pytest.raises(NotFound):
        ask(world, kind, **changed)


@pytest.mark.parametrize("ratio", [math.nan, None])
def test_trap_12_nan_is_unknown(world: World, ratio: float | None) -> None:
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", metrics(ratio))
    assert ask(world, "service.errors-below").health is Health.UNKNOWN
    assert ask(world, "service.healthy").health is Health.UNKNOWN


def test_a_sample_from_before_the_step_does_not_count(world: World) -> None:
    put(world, "metrics:prometheus", metrics(), age=0.0)
    put(world, "metrics:apps", metrics(), age=0.0)
    assert ask(world, "service.errors-below", not_before=NOW - 0.1).health is Health.UNKNOWN
    assert ask(world, "service.errors-below", not_before=NOW - 0.5).health is Health.PASS


def test_errors_of_any_monitor_fail(world: World) -> None:
    put(world, "metrics:apps", metrics(0.2))
    assert ask(world, "service.errors-below").health is Health.FAIL
    assert ask(world, "service.healthy").health is Health.FAIL


def test_servers(world: World) -> None:
    assert ask(world, "server.serving", server="green").health is Health.FAIL
    assert ask(world, "server.drained", sessions=2).health is Health.FAIL
    assert ask(world, "server.drained", server="blue").health is Health.FAIL
    assert ask(world, "site.drained", sessions=2).health is Health.FAIL
    assert ask(world, "site.drained", site="east").health is Health.FAIL, "blue serves there"
    assert ask(world, "server.serving", server="red").health is Health.FAIL
    assert ask(world, "server.serving", backend="nope").health is Health.UNKNOWN
    assert ask(world, "backend.floor", at_least=2).health is Health.FAIL
    put(world, "balancer:edge-east", balancer("edge-east", server("blue", status="no check"), server("green", 50)))
    assert ask(world, "server.serving").health is Health.UNKNOWN
    assert ask(world, "backend.active").health is Health.FAIL


def test_one_primary(world: World) -> None:
    blackhole(world, "postgres:orders/n3")
    assert ask(world, "database.one-primary").health is Health.PASS, "its own manager says standby"
    blackhole(world, "patroni:orders/n3")
    assert ask(world, "database.one-primary").health is Health.UNKNOWN, "a silent node might write"
    put(world, "postgres:orders/n3", primary("n3", 100 * MB, timeline=2, fork_lsn=99 * MB))
    assert ask(world, "database.one-primary").health is Health.FAIL


def test_leader(world: World) -> None:
    assert ask(world, "database.leader", node="n2").health is Health.FAIL
    put(world, "patroni:orders/n2", manager("n2", "n2"))
    assert ask(world, "database.leader").health is Health.UNKNOWN


def test_caught_up_and_streaming(world: World) -> None:
    put(world, "postgres:orders/n2", standby("n2", 99 * MB))
    assert ask(world, "database.caught-up").health is Health.FAIL
    assert ask(world, "database.caught-up", node="n3").health is Health.PASS
    assert ask(world, "database.streaming").health is Health.PASS
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, receiver_state=None))
    assert ask(world, "database.caught-up").health is Health.UNKNOWN, "received all, but streams no more"
    assert ask(world, "database.streaming").health is Health.FAIL
    blackhole(world, "postgres:orders/n2")
    assert ask(world, "database.streaming").health is Health.UNKNOWN


def test_alerts(world: World) -> None:
    alert = Alert("Slow", "active", "warning", WALL, "", "f1")
    put(world, "alerts:alertmanager", AlertsReading((alert,), watchdog=True))
    assert ask(world, "alerts.none").health is Health.FAIL
    assert ask(world, "alerts.none", severity="critical").health is Health.PASS
    answer = ask(world, "alerts.none", severity="critcal")
    assert (answer.health, answer.evidence) == (
        Health.UNKNOWN,
        ("critcal is a severity of no monitor here: name it in `severities` of one",),
    )
    put(world, "alerts:alertmanager", AlertsReading((), watchdog=False))
    assert ask(world, "alerts.none").health is Health.UNKNOWN


def test_dns(world: World) -> None:
    assert ask(world, "dns.answers", answers=("10.2.0.10",)).health is Health.FAIL
    put(world, "dns:shop.example@127.0.0.1:53", DnsReading("shop.example", "127.0.0.1:53", 1, {}))
    answer = ask(world, "dns.answers")
    assert (answer.health, answer.evidence) == (Health.FAIL, ("127.0.0.1:53: no answer",))


def test_the_schema_and_what_serves_on_it(world: World) -> None:
    assert ask(world, "schema.at", version="12.0").health is Health.PASS, "zeros at the end count nothing"
    assert ask(world, "schema.at", version="13").health is Health.FAIL
    other = {"checkout": (f"sha256:{'2' * 64}",)}
    assert ask(world, "schema.undoable", running=other).health is Health.FAIL
    assert ask(world, "schema.undoable", now="13").health is Health.FAIL
    put(world, "version:versions/west", VersionReading("west", "", "v41", "", 1.0, "it tells no digest"))
    assert ask(world, "schema.undoable").health is Health.UNKNOWN
    blackhole(world, "schema:checkout")
    assert ask(world, "schema.at").health is Health.UNKNOWN


def test_a_balancer_or_probe_that_is_not_read_yet_fails_no_service(world: World) -> None:
    for key in ("balancer:edge-west", "probe:probes/checkout-west"):
        seen = world.observed[key]
        world.observed[key] = replace(seen, mono=NOW - 2.0)  # fresh, and older than the step
        answer = ask(world, "service.healthy", NOW - 1.0)
        assert answer.health is Health.UNKNOWN, answer
        assert "waiting for a reading" in answer.evidence[0]
        world.observed[key] = seen
    put(world, "balancer:edge-east", balancer("edge-east", server("blue", up=False), server("green", 0)))
    assert ask(world, "service.healthy", NOW - 1.0).health is Health.FAIL


def test_what_decides_about_errors_stands_before_what_was_not_read_yet(world: World) -> None:
    put(world, "metrics:prometheus", metrics(), age=2.0)
    put(world, "metrics:apps", metrics(0.4))
    answer = ask(world, "service.errors-below", NOW - 1.0)
    assert answer.health is Health.FAIL
    assert answer.evidence[0].startswith("apps: 5xx 40.0%"), answer.evidence
    assert "waiting for a reading" in answer.evidence[-1]


def test_restorable(world: World) -> None:
    assert ask(world, "database.restorable").evidence[0].endswith("Z")
    put(world, "backup:orders", replace(BACKUPS, sets=()))
    assert ask(world, "database.restorable").health is Health.FAIL
    put(world, "backup:orders", store(BACKUPS.sets, {1: range(1, 20)}, commits=False))
    assert ask(world, "database.restorable").health is Health.UNKNOWN, "how far is not known"
    put(world, "backup:orders", BACKUPS, age=900.0, limit=200.0)
    assert ask(world, "database.restorable").health is Health.UNKNOWN
