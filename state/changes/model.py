"""Changes: the only way to act on the outside world.

A change identifies its target, previews itself from fresh readings, applies itself once, and decides by
reading, never by the reply, whether it happened. `preview` carries the preconditions as rules and the facts the
fingerprint is taken over; the engine previews again right before `apply` and compares. A kind of change is one
`ChangeKind` in the registry: its arguments are a pydantic model, so runbooks are linted without connecting.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from state.api.card import CardWarning, Diff, Fact, Rule
from state.errors import Refusal
from state.estate.model import Estate, HandStep
from state.ports.outside import Outside
from state.ports.target import Identity, Receipt, Setting
from state.verdicts.keeping import Keeping
from state.world.balancer_parts import NextReads


class Risk(StrEnum):
    """Blast class: B1 small and reversible, B2 wide and reversible, B3 may lose data or availability, B4 hands out
    power."""

    B0 = "B0"
    B1 = "B1"
    B2 = "B2"
    B3 = "B3"
    B4 = "B4"


class Finding(StrEnum):
    """What a reading of the target shows about an effect. Partial = only a part of it is done. Not verified: the
    estate names nothing that could be read."""

    DONE = "done"
    NOT_DONE = "not-done"
    PARTIAL = "partial"
    UNKNOWN = "unknown"
    NOT_VERIFIED = "not-verified"


@dataclass(frozen=True, slots=True)
class ChangeSpec:
    """A change as data, as in runbooks, requests and the journal."""

    kind: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen, from fresh readings.

    `verb` says what is done, without the target. `facts` is everything relied on (JSON values; hashed into the
    fingerprint, handed to `read_back`). `rules` are the preconditions with their verdicts. `downtime` says what does
    not work meanwhile, empty when all does. `loss_bytes` and `sessions_cut` are None when unknown. `already` =
    the target state is reached, nothing would be sent. `leaves` are the settings that it would make. `renews` are the
    facts of the target's identity that are others afterwards, such as since when a server runs. `services` are touched
    besides those that its target says. `ranking` are the candidates, the best one first. `gain`: so many more servers
    would serve, fewer where it is negative; in a set the largest gain comes first. `approvers`: so many other people
    must approve in any case, whatever the estate's table says.
    """

    verb: str
    diffs: tuple[Diff, ...]
    facts: Mapping[str, Any]
    rules: tuple[Rule, ...] = ()
    warnings: tuple[CardWarning, ...] = ()
    sessions_cut: int | None = None
    downtime: str = ""
    loss_bytes: int | None = 0
    loss_note: str = ""
    undo: ChangeSpec | None = None
    already: bool = False
    leaves: tuple[Setting, ...] = ()
    renews: frozenset[str] = frozenset()
    services: tuple[str, ...] = ()
    ranking: tuple[Fact, ...] = ()
    gain: int = 0
    approvers: int = 0

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The preconditions that are not fulfilled."""
        return self.refusals_but(())

    def refusals_but(self, overridden: Container[str]) -> tuple[Refusal, ...]:
        """Those that are not fulfilled, but for the estate's own rules of these names."""
        return tuple(
            rule.refusal for rule in self.rules if not rule.passed and not (rule.own and rule.own in overridden)
        )


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A finding with the readings that prove it, what was measured, and the settings that the target now has.

    `leaves` comes with every finding but unknown: with it the engine knows its own changes from those of others.
    """

    finding: Finding
    evidence: tuple[str, ...]
    figures: Mapping[str, str | float | None] = field(default_factory=dict)
    leaves: tuple[Setting, ...] = ()


@dataclass(frozen=True, slots=True)
class Late:
    """How long a target may still carry out what was sent, where no answer says that it has finished with it.

    `delivery` is the seconds in which the request may still lie on its way, `work` those in which the target may be at
    it then; None is the limit of the step. `source` says where this is written. Until they are over, "not done" is not
    believed. What comes later still amends the record (`effect.amended`).
    """

    delivery: float
    work: float | None
    source: str

    def after(self, limit: float) -> float:
        """Seconds after it was sent; `limit` is that of the step."""
        return self.delivery + (limit if self.work is None else self.work)


class Change(Protocol):
    """One effect, bound to its targets.

    `targets` are lease keys, `name` is what a B3 confirmation types, `verb` says what it does without the target's
    name. `settle` is the seconds before the second read;
    `quiet` the seconds a reading of "not done" must be stable before it is accepted; without an answer it is accepted
    only when `late` is over as well. `timeout` is the deadline of `apply`.
    """

    spec: ChangeSpec
    title: str
    verb: str
    risk: Risk
    name: str
    targets: tuple[str, ...]
    settle: float
    quiet: float
    timeout: float

    @property
    def late(self) -> Late: ...

    async def identify(self, *, deadline: float) -> Identity: ...
    async def preview(self, *, deadline: float) -> Preview: ...
    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt: ...
    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack: ...


@runtime_checkable
class LooksAround(Protocol):
    """A change that is judged by other targets too: its preview follows every earlier change of the plan."""

    @property
    def looks_around(self) -> bool: ...


@runtime_checkable
class CanFollow(Protocol):
    """A change that can be previewed as one that follows others of its plan."""

    def follow(self, left: Sequence[Setting]) -> None:
        """From now on `preview` as if these settings had been made, the last one of each place and name."""


@runtime_checkable
class Unsettles(Protocol):
    """A change whose effect shows in the health checks of other targets."""

    unsettles: frozenset[str]
    """These targets."""


@runtime_checkable
class RestsOnChecks(Protocol):
    """A change whose facts include what health checks say of its target."""

    def loosened(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """The facts without that: an earlier change of the same plan makes it another, and it is judged anew by the
        rules when its turn comes."""


@runtime_checkable
class IsForgotten(Protocol):
    """A change whose target does not keep it for good."""

    @property
    def forgotten(self) -> str:
        """When it is lost by itself, as text; empty when it lasts."""


@dataclass(frozen=True, slots=True)
class SavedAfter:
    """What is set is saved in the file `path` afterwards. `reads`: whether the target's next process reads it, and why
    that is not known."""

    path: str
    reads: NextReads
    unknown: str = ""


@runtime_checkable
class IsSaved(Protocol):
    """A change whose target may have a file from which its next process takes what is set."""

    @property
    def saved_after(self) -> SavedAfter | None:
        """Where it is saved, None where there is no file."""

    async def save(self, *, deadline: float) -> Keeping | None:
        """Save it, and read the file; what a reload would do, None where all is as configured. Raises EffectRefused
        when nothing was written, EffectUnknown when that is not known."""


@runtime_checkable
class OfEffect(Protocol):
    """A change whose reading looks for what one effect left."""

    effect: str
    """The effect that `read_back` is about."""


@runtime_checkable
class Speaks(Protocol):
    """A change whose target says something while it is applied."""

    def heard(self) -> tuple[str, ...]:
        """What it has said so far, as lines: cleaned, bounded, without secrets."""


Hands = Callable[[Any, Estate], Sequence[HandStep]]
"""How a change is made without this product, from its arguments."""


def none_known(args: Any, estate: Estate) -> Sequence[HandStep]:
    """No command is known."""
    return ()


@dataclass(frozen=True, slots=True)
class ChangeKind:
    """A registered kind: its name, title, argument model, risk class, builder, and how it is made by hand.

    `figures` are what its outcome has when it is done, with the kind of parameter each is: a runbook may capture them.

    `build` raises NotFound when the arguments name something the estate does not have.
    """

    kind: str
    title: str
    args: type[BaseModel]
    risk: Risk
    build: Callable[[Any, Estate, Outside], Change]
    by_hand: Hands = none_known
    figures: Mapping[str, str] = field(default_factory=dict)
