"""A restore window that cannot be relied on is a cause on every screen: traps 58 to 66, and what is never proven."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from adapters.registry import kinds
from console.cluster_text import causes_of, restore_words
from state.api.views.causes import Cause, NextKind, SubjectKind
from state.api.views.replication import RestoreBrief
from state.api.views.restore import RestoreFault
from state.config_files.located import Located
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.health import Health
from state.verdicts.cause_restore import STEPS, TOLD
from state.verdicts.judge import Judge, Judgement
from state.verdicts.past import ProofTime
from state.world.backup_parts import BackupReading
from state.world.postgres_parts import WalArchiver
from tests.support.stores import at, backup, store, wal
from tests.unit.test_restore_window import FORKED, WHOLE, archiver
from tests.unit.verdict_world import NOW, RAW, blackhole, healthy_world, primary, put

KEY = "backup:orders"
PROVEN = ProofTime(at(0), NOW - 86_400.0)


def estate(**backups: Any) -> Estate:
    raw = copy.deepcopy(RAW)
    raw["commands"] = {"prove-orders": {"argv": ["prove"], "read": {"argv": ["is-proven"]}}}
    named = {"kind": "pgbackrest", "stanza": "orders", "waldump": "/usr/bin/pg_waldump", **backups}
    raw["databases"]["orders"]["backups"] = named
    return parse_estate(Located(raw, "estate.yaml"), kinds())


def judgement(
    reading: BackupReading | None,
    arch: WalArchiver | None = None,
    proof: ProofTime | None = PROVEN,
    timeline: int = 1,
    of: Estate | None = None,
) -> Judgement:
    world = healthy_world()
    put(world, "postgres:orders/n1", primary("n1", wal(20), timeline, archiver=arch or archiver(19, timeline=timeline)))
    if reading is not None:
        put(world, KEY, reading, age=10.0, limit=200.0)
    judge = Judge(of or estate(), world)
    if proof is not None:
        judge.proven("orders", proof.at, proof.mono)
    return judge.at(NOW)


def backups(seen: Judgement) -> list[Cause]:
    return [each for each in seen.causes if each.kind is SubjectKind.BACKUP]


def test_what_can_be_relied_on_is_no_cause() -> None:
    assert backups(judgement(WHOLE)) == []


GAP = store((backup("A", 2), backup("B", 10)), {1: {*range(2, 6), *range(10, 20)}})


@pytest.mark.parametrize(
    ("seen", "health", "said", "loud"),
    [
        (judgement(WHOLE, archiver(24)), Health.FAIL, "the store ends 5 segments before it", True),
        (judgement(WHOLE, archiver(19, mode="off")), Health.FAIL, "archive_mode is off", True),
        (judgement(store((backup("A", 2),), {1: {*range(2, 6), *range(8, 20)}})), Health.FAIL, "WAL is missing", True),
        (judgement(store((), {1: range(1, 20)})), Health.FAIL, "there is no backup", True),
        (judgement(replace(WHOLE, trouble="stanza gone")), Health.FAIL, "its store of backups says: stanza gone", True),
        (judgement(WHOLE, proof=None), Health.FAIL, "no restore of it was ever proven", False),
        (judgement(WHOLE, proof=ProofTime(1.0, NOW - 1e8)), Health.FAIL, "the last proven restore is of", False),
        (judgement(GAP), Health.WARN, "1 gap in the restore window", False),
        (
            judgement(store((backup("A", 2), backup("B", 10, errors=("page 7",))), {1: range(1, 20)})),
            Health.WARN,
            "backup B is not whole: page 7",
            False,
        ),
        (
            judgement(
                store((backup("A", 2),), {1: range(1, 13), 2: range(12, 20), 3: range(6, 9)}, FORKED),
                archiver(19, timeline=2),
                timeline=2,
            ),
            Health.WARN,
            "timeline 3 in the archive is not of the primary's history",
            False,
        ),
        (
            judgement(store((backup("A", 2),), {1: range(1, 20)}, commits=False)),
            Health.UNKNOWN,
            "the time of the last archived commit is not known",
            False,
        ),
    ],
)  # fmt: skip
def test_each_fault_is_one_cause_with_its_next_step(seen: Judgement, health: Health, said: str, *, loud: bool) -> None:
    (cause,) = backups(seen)
    assert (cause.health, cause.loud, cause.name) == (health, loud, "orders")
    assert said in cause.what
    assert cause.next is not None
    assert cause.next.message
    assert KEY in cause.sources
    assert causes_of("orders", seen.causes)[-1] == cause, "the Replication screen and `db show` list it"


def test_the_worst_is_said_and_all_are_in_its_detail() -> None:
    (cause,) = backups(judgement(GAP, archiver(24), proof=None))
    assert "PostgreSQL says that it archived" in cause.what, "what is lost now comes before what was never tried"
    assert "1 gap" in cause.detail
    assert "no restore of it was ever proven" in cause.detail


def test_an_archiver_that_never_succeeded_is_told_once_by_its_node() -> None:
    never = WalArchiver("on", 0, 7, "", "x", True, 3, None)
    seen = judgement(WHOLE, never)
    told = [each for each in seen.causes if "the archiver of n1 never succeeded" in each.what]
    assert [each.kind for each in told] == [SubjectKind.DATABASE]
    assert all("archiver" not in each.what for each in backups(seen))


def test_a_silent_store_of_backups_is_listed_as_every_source() -> None:
    world = healthy_world()
    put(world, KEY, WHOLE, age=10.0, limit=200.0)
    blackhole(world, KEY, 300.0)
    judge = Judge(estate(), world)
    judge.proven("orders", PROVEN.at, PROVEN.mono)
    seen = judge.at(NOW)
    (cause,) = [each for each in seen.causes if each.kind is SubjectKind.SOURCE]
    assert (cause.key, cause.name, cause.health) == (f"source/{KEY}", "backups of orders", Health.WARN)
    assert cause.what == "does not answer in time here"
    assert backups(seen) == [], "one cause for one silence"


def test_an_estate_without_backups_has_no_cause_of_them() -> None:
    raw = copy.deepcopy(RAW)
    seen = judgement(None, proof=None, of=parse_estate(Located(raw, "estate.yaml"), kinds()))
    assert backups(seen) == []


def test_without_a_primary_what_waits_for_it_is_no_cause_of_its_own() -> None:
    world = healthy_world()
    for node in ("n1", "n2", "n3"):
        blackhole(world, f"postgres:orders/{node}", 300.0)
    put(world, KEY, WHOLE, age=10.0, limit=200.0)
    judge = Judge(estate(), world)
    judge.proven("orders", PROVEN.at, PROVEN.mono)
    assert backups(judge.at(NOW)) == []


def test_what_proves_a_restore_is_offered() -> None:
    (cause,) = backups(judgement(WHOLE, proof=None, of=estate(proven_by="prove-orders")))
    assert cause.next is not None
    assert (cause.next.kind, cause.next.name, cause.next.arguments) == (
        NextKind.CHANGE, "command.run", {"command": "prove-orders"},
    )  # fmt: skip


def test_every_fault_has_a_step() -> None:
    assert set(STEPS) == set(RestoreFault) - set(TOLD)


@pytest.mark.parametrize(
    ("brief", "words"),
    [
        (
            RestoreBrief(Health.PASS, "", ((0.0, 60.0), (90.0, None)), Health.PASS, 1.0, NOW - 3 * 86_400.0, KEY),
            ("1970-01-01 00:00:00Z to an unknown end, 1 gap", "proven 3 d ago"),
        ),
        (
            RestoreBrief(Health.UNKNOWN, "not read", (), Health.FAIL, None, None, KEY),
            ("not read", "never proven"),
        ),
    ],
)
def test_the_ribbon_in_words(brief: RestoreBrief, words: tuple[str, str]) -> None:
    assert restore_words(brief, NOW) == words
