"""What decides who may start a plan, wired for one engine."""

from __future__ import annotations

from collections.abc import Callable, Collection

from state.approvals.fold import Approvals
from state.audit.seals import AnchorOutages
from state.clock import Clock
from state.detection.detector import Detector
from state.estate.model import Estate
from state.journal.projection import Folds
from state.journal.writer import Journal
from state.planning.approving import Approving, Plans
from state.planning.grading import Grading
from state.planning.personal import Personal
from state.planning.planner import Planner
from state.planning.signing import Signing
from state.planning.standing import ApprovalStanding
from state.planning.submissions import Submissions
from state.ports.outside import Outside
from state.runs.executor import Executor
from state.runs.fold import RunHistory
from state.runs.leases import Leases
from state.verdicts.clocks import most_urgent


class Deciding:
    """Grading and approvals, by the estate in force. `present` are the people who are attached."""

    def __init__(
        self,
        estate: Callable[[], Estate],
        outside: Callable[[], Outside],
        folds: Folds,
        clock: Clock,
        present: Callable[[], Collection[str]],
    ) -> None:
        self._estate, self._outside, self._clock = estate, outside, clock
        self._history = folds.of(RunHistory)
        self._signing = Signing(estate, lambda: outside().signatures, clock)
        detector = folds.of(Detector)
        outages = folds.of(AnchorOutages)
        self.grading = Grading(
            estate,
            self._history,
            clock,
            lambda: most_urgent(detector.clocks, clock.mono()),
            lambda: outages.silent(estate().anchors, clock.mono()),
        )
        self.standing = ApprovalStanding(estate, folds.of(Approvals), clock, present)

    def submissions(self, planner: Planner, leases: Leases, journal: Journal, executor: Executor) -> Submissions:
        """Plans and their submission, of this estate from now on; what runs undo by themselves goes through them."""
        known = (self._estate(), planner, self._history, leases, journal, executor, self._clock)
        executor.undoer = made = Submissions(*known, self.grading, self.standing)
        return made

    def approving(self, plans: Plans, journal: Journal, actor: str) -> Approving:
        """What people ask for and decide."""
        return Approving(self._estate, plans, self.standing, self._signing, journal, self._clock, actor)

    def personal(self, journal: Journal) -> Personal:
        """Who confirms at shared accounts."""
        return Personal(self._estate, self._signing, journal, self._clock)
