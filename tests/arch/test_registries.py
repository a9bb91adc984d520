"""Two of one name are an error that names it, in every registry; never does one silently hide the other."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from adapters import registry as adapters_
from adapters.balancers import memory
from console.cli.verbs import registered_verb
from console.tui.actions import registry
from console.tui.actions.base import Action
from state.api.topics import Topic
from state.capabilities import Capability, added, topics
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.journal.events import Body, event
from tests.support.small_estate import small

HEADER = "state.api.views.header:HeaderView"
BUILD = "state.views.header:build"


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (Topic("lamps", HEADER, BUILD, "4"), "two topics with the digit 4"),
        (Topic("traffic", HEADER, BUILD), "named traffic"),
    ],
)
def test_two_topics(topic: Topic, message: str) -> None:
    with added(Capability("toy", topics=(topic,))), pytest.raises(ValueError, match=message):
        topics()


def test_two_kinds_of_changes_or_checks() -> None:
    with (
        added(Capability("toy", changes=("state.changes.traffic:KINDS",))),
        pytest.raises(ValueError, match="two kinds"),
    ):
        change_kinds()
    with added(Capability("toy", checks=("state.checks.traffic:KINDS",))), pytest.raises(ValueError, match="two kinds"):
        check_kinds()


async def test_two_projections_of_one_state() -> None:
    twice = Capability("toy", projections=("state.runs.fold:RUNS",))
    with added(twice), pytest.raises(ValueError, match=r"two projections make one state: .*RunHistory"):
        async with small():
            pass


def test_two_bodies_of_one_kind() -> None:
    @dataclass(frozen=True, slots=True)
    class Other(Body):
        """Another engine.started."""

    with pytest.raises(ValueError, match=r"engine\.started"):
        event("engine.started")(Other)


def test_two_verbs() -> None:
    with pytest.raises(ValueError, match="a verb status already"), registered_verb("status", "a:b", "again"):
        pass


def test_two_adapters_of_one_kind() -> None:
    again = SimpleNamespace(KIND="haproxy", OPTIONS=adapters_.SECTIONS["balancers"][1], build=memory.MemoryBalancer)
    with pytest.raises(ValueError, match="already has the kind haproxy"), adapters_.added("balancers", again):
        pass


def test_two_actions_with_one_key_or_id() -> None:
    with registry.kept():
        taken = next(action for action in registry.actions_of("traffic") if action.screens and action.key)
        with pytest.raises(ValueError, match=f"two actions have the key {taken.key}"):
            type("Another", (Action,), {"title": "another", "key": taken.key, "screens": taken.screens})
        with pytest.raises(ValueError, match=f"two actions have the id {taken.id}"):
            type(type(taken).__name__, (Action,), {"title": "another"})
