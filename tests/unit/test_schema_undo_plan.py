"""The steps of a way back over an older schema, by each of the three kinds of change that an estate may name for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from state.api.requests import PlanRollback
from state.estate.model import Estate
from state.health import Health
from state.planning.rollback import rollback_draft
from state.verdicts.cause_service import _way_back
from state.verdicts.instances import SchemaFinding, ServiceTruth
from state.verdicts.releases import ReleasesVerdict
from state.verdicts.rollback import RollbackFacts, Warm, rollback_verdict
from state.verdicts.schema_undo import SchemaUndoing, SchemaUser, undoing
from state.world.release_parts import Release
from tests.support.release_site import TREE, digest

OLD = Release("shop", digest(1), "v1", "9", "10", order=1)
NEW = Release("shop", digest(2), "v2", "10", "11", order=2)
TRUTH = ServiceTruth("shop", (), SchemaFinding("11", "", True), (), (NEW.digest,), ())
TEXT = {"kind": "text"}
CALL = {
    "url": "https://deploy.example/${service}/${version}",
    "params": {"service": {"kind": "name"}, "version": TEXT},
    "read": {"url": "https://deploy.example/now", "done": {"status": [200]}, "not_done": {"status": [404]}},
    "loses_data": False,
}  # fmt: skip
STATEMENT = {
    "database": "orders", "user": "acts", "statement": "call down($1)", "values": ["${version}"], "record": "effects",
    "params": {"version": {"kind": "number"}}, "loses_data": False,
}  # fmt: skip
COMMAND = {
    "argv": ["down", "${version}"], "params": {"version": TEXT, "from": TEXT}, "read": {"argv": ["at", "${version}"]},
    "loses_data": False,
}  # fmt: skip


def estate(way: str) -> Estate:
    schema = {"database": "orders", "query": "select 1", "undo": {way: "down"}}
    traffic = {**TREE["services"]["shop"]["traffic"], "colours": {"blue": "", "green": ""}}
    shop = {**TREE["services"]["shop"], "traffic": traffic, "releases": {"schema": schema}}
    own = {"commands": {"down": COMMAND}, "http_calls": {"down": CALL}, "sql_calls": {"down": STATEMENT}}
    return Estate.model_validate({**TREE, **own, "services": {"shop": shop}})


def verdict(ways: SchemaUndoing | None) -> ReleasesVerdict:
    facts = RollbackFacts(
        releases=(OLD, NEW),
        running=TRUTH.running,
        blind=(),
        schema=TRUTH.schema,
        warm={OLD.digest: Warm(Health.PASS, "blue at edge runs it, 1 of 1 ready", {"edge": "blue"})},
        undoing=ways,
    )
    return ReleasesVerdict(TRUTH, rollback_verdict(facts), Health.PASS, "", "", ways)


@pytest.mark.parametrize(
    ("way", "kind", "given"),
    [
        ("command", "command.run", {"version": "10", "from": "11"}),
        ("call", "http.call", {"version": "10", "service": "shop"}),
        ("statement", "sql.call", {"version": "10"}),
    ],
)
def test_each_way_is_a_step_of_its_own_kind(way: str, kind: str, given: dict[str, Any]) -> None:
    model = estate(way)
    ways = undoing(model, "shop", {"shop": TRUTH}, {"shop": (OLD, NEW)})
    assert ways is not None
    assert (ways.by, ways.loses_data, ways.whole) == ("down", False, way == "statement")
    draft = rollback_draft(PlanRollback("shop"), model, {"shop": verdict(ways)})
    steps = {step.id: step for step in draft.steps}
    assert list(steps)[:4] == ["undoable", "schema", "schema-at", "fits"]
    assert (steps["schema"].what, steps["schema"].args) == (kind, {way: "down", "args": given})
    assert steps["undoable"].args["running"] == {"shop": [OLD.digest, NEW.digest]}
    assert [step.on_failure for step in draft.steps[:4]] == ["stop", "pause", "pause", "stop"]


def test_the_next_step_on_overview_says_that_the_schema_goes_first() -> None:
    ways = SchemaUndoing("down", False, (SchemaUser("shop", (NEW,)),), (OLD, NEW))
    step = _way_back("shop", verdict(ways))
    assert step.message == (
        "Roll shop back to v1 sha256:000000000000: its schema 11 → 10 is undone first, "
        "then blue at edge runs it, 1 of 1 ready."
    )
    newer = replace(ways, loses_data=True)
    assert "down undoes it and may lose data" in _way_back("shop", verdict(newer)).message
