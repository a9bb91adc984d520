"""What the facts of a cluster mean, and what is different between two looks."""

from __future__ import annotations

from dataclasses import replace

from state.errors import ExitCode
from state.health import Health
from state.integrity.judging import found_in
from state.integrity.model import (
    DatabaseFacts,
    IntegrityAsked,
    IntegrityFacts,
    IntegrityFinding,
    ServerFacts,
    SlotFacts,
    integrity_code,
)
from state.integrity.snapshot import changes

ASKED = IntegrityAsked
SHOP = DatabaseFacts(
    {"": (None, None), "de": ("1", "1")}, {"citext": "1.6"}, tables=("public.t",), positions={"public.t_id_seq": 9}
)
A = ServerFacts(
    False, 3, "7", "18.0", {"max_connections": "100", "port": "1"}, (), {}, {"citext": "1.6"}, {"shop": SHOP}
)
B = replace(A, in_recovery=True, settings={"max_connections": "100", "port": "2"})


def worst(cluster: IntegrityFacts, asked: IntegrityAsked) -> list[tuple[Health, str]]:
    return [(each.health, each.where) for each in found_in(cluster) if each.asked is asked]


def of(a: ServerFacts = A, b: ServerFacts = B, **silent: str) -> IntegrityFacts:
    return IntegrityFacts({"a": a, "b": b}, silent)


def test_a_sound_cluster_has_no_finding_but_passes() -> None:
    found = list(found_in(of()))
    assert {each.health for each in found} == {Health.PASS}
    assert integrity_code(found) is ExitCode.DONE


def test_one_writer_is_certain_only_when_all_nodes_answer() -> None:
    assert worst(of(), ASKED.WRITER) == [(Health.PASS, "cluster")]
    assert worst(of(b=A), ASKED.WRITER) == [(Health.FAIL, "cluster")]
    assert worst(of(a=B), ASKED.WRITER) == [(Health.FAIL, "cluster")]
    assert worst(IntegrityFacts({"a": A}, {"b": "timeout"}), ASKED.WRITER) == [(Health.UNKNOWN, "b")]
    assert worst(IntegrityFacts({"b": B}, {"a": "timeout"}), ASKED.WRITER) == [(Health.UNKNOWN, "a")]
    assert (Health.FAIL, "cluster") in worst(of(b=replace(B, system_id="8")), ASKED.WRITER)


def test_a_standby_cluster_needs_no_writer_and_a_circle_of_standbys_does() -> None:
    led, follows = replace(B, streams=True, sends=1), replace(B, streams=True)
    assert worst(of(led, follows), ASKED.WRITER) == [(Health.PASS, "cluster")]
    assert worst(of(led, replace(follows, sends=1)), ASKED.WRITER) == [(Health.FAIL, "cluster")], "or a circle"
    assert worst(of(replace(led, streams=False), follows), ASKED.WRITER) == [(Health.FAIL, "cluster")]
    silent = worst(IntegrityFacts({"b": follows}, {"a": "timeout"}), ASKED.WRITER)
    assert silent == [(Health.UNKNOWN, "a")], "the silent one may be the writer"


def test_a_standby_on_another_timeline_does_not_follow() -> None:
    for timeline in (2, 4):
        assert worst(of(b=replace(B, timeline=timeline)), ASKED.TIMELINE) == [(Health.FAIL, "b")]


def test_slots_by_what_they_keep() -> None:
    def slot(**facts: object) -> list[Health]:
        made = replace(SlotFacts("s", "logical", True, "reserved"), **facts)  # type: ignore[arg-type]
        return [health for health, _ in worst(of(a=replace(A, slots=(made,))), ASKED.SLOTS)]

    assert slot() == [Health.PASS]
    assert slot(state="lost") == slot(state=None, lost_by="rows_removed") == [Health.FAIL]
    assert slot(state="unreserved") == slot(active=False) == [Health.WARN]


