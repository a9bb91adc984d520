"""A release that the schema has left behind: the migration is undone first, then the traffic moves, by one card."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from console.card_text import plain_card
from console.release_text import against, standing_text
from state.api.card import Card
from state.api.requests import PlanChange, PlanRetry, PlanRollback, PlanSet, PlanUndo, Skip
from state.api.views.releases import ReleaseStanding
from state.errors import Refused
from tests.support.migrating import migrating_site
from tests.support.release_site import ReleaseSite, digest
from tests.support.small_estate import COMMANDER
from tests.unit.test_releases import facts, standing

pytestmark = pytest.mark.virtual_time
MIGRATED = ("undoable", "schema", "schema-at")
AFTER = ("fits", "edge.flip", "edge.active", "runs", "healthy", "still-fits")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.05)


async def offered(site: ReleaseSite) -> None:
    await until(lambda: standing(site, 1) is ReleaseStanding.OFFERED)


def states(site: ReleaseSite, run: str) -> dict[str, str]:
    return {s.step.id: s.state.value for s in site.engine.history.runs[run].all_steps()}


def undo_schema(version: str = "10") -> PlanChange:
    return PlanChange("command.run", {"command": "migrate-down", "args": {"version": version, "from": "11"}})


FLIP = PlanChange("backend.flip", {"balancer": "edge", "backend": "shop", "to": "blue"})


async def test_the_schema_goes_back_first_then_the_traffic_with_one_card() -> None:
    async with migrating_site() as (site, migrator):
        await offered(site)
        row = site.view.releases[f"shop/{digest(1)}"]
        assert standing_text(row) == "1 safe by a flip"
        assert against(row) == "needs schema 11 → 10 undone first; blue at edge runs it, 1 of 1 ready"
        card = await site.preview(PlanRollback("shop"))
        assert card.refusals == ()
        assert card.title == "Roll shop back to v1 sha256:000000000000 after schema 11 → 10"
        assert str(card.diffs[0]) == "schema of shop: 11 → 10"
        told = {(rule.rule, rule.subject): rule.fact for rule in card.rules}
        assert told["release-schema", "shop v1"] == (
            "10, to which schema 11 is undone first, is in its range 9 to 10, and in 10 to 11 of v2"
        )
        assert told["release-undo", "shop v1"] == "migrate-down undoes it and loses no data, says the estate"
        assert told["release-fits", "shop"] == "what serves runs on schema 10"
        assert told["release-fits", "shop v1"] == "v1 fits schema 10"
        run = (await site.submit(card)).run
        assert await site.ended(run, 200) == "done"
        assert states(site, run) == dict.fromkeys((*MIGRATED, *AFTER), "done")
        assert migrator.ran == [("migrate", "10", "--from", "11")]
        assert await site.weights() == {"blue": 100, "green": 0}
        assert standing(site, 1) is ReleaseStanding.SERVES


async def test_what_cannot_be_migrated_forward_again_is_told_on_the_card_and_by_the_undo() -> None:
    async with migrating_site() as (site, migrator):
        await offered(site)
        card = await site.preview(PlanRollback("shop"))
        assert [(each.subject, each.change) for each in card.undo] == [
            ("commands/migrate-down", None),
            ("edge/shop", "backend.flip"),
        ]
        run = (await site.submit(card)).run
        assert await site.ended(run, 200) == "done"
        back = (await site.submit(await site.preview(PlanUndo(run)))).run
        assert await site.ended(back, 60) == "done"
        assert await site.weights() == {"blue": 0, "green": 100}
        assert len(migrator.ran) == 1
        assert site.engine.history.runs[back].leaves_behind == ("Undo the schema of shop from 11 to 10",)


async def test_where_the_estate_says_how_the_undo_moves_the_traffic_and_then_migrates_forward() -> None:
    forward = {"command": "migrate-up", "args": {"version": "${from}", "from": "${version}"}}
    async with migrating_site(undo=forward) as (site, migrator):
        await offered(site)
        run = (await site.submit(await site.preview(PlanRollback("shop")))).run
        assert await site.ended(run, 200) == "done"
        card = await site.preview(PlanUndo(run))
        assert card.refusals == ()
        back = (await site.submit(card)).run
        assert await site.ended(back, 60) == "done"
        assert migrator.ran == [("migrate", "10", "--from", "11"), ("migrate", "11", "--from", "10")]
        kinds = [s.step.what for s in site.engine.history.runs[back].all_steps()]
        assert kinds == ["backend.flip", "command.run"], "the older release never meets the newer schema"


@pytest.mark.parametrize(
    ("manner", "state"),
    [
        ({"arrives": False}, "not-done"),
        ({"arrives": False, "answers": False}, "not-done"),
    ],
)
async def test_a_migration_that_is_not_undone_stops_the_run_before_the_traffic(
    manner: dict[str, bool], state: str
) -> None:
    async with migrating_site(**manner) as (site, migrator):
        await offered(site)
        run = (await site.submit(await site.preview(PlanRollback("shop")))).run
        assert await site.ended(run, 60) == "paused"
        assert states(site, run)["schema"] == state
        assert await site.weights() == {"blue": 0, "green": 100}
        assert len(migrator.ran) == 1


async def test_an_outcome_that_is_unknown_holds_the_run_and_is_read_and_never_sent_again() -> None:
    async with migrating_site(answers=False, reads=False) as (site, migrator):
        await offered(site)
        run = (await site.submit(await site.preview(PlanRollback("shop")))).run
        await until(lambda: states(site, run).get("schema") == "unknown")
        await asyncio.sleep(30)
        assert states(site, run)["schema"] == "unknown"
        assert await site.weights() == {"blue": 0, "green": 100}
        migrator.reads = True
        assert await site.ended(run, 200) == "done"
        assert len(migrator.ran) == 1


async def test_a_reading_command_that_lies_is_found_by_the_schema_itself() -> None:
    async with migrating_site(lies=True) as (site, _):
        await offered(site)
        run = (await site.submit(await site.preview(PlanRollback("shop")))).run
        assert await site.ended(run, 120) == "paused"
        assert states(site, run)["schema"] == "done"
        assert states(site, run)["schema-at"] == "failed"
        assert await site.weights() == {"blue": 0, "green": 100}


async def test_an_engine_that_ends_after_the_schema_goes_on_with_the_traffic_and_repeats_nothing() -> None:
    async with migrating_site() as (site, migrator):
        await offered(site)
        run = (await site.submit(await site.preview(PlanRollback("shop")))).run
        await until(lambda: states(site, run).get("schema") == "done")
        assert await site.weights() == {"blue": 0, "green": 100}
    async with migrating_site(store=site.store, balancer=site.balancer, schema="10") as (again, second):
        assert await again.ended(run, 200) == "done"
        assert (len(migrator.ran), second.ran) == (1, [])
        assert await again.weights() == {"blue": 100, "green": 0}


@pytest.mark.parametrize("moved_to", ["11", "12", None])
async def test_a_schema_that_moves_after_the_traffic_is_no_verified_way_back(moved_to: str | None) -> None:
    async with migrating_site() as (site, migrator):
        await offered(site)
        run = (await site.submit(await site.preview(PlanRollback("shop")))).run
        await until(lambda: states(site, run).get("edge.active") == "done")
        site.schema(moved_to)
        assert await site.ended(run, 300) == "paused"
        assert states(site, run)["still-fits"] == "failed"
        assert len(migrator.ran) == 1


@pytest.mark.parametrize("third", ["8", "12", "x"])
async def test_a_migration_that_leaves_a_third_version_stops_the_run_before_the_traffic(third: str) -> None:
    async with migrating_site(third=third) as (site, migrator):
        await offered(site)
        run = (await site.submit(await site.preview(PlanRollback("shop")))).run
        assert await site.ended(run, 60) == "paused"
        assert states(site, run)["schema"] == "not-done"
        assert await site.weights() == {"blue": 0, "green": 100}
        assert len(migrator.ran) == 1


async def test_what_serves_and_what_is_there_are_asked_again_before_the_schema_moves() -> None:
    async with migrating_site() as (site, migrator):
        await offered(site)
        run = (await site.submit(await site.preview(PlanRollback("shop")))).run
        site.runs("green", 7)
        assert await site.ended(run, 60) == "failed"
        assert states(site, run)["undoable"] == "failed"
        assert migrator.ran == []


@pytest.mark.parametrize(
    ("down", "rule", "fact"),
    [
        ({"loses_data": True}, "release-undo", "migrate-down undoes it and may lose data, says the estate"),
        ({"loses_data": None}, "release-undo", "whether migrate-down loses data is not known"),
    ],
)
async def test_what_may_lose_data_is_not_offered(down: dict[str, object], rule: str, fact: str) -> None:
    async with migrating_site(down=down) as (site, _):
        await until(lambda: fact in facts(site, 1))
        with pytest.raises(Refused) as refused:
            await site.preview(PlanRollback("shop"))
        assert refused.value.rule == rule
        assert "Go forward" in str(refused.value)


async def test_a_marker_holds_whatever_the_estate_can_undo() -> None:
    async with migrating_site() as (site, _):
        await site.record(2, schema_min="10", schema_max="11", reversible_until="10")
        await until(lambda: standing(site, 1) is ReleaseStanding.BLOCKED)
        with pytest.raises(Refused) as refused:
            await site.preview(PlanRollback("shop"))
        assert refused.value.rule == "release-marker"
        direct = await site.preview(undo_schema())
        assert [r.rule for r in direct.refusals] == ["release-fits"]


async def test_what_serves_must_run_on_the_older_schema_whoever_undoes_it() -> None:
    async with migrating_site() as (site, _):
        await offered(site)
        assert [r.rule for r in (await site.preview(undo_schema("9"))).refusals] == ["release-fits"]
        assert not (await site.preview(undo_schema())).refusals
        assert [r.fact for r in (await site.preview(undo_schema("12"))).refusals] == [
            "shop: schema 12 is not in the range 10 to 11 of shop v2, which serves"
        ], "forward as well"
        assert [r.rule for r in (await site.preview(FLIP)).refusals] == ["release-fits"], "the schema is as it was"


async def test_in_a_set_the_schema_counts_from_the_change_on_that_leaves_it() -> None:
    undo, flip = {"kind": "command.run", "args": undo_schema().args}, {"kind": FLIP.kind, "args": FLIP.args}
    async with migrating_site() as (site, _):
        await offered(site)

        async def refused(*changes: dict[str, object]) -> list[str]:
            card: Card = await site.preview(PlanSet(title="by hand", changes=changes))
            return [r.fact for r in card.refusals]

        alone = ["shop v1: v1 does not run on schema 11"]
        assert await refused(flip) == await refused(flip, undo) == alone
        assert await refused(undo, flip) == []


async def test_a_migration_that_was_undone_by_somebody_else_leaves_an_ordinary_way_back() -> None:
    async with migrating_site() as (site, migrator):
        await offered(site)
        card = await site.preview(PlanRollback("shop"))
        site.schema("10")
        await until(lambda: site.view.releases[f"shop/{digest(1)}"].schema_to == "")
        with pytest.raises(Refused):
            await site.submit(card)
        again = await site.preview(PlanRollback("shop"))
        assert again.diffs[0].subject != "schema of shop"
        run = (await site.submit(again)).run
        assert await site.ended(run, 200) == "done"
        assert tuple(states(site, run)) == AFTER
        assert migrator.ran == []


async def test_the_card_as_text_has_the_schema_before_and_after_and_what_is_lost() -> None:
    async with migrating_site() as (site, _):
        await offered(site)
        text = "\n".join(plain_card(await site.preview(PlanRollback("shop"))))
        for said in ("11 → 10", "loses no data, says the estate", "commands/migrate-down: no change undoes this"):
            assert said in text, text


async def test_by_a_ramp_the_schema_goes_back_once_before_the_first_share() -> None:
    async with migrating_site() as (site, migrator):
        await offered(site)
        card = await site.preview(PlanRollback("shop", ramp=True))
        run = (await site.submit(card)).run
        await until(lambda: states(site, run).get("edge.share-5") == "done")
        assert list(states(site, run))[:5] == [*MIGRATED, "fits", "edge.share-5"]
        assert len(migrator.ran) == 1


async def test_skipping_what_failed_leads_no_traffic_to_what_does_not_fit() -> None:
    async with migrating_site(arrives=False) as (site, _):
        await offered(site)
        run = (await site.submit(await site.preview(PlanRollback("shop")))).run
        for step in ("schema", "schema-at"):
            assert await site.ended(run, 120) == "paused"
            await site.engine.control(COMMANDER, run, Skip(f"{step}#1", "it is done by hand"))
            await asyncio.sleep(1)
        assert await site.ended(run, 120) == "failed"
        assert states(site, run)["fits"] == "failed"
        assert await site.weights() == {"blue": 0, "green": 100}


async def test_what_was_not_done_is_sent_again_only_when_a_person_asks() -> None:
    async with migrating_site(arrives=False) as (site, migrator):
        await offered(site)
        run = (await site.submit(await site.preview(PlanRollback("shop")))).run
        assert await site.ended(run, 60) == "paused"
        migrator.arrives = True
        await asyncio.sleep(30)
        assert len(migrator.ran) == 1
        await site.submit(await site.preview(PlanRetry(run, "schema")))
        assert await site.ended(run, 200) == "done"
        assert len(migrator.ran) == 2
        assert await site.weights() == {"blue": 100, "green": 0}
