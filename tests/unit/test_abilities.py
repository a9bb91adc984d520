"""What answers show of the accounts: nothing is a can that was not shown, and each cannot has its evidence."""

from __future__ import annotations

from state.diagnosis.abilities import READS, abilities
from state.diagnosis.model import Asked, Can, Diagnosis, Subject
from state.errors import ReadFailure, Trouble

IT = Subject("balancers/edge")


def shown(*found: Diagnosis) -> list[tuple[str, str, str]]:
    return [(row.identity, row.does, row.can.value) for row in abilities(found)]


def test_what_is_reached_can_be_read_and_each_right_is_its_own_line() -> None:
    rights = IT.warns(Asked.RIGHTS, "level operator", "level admin").shows("set weights")
    assert shown(IT.passes(Asked.REACHED, "answers"), rights) == [
        ("read", READS, "can"),
        ("act", "set weights", "cannot"),
    ]
    assert abilities([rights])[0].next == "level admin"


def test_what_is_not_reached_is_one_line_with_its_reason() -> None:
    refused = ReadFailure(Trouble.UNREACHABLE, "connection refused")
    (row,) = abilities([IT.passes(Asked.NAME, "has an address"), IT.failure(refused)])
    assert (row.can, row.does, row.evidence) == (Can.NO, READS, "connection refused")
    assert row.next


def test_no_answer_in_time_shows_nothing() -> None:
    late = ReadFailure(Trouble.TIMEOUT, "no answer within 5 s")
    assert shown(IT.failure(late)) == [("read", READS, "unknown")]
    assert shown(IT.unknown(Asked.RIGHTS, "could not be tried", "ask again").shows("switch over")) == [
        ("act", "switch over", "unknown")
    ]


def test_a_warning_is_no_can_unless_it_is_said() -> None:
    warned = IT.warns(Asked.RIGHTS, "a superuser", "name another role")
    assert shown(warned.shows("see replication", reads=True)) == [("read", "see replication", "cannot")]
    assert shown(warned.shows("see replication", Can.YES, reads=True)) == [("read", "see replication", "can")]


def test_an_answer_without_an_ability_shows_none() -> None:
    assert shown(IT.passes(Asked.CLOCK, "agrees"), IT.warns(Asked.TRANSPORT, "goes without tls", "…")) == []
