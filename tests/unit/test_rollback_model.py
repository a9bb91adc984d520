"""The verdict on a way back, against a model of its own: what a release may run on is a set there, the life of a schema
a list of steps, and safe is what nobody would regret."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from state.api.views.releases import ReasonKind, ReleaseStanding, Way
from state.health import Health
from state.verdicts.instances import SchemaFinding
from state.verdicts.rollback import RollbackFacts, Warm, rollback_verdict
from state.world.release_parts import Release, is_digest, schema_key

STEPS = 9
"""Schemas 1 to 9."""
PAIRS = 400


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


@dataclass(frozen=True)
class Built:
    """One release of the model: the schemas that it reads and writes rightly, and the first step that cannot be taken
    back without loss; 0 for none."""

    number: int
    works_on: frozenset[int]
    irreversible: int
    one_way: bool
    api: bool
    """Whether the API that it needs from others is still there."""
    ready: bool
    """Whether servers that could take its traffic run it, as they say themselves."""

    def recorded(self) -> Release:
        return Release(
            "shop",
            digest(self.number),
            f"v{self.number}",
            str(min(self.works_on)),
            str(max(self.works_on)),
            reversible_until=str(self.irreversible - 1) if self.irreversible else "",
            blockers=("sends what the former one does not know",) if self.one_way else (),
            needs=(f"api-{self.number}",),
            order=self.number,
        )


@dataclass(frozen=True)
class Case:
    built: tuple[Built, ...]
    serves: int
    schema: int

    def regretted(self, target: Built) -> bool:
        """Whether going back would break something: it cannot run there, or what was written since is lost."""
        if self.schema not in target.works_on or not target.api or not target.ready:
            return True
        since = [each for each in self.built if target.number < each.number <= self.serves]
        return any(each.one_way or 0 < each.irreversible <= self.schema for each in since)

    def facts(self) -> RollbackFacts:
        return RollbackFacts(
            releases=tuple(each.recorded() for each in self.built),
            running=(digest(self.serves),),
            blind=(),
            schema=SchemaFinding(str(self.schema), "", True),
            warm={
                digest(each.number): Warm(Health.PASS if each.ready else Health.FAIL, "a colour", {"edge": "blue"})
                for each in self.built
            },
            checks={
                f"api-{each.number}": (Health.PASS if each.api else Health.FAIL, f"api-{each.number}")
                for each in self.built
            },
        )


def cases() -> Iterator[Case]:
    """Releases of one service with the schema as it was moved on."""
    for seed in range(PAIRS):
        chance = random.Random(seed)
        built = []
        for number in range(1, chance.randint(2, 6)):
            low = chance.randint(1, STEPS)
            span = frozenset(range(low, chance.randint(low, STEPS) + 1))
            irreversible = chance.choice([0, 0, 0, chance.randint(2, STEPS)])
            rare = [chance.random() < 0.1 for _ in range(3)]
            built.append(Built(number, span, irreversible, rare[0], not rare[1], not rare[2]))
        yield Case(tuple(built), chance.randint(1, len(built)), chance.randint(1, STEPS))


def test_no_unsafe_way_back_is_offered_and_no_safe_one_refused() -> None:
    judged = safe = 0
    for case in cases():
        verdict = rollback_verdict(case.facts())
        for target in case.built:
            found = verdict.of(digest(target.number))
            assert found is not None
            if target.number == case.serves:
                assert found.standing is ReleaseStanding.SERVES
            elif target.number > case.serves:
                assert found.standing is ReleaseStanding.NEWER
            else:
                good = not case.regretted(target)
                judged, safe = judged + 1, safe + good
                assert (found.standing is ReleaseStanding.OFFERED) == good, (case, target, found)
                assert found.standing is not ReleaseStanding.UNKNOWN, "everything is known in this model"
                assert bool(found.against) == case.regretted(target)
        best = verdict.offered
        wanted = [t.number for t in case.built if t.number < case.serves and not case.regretted(t)]
        assert (best.release.order if best else 0) == max(wanted, default=0), "the nearest safe one comes first"
        assert bool(verdict.forward) == (best is None), "where nothing is offered the way forward is"
    assert judged >= 400
    assert 60 <= safe <= judged - 60, "the model makes both kinds"


def test_anything_not_known_is_never_offered() -> None:
    """Each fact of every safe return taken away in turn."""
    hidden = 0
    for case in cases():
        facts = case.facts()
        safe = rollback_verdict(facts).offered
        if safe is None:
            continue
        number = safe.release.order
        blindings = [
            replace(facts, schema=SchemaFinding("", "no data", True)),
            replace(facts, schema=SchemaFinding("", "not said", False)),
            replace(facts, checks={k: v for k, v in facts.checks.items() if k != f"api-{number}"}),
            replace(facts, checks={**facts.checks, f"api-{number}": (Health.UNKNOWN, "no data")}),
            replace(facts, checks={**facts.checks, f"api-{number}": (Health.WARN, "nearly")}),
            replace(facts, warm={**facts.warm, digest(number): Warm(Health.UNKNOWN, "no data")}),
            replace(facts, warm={k: v for k, v in facts.warm.items() if k != digest(number)}),
            replace(facts, needs=("other-api",)),
        ]
        bare = [replace(each, schema_min="", schema_max="") for each in facts.releases]
        blindings.append(replace(facts, releases=tuple(bare)))
        for blind in blindings:
            found = rollback_verdict(blind).of(digest(number))
            assert found is not None
            assert found.standing in (ReleaseStanding.UNKNOWN, ReleaseStanding.BLOCKED), (case, blind)
            hidden += 1
    assert hidden >= 200


def test_what_serves_and_does_not_answer_does_not_stand_in_the_way_but_counts_as_every_later_release() -> None:
    old, new, newer = (Built(n, frozenset({1, 2}), 0, False, True, True) for n in (1, 2, 3))
    silent = replace(Case((old, new, newer), 2, 1).facts(), running=(), blind=("green: no data since 07:03:12Z",))
    found = rollback_verdict(silent).of(digest(1))
    assert found is not None
    assert found.standing is ReleaseStanding.OFFERED
    one_way = Case((old, new, replace(newer, one_way=True)), 2, 1)
    assert rollback_verdict(one_way.facts()).of(digest(1)).standing is ReleaseStanding.OFFERED  # type: ignore[union-attr]
    blind = replace(one_way.facts(), running=(), blind=("green: no data",))
    assert rollback_verdict(blind).of(digest(1)).standing is ReleaseStanding.BLOCKED  # type: ignore[union-attr]


def test_an_artifact_is_deployed_again_only_where_it_is_known_what_it_replaces() -> None:
    old, new = (Built(n, frozenset({1}), 0, False, True, n == 2) for n in (1, 2))
    facts = replace(Case((old, new), 2, 1).facts(), redeploy="deploy-shop")
    found = rollback_verdict(facts).offered
    assert found is not None
    assert (found.way, found.release.digest) == (Way.REDEPLOY, digest(1))
    nothing_known = rollback_verdict(replace(facts, running=(), blind=("blue: no data",)))
    assert nothing_known.of(digest(1)).standing is ReleaseStanding.UNKNOWN  # type: ignore[union-attr]


def test_a_flip_comes_before_a_deployment_of_a_nearer_release() -> None:
    built = [Built(n, frozenset({1}), 0, False, True, n in (1, 3)) for n in (1, 2, 3)]
    facts = replace(Case(tuple(built), 3, 1).facts(), redeploy="deploy-shop")
    order = [(each.release.order, each.way) for each in rollback_verdict(facts).candidates if each.against == ()]
    assert order[:2] == [(1, Way.FLIP), (2, Way.REDEPLOY)]


def test_half_a_roll_back_can_be_finished() -> None:
    """One site serves the old release already, the other still the bad one."""
    old, new = (Built(n, frozenset({1}), 0, False, True, True) for n in (1, 2))
    facts = replace(Case((old, new), 2, 1).facts(), running=(digest(1), digest(2)))
    assert rollback_verdict(facts).offered.release.digest == digest(1)  # type: ignore[union-attr]


def test_after_the_contract_step_the_marker_has_fallen_however_wide_the_range_is() -> None:
    """The old code may read the new schema, and lose what the new code wrote (trap 64, 65)."""
    old = Built(1, frozenset(range(1, 10)), 0, False, True, True)
    new = Built(2, frozenset(range(1, 10)), 5, False, True, True)
    for schema in range(1, 10):
        found = rollback_verdict(Case((old, new), 2, schema).facts()).of(digest(1))
        assert found is not None
        assert (found.standing is ReleaseStanding.OFFERED) == (schema < 5)
        if schema >= 5:
            assert [r.kind for r in found.against] == [ReasonKind.MARKER]


def test_a_recorded_newer_release_that_fits_is_the_way_forward() -> None:
    built = [Built(n, frozenset({n}), 0, False, True, True) for n in (1, 2, 3)]
    forward = rollback_verdict(Case(tuple(built), 2, 3).facts()).forward
    assert forward == "Go forward: deploy v3 sha256:000000000000, which is recorded and runs on schema 3"
    alone = rollback_verdict(Case(tuple(built[:2]), 2, 3).facts()).forward
    assert alone == "Go forward: make a release that runs on schema 3, from v2 with the fault mended, and record it"


@pytest.mark.parametrize(
    ("one", "other", "sign"),
    [("9", "10", -1), ("4.12", "4.9", 1), ("4", "4.0.0", 0), ("20261127120000", "20261128", 1), ("0", "0.1", -1)],
)
def test_versions_of_schemas_are_compared_as_numbers(one: str, other: str, sign: int) -> None:
    a, b = schema_key(one), schema_key(other)
    assert a is not None
    assert b is not None
    assert (a > b) - (a < b) == sign


@pytest.mark.parametrize(
    "text", ["", "latest", "v4", "4.", ".4", "4..5", "-1", "1e3", "a1b2c3d4", "4.1.2.3.4.5.6", "٣"]
)
def test_what_has_no_order_is_no_version_of_a_schema(text: str) -> None:
    assert schema_key(text) is None


@pytest.mark.parametrize(
    "text", ["v42", "latest", "sha256:", "sha256:12", "SHA256:" + "0" * 64, "sha256:" + "g" * 64, "sha1:" + "0" * 40]
)
def test_a_tag_is_no_digest(text: str) -> None:
    assert not is_digest(text)
