"""A release from which people went back is the last one to go back to: andres-montanez/Magallanes#93 and
argoproj/argo-rollouts#4281 had it as the first one, the next time something went wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from state.api.requests import PlanRollback
from state.api.views.releases import ReasonKind, ReleaseStanding, Way
from state.health import Health
from state.releases.ledger import Ledger
from state.verdicts.instances import SchemaFinding
from state.verdicts.rollback import RollbackFacts, Warm, rollback_verdict
from state.world.release_parts import Release
from tests.support.release_site import ReleaseSite, digest, release_site
from tests.unit.test_redeploy import COMMANDS, RELEASES, Deployer

pytestmark = pytest.mark.virtual_time
ONE, TWO, THREE = (Release("shop", digest(n), f"v{n}", "9", "11", order=n) for n in (1, 2, 3))
LEFT = replace(TWO, left_in="R-7", left_at=1_795_000_000.0)
DEPLOYED = Warm(Health.FAIL, "no colour runs it")


async def stands(site: ReleaseSite, number: int, standing: ReleaseStanding) -> None:
    async with asyncio.timeout(20):
        while site.view.releases[f"shop/{digest(number)}"].standing is not standing:
            await asyncio.sleep(0.05)


async def gone_back(site: ReleaseSite) -> str:
    """From v2 to v1; then v3 is made and serves where v1 did, and v2 still waits on the other colour."""
    for number in (1, 2):
        await site.record(number, schema_min="9", schema_max="11")
    await stands(site, 1, ReleaseStanding.OFFERED)
    run = (await site.submit(await site.preview(PlanRollback("shop")))).run
    assert await site.ended(run, 200) == "done"
    site.runs("blue", 3)
    await site.record(3, schema_min="9", schema_max="11")
    await stands(site, 3, ReleaseStanding.SERVES)
    await stands(site, 2, ReleaseStanding.OFFERED)
    return run


async def test_what_people_went_back_from_comes_after_the_last_one_that_was_good() -> None:
    def deploys(site: ReleaseSite) -> dict[str, Deployer]:
        return {"deploy-shop": Deployer(site, (1, 2, 3))}

    async with release_site(commands=COMMANDS, releases=RELEASES, deploys=deploys) as site:
        run = await gone_back(site)
        rows = {number: site.view.releases[f"shop/{digest(number)}"] for number in (1, 2)}
        assert [(rows[n].way, rows[n].place) for n in (1, 2)] == [(Way.REDEPLOY, 1), (Way.FLIP, 2)]
        (said,) = (reason.fact for reason in rows[2].reasons if reason.kind is ReasonKind.LEFT)
        assert said.startswith(f"{run} went back from it at ")
        assert (await site.preview(PlanRollback("shop"))).title == "Roll shop back to v1 sha256:000000000000"
        named = await site.preview(PlanRollback("shop", digest(2)))
        assert {rule.rule: rule.fact for rule in named.rules}["release-left"] == said, "who names it may have it"
    async with release_site(
        store=site.store, balancer=site.balancer, commands=COMMANDS, releases=RELEASES, deploys=deploys
    ) as again:
        again.runs("blue", 3)
        await stands(again, 2, ReleaseStanding.OFFERED)
        assert again.view.releases[f"shop/{digest(1)}"].place == 1, "also for the next engine"


async def test_what_people_went_back_to_is_good_again() -> None:
    async with release_site(
        commands=COMMANDS, releases=RELEASES, deploys=lambda site: {"deploy-shop": Deployer(site, (1, 2, 3))}
    ) as site:
        await gone_back(site)
        run = (await site.submit(await site.preview(PlanRollback("shop", digest(2))))).run
        assert await site.ended(run, 200) == "done"
        left = {each.version: each.left_in for each in site.engine.folds.of(Ledger).of("shop")}
        assert left == {"v1": "", "v2": "", "v3": run}


@pytest.mark.parametrize(
    ("releases", "warm", "first"),
    [
        ((ONE, TWO, THREE), {}, "v2"),
        ((ONE, LEFT, THREE), {}, "v1"),
        ((ONE, LEFT, THREE), {TWO.digest: Warm(Health.PASS, "blue runs it", {"edge": "blue"})}, "v1"),
        ((LEFT, THREE), {}, "v2"),
    ],
    ids=["nobody-did", "deployed", "warm", "the-only-one"],
)
def test_the_order(releases: tuple[Release, ...], warm: dict[str, Warm], first: str) -> None:
    facts = RollbackFacts(
        releases=releases,
        running=(THREE.digest,),
        blind=(),
        schema=SchemaFinding("10", "", True),
        warm={each.digest: warm.get(each.digest, DEPLOYED) for each in releases},
        redeploy="deploy-shop",
    )
    offered = rollback_verdict(facts).offered
    assert offered is not None
    assert offered.release.version == first


async def test_what_serves_may_be_told_otherwise_between_card_and_confirmation() -> None:
    """What a card notes of it is no part of what is carried out."""
    async with release_site() as site:
        for number in (1, 2):
            await site.record(number, schema_min="9", schema_max="11")
        await stands(site, 1, ReleaseStanding.OFFERED)
        await stands(site, 2, ReleaseStanding.SERVES)
        card = await site.preview(PlanRollback("shop"))
        site.runs("green", 2, doubt="a cache gave it")
        async with asyncio.timeout(20):
            while site.view.releases[f"shop/{digest(2)}"].standing is ReleaseStanding.SERVES:
                await asyncio.sleep(0.05)
        run = (await site.submit(card)).run
        assert await site.ended(run, 200) == "done"
        assert {each.version: each.left_in for each in site.engine.folds.of(Ledger).of("shop")} == {"v1": "", "v2": run}
