"""A proven restore: by the command that the estate names, when its reading said done, and kept over a restart."""

from __future__ import annotations

import copy

import pytest

from adapters.registry import kinds
from state.api.run_states import StepState
from state.capabilities import parts
from state.changes.model import ChangeSpec, Finding
from state.config_files.located import Located
from state.detection.proofs import PROOFS, RestoreProofs, RestoreProven
from state.errors import ConfigError
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.journal.events import Body, Event, Recorded
from state.journal.projection import FoldSetting
from state.runs.events import EffectEnded, EffectIntended
from state.verdicts.judge import Judge
from state.world.world import World
from tests.unit.verdict_world import NOW, RAW, StillClock, healthy_cluster

DAY = 86_400.0


def estate(command: str = "prove-orders") -> Estate:
    raw = copy.deepcopy(RAW)
    raw["commands"] = {"prove-orders": {"argv": ["prove"], "read": {"argv": ["is-proven"]}}}
    raw["databases"]["orders"]["backups"] = {"kind": "pgbackrest", "stanza": "orders", "proven_by": command}
    return parse_estate(Located(raw, "estate.yaml"), kinds())


def entry(body: Body, at: float = 0.0) -> Recorded:
    return Recorded(1, at, NOW - DAY, "boot", "n", "", body.kind, Event(body, "engine"))


def intended(command: str = "prove-orders", kind: str = "command.run") -> Recorded:
    spec = ChangeSpec(kind, {"command": command})
    return entry(EffectIntended("R-1/a", 1, spec, (), {}, {}, (), None, "x"))


def ended(finding: Finding = Finding.DONE) -> Recorded:
    state = StepState.DONE if finding is Finding.DONE else StepState.UNKNOWN
    return entry(EffectEnded("R-1/a", state, finding, (), {}, 1.0, "x"))


def judge_of() -> tuple[Judge, RestoreProofs]:
    world = World()
    healthy_cluster(world)
    judge = Judge(estate(), world)
    return judge, RestoreProofs(FoldSetting(judge.estate, judge, StillClock(), "boot", "engine"))


def test_the_estate_s_command_that_is_read_as_done_proves_it_once() -> None:
    judge, proofs = judge_of()
    for each in (intended(), ended()):
        proofs.fold(each)
    (noticed,) = proofs.notice(NOW)
    assert noticed.body == RestoreProven(
        "orders", "prove-orders", "R-1/a", "a restore of orders was proven by prove-orders"
    )
    assert proofs.notice(NOW) == []
    assert judge.at(NOW).restores["orders"].proven_at is None, "what is not durable does not count"
    proofs.fold(entry(noticed.body, at=123.0))
    assert judge.at(NOW).restores["orders"].proven_at == 123.0


@pytest.mark.parametrize(
    ("begun", "over"),
    [
        (intended("restart-web"), ended()),
        (intended(kind="http.call"), ended()),
        (intended(), ended(Finding.UNKNOWN)),
        (intended(), ended(Finding.NOT_VERIFIED)),
        (intended(), ended(Finding.PARTIAL)),
        (intended(), ended(Finding.NOT_DONE)),
    ],
)
def test_nothing_else_proves_anything(begun: Recorded, over: Recorded) -> None:
    _, proofs = judge_of()
    for each in (begun, over):
        proofs.fold(each)
    assert proofs.notice(NOW) == []


def test_after_a_restart_the_newest_proof_is_enough_and_none_is_told_twice() -> None:
    judge, proofs = judge_of()
    body = RestoreProven("orders", "prove-orders", "R-1/a", "x")
    for each in (entry(body, at=5.0), intended(), ended()):
        proofs.fold(each)
    assert proofs.notice(NOW) == [], "the entries of the last hour are read again"
    assert judge.at(NOW).restores["orders"].proven_at == 5.0
    assert PROOFS.subjects is not None
    assert [each.key for each in PROOFS.subjects(entry(body))] == [("restore-proven", "orders")]
    assert PROOFS in list(parts("projections"))


def test_a_command_that_the_estate_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="prove-order"):
        estate("prove-order")
