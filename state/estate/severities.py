"""What the values of the label `severity` mean: the estate's own list first, then the usual meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import model_validator

from state.config_files.findings import refuse
from state.estate.model import Entry, Estate
from state.health import Health

DEFAULTS: Mapping[str, Health] = {
    **dict.fromkeys(("critical", "crit", "page", "pager", "error", "fatal", "emergency", "emerg"), Health.FAIL),
    **dict.fromkeys(("alert", "major", "high", "urgent", "blocker", "outage", "disaster"), Health.FAIL),
    **dict.fromkeys(("p0", "p1", "p2", "sev0", "sev1", "sev2", "sev-0", "sev-1", "sev-2"), Health.FAIL),
    **dict.fromkeys(("warning", "warn", "minor", "medium", "moderate", "average", "ticket"), Health.WARN),
    **dict.fromkeys(("p3", "sev3", "sev-3"), Health.WARN),
    **dict.fromkeys(("info", "information", "informational", "notice", "none", "low", "debug", "ok"), Health.PASS),
    **dict.fromkeys(("p4", "p5", "sev4", "sev5", "sev-4", "sev-5"), Health.PASS),
}
"""The verdict on the usual severities. A pager's severity fails: somebody is being woken."""


class Severities(Entry):
    """Which values of the label `severity` fail, warn or are for information, in any case.

    What is listed here goes before the usual meaning; what is known nowhere warns, and is named.
    """

    fail: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    info: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Severities:
        known: dict[str, str] = {}
        for level in ("fail", "warn", "info"):
            for word in getattr(self, level):
                if known.setdefault(word.lower(), level) != level:
                    message = f"a severity in one list only; it is in {known[word.lower()]} too"
                    refuse(type(self), [((level,), word, message)])
        return self

    def verdict(self, severity: str) -> tuple[Health, bool]:
        """The verdict on a severity, and whether it is known."""
        wanted = severity.strip().lower()
        for words, health in ((self.fail, Health.FAIL), (self.warn, Health.WARN), (self.info, Health.PASS)):
            if wanted in {word.strip().lower() for word in words}:
                return health, True
        return DEFAULTS.get(wanted, Health.WARN), wanted in DEFAULTS

    def words(self) -> Sequence[str]:
        """Every severity that is listed here, as it is written."""
        return (*self.fail, *self.warn, *self.info)


def known_severities(estate: Estate) -> frozenset[str]:
    """The severities that alerts of the estate may have, in lower case: the usual ones and those that it lists."""
    listed = (word for monitor in estate.monitors.values() for word in monitor.alert_severities)
    return frozenset(DEFAULTS) | {word.strip().lower() for word in listed}
