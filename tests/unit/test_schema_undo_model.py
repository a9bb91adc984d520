"""A way back over an older schema, against a model of its own: the life of a schema is a list of steps that are undone
one after the other, and at each of them everything that serves must work and nothing may be lost."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from state.api.views.releases import ReasonKind, ReleaseStanding
from state.health import Health
from state.verdicts.instances import SchemaFinding
from state.verdicts.rollback import RollbackFacts, RollbackVerdict, Warm, WayBack, rollback_verdict
from state.verdicts.schema_undo import SchemaUndoing, SchemaUser
from state.world.release_parts import Release

STEPS = 8
CASES = 900


def digest(service: str, number: int) -> str:
    return f"sha256:{'a' if service == 'shop' else 'b'}{number:063x}"


@dataclass(frozen=True)
class Built:
    """One release: the schemas that it works on, and the steps of the schema that its makers know to lose data on the
    way back."""

    service: str
    number: int
    works_on: frozenset[int]
    loses: int

    def recorded(self) -> Release:
        return Release(
            self.service, digest(self.service, self.number), f"v{self.number}",
            str(min(self.works_on)), str(max(self.works_on)),
            reversible_until=str(self.loses - 1) if self.loses else "", order=self.number,
        )  # fmt: skip


@dataclass(frozen=True)
class Life:
    """A schema, the releases of the shop, what serves now, and what a neighbour on the same schema runs."""

    schema: int
    built: tuple[Built, ...]
    serving: frozenset[int]
    neighbour: tuple[Built, ...]
    undoable: bool
    lossless: bool

    @property
    def newest(self) -> int:
        return max(self.serving)

    def safe(self, target: Built) -> bool:
        """By living through it: steps are undone one at a time, until the target works. Without one that fits, no."""
        since = [each for each in self.built if target.number < each.number <= self.newest]
        if any(0 < each.loses <= self.schema for each in since):
            return False
        now = self.schema
        if now in target.works_on:
            return True
        serves = [each for each in self.built if each.number in self.serving] + list(self.neighbour)
        while self.undoable and self.lossless and now > 1:
            if any(each.loses == now for each in (*self.built, *self.neighbour)):
                return False
            now -= 1
            if now in target.works_on and all(now in each.works_on for each in serves):
                return True
        return False

    def undoing(self) -> SchemaUndoing | None:
        if not self.undoable:
            return None
        serves = tuple(each.recorded() for each in self.built if each.number in self.serving)
        beside = tuple(each.recorded() for each in self.neighbour)
        users = [SchemaUser("shop", serves), *([SchemaUser("cart", beside)] if beside else [])]
        recorded = tuple(each.recorded() for each in (*self.built, *self.neighbour))
        return SchemaUndoing("migrate-down", not self.lossless, tuple(users), recorded)

    def facts(self) -> RollbackFacts:
        warm = Warm(Health.PASS, "a colour", {"edge": "blue"})
        return RollbackFacts(
            releases=tuple(each.recorded() for each in self.built),
            running=tuple(digest("shop", number) for number in sorted(self.serving)),
            blind=(),
            schema=SchemaFinding(str(self.schema), "", True),
            warm={digest("shop", each.number): warm for each in self.built},
            undoing=self.undoing(),
        )


def lives() -> Iterator[Life]:
    """Releases as they are made: each works on the schema of its time and on some before, some on all."""
    for seed in range(CASES):
        chance = random.Random(seed)
        built = tuple(made("shop", number, chance) for number in range(1, chance.randint(3, 6)))
        first = chance.randint(2, len(built))
        half = {chance.randint(1, first)} if chance.random() < 0.2 else set[int]()
        neighbour = (made("cart", 1, chance),) if chance.random() < 0.3 else ()
        schema = chance.randint(3, STEPS)
        yield Life(schema, built, frozenset({first} | half), neighbour, chance.random() < 0.8, chance.random() < 0.8)


def made(service: str, number: int, chance: random.Random) -> Built:
    high = min(STEPS, number + chance.randint(0, 4))
    low = max(1, high - chance.randint(0, 4))
    return Built(service, number, frozenset(range(low, high + 1)), chance.choice([0, 0, 0, chance.randint(2, STEPS)]))


def judged() -> Iterator[tuple[Life, Built, WayBack, RollbackVerdict]]:
    """Every release of every life that could be gone back to, with its verdict."""
    for life in lives():
        verdict = rollback_verdict(life.facts())
        for target in life.built:
            found = verdict.of(digest("shop", target.number))
            assert found is not None
            if target.number < life.newest:
                yield life, target, found, verdict


def test_no_unsafe_way_back_is_offered_and_no_safe_one_refused_where_migrations_are_undone() -> None:
    counts = {"pairs": 0, "as it is": 0, "undone first": 0, "blocked": 0}
    for life, target, found, _ in judged():
        good = life.safe(target)
        counts["pairs"] += 1
        counts["blocked" if not good else "as it is" if life.schema in target.works_on else "undone first"] += 1
        assert (found.standing is ReleaseStanding.OFFERED) == good, (life, target, found)
        assert found.standing is not ReleaseStanding.UNKNOWN, "everything is known in this model"
        assert bool(found.against) != good
    assert counts["pairs"] >= 1200
    assert min(counts["as it is"], counts["undone first"], counts["blocked"]) >= 100, counts


def test_the_version_is_the_highest_one_that_all_run_on_and_none_where_the_schema_fits() -> None:
    undone = 0
    for life, target, found, _ in judged():
        if found.standing is not ReleaseStanding.OFFERED:
            continue
        serves = [each for each in life.built if each.number in life.serving] + list(life.neighbour)
        common = [v for v in target.works_on if all(v in each.works_on for each in serves) and v < life.schema]
        wanted = "" if life.schema in target.works_on else str(max(common))
        assert found.schema_to == wanted, (life, target, found)
        undone += bool(wanted)
    assert undone >= 100


def test_what_needs_migrations_undone_comes_after_all_that_do_not() -> None:
    mixed = 0
    for life in lives():
        offered = [c for c in rollback_verdict(life.facts()).candidates if c.standing is ReleaseStanding.OFFERED]
        needs = [bool(each.schema_to) for each in offered]
        assert needs == sorted(needs)
        for kind in (False, True):
            orders = [each.release.order for each in offered if bool(each.schema_to) is kind]
            assert orders == sorted(orders, reverse=True), "of equal ones the newest"
        mixed += len(set(needs)) == 2
    assert mixed >= 10


def test_anything_not_known_is_never_offered() -> None:
    hidden = 0
    for life, target, found, _ in judged():
        if not found.schema_to or found.standing is not ReleaseStanding.OFFERED:
            continue
        for name, facts in blindings(life).items():
            blind = rollback_verdict(facts).of(digest("shop", target.number))
            assert blind is not None
            assert blind.standing in (ReleaseStanding.UNKNOWN, ReleaseStanding.BLOCKED), (name, life, target)
            hidden += 1
    assert hidden >= 500


def blindings(life: Life) -> Mapping[str, RollbackFacts]:
    """The facts of a safe way back with one of them taken away."""
    facts, ways = life.facts(), life.undoing()
    assert ways is not None
    bare = tuple(replace(each, schema_min="", schema_max="") for each in ways.users[0].releases)
    mine = SchemaUser("shop", ways.users[0].releases, "green: no data since 07:03:12Z")
    loss, nothing = replace(ways, loses_data=None), replace(ways, users=(replace(mine, releases=()),))
    return {
        "the schema": replace(facts, schema=SchemaFinding("", "no data", True)),
        "what undoes it": replace(facts, undoing=None),
        "whether it loses data": replace(facts, undoing=loss),
        "what serves": replace(facts, undoing=replace(ways, users=(mine,))),
        "all that serves": replace(facts, undoing=nothing),
        "its range": replace(facts, undoing=replace(ways, users=(SchemaUser("shop", bare),))),
        "a neighbour": replace(facts, undoing=replace(ways, users=(*ways.users, SchemaUser("pay", (), "no data")))),
    }


def way(low: int, high: int, *, schema: int = 13, **more: object) -> WayBack:
    """Back to v41, which runs on schemas `low` to `high`, from v42, which runs on 12 and 13."""
    old = Release("shop", digest("shop", 41), "v41", str(low), str(high), order=1)
    new = Release("shop", digest("shop", 42), "v42", "12", "13", order=2)
    ways = SchemaUndoing("migrate-down", False, (SchemaUser("shop", (new,)),), (old, new))
    facts = RollbackFacts(
        releases=(old, new),
        running=(new.digest,),
        blind=(),
        schema=SchemaFinding(str(schema), "", True),
        warm={old.digest: Warm(Health.PASS, "blue at edge runs it, 1 of 1 ready", {"edge": "blue"})},
        undoing=replace(ways, **more),  # type: ignore[arg-type]
    )
    found = rollback_verdict(facts).of(old.digest)
    assert found is not None
    return found


def test_it_says_what_is_undone_and_why_that_is_safe() -> None:
    found = way(11, 12)
    assert [r.fact for r in found.reasons] == [
        "blue at edge runs it, 1 of 1 ready",
        "12, to which schema 13 is undone first, is in its range 11 to 12, and in 12 to 13 of v42",
        "migrate-down undoes it and loses no data, says the estate",
    ]


def test_where_no_version_suits_both_the_downtime_is_the_reason() -> None:
    found = way(10, 11)
    assert (found.standing, found.schema_to) == (ReleaseStanding.BLOCKED, "")
    assert [r.fact for r in found.against] == [
        "schema 13 is not in its range 10 to 11; undone first, what serves would fail meanwhile: "
        "no version of it is in 12 to 13 of v42"
    ]


def test_a_release_that_needs_a_newer_schema_is_not_helped() -> None:
    found = way(14, 15)
    assert [r.fact for r in found.against] == ["schema 13 is not in its range 14 to 15"]


def test_a_marker_of_a_release_that_never_served_holds_as_well() -> None:
    tried = Release("shop", digest("shop", 43), "v43", "13", "14", reversible_until="12", order=3)
    old = Release("cart", digest("cart", 1), "v1", "10", "13", reversible_until="12", order=1)
    serves = Release("shop", digest("shop", 42), "v42", "12", "13", order=2)
    found = way(11, 12, recorded=(tried,))
    assert [(r.kind, r.fact) for r in found.against] == [
        (ReasonKind.MARKER, "schema 13 is past 12: undoing it to 12 loses data, as recorded with v43")
    ]
    beside = way(11, 12, users=(SchemaUser("shop", (serves,)), SchemaUser("cart", (old,))), recorded=(old,))
    assert [r.fact for r in beside.against] == [
        "schema 13 is past 12: undoing it to 12 loses data, as recorded with cart v1"
    ]


def test_what_takes_whole_numbers_is_given_no_other_version() -> None:
    assert way(11, 12, whole=True).standing is ReleaseStanding.OFFERED
    old = Release("shop", digest("shop", 41), "v41", "4.9", "4.10", order=1)
    new = Release("shop", digest("shop", 42), "v42", "4.10", "5", order=2)
    ways = SchemaUndoing("migrate-down", False, (SchemaUser("shop", (new,)),), (old, new), whole=True)
    warm = {old.digest: Warm(Health.PASS, "a colour", {"edge": "blue"})}
    facts = RollbackFacts((old, new), (new.digest,), (), SchemaFinding("5", "", True), warm, undoing=ways)
    found = rollback_verdict(facts).of(old.digest)
    assert found is not None
    assert [r.fact for r in found.against] == ["migrate-down takes whole numbers only, 4.10 is none"]
