"""Faults of a lab: in the palette only, one pair of entries for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from console.tui.actions.base import ActionContext, Effect, FormValues, Navigation
from state.api.requests import PlanChange
from state.api.views.header import HeaderView
from state.api.views.runbooks import Param

FAULTS = (
    "bad-release",
    "contract-migration",
    "freeze-primary",
    "kill-node",
    "cut-replication",
    "split-brain",
    "hang-source",
    "wrong-dns",
    "replay-paused",
    "sync-lost",
    "quorum-short",
    "nofailover",
    "slot-lost",
    "archiver-failing",
    "restore-older-backup",
    "fork-same-timeline",
    "dcs-down",
    "clock-apart",
)


class FaultAction(Effect):
    """A fault of the lab."""

    verb = ""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    @classmethod
    def variants(cls) -> Iterable[Self]:
        return [cls(fault) for fault in FAULTS]

    @property
    def id(self) -> str:
        return f"{self.title.split()[0]}-{self._fault}"

    @property
    def name(self) -> str:
        return f"{self.title} {self._fault}"

    def missing(self, ctx: ActionContext) -> str | None:
        header = ctx.store.view(HeaderView)
        return None if header is not None and header.environment == "lab" else "faults exist in a lab only"


class InjectFault(FaultAction):
    """Inject a fault into the lab for a given time."""

    title = "fault"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        seconds = Param("seconds", "whole", "120", (), True, title="how long the fault lasts; it ends by itself")

        def check(answers: FormValues) -> str | None:
            text = answers["seconds"]
            valid = text.isascii() and text.isdigit() and int(text) > 0
            return None if valid else "the time must be a whole number of seconds"

        def then(answers: FormValues) -> None:
            told = {"fault": self._fault, "seconds": int(answers["seconds"])}
            navigator.preview(PlanChange("fault.inject", told))

        navigator.ask(f"Fault {self._fault}: for how long", (seconds,), then, check)


class LiftFault(FaultAction):
    """End a fault of the lab before its time."""

    title = "lift fault"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.preview(PlanChange("fault.lift", {"fault": self._fault}))
