"""Two services on one schema: what undoes its migrations for one of them is felt by the other."""

from __future__ import annotations

import pytest

from adapters.files.located_yaml import parse_yaml
from adapters.registry import kinds
from state.api.views.releases import ReleaseStanding
from state.checks.model import Answer
from state.checks.registry import check_kinds
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.health import Health
from state.verdicts.instances import service_truth
from state.verdicts.releases import releases_verdict
from state.verdicts.rollback import WayBack
from state.verdicts.schema_undo import sharing
from state.world.release_parts import Release, SchemaReading, VersionReading
from state.world.world import World
from tests.unit.verdict_world import NOW, balancer, blackhole, put, server

FILE = """\
estate: shown
environment: lab
sites: {east: {}}
databases:
  orders:
    {kind: streaming, rpo: 1MB, tls: loopback, nodes: {n1: {site: east, postgres: "127.0.0.1:5432"}}, user: watch}
commands:
  down:
    argv: [migrate, "${version}"]
    params: {version: {kind: text}}
    read: {argv: [migrated, "${version}"]}
    loses_data: false
balancers:
  edge: {kind: memory, site: east, backends: {shop: {blue: 1, green: 1}, cart: {one: 1}}}
services:
  shop:
    tier: 1
    rto: 5m
    rpo: 0B
    traffic: {balancers: [edge], backend: shop, colours: {blue: "", green: ""}}
    releases: {schema: {database: orders, query: "select max(v) from m", undo: {command: down}}}
  cart:
    tier: 1
    rto: 5m
    rpo: 0B
    traffic: {balancers: [edge], backend: cart}
    releases: {schema: {database: orders, query: "QUERY"}}
monitors:
  versions:
    kind: version
    targets:
      blue: {site: east, service: shop, server: blue, url: "http://127.0.0.1:1/version"}
      green: {site: east, service: shop, server: green, url: "http://127.0.0.1:2/version"}
      one: {site: east, service: cart, server: one, url: "http://127.0.0.1:3/version"}
"""
OLD, NEW, CART = (f"sha256:{each * 64}" for each in "123")
SAME, OTHER = "select  max(v)\\n from m", "select max(v) from cart_migrations"
CHECK = {"service": "shop", "now": "11", "version": "10", "running": {"shop": [OLD, NEW], "cart": [CART]}}


def estate(query: str = SAME) -> Estate:
    return parse_estate(parse_yaml(FILE.replace("QUERY", query), "e.yaml"), kinds())


def way(world: World, low: str, high: str, *, query: str = SAME, marker: str = "") -> WayBack:
    """Back to shop's v1 on schema 10, with a cart that runs on schemas `low` to `high`."""
    released = {
        "shop": (
            Release("shop", OLD, "v1", "9", "10", order=1),
            Release("shop", NEW, "v2", "10", "11", order=2),
        ),
        "cart": (Release("cart", CART, "c7", low, high, reversible_until=marker, order=3),) if low else (),
    }
    model = estate(query)
    truths = {name: service_truth(model, name, world, NOW, each) for name, each in released.items()}
    found = releases_verdict(model, "shop", world, NOW, released, truths).rollback.of(OLD)
    assert found is not None
    return found


@pytest.fixture
def seen() -> World:
    world = World()
    servers = (server("blue", 0, backend="shop"), server("green", backend="shop"), server("one", backend="cart"))
    put(world, "balancer:edge", balancer("edge", *servers))
    for target, digest in (("blue", OLD), ("green", NEW), ("one", CART)):
        put(world, f"version:versions/{target}", VersionReading(target, digest, "", "", 1.0))
    for service in ("shop", "cart"):
        put(world, f"schema:{service}", SchemaReading(service, "11"))
    return world


def ask(world: World) -> Answer:
    check = check_kinds()["schema.undoable"]
    return check.ask(check.args.model_validate(CHECK), world, estate(), NOW)


def test_services_share_a_schema_that_they_read_in_one_place() -> None:
    assert sharing(estate(), "shop") == ("cart",)
    assert sharing(estate(OTHER), "shop") == ()


def test_a_neighbour_that_runs_on_the_older_schema_is_no_hindrance(seen: World) -> None:
    found = way(seen, "10", "12")
    assert (found.standing, found.schema_to) == (ReleaseStanding.OFFERED, "10")
    assert "10 to 11 of v2 and in 10 to 12 of cart c7" in found.reasons[1].fact
    assert ask(seen).health is Health.PASS


def test_a_neighbour_that_does_not_blocks_it(seen: World) -> None:
    found = way(seen, "11", "12")
    assert found.standing is ReleaseStanding.BLOCKED
    assert "no version of it is in 10 to 11 of v2 and in 11 to 12 of cart c7" in found.against[0].fact
    assert way(seen, "11", "12", query=OTHER).standing is ReleaseStanding.OFFERED, "it is on another schema"


def test_what_a_neighbour_says_of_steps_that_lose_data_holds_too(seen: World) -> None:
    assert way(seen, "10", "12", marker="10").standing is ReleaseStanding.BLOCKED
    assert way(seen, "10", "12", marker="11").standing is ReleaseStanding.OFFERED


def test_a_neighbour_that_nobody_knows_leaves_it_unknown(seen: World) -> None:
    assert way(seen, "", "").standing is ReleaseStanding.UNKNOWN, "nobody recorded what it runs"
    blackhole(seen, "version:versions/one")
    assert way(seen, "10", "12").standing is ReleaseStanding.UNKNOWN
    assert ask(seen).health is Health.UNKNOWN


def test_a_neighbour_that_runs_something_else_by_then_stops_the_run(seen: World) -> None:
    put(seen, "version:versions/one", VersionReading("one", NEW, "", "", 1.0))
    answer = ask(seen)
    assert answer.health is Health.FAIL
    assert answer.evidence[0].startswith("cart: nothing says that")
