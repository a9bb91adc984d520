"""Alerts over the answers of one address: behind it may stand several Alertmanagers, of which each knows its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from state.world.readings import Alert

ANSWERS = 3
"""Answers in a row that lack an alert before it is over: two servers that answer by turns never give so many."""
SEVERAL = 300.0
"""Seconds for which an address counts as several Alertmanagers after it proved to be so."""
KEPT = 30.0
"""Seconds for which an alert of such an address lasts after the answer that had it."""


@dataclass(slots=True)
class _Shown:
    """An alert as it was read last, when (monotonic seconds), and how many answers lacked it since."""

    alert: Alert
    at: float
    lacked: int = 0


class LastingAlerts:
    """The alerts that the last answers had. One that comes back with the beginning that it had was never over: its
    Alertmanager was not the one that answered meanwhile."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, ...], _Shown] = {}
        self._several = float("-inf")

    def take(self, alerts: Sequence[Alert], now: float) -> tuple[tuple[Alert, ...], bool]:
        """The alerts of an answer with those that it only may lack, and whether answers come from several servers."""
        answered = {(alert.fingerprint, *alert.copies): alert for alert in alerts}
        for name, alert in answered.items():
            known = self._shown.get(name)
            if known is not None and known.lacked and 0 < alert.started_at == known.alert.started_at:
                self._several = now + SEVERAL
            self._shown[name] = _Shown(alert, now)
        several = now < self._several
        for name in self._shown.keys() - answered.keys():
            known = self._shown[name]
            known.lacked += 1
            over = now - known.at > KEPT if several else known.lacked >= ANSWERS
            if over:
                del self._shown[name]
        return tuple(each.alert for each in self._shown.values()), several
