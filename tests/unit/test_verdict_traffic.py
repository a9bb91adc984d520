"""Balancers: the floor is judged on the state after, and lost runtime state is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.estate.colours import Colour
from state.health import Health
from state.ports.target import Setting
from state.units import utc
from state.verdicts.drift import difference, drifts
from state.verdicts.traffic import (
    ServerEffect,
    active_message,
    backend_verdict,
    floor_after,
    server_health,
    shares,
    state_word,
)
from state.world.balancer_parts import BalancerReading
from tests.unit.verdict_world import WALL, balancer, server

BLUE, GREEN = server("blue"), server("green", 0)


@pytest.mark.parametrize("effect", [ServerEffect(weight=0), ServerEffect(state="drain"), ServerEffect(state="maint")])
def test_trap_09_taking_the_last_server_leaves_none(effect: ServerEffect) -> None:
    assert floor_after([BLUE, GREEN], {"blue": effect}) == 0


def test_trap_09_making_before_breaking_holds() -> None:
    assert floor_after([BLUE, GREEN], {"blue": ServerEffect(state="drain"), "green": ServerEffect(weight=100)}) == 1
    dead = server("green", 0, up=False, status="DOWN")
    assert floor_after([BLUE, dead], {"blue": ServerEffect(weight=0), "green": ServerEffect(100, "ready")}) == 0


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 256), st.booleans(), st.booleans(), st.booleans()), max_size=6),
    st.sampled_from([None, "ready", "drain", "maint"]),
    st.sampled_from([None, 0, 50]),
)
def test_floor_after_equals_the_model(rows: list[tuple[int, bool, bool, bool]], state: str | None, weight: int) -> None:
    servers = [server(f"s{i}", w, up=up, drained=d, maintenance=m) for i, (w, up, d, m) in enumerate(rows)]
    effects = {"s0": ServerEffect(weight, state)}  # type: ignore[arg-type]
    model = 0
    for i, (w, up, d, m) in enumerate(rows):
        new_weight = weight if i == 0 and weight is not None else w
        out = (state in ("drain", "maint")) if i == 0 and state is not None else d or m
        model += up and not out and new_weight > 0
    assert floor_after(servers, effects) == model
    assert sum(shares(servers).values()) == pytest.approx(1.0 if any(s.serving for s in servers) else 0.0)


def weight(value: int, name: str = "blue", balancer_: str = "edge-east") -> Setting:
    return Setting((balancer_, "checkout", name), "weight", str(value))


def state(value: str, name: str = "blue") -> Setting:
    return Setting(("edge-east", "checkout", name), "state", value)


def differing(now: BalancerReading, *left: Setting, restarted: bool = False) -> dict[str, str]:
    found = (difference(now, each, restarted=restarted, known=None) for each in left)
    return drifts(each for each in found if each is not None)


def test_trap_10_reload_during_a_run_is_drift() -> None:
    after = balancer("edge-east", server("blue", 0), process="99@200", started=WALL)
    message = f"runtime state lost: process restarted {utc(WALL)}, blue weight 100 → 0"
    assert differing(after, weight(100), restarted=True) == {"checkout": message}


def test_change_from_outside_is_drift_too() -> None:
    now = balancer("edge-east", server("blue"), server("green"))
    found = differing(now, state("drain"), weight(1, "red"), state("ready", "red"))
    assert found == {"checkout": "changed from outside, blue drain → ready, red is gone"}


def test_no_drift_without_difference() -> None:
    down = balancer("edge-east", server("blue", up=False, status="DOWN"), process="99@200")
    assert differing(down, state("ready"), restarted=True) == {}, "a failing check and a harmless restart are not drift"
    aside = balancer("edge-east", server("blue", drained=True, aside=True, status="NOLB"))
    assert differing(aside, state("ready")) == {}, "nor is a health check that steps aside"


def test_a_difference_keeps_the_cause_it_was_first_read_with() -> None:
    after = balancer("edge-east", server("blue", 0), process="99@200", started=WALL)
    lost = difference(after, weight(100), restarted=True, known=None)
    assert lost is not None
    assert difference(after, weight(100), restarted=False, known=lost) is lost
    moved = difference(balancer("edge-east", server("blue", 7)), weight(100), restarted=False, known=lost)
    assert moved is not None
    assert drifts([lost, moved])["checkout"].split("; ") == [
        f"runtime state lost: process restarted {utc(WALL)}, blue weight 100 → 0",
        "changed from outside, blue weight 100 → 7",
    ]


def test_a_weight_that_an_agent_sets_is_one_difference_whatever_it_says() -> None:
    said = {differing(balancer("edge-east", server("blue", w, agent=True)), weight(100))["checkout"] for w in (6, 7)}
    assert said == {"changed from outside, blue weight 100 → as its agent says"}


def test_backend_verdicts() -> None:
    assert backend_verdict([], 1, {}).health is Health.UNKNOWN
    assert backend_verdict([GREEN], 1, {}).health is Health.FAIL
    assert backend_verdict([BLUE, GREEN], 2, {}).message == "1 of 2 serve, floor 2"
    dead = server("green", up=False, status="DOWN", check="L4CON")
    assert backend_verdict([BLUE, dead], 1, {}).message == "green down (L4CON)"
    assert backend_verdict([BLUE, GREEN], 1, {"blue": Colour(release="v41")}).active == "blue v41 100%"


def test_words_for_people() -> None:
    assert (
        active_message([server("blue", 25), server("green", 75)], {"green": Colour(release="v42")})
        == "green v42 75% · blue 25%"
    )
    assert active_message([server(f"s{i}") for i in range(9)], {}) == "9 servers"
    states = [server("a", maintenance=True), server("a", drained=True), server("a", up=False), server("a")]
    assert [state_word(s) for s in states] == ["maint", "drain", "down", "ready"]
    assert [server_health(s) for s in states] == [Health.WARN, Health.WARN, Health.FAIL, Health.PASS]
    assert server_health(server("a", status="no check")) is Health.UNKNOWN
