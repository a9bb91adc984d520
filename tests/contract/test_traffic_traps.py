"""What others met at their balancers, on every HAProxy of this machine: reading, agents, followers, warming up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapters.balancers.haproxy import HAProxy
from state.changes.following import followers_of
from state.health import Health
from state.verdicts.traffic import backend_verdict, reason_word, server_health, shares, state_word
from tests.contract.haproxy_sections import (
    by_hand,
    card,
    checked,
    estate_of,
    healthy,
    listening,
    refusals,
    saying,
    until,
)
from tests.support.ports import free_port

PLACE = estate_of(shop={"backend": "web"}, blog={"backend": "fol"})


WARM = """
backend web
  option httpchk
  server a 127.0.0.1:{port} check inter 200ms slowstart 60s weight 100
  server b 127.0.0.1:{port} check inter 200ms weight 100
"""


async def test_trap_2_a_server_that_warms_up_has_its_present_share(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(WARM, port=port)
        await checked(balancer, "web")
        await balancer.set_state("web", "a", "maint", deadline=2)
        await until(balancer, lambda r: r.servers["web/a"].maintenance)
        await balancer.set_state("web", "a", "ready", deadline=2)
        reading = await until(balancer, lambda r: r.servers["web/a"].serving)
    assert reading.servers["web/a"].throttle < 100
    assert shares(reading.of("web"))["a"] < 0.4, "its weight is 100 of 200"


async def test_trap_3_maintenance_by_name_resolution_is_not_an_operators(run: Callable[..., HAProxy]) -> None:
    names = "resolvers x\n  nameserver n 127.0.0.1:{port}\n"
    text = names + "backend web\n  server r no.invalid:80 check init-addr none resolvers x\n"
    balancer = run(text, port=free_port())
    server = (await balancer.read(deadline=2)).servers["web/r"]
    assert (state_word(server), reason_word(server)) == ("maint", "its name has no address")
    refused = await refusals(balancer, "server.ready", PLACE, backend="web", server="r")
    assert "no command lifts that" in refused["resolved"]


FOLLOW = """
backend web
  option httpchk
  server a 127.0.0.1:{port} check inter 200ms
  server b 127.0.0.1:{port} check inter 200ms
backend fol
  server f 127.0.0.1:{port} track web/a
backend fol2
  server g 127.0.0.1:{port} track fol/f
"""


async def test_trap_6_followers_are_on_the_card_and_in_the_floors(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(FOLLOW, port=port)
        reading = await checked(balancer, "web")
        assert [s.name for s in followers_of(reading, "web/a")] == ["f", "g"]
        assert reading.servers["fol2/g"].checked, "its leader's check is its own"
        assert reason_word(reading.servers["fol/f"]) == "follows web/a"
        preview = await card(balancer, "server.drain", PLACE, backend="web", server="a")
        floors = [rule for rule in preview.rules if rule.rule == "floor" and not rule.passed]
        assert {rule.subject for rule in floors} == {"edge/fol", "edge/fol2"}
        assert any("fol/f, fol2/g" in warning.message for warning in preview.warnings)
        await balancer.set_state("web", "a", "drain", deadline=2)
        refused = await refusals(balancer, "server.ready", PLACE, backend="fol", server="f")
        assert refused["followed"] == "f follows web/a, which is in drain"


async def test_trap_9_a_server_whose_check_has_not_answered_is_unproven(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run("backend web\n  server a 127.0.0.1:{port} check inter 60s\n", port=port)
        await checked(balancer, "web")
        await by_hand(balancer, "disable health web/a")
        reading = await balancer.read(deadline=2)
    assert server_health(reading.servers["web/a"]) is Health.UNKNOWN, "its last check proves nothing any more"
    assert backend_verdict(reading.of("web"), 1, {}).health is Health.UNKNOWN


AGENT = """
backend web
  server a 127.0.0.1:{port} check inter 200ms agent-check agent-port {agent} agent-inter 200ms weight 100
  server b 127.0.0.1:{port} check inter 200ms
"""


async def test_trap_14_what_an_agent_sets_again_is_refused_until_it_is_out(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy, saying("75%")) as (port, agent):
        balancer = run(AGENT, port=port, agent=agent)
        await checked(balancer, "web")
        for kind, more in (("server.weight", {"weight": 20}), ("server.drain", {})):
            refused = await refusals(balancer, kind, PLACE, backend="web", server="a", **more)
            assert refused["agent"] == "an agent sets a again and again"
        assert await refusals(balancer, "server.drain", PLACE, backend="web", server="b") == {}
        await by_hand(balancer, "disable agent web/a")
        await until(balancer, lambda r: not r.servers["web/a"].agent)
        assert await refusals(balancer, "server.weight", PLACE, backend="web", server="a", weight=20) == {}


async def test_trap_15_down_by_hand_with_checks_off_is_told_apart(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run("backend web\n  server a 127.0.0.1:{port} check inter 200ms\n", port=port)
        await checked(balancer, "web")
        await by_hand(balancer, "disable health web/a")
        await by_hand(balancer, "set server web/a health down")
        server = (await until(balancer, lambda r: not r.servers["web/a"].up)).servers["web/a"]
        refused = await refusals(balancer, "server.ready", PLACE, backend="web", server="a")
    assert reason_word(server) == "set down by hand, its checks are off"
    assert refused["checks"] == "a was set down by hand with its checks off; rotation does not lift that"


async def test_ready_with_a_weight_of_0_says_that_it_takes_nothing(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run("backend web\n  server a 127.0.0.1:{port} check\n  server b 127.0.0.1:{port} check\n", port=port)
        await checked(balancer, "web")
        await balancer.set_weight("web", "a", 0, deadline=2)
        await balancer.set_state("web", "a", "drain", deadline=2)
        await asyncio.sleep(0)
        preview = await card(balancer, "server.ready", PLACE, backend="web", server="a")
    assert [w.message for w in preview.warnings] == ["its weight is 0: in rotation it takes nothing"]
