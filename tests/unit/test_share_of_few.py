"""A small share of few requests: no poll alone tells it, several do; many requests tell it in one."""

from __future__ import annotations

import random

import pytest

from state.checks.traffic import MOST_POLLS, WantedShare, share
from state.health import Health
from state.world.world import World
from tests.unit.verdict_world import ESTATE, NOW

PLACE = "load/edge-east/checkout"


def judged(world: World, percent: int) -> Health:
    wanted = WantedShare(balancer="edge-east", backend="checkout", to="blue", percent=percent, within=4)
    return share(wanted, world, ESTATE, NOW).health


def poll(world: World, blue: float, green: float) -> None:
    world.push(f"{PLACE}/blue", blue)
    world.push(f"{PLACE}/green", green)


@pytest.mark.parametrize("percent", [5, 10, 90, 95])
def test_a_share_of_ten_requests_a_second_is_found_and_stays_found(world: World, percent: int) -> None:
    chance = random.Random(percent)
    told: list[Health] = []
    for _ in range(90):
        blue = sum(chance.random() * 100 < percent for _ in range(10))
        poll(world, blue, 10 - blue)
        told.append(judged(world, percent))
    assert told[MOST_POLLS:].count(Health.PASS) > 30, "one poll alone has 0 of 10, or all, more often than not"


@pytest.mark.parametrize("percent", [5, 50, 95])
def test_where_there_are_many_the_last_poll_alone_counts(world: World, percent: int) -> None:
    for _ in range(MOST_POLLS):
        poll(world, percent * 10, 1000 - percent * 10)
    assert judged(world, percent) is Health.PASS
    poll(world, 0.0, 1000.0)
    assert judged(world, percent) is Health.FAIL


def test_what_gets_nothing_and_what_gets_all_never_has_a_part(world: World) -> None:
    for _ in range(MOST_POLLS):
        poll(world, 0.0, 2.0)
    assert judged(world, 1) is Health.FAIL
    for _ in range(MOST_POLLS):
        poll(world, 2.0, 0.0)
    assert judged(world, 99) is Health.FAIL
    assert judged(world, 100) is Health.PASS
    poll(world, 1.0, 1.0)
    assert judged(world, 100) is Health.FAIL


def test_without_requests_nothing_is_known(world: World) -> None:
    assert judged(world, 5) is Health.UNKNOWN
    poll(world, 0.0, 0.0)
    assert judged(world, 5) is Health.UNKNOWN
