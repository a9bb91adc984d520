"""Shares of traffic by weight, on every HAProxy of this machine, counted at the servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from adapters.balancers.haproxy import HAProxy
from state.changes.model import Change, ChangeSpec, Finding, Preview
from state.changes.registry import build
from state.errors import EffectRefused, EffectUnknown
from state.ports.outside import Outside
from state.verdicts.sharing import ShareSide, split
from state.verdicts.traffic import shares
from state.world.balancer_parts import Server
from tests.contract.haproxy_sections import by_hand, card, checked, estate_of, healthy, listening, refusals, until
from tests.support.ports import free_port

COLOURS = {"blue": {"release": "v41", "servers": ["blue-*"]}, "green": {"release": "v42", "servers": ["green-*"]}}
PLACE = estate_of(shop={"backend": "web", "colours": COLOURS})
FRONT = "frontend f\n  bind 127.0.0.1:{front}\n  default_backend web\n"


def backend(blue: int, green: int, *, dead: int = 0, weights: tuple[int, int] = (100, 0)) -> str:
    lines = ["backend web", "  balance roundrobin", "  option httpchk"]
    for name, count, weight in (("blue", blue, weights[0]), ("green", green, weights[1])):
        for number in range(1, count + 1):
            there = "{closed}" if name == "green" and number <= dead else "{port}"
            lines.append(f"  server {name}-{number} 127.0.0.1:{there} check inter 200ms fall 1 rise 1 weight {weight}")
    return FRONT + "\n".join([*lines, ""])


def change(balancer: HAProxy, percent: int, to: str = "green") -> Change:
    args = {"balancer": "edge", "backend": "web", "to": to, "percent": percent}
    return build(ChangeSpec("backend.share", args), PLACE, Outside((), {"edge": balancer}, {}))


async def give(balancer: HAProxy, percent: int) -> tuple[Preview, Finding]:
    made = change(balancer, percent)
    preview = await made.preview(deadline=2)
    assert not preview.refusals, preview.refusals
    await made.apply(preview.facts, effect="E-1", deadline=2)
    return preview, (await made.read_back(preview.facts, deadline=2)).finding


async def requests(port: int, count: int) -> None:
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert b"200" in await reader.read()
        writer.close()
        await writer.wait_closed()


async def counted(balancer: HAProxy, front: int, count: int) -> float:
    """The share of new requests that reach green."""
    before = (await balancer.read(deadline=2)).of("web")
    await requests(front, count)
    after = (await balancer.read(deadline=2)).of("web")
    got = {s.name: s.requests - was.requests for was, s in zip(before, after, strict=True)}
    return sum(n for name, n in got.items() if name.startswith("green")) / sum(got.values())


async def test_trap_31_a_share_is_weights_times_servers_that_serve(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        front = free_port()
        balancer = run(backend(6, 3, dead=1), port=port, front=front, closed=free_port())
        await checked(balancer, "web")
        await until(balancer, lambda r: not r.servers["web/green-1"].up)
        preview, finding = await give(balancer, 25)
        assert finding is Finding.DONE
        assert str(preview.diffs[0]) == "edge/web share of green: 0.0% → 25.0%"
        assert await counted(balancer, front, 400) == pytest.approx(0.25, abs=0.03)
        again = await card(balancer, "backend.share", PLACE, backend="web", to="green", percent=25)
        assert again.already
        await balancer.set_state("web", "blue-1", "maint", deadline=2)
        moved = await card(balancer, "backend.share", PLACE, backend="web", to="green", percent=25)
        assert not moved.already, "one blue less: the weights for a quarter are others"
        assert moved.diffs[0].after == "25.0%"


async def test_trap_32_what_cannot_be_reached_shows_the_nearest_and_never_0_or_all(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        front = free_port()
        balancer = run(backend(40, 1), port=port, front=front, closed=free_port())
        await checked(balancer, "web")
        preview, finding = await give(balancer, 1)
        assert finding is Finding.DONE
        assert preview.diffs[0].after == "1.0%"
        assert (await balancer.read(deadline=2)).servers["web/green-1"].weight >= 1
        single = run(backend(256, 1), port=port, front=free_port(), closed=free_port())
        await checked(single, "web")
        most = await card(single, "backend.share", PLACE, backend="web", to="green", percent=99)
        assert most.diffs[0].after == "50.0%"
        assert [w.message for w in most.warnings] == [
            "99% cannot be had with these servers and weights: nearest is 50.0%"
        ]


async def test_a_part_without_a_ready_server_is_refused_and_not_rounded(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(backend(2, 2, dead=2), port=port, front=free_port(), closed=free_port())
        await checked(balancer, "web")
        await until(balancer, lambda r: not r.servers["web/green-2"].up)
        refused = await refusals(balancer, "backend.share", PLACE, backend="web", to="green", percent=10)
        assert refused["reachable"] == "no server of green is ready: green-1 down, green-2 down"
        whole = await refusals(balancer, "backend.share", PLACE, backend="web", to="green", percent=100)
        assert whole.keys() == {"reachable"}, "nothing is moved, so nothing else is refused"
        preview = await card(balancer, "backend.share", PLACE, backend="web", to="green", percent=10)
        assert not preview.already, "what cannot be reached is not reached: a card of several refuses it"


async def test_on_the_way_to_a_small_share_the_new_colour_never_has_more(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(backend(1, 1, weights=(1, 0)), port=port, front=free_port(), closed=free_port())
        await checked(balancer, "web")
        seen: list[float] = []
        made = change(Watched(balancer, seen), 10)  # type: ignore[arg-type]
        preview = await made.preview(deadline=2)
        await made.apply(preview.facts, effect="E-1", deadline=2)
        assert max(seen) <= 0.101, seen
        assert seen[-1] == pytest.approx(0.1, abs=0.005)


class Watched:
    """A balancer that notes green's share after each command."""

    def __init__(self, balancer: HAProxy, seen: list[float]) -> None:
        self._balancer, self._seen, self.name = balancer, seen, balancer.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._balancer, name)

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Any:
        receipt = await self._balancer.set_weight(backend, server, weight, deadline=deadline)
        found = shares(await self._balancer.read_backend(backend, deadline=deadline))
        self._seen.append(sum(share for name, share in found.items() if name.startswith("green")))
        return receipt

    async def set_state(self, *args: Any, **more: Any) -> Any:
        return await self._balancer.set_state(*args, **more)