def test_slots_that_a_manager_keeps_on_a_standby_are_no_warning() -> None:
    """Patroni 4 keeps a slot for each member on each other one: every sound cluster had a warning for each."""
    used = SlotFacts("consumer", "logical", True, "reserved")
    kept = (replace(used, active=False), SlotFacts("a", "physical", False, "reserved"))
    strange = SlotFacts("gone", "physical", False, "reserved")

    def on_standby(*slots: SlotFacts, led: tuple[SlotFacts, ...] = (used,)) -> list[tuple[Health, str]]:
        return worst(of(a=replace(A, slots=led), b=replace(B, slots=slots)), ASKED.SLOTS)

    assert on_standby(*kept) == [(Health.PASS, "a"), (Health.PASS, "b")]
    assert on_standby(*kept, strange) == [(Health.PASS, "a"), (Health.WARN, "b/gone")]
    assert (Health.WARN, "b/consumer") in on_standby(*kept, led=(replace(used, active=False),)), "no one uses it"
    assert (Health.FAIL, "b/a") in on_standby(replace(kept[1], state="lost"))
    assert (Health.WARN, "b/a") in on_standby(replace(kept[1], state="unreserved"))
    assert (Health.WARN, "a/b") in on_standby(led=(SlotFacts("b", "physical", False, "reserved"),)), "on the writer"


def test_a_setting_that_stops_replay_fails_and_another_one_warns() -> None:
    assert worst(of(b=replace(B, settings={"max_connections": "90"})), ASKED.SETTINGS) == [(Health.FAIL, "b")]
    assert worst(of(b=replace(B, settings={"max_connections": "110"})), ASKED.SETTINGS) == [(Health.WARN, "b")]
    assert worst(of(b=replace(B, settings={})), ASKED.SETTINGS) == [(Health.WARN, "b")]


def test_libraries_are_each_nodes_own() -> None:
    other = replace(B, databases={"shop": replace(SHOP, collations={"de": ("1", "2")})})
    assert (Health.FAIL, "b/shop") in worst(of(b=other), ASKED.COLLATION)
    # Recorded anew without a rebuild: no node says that something is wrong, but they are still apart.
    refreshed = replace(A, databases={"shop": replace(SHOP, collations={"de": ("2", "2")})})
    assert worst(of(a=refreshed), ASKED.COLLATION) == [(Health.FAIL, "shop")]
    assert worst(of(b=replace(B, available={})), ASKED.EXTENSIONS) == [(Health.FAIL, "b")]
    assert worst(of(b=replace(B, available={"citext": "1.5"})), ASKED.EXTENSIONS) == [(Health.WARN, "b")]


def test_what_is_gone_or_went_back_fails_and_the_rest_warns() -> None:
    def after(facts: DatabaseFacts) -> list[tuple[Health, str]]:
        found = changes(of(), of(a=replace(A, databases={"shop": facts})))
        return [(each.health, each.where) for each in found]

    assert after(SHOP) == [(Health.PASS, "cluster")]
    assert after(replace(SHOP, tables=())) == [(Health.FAIL, "a/shop/public.t")]
    assert after(replace(SHOP, tables=("public.t", "public.u"))) == [(Health.WARN, "a/shop/public.u")]
    assert after(replace(SHOP, positions={"public.t_id_seq": 8})) == [(Health.FAIL, "a/shop/public.t_id_seq")]
    assert after(replace(SHOP, positions={"public.t_id_seq": 10})) == [(Health.PASS, "cluster")]
    gone = [each.health for each in changes(of(), of(a=replace(A, databases={})))]
    assert gone == [Health.FAIL]
    switched = [each.health for each in changes(of(), of(a=B, b=A))]
    assert switched == [Health.WARN]


def test_a_node_that_answered_then_is_not_forgotten() -> None:
    found = list(changes(of(), IntegrityFacts({"a": A}, {"b": "timeout"})))
    assert [(each.health, each.where) for each in found] == [(Health.UNKNOWN, "b")]


def test_nothing_asked_is_no_pass_and_warnings_do_not_count() -> None:
    def finding(health: Health) -> IntegrityFinding:
        return IntegrityFinding(ASKED.SLOTS, "a", health, "x")

    assert integrity_code([]) is ExitCode.UNKNOWN
    assert integrity_code([finding(Health.WARN)]) is ExitCode.DONE
    assert integrity_code([finding(Health.PASS), finding(Health.UNKNOWN)]) is ExitCode.UNKNOWN
    assert integrity_code([finding(Health.UNKNOWN), finding(Health.FAIL)]) is ExitCode.FAILED
