"""A release that no colour runs any more is deployed again by its digest, through a command of the estate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from state.api.requests import PlanRollback
from state.api.views.releases import ReleaseStanding, Way
from state.errors import Refused
from state.ports.own import Exited, Output
from state.ports.target import Identity, Receipt
from tests.support.release_site import ReleaseSite, digest, release_site

pytestmark = pytest.mark.virtual_time
COMMANDS = {
    "deploy-shop": {
        "argv": ["deploy", "${digest}"],
        "params": {"digest": {"kind": "text", "pattern": "sha256:[0-9a-f]{64}"}},
        "read": {"argv": ["deployed", "${digest}"], "done": [0], "not_done": [1]},
        "services": ["shop"], "loses_data": False, "risk": "B2", "quiet": "500ms",
    }
}  # fmt: skip
RELEASES = {"schema": {"database": "orders", "query": "select 1"}, "redeploy": "deploy-shop"}


class Silence:
    """Says nothing. Fulfils Output."""

    def lines(self) -> tuple[str, ...]:
        return ()


class Deployer:
    """Puts an artifact on every instance of a site, if it has it. Fulfils CanRunCommand."""

    name = "commands/deploy-shop"

    def __init__(self, site: ReleaseSite, has: tuple[int, ...], *, works: bool = True) -> None:
        self._site, self._has, self._works = site, has, works
        self.ran: list[tuple[str, ...]] = []

    def output(self) -> Output:
        return Silence()

    async def identify(self, argv: Sequence[str] | None, *, deadline: float) -> Identity:
        return Identity(self.name, {"host": "here"})

    async def run(self, argv: Sequence[str], output: Output, *, effect: str, deadline: float) -> Receipt:
        self.ran.append(tuple(argv))
        if self._works:
            for name in ("blue", "green"):
                self._site.runs(name, int(argv[1][7:], 16))
        return Receipt("0", "exit code 0")

    async def at_work(self, effect: str) -> Sequence[str]:
        return ()

    async def read(self, argv: Sequence[str], *, effect: str, deadline: float) -> Exited:
        number = int(argv[1][7:], 16)
        if number not in self._has:
            return Exited(2, "no such artifact on this host")
        now = {self._site.answers.told[f"version:versions/{name}"].digest for name in ("blue", "green")}  # type: ignore[union-attr]
        return Exited(0 if now == {argv[1]} else 1, "")


async def offered(site: ReleaseSite) -> None:
    """Both colours run the bad release; the older one is recorded."""
    site.runs("blue", 2)
    await site.record(1, schema_min="9", schema_max="10")
    await site.record(2, schema_min="10", schema_max="11")
    async with asyncio.timeout(20):
        while site.view.releases[f"shop/{digest(1)}"].standing is not ReleaseStanding.OFFERED:
            await asyncio.sleep(0.05)


async def test_it_is_deployed_by_its_digest_and_proven_by_every_instance() -> None:
    made: list[Deployer] = []

    def deploys(site: ReleaseSite) -> dict[str, Deployer]:
        made.append(Deployer(site, (1, 2)))
        return {"deploy-shop": made[0]}

    async with release_site(commands=COMMANDS, releases=RELEASES, deploys=deploys) as site:
        await offered(site)
        assert site.view.releases[f"shop/{digest(1)}"].way is Way.REDEPLOY
        card = await site.preview(PlanRollback("shop"))
        assert card.refusals == ()
        accepted = await site.submit(card)
        assert await site.ended(accepted.run, 200) == "done"
        assert made[0].ran == [("deploy", digest(1))]
        steps = [s.step.id for s in site.engine.history.runs[accepted.run].all_steps()]
        assert steps == ["fits", "deploy", "runs", "healthy", "still-fits"]
        assert site.view.releases[f"shop/{digest(1)}"].standing is ReleaseStanding.SERVES


async def test_trap_61_an_artifact_that_is_not_there_is_no_target() -> None:
    async with release_site(
        commands=COMMANDS, releases=RELEASES, deploys=lambda site: {"deploy-shop": Deployer(site, (2,))}
    ) as site:
        await offered(site)
        with pytest.raises(Refused) as refused:
            await site.preview(PlanRollback("shop"))
        assert refused.value.rule == "fresh-readings"
        assert "no such artifact on this host" in str(refused.value)


async def test_a_deployment_that_did_nothing_is_not_done_and_the_run_stands() -> None:
    async with release_site(
        commands=COMMANDS, releases=RELEASES, deploys=lambda site: {"deploy-shop": Deployer(site, (1, 2), works=False)}
    ) as site:
        await offered(site)
        accepted = await site.submit(await site.preview(PlanRollback("shop")))
        assert await site.ended(accepted.run, 200) == "paused"
        assert site.view.releases[f"shop/{digest(2)}"].standing is ReleaseStanding.SERVES
