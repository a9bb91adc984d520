"""Causes at their root: what is said of each fault, whoever the nodes are and however many there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.tui.parts.sentence import step_text
from state.api.views.causes import ForecastKind, NextKind, SubjectKind
from state.api.views.runbooks import Param, RunbookRow
from state.health import Health
from state.journal.events import Instant
from state.runs.fold import RunHistory
from state.runs.model import Run, StepRun
from state.runs.steps import PlannedStep
from state.verdicts.cause_database import database_causes
from state.verdicts.replication import cluster_verdict
from state.views.header import build as header
from state.world.observed import Observed
from state.world.readings import AlertsReading, MetricsReading, ReleaseTraffic, ServiceTraffic
from state.world.world import World
from tests.unit.verdict_world import (
    DNS,
    ESTATE,
    MB,
    NOW,
    SCRAPED,
    balancer,
    blackhole,
    dns,
    first,
    freeze,
    look,
    manager,
    metrics,
    primary,
    put,
    server,
    standby,
    told,
)


def test_a_well_world_has_no_cause_and_says_so_only_with_proof(world: World) -> None:
    view, screen = told(world)
    # catalog has neither metrics nor probes: nothing speaks for it
    assert screen.health is Health.UNKNOWN
    assert not screen.summary.startswith("all ")
    assert [c for c in view.causes if c.name != "catalog"] == []


def test_a_frozen_primary_is_the_cause_and_its_standbys_are_not(world: World) -> None:
    freeze(world)
    cause = first(world)
    assert (cause.kind, cause.name, cause.health, cause.loud) == (SubjectKind.DATABASE, "orders", Health.FAIL, True)
    assert cause.sentence(NOW) == "orders: primary n1 does not answer 00:06. Patroni promotes n2 or n3 in ≤ 34 s."
    assert cause.forecast is not None
    assert cause.forecast.kind is ForecastKind.PROMOTION
    assert cause.next is not None
    assert (cause.next.kind, cause.next.key, cause.next.name) == (NextKind.CHANGE, "f", "database.failover")
    assert cause.next.arguments == {"database": "orders"}
    assert "Key f opens the card of a failover" in cause.next.message
    assert sorted(v.name for v in cause.victims) == ["catalog", "checkout"]
    rows = told(world)[1].recover
    assert rows["database/orders"].order == 1
    assert [(rows[f"service/{n}"].depth, rows[f"service/{n}"].waits_for) for n in ("checkout", "catalog")] == [
        (1, "orders"),
        (1, "orders"),
    ]
    assert rows["database/orders"].rto is not None
    assert rows["database/orders"].since_mono == NOW - 6


def test_the_forecast_follows_the_configured_ttl_and_is_overdue_afterwards(world: World) -> None:
    for node in ("n2", "n3"):
        put(world, f"patroni:orders/{node}", manager(node, "n1", ttl=20.0, loop_wait=1.0))
    freeze(world)
    assert "Patroni promotes n2 or n3 in ≤ 15 s." in first(world).sentence(NOW)
    assert "due 00:05 ago" in first(world).sentence(NOW + 20)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"paused": True}, "Patroni is paused: nothing happens by itself"),
        ({"failsafe": True}, "store (DCS) does not answer: nothing is promoted"),
        ({"dcs_age": 90.0}, "store (DCS) does not answer: nothing is promoted"),
    ],
)
def test_nothing_is_promised_that_patroni_will_not_do(world: World, facts: dict[str, object], says: str) -> None:
    for node in ("n2", "n3"):
        put(world, f"patroni:orders/{node}", manager(node, "n1", **facts))
    freeze(world)
    forecast = first(world).forecast
    assert forecast is not None
    assert (forecast.kind, forecast.by_mono) == (ForecastKind.NOTHING, None)
    assert says in forecast.message


def test_only_standbys_in_sync_are_promised_where_commits_are_synchronous(world: World) -> None:
    for node in ("n2", "n3"):
        reading = manager(node, "n1")
        members = tuple(replace(m, role="sync_standby") if m.name == "n3" else m for m in reading.members)
        put(world, f"patroni:orders/{node}", replace(reading, members=members))
    freeze(world)
    assert "Patroni promotes n3 in" in first(world).sentence(NOW)


def test_one_silent_connection_is_not_called_a_dead_primary(world: World) -> None:
    blackhole(world, "postgres:orders/n1")
    view, screen = told(world)
    assert screen.recover["database/orders"].health is Health.UNKNOWN
    cause = next(c for c in view.causes if c.name == "orders")
    assert cause.what == "primary n1 does not answer here"
    assert screen.recover["service/checkout"].health is not Health.FAIL


def test_what_fails_because_of_a_silent_primary_makes_it_the_first_cause_before_it_is_proven(world: World) -> None:
    blackhole(world, "postgres:orders/n1")
    blackhole(world, "metrics:apps")
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", metrics(0.5))
    put(world, "alerts:alertmanager", AlertsReading((), watchdog=True))
    view, screen = told(world)
    assert screen.recover["service/checkout"].health is Health.FAIL
    assert screen.recover["service/checkout"].waits_for == "orders"
    assert (view.causes[0].name, view.causes[0].health) == ("orders", Health.UNKNOWN)


def test_a_silent_patroni_does_not_hide_what_postgres_says(world: World) -> None:
    blackhole(world, "patroni:orders/n1")
    view, screen = told(world)
    assert screen.recover["database/orders"].health is Health.WARN
    [cause] = [c for c in view.causes if c.name != "catalog"]
    assert (cause.kind, cause.name, cause.health) == (SubjectKind.DATABASE, "orders", Health.WARN)
    assert cause.what == "Patroni of primary n1 does not answer, its PostgreSQL accepts writes"
    assert cause.forecast is not None
    assert (
        cause.forecast.text(NOW) == "Patroni promotes n2 or n3 in ≤ 28 s"
    )  # silent for 12 s; ttl 30 s, loop_wait 10 s
    assert cause.next is not None
    assert "stop its PostgreSQL (pg_ctl stop -m fast)" in cause.next.message


def test_a_patroni_that_was_not_asked_yet_is_not_called_silent(world: World) -> None:
    world.observed["patroni:orders/n1"] = Observed("patroni:orders/n1", 3.0)
    said = [c.what for c in told(world)[0].causes]
    assert not any("does not answer" in what for what in said), said


def test_a_lock_that_outlasts_the_silence_of_its_manager_is_renewed_where_we_do_not_see_it(world: World) -> None:
    blackhole(world, "patroni:orders/n1", 60.0)
    forecast = first(world).forecast
    assert forecast is not None
    assert (forecast.kind, forecast.by_mono) == (ForecastKind.NOTHING, None)
    assert "n1 still holds the leader lock by the other nodes" in forecast.message


def test_a_silent_patroni_of_a_standby_is_the_one_cause(world: World) -> None:
    blackhole(world, "patroni:orders/n2")
    view, screen = told(world)
    assert [(c.kind, c.name, c.health) for c in view.causes if c.name != "catalog"] == [
        (SubjectKind.SOURCE, "Patroni n2", Health.WARN)
    ]
    assert screen.recover["database/orders"].message.startswith("n2: Patroni: no data since")


def test_two_writers_name_whom_to_fence(world: World) -> None:
    put(world, "postgres:orders/n3", primary("n3", 101 * MB, timeline=2, fork_lsn=99 * MB))
    cause = first(world)
    assert cause.what == "SPLIT BRAIN, n1 and n3 both accept writes"
    assert cause.next is not None
    assert "n1 holds the leader lock" in cause.next.message
    assert "on n3: stop its Patroni" in cause.next.message
    assert (cause.next.kind, cause.next.key, cause.next.title) == (NextKind.HAND, "f", "fence n3 by hand")


def test_two_writers_open_the_fence_of_the_one_without_the_lock_where_the_estate_has_a_command(world: World) -> None:
    put(world, "postgres:orders/n3", primary("n3", 101 * MB, timeline=2, fork_lsn=99 * MB))
    orders = ESTATE.databases["orders"]
    nodes = {name: node.model_copy(update={"fence": "stop"}) for name, node in orders.nodes.items()}
    named = orders.model_copy(update={"nodes": nodes})
    [cause] = database_causes(cluster_verdict("orders", named, world, NOW))
    assert cause.next is not None
    assert (cause.next.kind, cause.next.name, cause.next.key) == (NextKind.CHANGE, "database.fence", "n")
    assert cause.next.arguments == {"database": "orders", "node": "n3"}


def test_a_dead_standby_and_a_cut_one_are_named_with_what_helps(world: World) -> None:
    blackhole(world, "postgres:orders/n2")
    blackhole(world, "patroni:orders/n2")
    put(world, "postgres:orders/n3", standby("n3", 80 * MB, receiver_state=None))
    said = {c.what for c in told(world)[0].causes if c.name == "orders"}
    assert said == {"n2 is down or cut off", "standby n3 gets no WAL from n1, at least 20.0 MB behind"}
    assert told(world)[1].recover["service/checkout"].health is Health.PASS


def test_a_name_that_leads_elsewhere_fails_its_service_at_once(world: World) -> None:
    put(world, DNS, dns("127.0.9.9"))
    view, screen = told(world)
    cause = view.causes[0]
    assert (cause.kind, cause.health, cause.name) == (SubjectKind.RECORD, Health.FAIL, "checkout")
    assert cause.what == (
        "DNS checkout.shop.example answers 127.0.9.9, not 10.1.0.10, 10.2.0.10; requests still arrive, 50/s"
    )
    assert cause.next is not None
    assert "nsupdate" in cause.next.message
    row = screen.recover["service/checkout"]
    assert (row.health, row.rto is not None) == (Health.FAIL, True)


@pytest.mark.parametrize(("answers", "health"), [(("10.1.0.10",), Health.PASS), ((), Health.FAIL)])
def test_a_site_taken_out_of_dns_is_no_fault_and_no_answer_is(
    world: World, answers: tuple[str, ...], health: Health
) -> None:
    put(world, DNS, dns(*answers))
    assert told(world)[1].recover["service/checkout"].health is health


def test_a_bad_release_leads_to_the_runbook_that_flips_it_back(world: World) -> None:
    put(world, "postgres:orders/n1", primary("n1", 100 * MB))
    releases = (ReleaseTraffic("v42", 50.0, 0.2, 0.4), ReleaseTraffic("v41", 0.0, None, None))
    for monitor in ("prometheus", "apps"):
        put(
            world,
            f"metrics:{monitor}",
            MetricsReading({"checkout": ServiceTraffic("checkout", 50.0, 0.2, 0.05, releases, scraping=SCRAPED)}),
        )
    for site in ("east", "west"):
        put(world, f"balancer:edge-{site}", balancer(f"edge-{site}", server("blue", 0), server("green", 100)))
    cause = first(world)
    assert cause.what == "20.0% of requests fail on release v42 (green)"
    assert cause.next is not None
    assert (cause.next.kind, cause.next.name, cause.next.key) == (NextKind.CHANGE, "backend.flip", "r")
    assert cause.next.arguments == {"service": "checkout", "backend": "checkout", "to": "blue"}
    library = {
        "back": RunbookRow(
            "back", "Back", "1", 1, 1, (Param("service", "service", "", (), True),), "", "", (), acts=("backend.flip",)
        )
    }
    context = look(world)
    context.library = library
    step = header(context).causes[0].next
    assert step is not None
    assert (step.kind, step.name, step.arguments) == (NextKind.RUNBOOK, "back", {"service": "checkout"})


@pytest.mark.parametrize(("do", "leads"), [("change", True), ("check", False)])
@pytest.mark.parametrize("blue_up", [True, False])
def test_a_run_that_acts_for_the_service_is_its_next_step_whatever_else_fits(
    world: World, do: str, leads: bool, blue_up: bool
) -> None:
    """Also once its flip is made, and no release is left that another one could replace."""
    read = ServiceTraffic("checkout", 50.0, 0.106, 0.05, scraping=SCRAPED)
    put(world, "metrics:prometheus", MetricsReading({"checkout": read}))
    for site in ("east", "west"):
        put(world, f"balancer:edge-{site}", balancer(f"edge-{site}", server("blue", 100, up=blue_up)))
    context = look(world)
    step = PlannedStep(id="flip", index=0, do=do, title="Flip", timeout=5.0, what="backend.flip")
    run = Run("R-3", "Roll a release back", "ada", (step,), Instant(1, 0.0, "boot"), 0.0, service="checkout")
    run.instances["flip"] = [StepRun(step, 1)]
    context.of(RunHistory).runs["R-3"] = run
    cause = header(context).causes[0]
    assert cause.next is not None
    assert (cause.next.kind is NextKind.RUN, cause.next.key == "d") == (leads, leads)
    if leads:
        assert step_text(cause.next).plain == "d R-3 is running: Roll a release back."


def test_two_figures_of_one_service_say_what_each_is_of(world: World) -> None:
    releases = (ReleaseTraffic("v42", 15.0, 0.106, 0.4), ReleaseTraffic("v41", 35.0, 0.008, 0.4))
    read = MetricsReading({"checkout": ServiceTraffic("checkout", 50.0, 0.037, 0.05, releases, scraping=SCRAPED)})
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", read)
    (cause,) = (each for each in told(world)[0].causes if each.name == "checkout")
    assert cause.what == "10.6% of requests fail on release v42 (green), 3.7% of all"


def test_a_release_is_not_rolled_back_to_one_that_is_down(world: World) -> None:
    releases = (ReleaseTraffic("v42", 50.0, 0.2, 0.4),)
    put(
        world,
        "metrics:prometheus",
        MetricsReading({"checkout": ServiceTraffic("checkout", 50.0, 0.2, 0.05, releases, scraping=SCRAPED)}),
    )
    for site in ("east", "west"):
        down = server("blue", 0, up=False)
        put(world, f"balancer:edge-{site}", balancer(f"edge-{site}", down, server("green", 100)))
    step = first(world).next
    assert step is not None
    assert step.kind is NextKind.PLACE


def test_errors_of_what_needs_a_failing_database_are_no_cause_of_their_own(world: World) -> None:
    freeze(world)
    put(world, "metrics:prometheus", metrics(0.5))
    causes = told(world)[0].causes
    assert [c.name for c in causes if c.health is Health.FAIL] == ["orders"]
    assert told(world)[1].recover["service/checkout"].message == "waits for orders; 5xx 50.0% > 1.0%"


def test_a_silent_source_makes_unknown_only_what_depended_on_it(world: World) -> None:
    blackhole(world, "metrics:prometheus")
    view, screen = told(world)
    cause = next(c for c in view.causes if c.name == "prometheus")
    assert (cause.health, [(v.name, v.why) for v in cause.victims]) == (
        Health.WARN,
        [("checkout", "judged by its other sources")],
    )
    assert screen.recover["service/checkout"].health is Health.PASS
    assert screen.recover["database/orders"].health is Health.PASS
