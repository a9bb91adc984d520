"""Changes that inject and lift faults: only where the estate declares a fault injector (laboratories, drills)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.hands import fault_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.config_files.suggestions import not_found
from state.errors import NotFound
from state.estate.model import Estate, Name
from state.ports.faults import FaultInjector, FaultStatus
from state.ports.outside import Outside
from state.ports.target import Identity, Receipt, Setting


class InjectArgs(BaseModel):
    """A fault by name and the seconds after which it is undone."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    fault: Name
    seconds: float = Field(default=120.0, gt=0, le=3600)


class LiftArgs(BaseModel):
    """A fault by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    fault: Name


class SetFault:
    """Inject (`on`) or lift one fault."""

    risk = Risk.B1
    settle = 0.5
    quiet = 2.0
    timeout = 60.0
    late = Late(0.0, 0.0, "laboratories only: the control socket carries out one request after the other")

    def __init__(self, spec: ChangeSpec, fault: str, seconds: float, injector: FaultInjector, *, on: bool) -> None:
        self.spec, self.fault, self.seconds, self.injector, self.on = spec, fault, seconds, injector, on
        self.name = f"fault/{fault}"
        self.targets: tuple[str, ...] = (self.name,)
        self.title = f"{'Inject' if on else 'Lift'} fault {fault}"
        self.verb = "inject the fault" if on else "lift the fault"
        self._active: bool | None = None

    def follow(self, left: Sequence[Setting]) -> None:
        """Preview as if earlier changes of the same plan had injected or lifted it; fulfils CanFollow."""
        for setting in left:
            if setting.place == self.targets:
                self._active = setting.value == "active"

    async def identify(self, *, deadline: float) -> Identity:
        """The laboratory that gets the fault."""
        return await self.injector.identify(deadline=deadline)

    async def _status(self, deadline: float) -> FaultStatus:
        faults = await self.injector.faults(deadline=deadline)
        for status in faults:
            if status.name == self.fault:
                return status
        raise not_found("fault", self.fault, [status.name for status in faults])

    async def preview(self, *, deadline: float) -> Preview:
        """What it does, on which target, for how long."""
        status = await self._status(deadline)
        active = status.active if self._active is None else self._active
        after = f"active, lifted after {self.seconds:.0f} s" if self.on else "lifted"
        rules: tuple[Rule, ...] = ()
        if not self.on and not active:
            fact, source = "the fault is not active", "the fault injector"
            rules = (Rule("fault-active", False, fact, "There is nothing to lift", subject=self.name, source=source),)
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"fault {self.fault}", "active" if active else "off", after),),
            facts={"active": active},
            rules=rules,
            warnings=(CardWarning(WarningKind.EFFECT, self.name, status.description),),
            loss_bytes=None if self.on else 0,
            loss_note="a fault shows what it does" if self.on else "",
            undo=ChangeSpec("fault.lift", {"fault": self.fault}) if self.on else None,
            already=active == self.on,
            leaves=(Setting(self.targets, "fault", "active" if self.on else "off"),),
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Send the request to the laboratory once."""
        if self.on:
            return await self.injector.inject(self.fault, self.seconds, deadline=deadline)
        return await self.injector.lift(self.fault, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Done when the laboratory's list shows it."""
        status = await self._status(deadline)
        message = f"fault {self.fault} reads {'active' if status.active else 'off'}"
        return ReadBack(Finding.DONE if status.active == self.on else Finding.NOT_DONE, (message,))


def _injector(outside: Outside) -> FaultInjector:
    if outside.faults is None:
        raise NotFound("this estate has no fault injector (faults:); it is for laboratories and drills only")
    return outside.faults


def _inject(args: InjectArgs, estate: Estate, outside: Outside) -> SetFault:
    spec = ChangeSpec("fault.inject", args.model_dump())
    return SetFault(spec, args.fault, args.seconds, _injector(outside), on=True)


def _lift(args: LiftArgs, estate: Estate, outside: Outside) -> SetFault:
    return SetFault(ChangeSpec("fault.lift", args.model_dump()), args.fault, 0.0, _injector(outside), on=False)


KINDS = (
    ChangeKind("fault.inject", "Inject a fault", InjectArgs, Risk.B1, _inject, fault_by_hand),
    ChangeKind("fault.lift", "Lift a fault", LiftArgs, Risk.B1, _lift, fault_by_hand),
)
