"""What the recording checks write down, also where a part has no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from state.checks.model import Answer
from state.checks.registry import check_kinds
from state.health import Health
from state.world.balancer_parts import BalancerReading
from state.world.world import World
from tests.unit.verdict_world import ESTATE, NOW, blackhole, put, server


def record(world: World, kind: str, **args: Any) -> Answer:
    check = check_kinds()[f"evidence.{kind}"]
    return check.ask(check.args.model_validate(args), world, ESTATE, NOW)


def test_a_database_is_recorded_node_by_node(world: World) -> None:
    answer = record(world, "database", database="orders")
    assert answer.health is Health.PASS
    text = "\n".join(answer.evidence)
    for node in ESTATE.databases["orders"].nodes:
        assert f"{node}: " in text
        assert f"Patroni {node}: " in text
    assert "timeline" in text
    assert "written " in text


def test_what_is_silent_is_named_and_the_rest_is_still_recorded(world: World) -> None:
    blackhole(world, "postgres:orders/n2")
    answer = record(world, "database", database="orders")
    assert answer.health is Health.UNKNOWN
    text = "\n".join(answer.evidence)
    assert "n2: no data since" in text
    assert "written " in text


def test_a_backend_is_recorded_server_by_server_and_never_cut_silently(world: World) -> None:
    answer = record(world, "backend", balancer="edge-east", backend="checkout")
    assert answer.health is Health.PASS
    assert any(line.startswith("blue ") and "weight" in line for line in answer.evidence)
    reading = world.fresh("balancer:edge-east", BalancerReading, NOW)
    assert reading is not None
    many = {f"checkout/s{n}": server(f"s{n}", backend="checkout") for n in range(60)}
    put(world, "balancer:edge-east", replace(reading, servers=many))
    answer = record(world, "backend", balancer="edge-east", backend="checkout")
    assert answer.health is Health.UNKNOWN
    assert answer.evidence[-1] == "and 15 more servers, not recorded"