async def test_a_server_that_falls_on_the_way_keeps_the_others_their_weights(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(backend(2, 2), port=port, front=free_port(), closed=free_port())
        await checked(balancer, "web")
        made = change(balancer, 100)
        preview = await made.preview(deadline=2)
        await balancer.set_state("web", "green-1", "maint", deadline=2)
        with pytest.raises(EffectUnknown, match="green-1 of edge/web has its weight but does not serve"):
            await made.apply(preview.facts, effect="E-1", deadline=2)
        reading = await balancer.read(deadline=2)
        assert all(reading.servers[f"web/blue-{n}"].weight == 100 for n in (1, 2))
        assert (await made.read_back(preview.facts, deadline=2)).finding is Finding.PARTIAL


async def test_trap_12_only_whole_numbers_reach_the_socket(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(backend(1, 1), port=port, front=free_port(), closed=free_port())
        await checked(balancer, "web")
        for weight in (-1, 257, True, 1.5, "50%", "10 20", "1;disable server web/blue-1"):
            with pytest.raises(EffectRefused):
                await balancer.set_weight("web", "blue-1", weight, deadline=2)  # type: ignore[arg-type]
        assert (await balancer.read(deadline=2)).servers["web/blue-1"].weight == 100


async def test_trap_38_after_a_server_recovers_the_weights_still_hold(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(backend(2, 2), port=port, front=free_port(), closed=free_port())
        await checked(balancer, "web")
        await give(balancer, 20)
        weights = {s.name: s.weight for s in (await balancer.read(deadline=2)).of("web")}
        await by_hand(balancer, "set server web/green-1 health down")
        await until(balancer, lambda r: r.servers["web/green-1"].up)  # its next check brings it back
        assert {s.name: s.weight for s in (await balancer.read(deadline=2)).of("web")} == weights


def server(name: str, weight: int, configured: int) -> Server:
    return Server("web", name, "", "UP", weight, configured, False, False, True, 0, 0, "", 0, 0)


@pytest.mark.parametrize("percent", range(101))
@pytest.mark.parametrize(
    ("many", "few", "weights"), [(1, 1, (1, 0)), (8, 8, (10, 10)), (7, 2, (256, 1)), (3, 50, (0, 5))]
)
def test_no_share_is_0_or_all_by_rounding_and_the_nearest_is_taken(
    percent: int, many: int, few: int, weights: tuple[int, int]
) -> None:
    one = ShareSide(tuple(server(f"g{n}", weights[1], weights[1]) for n in range(few)))
    other = ShareSide(tuple(server(f"b{n}", weights[0], weights[0]) for n in range(many)))
    made = split(one, other, percent)
    assert made is not None
    assert (made.share == 0) is (percent == 0)
    assert (made.share == 1) is (percent == 100)
    assert all(0 <= weight <= 256 for weight in made.weights.values())
    if 0 < percent < 100:
        wanted, best = Fraction(percent, 100), Fraction(1)
        for k in range(1, 257):
            exact = round(few * k * (1 - wanted) / (many * wanted))
            m = max(1, min(256, exact))
            best = min(best, abs(Fraction(few * k, few * k + many * m) - wanted))
        assert abs(made.share - wanted) <= max(best, Fraction(1, 500))
