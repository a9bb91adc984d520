"""Servers of several sites behind the balancers of each: an instance stands for its server wherever that is led to."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.files.located_yaml import parse_yaml
from adapters.registry import kinds
from state.errors import ConfigError
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.health import Health
from state.verdicts.instances import ServiceTruth, service_truth
from state.world.balancer_parts import BalancerReading
from state.world.release_parts import VersionReading
from state.world.world import World
from tests.unit.verdict_world import NOW, balancer, blackhole, put, server

DIGESTS = {"a": f"sha256:{'a' * 64}", "b": f"sha256:{'b' * 64}"}
FILE = """\
estate: shown
environment: lab
sites: {east: {}, west: {}}
balancers:
  edge-east: {kind: memory, site: east, backends: {shop: {a: 1, b: 1}}}
  edge-west: {kind: memory, site: west, backends: {shop: {a: 1, b: 1}}}
services:
  shop:
    tier: 1
    rto: 5m
    rpo: 0B
    traffic:
      balancers: [edge-east, edge-west]
      backend: shop
      colours: {a: {site: east}, b: {site: west, servers: [PATTERN]}}
monitors:
  versions:
    kind: version
    targets:
      one: {site: east, service: shop, server: a, url: "http://127.0.0.1:1/version"}
      two: {site: WEST, service: shop, server: b, url: "http://127.0.0.1:2/version"}
"""


def loaded(site: str = "west", pattern: str = "b") -> Estate:
    text = FILE.replace("WEST", site).replace("PATTERN", pattern)
    return parse_estate(parse_yaml(text, "e.yaml"), kinds())


def edge(site: str, *names: str) -> BalancerReading:
    return balancer(f"edge-{site}", *(server(name, 50, backend="shop") for name in names))


@pytest.fixture
def seen() -> World:
    world = World()
    for site in ("east", "west"):
        put(world, f"balancer:edge-{site}", edge(site, "a", "b"))
    for target, name in (("one", "a"), ("two", "b")):
        put(world, f"version:versions/{target}", VersionReading(target, DIGESTS[name], "c1", "", 1.0))
    return world


def truth(world: World, **changed: Any) -> ServiceTruth:
    return service_truth(loaded(**changed), "shop", world, NOW, ())


def test_each_instance_stands_for_its_server_at_both_balancers(seen: World) -> None:
    found = truth(seen)
    assert {each.name: [at.balancer for at in each.places] for each in found.instances} == {
        "one": ["edge-east", "edge-west"],
        "two": ["edge-east", "edge-west"],
    }
    assert set(found.running) == set(DIGESTS.values())
    assert found.blind == ()


def test_a_balancer_that_is_not_read_leaves_the_instance_carrying(seen: World) -> None:
    blackhole(seen, "balancer:edge-west")
    found = truth(seen)
    assert all(each.carries for each in found.instances)
    assert {at.balancer for each in found.instances for at in each.places if at.server is None} == {"edge-west"}


def test_a_server_that_nobody_is_asked_of_is_told_where_it_stands(seen: World) -> None:
    put(seen, "balancer:edge-east", edge("east", "a", "b", "c"))
    extra = next(each for each in truth(seen).instances if each.server == "c")
    assert (extra.name, extra.site, extra.fits) == ("edge-east/c", "east", Health.UNKNOWN)


@pytest.mark.parametrize("pattern", ["b", '"b*"'])
def test_an_instance_elsewhere_than_its_server_is_told(pattern: str) -> None:
    assert loaded(pattern=pattern).services
    with pytest.raises(ConfigError) as told:
        loaded(site="east", pattern=pattern)
    assert "west, where b stands" in str(told.value)
