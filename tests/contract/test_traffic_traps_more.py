"""More of what others met at their balancers, on every HAProxy here: names, witnesses, undo, gone servers."""

from __future__ import annotations

from collections.abc import Callable

from adapters.balancers.haproxy import HAProxy
from state.changes.model import Change, ChangeSpec, Finding
from state.changes.registry import build
from state.changes.safety import _demand
from state.ports.outside import Outside
from state.runs.looking import fact_difference
from state.verdicts.drift import difference
from state.verdicts.traffic import counted, shares, state_word
from tests.contract.haproxy_sections import by_hand, card, checked, estate_of, healthy, listening, saying, until
from tests.contract.test_traffic_shares import requests
from tests.support.ports import free_port

PLACE = estate_of(shop={"backend": "web"})
PAIR = """
frontend f
  bind 127.0.0.1:{front}
  default_backend web
backend web
  option httpchk
  server a 127.0.0.1:{port} check inter 200ms weight 1
  server b 127.0.0.1:{port} check inter 200ms weight 100
"""


def change(balancer: HAProxy, kind: str, **args: object) -> Change:
    spec = ChangeSpec(kind, {"balancer": "edge", "backend": "web", **args})
    return build(spec, PLACE, Outside((), {"edge": balancer}, {}))


async def carried(balancer: HAProxy, made: Change) -> ChangeSpec:
    """Carry a change out; what undoes it."""
    preview = await made.preview(deadline=2)
    assert not preview.refusals, preview.refusals
    await made.apply(preview.facts, effect="E-1", deadline=2)
    assert (await made.read_back(preview.facts, deadline=2)).finding is Finding.DONE
    assert preview.undo is not None
    return preview.undo


async def test_trap_1_up_with_an_effective_weight_of_0_is_not_serving(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(PAIR, port=port, front=free_port())
        await checked(balancer, "web")
        await by_hand(balancer, "set server web/a weight 50%")
        reading = await until(balancer, lambda r: r.servers["web/a"].weight == 0)
    server = reading.servers["web/a"]
    assert (server.up, server.serving, server.configured_weight) == (True, False, 1)
    assert shares(reading.of("web")) == {"a": 0.0, "b": 1.0}
    preview = await card(balancer, "server.weight", PLACE, backend="web", server="b", weight=7)
    assert preview.diffs[0].after == "7", "the resulting number, not a percentage"


async def test_trap_4_a_name_that_is_another_machine_voids_the_plan(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy, healthy) as (port, other):
        balancer = run(PAIR, port=port, front=free_port())
        await checked(balancer, "web")
        made = change(balancer, "server.drain", server="a")
        planned = (await made.preview(deadline=2)).facts
        await balancer.ask(f"set server web/a addr 127.0.0.1 port {other}", deadline=2)
        await until(balancer, lambda r: r.servers["web/a"].address.endswith(str(other)))
        await until(balancer, lambda r: r.servers["web/a"].up)
        moved = fact_difference(planned, (await made.preview(deadline=2)).facts)
    assert f"127.0.0.1:{port}" in moved
    assert f"127.0.0.1:{other}" in moved


WITNESSES = """
backend web
  server a 127.0.0.1:{closed} check inter 200ms fall 1 agent-check agent-port {agent} agent-inter 200ms
  server b 127.0.0.1:{port} check inter 200ms
"""


async def test_trap_5_a_failing_health_check_outweighs_an_agent_that_says_up(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy, saying("up")) as (port, agent):
        balancer = run(WITNESSES, port=port, agent=agent, closed=free_port())
        reading = await until(balancer, lambda r: not r.servers["web/a"].up and r.servers["web/b"].checked)
    assert not reading.servers["web/a"].serving
    assert [s.name for s in counted(reading.of("web"))] == ["b"]


async def test_trap_7_counters_of_two_processes_are_not_subtracted(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        front = free_port()
        before = run(PAIR, port=port, front=front)
        await checked(before, "web")
        await requests(front, 5)
        other = free_port()
        after = run(PAIR, port=port, front=other)
        await checked(after, "web")
        await requests(other, 50)

        class Replaced:
            """The same socket, and another process behind it from the second reading on."""

            name = "edge"

            def __init__(self) -> None:
                self.reads = self.asks = 0

            async def identify(self, *, deadline: float) -> object:
                self.asks += 1
                return await (before if self.asks == 1 else after).identify(deadline=deadline)

            async def read_backend(self, backend: str, *, deadline: float) -> object:
                self.reads += 1
                return await (before if self.reads == 1 else after).read_backend(backend, deadline=deadline)

        one = ("edge", "web")
        replaced: dict[str, object] = {"edge": Replaced()}
        found = await _demand([one], Outside((), replaced, {}), 3.0)  # type: ignore[arg-type]
        assert found[one] is None, "it is not known, though the second one counts more"
        assert (await _demand([one], Outside((), {"edge": after}, {}), 3.0))[one] == 0.0


async def test_trap_13_an_undo_restores_drain_and_weight_as_they_were(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(PAIR, port=port, front=free_port())
        await checked(balancer, "web")
        await balancer.set_weight("web", "a", 7, deadline=2)
        await carried(balancer, change(balancer, "server.drain", server="a"))
        undo = await carried(balancer, change(balancer, "server.maint", server="a"))
        assert undo.kind == "server.drain"
        await carried(balancer, build(undo, PLACE, Outside((), {"edge": balancer}, {})))
        server = (await balancer.read(deadline=2)).servers["web/a"]
        assert (state_word(server), server.weight) == ("drain", 7)


async def test_trap_20_a_server_deleted_at_run_time_is_missing_in_floors_and_drift(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(PAIR, port=port, front=free_port())
        await checked(balancer, "web")
        made = change(balancer, "server.weight", server="a", weight=9)
        preview = await made.preview(deadline=2)
        await made.apply(preview.facts, effect="E-1", deadline=2)
        left = next(s for s in (await made.read_back(preview.facts, deadline=2)).leaves if s.name == "weight")
        await balancer.set_state("web", "a", "maint", deadline=2)
        await balancer.ask("del server web/a", deadline=2)
        reading = await until(balancer, lambda r: "web/a" not in r.servers)
        found = difference(reading, left, restarted=False, known=None)
        assert found is not None
        assert found.message == "a is gone"
        refused = await card(balancer, "server.drain", PLACE, backend="web", server="b")
        assert [r.fact for r in refused.rules if not r.passed] == ["0 of 1 servers would serve, shop needs at least 1"]
