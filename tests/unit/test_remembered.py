"""What the readings of a cluster have shown: who wrote last, and for how long nobody held the lock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.databases.conninfo import of_conninfo, same_place, with_place
from adapters.databases.remembered import (
    LEAST_GAP,
    MOST_SLOTS,
    TOLD_FOR,
    HighestTimeline,
    LastWriter,
    LeaseWatch,
    SlotsSeen,
)
from state.world.postgres_parts import ReplicationSlot
from state.world.readings import PostgresReading
from tests.unit.verdict_world import MB, manager, primary, standby

FREE = replace(manager("n2", None), dcs_age=0.0, ttl=30.0)
HELD = replace(manager("n2", "n1"), dcs_age=0.0, ttl=30.0)


def watched(*readings: object) -> LeaseWatch:
    watch = LeaseWatch()
    for reading in readings:
        watch.saw(reading)  # type: ignore[arg-type]
    return watch


def test_a_lock_that_nobody_holds_is_timed_and_one_that_is_held_is_not() -> None:
    assert watched(HELD).told().free_for is None
    told = watched(HELD, FREE, FREE).told()
    assert (told.holder, told.ttl, told.binding) == ("n1", 30.0, True)
    assert told.free_for is not None
    assert told.free_for >= 0
    assert watched(HELD, FREE, HELD).told().free_for is None


@pytest.mark.parametrize("age", [None, 0.7, 40.0])
def test_a_member_without_contact_to_its_store_tells_nothing_of_the_lock(age: float | None) -> None:
    assert watched(HELD, replace(FREE, dcs_age=age)).told().free_for is None


@pytest.mark.parametrize("held", [{"paused": True}, {"failsafe": True}])
def test_in_pause_and_in_failsafe_mode_a_lost_lock_stops_nobody(held: dict[str, bool]) -> None:
    assert not watched(replace(HELD, **held), FREE).told().binding
    assert not watched(HELD, replace(FREE, **held)).told().binding


def test_the_last_writer_is_the_one_of_the_newest_timeline() -> None:
    last = LastWriter()
    last.saw(standby("n2", MB))
    assert last.told() is None
    last.saw(primary("n1", MB, 7))
    seen = last.told()
    assert seen is not None
    assert (seen.reading.node, seen.gap) == ("n1", None)
    last.saw(primary("n2", MB, 8))
    last.saw(primary("n1", 2 * MB, 7))
    seen = last.told()
    assert seen is not None
    assert seen.reading.node == "n2", "an old primary that is still there did not write last"
    assert seen.gap is not None


def test_a_second_writer_that_is_silent_did_not_write_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("adapters.databases.remembered.time.monotonic", lambda: now)
    last = LastWriter()
    last.saw(primary("n3", MB, 8))
    now += LEAST_GAP - 1
    last.saw(primary("n1", 2 * MB, 7))
    assert (seen := last.told()) is not None
    assert seen.reading.node == "n3"
    now += 1
    last.saw(primary("n1", 3 * MB, 7))
    assert (seen := last.told()) is not None
    assert (seen.reading.node, seen.reading.write_lsn, seen.gap) == ("n1", 3 * MB, None)


def test_a_second_writer_that_follows_again_did_not_write_last() -> None:
    """Found on a lab where it was fenced, rejoined, and the leader fenced after it, all within ten seconds."""
    last = LastWriter()
    last.saw(primary("n3", 2 * MB, 8))
    last.saw(standby("n2", MB))
    last.saw(primary("n1", MB, 7))
    assert (seen := last.told()) is not None
    assert seen.reading.node == "n3", "another standby says nothing of it"
    last.saw(standby("n3", MB))
    last.saw(primary("n1", MB, 7))
    assert (seen := last.told()) is not None
    assert (seen.reading.node, seen.reading.write_lsn) == ("n1", MB)


def test_a_standby_that_lost_its_stream_is_still_on_the_timeline_it_was_read_to_be_on() -> None:
    seen = HighestTimeline()
    assert seen.of(("7001", 1.0), None, in_recovery=True) is None
    assert seen.of(("7001", 1.0), 8, in_recovery=True) == 8
    assert seen.of(("7001", 1.0), 7, in_recovery=True) == 8, "the control file is behind"
    assert seen.of(("7001", 9.0), 7, in_recovery=True) == 7, "another process may be on another one"
    assert seen.of(("7001", 9.0), 6, in_recovery=False) == 6, "a writer says it by its own WAL"


def test_only_host_and_port_of_an_upstream_are_changed() -> None:
    text = "user=replication passfile='/var/lib/my pass' host=10.0.0.1 port=5433 application_name=b sslmode=verify-full"
    made = with_place(text, "10.0.0.2", "5432")
    assert of_conninfo(made) == ("10.0.0.2", "5432")
    assert "passfile='/var/lib/my pass'" in made
    assert "sslmode=verify-full" in made
    assert of_conninfo(text) == ("10.0.0.1", "5433")
    assert of_conninfo("host=a") == ("a", "5432")
    assert of_conninfo("postgresql://a/b") == ("", "")
    assert of_conninfo(r"host='a\'b'") == ("a'b", "5432")
    with pytest.raises(ValueError, match="passfile"):
        with_place("host=a password=s3cret", "b", "1")
    with pytest.raises(ValueError, match="cannot be read"):
        with_place("postgresql://a/b", "b", "1")


def test_places_on_this_machine_are_one() -> None:
    assert same_place(("127.0.0.1", 5432), ("localhost", "5432"))
    assert same_place(("/run", 5432), ("127.0.0.1", "5432"))
    assert not same_place(("10.0.0.1", 5432), ("10.0.0.2", "5432"))
    assert not same_place(("10.0.0.1", 5432), ("10.0.0.1", "5433"))


@pytest.mark.parametrize("name", ["password", "sslpassword", "oauth_client_secret", "scram_client_key"])
def test_no_kind_of_secret_of_an_upstream_is_sent_back(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not sent anywhere") as refused:
        with_place(f"host=a {name}=s3cret", "b", "1")
    assert "s3cret" not in str(refused.value)


def test_a_long_string_of_an_upstream_is_read_in_one_go() -> None:
    """What was read before is not copied again for each word: 4 MB took hours."""
    assert of_conninfo("a=b " * 1_000_000 + "host=c") == ("c", "5432")


def logical(node: str, *, writes: bool, **positions: int) -> PostgresReading:
    """A server with logical slots, by the position that each one's consumer has confirmed."""
    slots = tuple(
        ReplicationSlot(name, "logical", True, confirmed, "reserved", confirmed_lsn=confirmed)
        for name, confirmed in positions.items()
    )
    reading = primary(node, 100 * MB, 2) if writes else standby(node, 100 * MB)
    return replace(reading, slots=slots)


