"""Blue and green as eight servers each, on every HAProxy of this machine: one flip, the destination first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.balancers.haproxy import HAProxy
from state.changes.model import ChangeSpec, Finding
from state.changes.registry import build
from state.errors import EffectUnknown, NotFound
from state.ports.outside import Outside
from state.verdicts.traffic import active_message
from tests.contract.haproxy_sections import card, checked, estate_of, healthy, listening, refusals
from tests.support.ports import free_port

COLOURS = {"blue": {"release": "v41", "servers": ["blue-*"]}, "green": {"release": "v42", "servers": ["green-*"]}}
PLACE = estate_of(shop={"backend": "web", "floor": 6, "colours": COLOURS})


def groups(port: int, dead: int = 0) -> str:
    """Eight of each colour; so many green ones are down."""
    lines = ["backend web", "  option httpchk"]
    for number in range(1, 9):
        lines.append(f"  server blue-{number} 127.0.0.1:{port} check inter 200ms weight 10")
        there = free_port() if number <= dead else port
        lines.append(f"  server green-{number} 127.0.0.1:{there} check inter 200ms fall 1 weight 0")
    return "\n".join([*lines, f"  server spare 127.0.0.1:{port} check backup weight 5", ""])


async def flip(balancer: HAProxy, to: str) -> tuple[Finding, tuple[str, ...]]:
    change = build(
        ChangeSpec("backend.flip", {"balancer": "edge", "backend": "web", "to": to}),
        PLACE,
        Outside((), {"edge": balancer}, {}),
    )
    preview = await change.preview(deadline=2)
    assert all(rule.passed for rule in preview.rules), preview.rules
    await change.apply(preview.facts, effect="E-1", deadline=2)
    found = await change.read_back(preview.facts, deadline=2)
    return found.finding, found.evidence


async def test_a_group_takes_all_traffic_and_gives_it_back(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(groups(port))
        await checked(balancer, "web")
        preview = await card(balancer, "backend.flip", PLACE, backend="web", to="green")
        assert len(preview.diffs) == 16
        assert preview.verb == "flip from blue (v41) to green (v42)"
        assert (await flip(balancer, "green"))[0] is Finding.DONE
        reading = await balancer.read(deadline=2)
        assert active_message(reading.of("web"), PLACE.services["shop"].traffic.colours) == "green v42 100%"  # type: ignore[union-attr]
        assert reading.servers["web/spare"].weight == 5, "a backup keeps its weight"
        assert (await flip(balancer, "blue"))[0] is Finding.DONE


async def test_a_group_with_some_down_flips_as_far_as_the_floor_allows(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(groups(port, dead=2))
        await checked(balancer, "web")
        assert (await flip(balancer, "green"))[0] is Finding.DONE, "6 of 8 serve, the floor is 6"
        fewer = run(groups(port, dead=3))
        await checked(fewer, "web")
        refused = await refusals(fewer, "backend.flip", PLACE, backend="web", to="green")
        assert refused["floor"].startswith("5 of 17 servers would serve, shop needs at least 6")
        none = run(groups(port, dead=8))
        await checked(none, "web")
        refused = await refusals(none, "backend.flip", PLACE, backend="web", to="green")
    assert "0 of 8 servers of green are ready; green-1 down, green-2 down, green-3 down and 5 more" in refused.values()


async def test_a_server_that_falls_on_the_way_stops_the_flip_before_the_others_lose_their_weights(
    run: Callable[..., HAProxy],
) -> None:
    async with listening(healthy) as (port,):
        balancer = run(groups(port))
        await checked(balancer, "web")
        spec = ChangeSpec("backend.flip", {"balancer": "edge", "backend": "web", "to": "green"})
        change = build(spec, PLACE, Outside((), {"edge": balancer}, {}))
        preview = await change.preview(deadline=2)
        await balancer.set_state("web", "green-3", "maint", deadline=2)
        with pytest.raises(EffectUnknown, match="green-3 of edge/web: has its weight but does not serve"):
            await change.apply(preview.facts, effect="E-1", deadline=2)
        reading = await balancer.read(deadline=2)
    assert all(s.weight == 10 for s in reading.of("web") if s.name.startswith("blue"))
    found = await change.read_back(preview.facts, deadline=2)
    assert found.finding is Finding.PARTIAL


async def test_an_unknown_colour_is_refused_with_those_that_there_are(run: Callable[..., HAProxy]) -> None:
    balancer = run(groups(free_port()))
    with pytest.raises(NotFound, match="gren"):
        await card(balancer, "backend.flip", PLACE, backend="web", to="gren")
