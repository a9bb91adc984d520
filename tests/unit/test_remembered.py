"""What the readings of a cluster have shown: who wrote last, and for how long nobody held the lock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.databases.conninfo import of_conninfo, same_place, with_place
from adapters.databases.remembered import LEAST_GAP, HighestTimeline, LastWriter, LeaseWatch
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
