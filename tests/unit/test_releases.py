"""Releases in the engine: recorded by pipelines, held against what instances say, and the way back from a bad one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from state.api.releases import ReleaseRecord
from state.api.requests import PlanChange, PlanRollback, PlanUndo
from state.api.views.releases import ReleaseStanding, Way
from state.errors import NotFound, Refused
from state.health import Health
from state.world.readings import OwnCheckReading
from tests.support.release_site import PIPELINE, ReleaseSite, digest, release_site
from tests.support.small_estate import COMMANDER, OBSERVER, RESPONDER, STRANGER

pytestmark = pytest.mark.virtual_time
V1 = {"schema_min": "9", "schema_max": "10"}
V2 = {"schema_min": "10", "schema_max": "11", "reversible_until": "10"}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.05)


def standing(site: ReleaseSite, number: int) -> ReleaseStanding:
    return site.view.releases[f"shop/{digest(number)}"].standing


def facts(site: ReleaseSite, number: int) -> str:
    row = site.view.releases[f"shop/{digest(number)}"]
    return "; ".join(reason.fact for reason in row.reasons if reason.health is not Health.PASS)


async def both(site: ReleaseSite) -> None:
    await site.record(1, **V1)
    await site.record(2, **V2)
    await until(lambda: standing(site, 2) is ReleaseStanding.SERVES)


async def test_a_release_is_recorded_once_in_the_same_words_and_survives_a_restart() -> None:
    async with release_site() as site:
        assert await site.record(1, **V1) == "shop v1 sha256:000000000000: recorded"
        assert await site.record(2, **V2) == "shop v2 sha256:000000000000: recorded"
        assert await site.record(1, **V1) == "shop v1 sha256:000000000000 is recorded already, in the same words"
        assert await site.record(1, schema_min="9", schema_max="12") == "shop v1 sha256:000000000000: said anew"
        assert site.kinds().count("release.recorded") == 3
        before = site.view.releases
    async with release_site(store=site.store, balancer=site.balancer) as again:
        await until(lambda: standing(again, 1) is ReleaseStanding.OFFERED)
        assert [row.version for row in again.view.releases.values()] == ["v1", "v2"]
        row = again.view.releases[f"shop/{digest(1)}"]
        assert (row.schema_max, row.recorded_at, row.actor) == ("12", before[row.key].recorded_at, "ci")


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"digest": "v2"}, "digest"),
        ({"digest": "registry/shop:latest"}, "digest"),
        ({"digest": "sha256:12\n" + "0" * 62}, "digest"),
        ({"version": ""}, "version"),
        ({"version": "v2\x1b[2J"}, "version"),
        ({"schema_min": "main", "schema_max": "main"}, "schema-version"),
        ({"reversible_until": "tomorrow"}, "schema-version"),
        ({"schema_min": "9"}, "schema-range"),
        ({"schema_max": "9"}, "schema-range"),
        ({"schema_min": "10", "schema_max": "9"}, "schema-range"),
    ],
)
async def test_a_record_that_names_no_artifact_or_no_order_is_refused(fields: dict[str, str], rule: str) -> None:
    async with release_site() as site:
        with pytest.raises(Refused) as refused:
            await site.engine.releases.record(PIPELINE, replace(ReleaseRecord("shop", digest(1), "v1"), **fields))
        assert refused.value.rule == rule
        assert "release.recorded" not in site.kinds()


async def test_a_pipeline_may_record_and_nothing_else() -> None:
    async with release_site() as site:
        for caller in (PIPELINE, RESPONDER, COMMANDER):
            await site.record(1, caller, commit=caller.account)
        for caller in (OBSERVER, STRANGER):
            with pytest.raises(Refused):
                await site.record(2, caller)
        with pytest.raises(Refused) as refused:
            await site.engine.preview(PIPELINE, PlanRollback("shop"))
        assert refused.value.rule == "role"
        with pytest.raises(NotFound):
            await site.record(1, needs=("no-such-check",))


async def test_a_bad_release_goes_back_with_one_card_and_is_proven_by_the_instances() -> None:
    async with release_site() as site:
        await both(site)
        card = await site.preview(PlanRollback("shop"))
        assert (card.risk, card.refusals) == ("B2", ())
        assert card.title == "Roll shop back to v1 sha256:000000000000"
        told = {rule.rule: rule.fact for rule in card.rules}
        assert told["release-schema"] == "schema 10 is in its range 9 to 10"
        assert told["release-marker"] == "v2 can be reversed until schema 10"
        assert told["release-runs"] == "blue at edge runs it, 1 of 1 ready"
        accepted = await site.submit(card)
        assert await site.ended(accepted.run, 200) == "done"
        assert await site.weights() == {"blue": 100, "green": 0}
        steps = {s.step.id: s.state.value for s in site.engine.history.runs[accepted.run].all_steps()}
        assert list(steps) == ["fits", "edge.flip", "edge.active", "runs", "healthy", "still-fits"]
        assert set(steps.values()) == {"done"}
        assert standing(site, 1) is ReleaseStanding.SERVES
        assert standing(site, 2) is ReleaseStanding.NEWER
        undone = await site.submit(await site.preview(PlanUndo(accepted.run)))
        assert await site.ended(undone.run) == "done"
        assert await site.weights() == {"blue": 0, "green": 100}


async def test_an_irreversible_migration_blocks_it_everywhere_and_names_the_way_forward() -> None:
    async with release_site() as site:
        await both(site)
        site.schema("11")
        await until(lambda: standing(site, 1) is ReleaseStanding.BLOCKED)
        with pytest.raises(Refused) as refused:
            await site.preview(PlanRollback("shop"))
        assert refused.value.rule == "release-schema"
        assert "schema 11 is past 10: going back from v2 loses data" in str(refused.value)
        forward = "Go forward: make a release that runs on schema 11, from v2 with the fault mended, and record it"
        assert refused.value.refusal.way_out == forward
        assert site.view.services["shop"].forward == forward
        flip = await site.preview(PlanChange("backend.flip", {"balancer": "edge", "backend": "shop", "to": "blue"}))
        assert [r.rule for r in flip.refusals] == ["release-fits"]
        await site.record(3, schema_min="11", schema_max="12")
        await until(lambda: "deploy v3" in site.view.services["shop"].forward)


async def test_a_migration_between_card_and_confirmation_voids_the_plan() -> None:
    async with release_site() as site:
        await both(site)
        card = await site.preview(PlanRollback("shop"))
        site.schema("11")
        await until(lambda: standing(site, 1) is ReleaseStanding.BLOCKED)
        with pytest.raises(Refused):
            await site.submit(card)
        assert await site.weights() == {"blue": 0, "green": 100}


async def test_a_migration_that_comes_after_the_confirmation_stops_the_run_before_anything_is_sent() -> None:
    async with release_site() as site:
        await both(site)
        card = await site.preview(PlanRollback("shop"))
        accepted = await site.submit(card)
        site.schema("11")
        assert await site.ended(accepted.run, 60) in ("failed", "stopped")
        assert await site.weights() == {"blue": 0, "green": 100}


async def test_what_is_not_known_is_not_offered() -> None:
    async with release_site() as site:
        await both(site)
        site.schema(None)
        await until(lambda: standing(site, 1) is ReleaseStanding.UNKNOWN)
        assert "which one is there is not known: no data since" in facts(site, 1)
        site.schema("10")
        site.answers.told["version:versions/blue"] = None
        await until(lambda: standing(site, 1) is ReleaseStanding.UNKNOWN and "blue" in facts(site, 1))
        site.runs("blue", 1, doubt="a cache answered (Age: 30)")
        await until(lambda: "a cache answered" in facts(site, 1))
        site.runs("blue", 1)
        await until(lambda: standing(site, 1) is ReleaseStanding.OFFERED)


async def test_a_bad_release_that_does_not_answer_any_more_can_still_be_left() -> None:
    async with release_site() as site:
        await both(site)
        site.answers.told["version:versions/green"] = None
        await until(lambda: site.view.services["shop"].health is Health.UNKNOWN)
        assert standing(site, 1) is ReleaseStanding.OFFERED
        await site.record(3, blockers=("writes what v1 cannot read",))
        await until(lambda: standing(site, 1) is ReleaseStanding.BLOCKED)
        assert facts(site, 1) == "v3: writes what v1 cannot read"


async def test_a_release_needs_its_checks() -> None:
    async with release_site() as site:
        await site.record(1, **V1, needs=("api",))
        await site.record(2, **V2)
        await until(lambda: standing(site, 1) is ReleaseStanding.OFFERED)
        site.answers.told["check:api"] = OwnCheckReading("api", Health.FAIL, "API v1 is gone")
        await until(lambda: standing(site, 1) is ReleaseStanding.BLOCKED)
        assert facts(site, 1) == "api: API v1 is gone"
        site.answers.told["check:api"] = None
        await until(lambda: standing(site, 1) is ReleaseStanding.UNKNOWN)


async def test_a_colour_that_is_down_is_no_way_back() -> None:
    async with release_site() as site:
        await both(site)
        site.balancer.down("blue")
        await until(lambda: standing(site, 1) is ReleaseStanding.BLOCKED)
        assert facts(site, 1).startswith("blue at edge: 0 of 1 ready, 1 needed; blue down")
        assert site.view.releases[f"shop/{digest(1)}"].way is Way.NONE


@pytest.mark.parametrize("to", ["v1", "latest", "sha256:abc"])
async def test_a_tag_is_no_target(to: str) -> None:
    async with release_site() as site:
        await both(site)
        with pytest.raises(Refused) as refused:
            await site.preview(PlanRollback("shop", to))
        assert refused.value.rule == "digest"


async def test_targets_that_are_none_are_refused_in_their_own_words() -> None:
    async with release_site() as site:
        with pytest.raises(Refused) as refused:
            await site.preview(PlanRollback("shop"))
        assert refused.value.rule == "release-recorded"
        await both(site)
        for number, rule in ((2, "release-older"), (9, "release-recorded")):
            with pytest.raises(Refused) as refused:
                await site.preview(PlanRollback("shop", digest(number)))
            assert refused.value.rule == rule
        with pytest.raises(NotFound):
            await site.preview(PlanRollback("shopp"))


async def test_drift_is_an_alarm() -> None:
    """One tag for two artifacts, an artifact nobody recorded, one that serves on a schema that is not of its range."""
    async with release_site() as site:
        await both(site)
        assert site.view.services["shop"].health is Health.PASS
        site.runs("blue", 5, version="v2")
        await until(lambda: "v2 names 2 artifacts" in site.view.services["shop"].drifts)
        assert site.view.instances["shop/blue"].health is Health.FAIL
        assert any("v2 names 2 artifacts" in alarm for alarm in site.engine.view("header").alarms)
        site.runs("blue", 5)
        await until(lambda: site.view.instances["shop/blue"].drift == "nobody recorded it")
        site.runs("blue", 1)
        await until(lambda: site.view.services["shop"].health is Health.PASS)
        site.schema("12")
        await until(lambda: site.view.instances["shop/green"].drift == "the schema is not in its range")
        assert site.view.instances["shop/blue"].drift == "", "what carries nothing does no harm"


async def test_a_server_that_no_page_tells_of_is_an_instance_that_nobody_knows() -> None:
    async with release_site() as site:
        await both(site)
        site.balancer.add("extra")
        await until(lambda: "shop/edge/extra" in site.view.instances)
        row = site.view.instances["shop/edge/extra"]
        assert (row.health, row.doubt) == (Health.UNKNOWN, "no monitor of kind version asks it what it runs")
        assert site.view.services["shop"].health is Health.UNKNOWN
