"""What proves that an old primary accepts no writes, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from state.ports.database import LeaderLease
from state.verdicts.fence import FenceEvidence, FenceKind, HostWord, Isolation, fence_proof, unfenced
from tests.unit.verdict_world import MB, primary, standby

ENDED = LeaderLease("n1", 31.0, 30.0, binding=True)
PAST = Isolation(True, "no balancer leads to n1")
SILENT = FenceEvidence("n1", None, None, ENDED, PAST)


def kind(evidence: FenceEvidence) -> FenceKind | None:
    proof = fence_proof(evidence)
    return proof.kind if proof is not None else None


def test_trap_29_that_nobody_answers_proves_nothing() -> None:
    alone = FenceEvidence("n1", None)
    assert fence_proof(alone) is None
    assert "which proves nothing" in unfenced(alone)
    assert "names no fence command" in unfenced(alone)


def test_trap_29_an_ordered_shutdown_proves_nothing_and_its_reading_does() -> None:
    for stopped, found in ((True, FenceKind.STOPPED), (False, None), (None, None)):
        evidence = FenceEvidence("n1", None, HostWord("stop-n1", stopped, "exit code 3"))
        assert kind(evidence) is found, stopped
    runs = FenceEvidence("n1", None, HostWord("stop-n1", False, "exit code 0"))
    assert "says that its server runs" in unfenced(runs)


def test_a_server_that_answers_is_believed_before_everything_else() -> None:
    stopped = HostWord("stop-n1", True, "exit code 3")
    assert kind(FenceEvidence("n1", standby("n1", MB), None)) is FenceKind.DEMOTED
    writes = FenceEvidence("n1", primary("n1", MB), stopped, ENDED, PAST)
    assert fence_proof(writes) is None
    assert unfenced(writes) == "n1 accepts writes by its own word"


def test_an_ended_lock_counts_only_with_the_balancers() -> None:
    assert kind(SILENT) is FenceKind.EXPIRED
    for isolation in (None, Isolation(None, "no balancer says"), Isolation(False, "the balancers still lead to n1")):
        assert fence_proof(replace(SILENT, isolation=isolation)) is None


@pytest.mark.parametrize(
    ("lease", "why"),
    [
        (replace(ENDED, free_for=30.0), "30 s of the 30 s"),
        (replace(ENDED, free_for=None), "the lock is held by n1"),
        (replace(ENDED, holder=""), "was not watched"),
        (replace(ENDED, ttl=None), "ttl"),
        (replace(ENDED, binding=False), "paused or in failsafe mode"),
    ],
)
def test_an_ended_lock_is_no_proof_while_its_holder_may_write(lease: LeaderLease, why: str) -> None:
    evidence = replace(SILENT, lease=lease)
    assert fence_proof(evidence) is None
    assert why in unfenced(evidence)


def test_a_host_that_says_it_runs_is_believed_before_the_lock() -> None:
    assert fence_proof(replace(SILENT, host=HostWord("stop-n1", False, "exit code 0"))) is None
