"""Encryption at rest is attested by a person, with a day, and an old attestation counts no more."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from state.estate.attested import EncryptedAtRest
from state.estate.model import Estate
from state.health import Health
from state.verdicts.attested import attested_causes
from state.views.replication import build
from state.world.world import World
from tests.unit.verdict_world import ESTATE, WALL, healthy_cluster, look

TODAY = datetime.fromtimestamp(WALL, UTC).date()


def attested(days_ago: int) -> Estate:
    entry = ESTATE.databases["orders"]
    given = EncryptedAtRest(by="Dana Cole", on=TODAY - timedelta(days=days_ago), how="LUKS everywhere, keys in HSM")
    return ESTATE.model_copy(
        update={"databases": {**ESTATE.databases, "orders": entry.model_copy(update={"encrypted": given})}}
    )


@pytest.mark.parametrize(
    ("days_ago", "doubt"),
    [
        (0, ""),
        (365, ""),
        (366, "is 366 days old"),
        (4000, "is 4000 days old"),
        (-3, "has a day that is still to come"),
    ],
)
def test_an_attestation_counts_for_a_year(days_ago: int, doubt: str) -> None:
    world = World()
    healthy_cluster(world)
    judged = look(world, estate=attested(days_ago))
    (note,) = [each for each in build(judged).clusters["orders"].notes if each.startswith("encrypted")]
    assert note.startswith(f"encrypted at rest by the word of Dana Cole of {TODAY - timedelta(days=days_ago)}: LUKS")
    assert note.endswith(f"({doubt})" if doubt else "HSM")
    causes = attested_causes(judged.clusters["orders"])
    assert [(each.key, each.health) for each in causes] == (
        [("database/orders/attested", Health.WARN)] if doubt else []
    )
    assert {each.key for each in causes} <= {each.key for each in judged.causes}


def test_without_one_nothing_is_said() -> None:
    world = World()
    healthy_cluster(world)
    judged = look(world)
    assert not [each for each in build(judged).clusters["orders"].notes if "encrypted" in each]
    assert attested_causes(judged.clusters["orders"]) == []


def test_the_estate_has_the_day_as_it_is_written() -> None:
    read = EncryptedAtRest.model_validate({"by": " Dana ", "on": "2026-03-01", "how": "LUKS on every volume"})
    assert (read.by, read.on, read.at) == ("Dana", date(2026, 3, 1), 1772323200.0)
