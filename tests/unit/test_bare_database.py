"""Every change of a database on a cluster that can only be read: refused on its card in the terms of that cluster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from state.changes.model import ChangeSpec
from state.changes.registry import build, change_kinds
from state.errors import ReadFailure, Trouble
from state.ports.outside import Outside
from state.ports.target import Identity
from state.world.readings import PostgresReading
from tests.unit.verdict_world import ESTATE, MB, primary, standby

KINDS = sorted(kind for kind in change_kinds() if kind.startswith("database."))
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
VALUES = {
    "database": "orders",
    "node": "n2",
    "to": "n2",
    "slot": "left",
    "at": LATER,
    "point": "before-v42",
    "site": "east",
}


class Bare:
    """n1 leads, n2 and n3 stream, nothing can be done. Fulfils Database alone."""

    name = "orders"
    nodes: Sequence[str] = ("n1", "n2", "n3")

    def __init__(self, silent: frozenset[str]) -> None:
        self._silent = silent

    async def identify(self, *, deadline: float) -> Identity:
        return Identity(self.name, {"leader": "n1"})

    async def read_node(self, node: str, *, deadline: float) -> PostgresReading:
        if node in self._silent:
            raise ReadFailure(Trouble.UNREACHABLE, f"{node} does not answer")
        return primary("n1", 9 * MB, 7) if node == "n1" else standby(node, 9 * MB, timeline=7)


@pytest.mark.parametrize("silent", [frozenset[str](), frozenset({"n1"}), frozenset({"n1", "n2", "n3"})])
@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_refused_and_nobody_waits_for_a_manager_that_is_not_there(
    kind: str, silent: frozenset[str]
) -> None:
    database = Bare(silent)
    fields = change_kinds()[kind].args.model_fields
    args = {name: VALUES[name] for name in fields if name in VALUES}
    change = build(ChangeSpec(kind, args), ESTATE, Outside((), {}, {"orders": database}))
    shown = await change.preview(deadline=1)
    rules = [refusal.rule for refusal in shown.refusals]
    assert rules or shown.already, "a card that could be confirmed"
    assert "manager-answers" not in rules
    assert not any("Patroni" in refusal.fact for refusal in shown.refusals)