def skipped(seen: SlotsSeen, *readings: PostgresReading) -> dict[str, tuple[int, int] | None]:
    """What each slot of the last reading has skipped."""
    told = [seen.saw(reading) for reading in readings][-1]
    return {slot.name: slot.skipped for slot in told.slots}


def test_a_slot_of_the_same_name_on_the_new_primary_has_skipped_what_lies_between() -> None:
    seen = SlotsSeen()
    before = (logical("n1", writes=True, cdc=40 * MB), logical("n2", writes=False))
    gap = (40 * MB, 47 * MB)
    assert skipped(seen, *before, logical("n2", writes=True), logical("n2", writes=True, cdc=47 * MB)) == {"cdc": gap}
    assert skipped(seen, logical("n2", writes=True, cdc=60 * MB)) == {"cdc": gap}, "it does not get it later either"
    assert skipped(seen, logical("n2", writes=True), logical("n2", writes=True, other=50 * MB)) == {"other": None}
    assert skipped(seen, logical("n2", writes=True, cdc=70 * MB))["cdc"] == (60 * MB, 70 * MB), "dropped and made anew"


def test_a_slot_that_was_kept_in_step_on_the_standby_has_skipped_nothing() -> None:
    there = (logical("n1", writes=True, cdc=40 * MB), logical("n2", writes=False, cdc=39 * MB))
    assert skipped(SlotsSeen(), *there, logical("n2", writes=True, cdc=47 * MB)) == {"cdc": None}
    unread = (logical("n1", writes=True, cdc=40 * MB), logical("n2", writes=True, cdc=47 * MB))
    assert skipped(SlotsSeen(), *unread) == {"cdc": None}, "whether it was there before is not known"


def test_what_was_skipped_is_told_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, now = SlotsSeen(), [1000.0]
    monkeypatch.setattr("adapters.databases.remembered.time.monotonic", lambda: now[0])
    anew = logical("n2", writes=True, cdc=47 * MB)
    first = (logical("n1", writes=True, cdc=40 * MB), logical("n2", writes=False), anew)
    assert skipped(seen, *first)["cdc"] is not None
    now[0] += TOLD_FOR - 1
    assert skipped(seen, anew)["cdc"] is not None
    now[0] += 2
    assert skipped(seen, anew)["cdc"] is None


def test_names_of_slots_are_remembered_to_a_bound() -> None:
    seen = SlotsSeen()
    for number in range(2 * MOST_SLOTS):
        seen.saw(logical("n1", writes=True, **{f"s{number}": MB}))
    assert len(seen.told("n1")) == MOST_SLOTS
    assert f"s{2 * MOST_SLOTS - 1}" in seen.told("n1")
