"""One place for anchors, as its engine knows it: what it has, whether it takes more, and since when not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from state.audit.events import AnchorLost, AnchorRestored
from state.errors import ReadFailure
from state.journal.events import Observation
from state.ports.anchors import AnchorPlace
from state.proof.anchors import Anchor
from state.units import ago

AGAIN = 15.0
"""Seconds until a place that failed is tried again."""
FAILS = 2
"""Times in a row that it fails before it counts as lost."""
OFTEN, WITHIN, CALM = 3, 3600.0, 600.0
"""What is lost more often than that within so many seconds must be well for so long before it counts as restored."""


class AnchorHold:
    """`seq` is the newest entry that the place has confirmed, `tried` when it was asked last, by the monotonic clock;
    `reason` is why it did not take one, empty while it does."""

    def __init__(self, name: str, place: AnchorPlace, mono: Callable[[], float], *, lost: bool) -> None:
        self.name, self.place, self._mono = name, place, mono
        self.seq, self.at, self.tried, self.reason = 0, float("-inf"), float("-inf"), ""
        self._fails, self._lost = 0, lost
        self._since = self._well = mono()
        self._times: deque[float] = deque(maxlen=OFTEN)

    def due(self, newest: int, every: float) -> bool:
        """Whether it should get an anchor now."""
        pause = AGAIN if self.reason else every
        return newest > self.seq and self._mono() - self.tried >= min(pause, every)

    async def keep(self, anchor: Anchor, limit: float) -> None:
        """Have an anchor kept."""
        self.tried = self._mono()
        try:
            await self.place.keep(anchor.line, deadline=limit)
        except ReadFailure as failure:
            self.failed(failure)
            return
        if self.reason or self.seq == 0:
            self._well = self._mono()
        self.seq, self.at = max(self.seq, anchor.seq), self._mono()
        self.reason, self._fails = "", 0

    def failed(self, failure: ReadFailure) -> None:
        """It did not take one."""
        if not self.reason:
            self._since = self.tried
        said = failure.message.removeprefix(f"anchors.{self.name}")  # which place it is, is said beside it
        self.reason = said.removeprefix(":").strip() or "no reason is known"
        self._fails += 1

    def news(self, wall: float) -> Observation | None:
        """What is to be recorded about it now; `wall` are seconds since 1970."""
        now = self._mono()
        if not self._lost and self._fails >= FAILS:
            self._lost = True
            self._times.append(now)
            since = wall - (now - self._since)
            message = f"anchors.{self.name} has taken no anchor for {ago(now - self._since)}: {self.reason}"
            return AnchorLost(self.name, since, self.seq, self.reason, message)
        often = len(self._times) == OFTEN and now - self._times[0] < WITHIN
        if self._lost and not self.reason and self.seq and (not often or now - self._well >= CALM):
            self._lost = False
            gone = self._well - self._since
            message = f"anchors.{self.name} takes anchors again, after {ago(gone)}; it has entry {self.seq}"
            return AnchorRestored(self.name, round(gone, 1), self.seq, message)
        return None
