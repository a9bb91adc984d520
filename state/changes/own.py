"""What the changes of an estate's own have in common: arguments, services, and what is said where nothing is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from state.api.card import CardWarning, Diff, WarningKind
from state.changes.model import ChangeSpec, Finding, Preview, ReadBack, Risk
from state.config_files.suggestions import not_found
from state.errors import UnsuitableArgument
from state.estate.arguments import ArgSpec, UnfitValue, Value, valid_values
from state.estate.model import Name
from state.estate.own import OwnChange
from state.ports.target import Setting

E = TypeVar("E", bound=OwnChange)
NOT_KNOWN = "not known: the estate does not say"
UNREAD = "the estate names no reading of it"


class OwnArgs(BaseModel):
    """The values of the parameters that the estate declares."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    args: Mapping[Name, Value] = Field(default_factory=dict)


class OwnEffect:
    """The common part of a command, a call and a statement. `effect` is the one that `read_back` is about."""

    def __init__(self, spec: ChangeSpec, section: str, name: str, entry: OwnChange) -> None:
        self.spec = spec
        self.name = f"{section}/{name}"
        self.targets: tuple[str, ...] = (self.name,)
        self.risk = Risk(entry.risk)
        self.settle, self.quiet, self.timeout = entry.settle, entry.quiet, entry.timeout
        self._own = entry
        self.effect = ""
        self._followed = False

    def follow(self, left: Sequence[Setting]) -> None:
        """Preview as if an earlier change of the same plan had done this very thing; fulfils CanFollow."""
        self._followed = any(self.would_leave() == (setting,) for setting in left)

    def would_leave(self) -> tuple[Setting, ...]:
        """What it leaves, as far as the estate says it: that it is done with these values."""
        values = " ".join(f"{name}={value}" for name, value in sorted(self.spec.args["args"].items()))
        return (Setting((self.name, values), "done", "yes"),)

    def previewed(
        self, *, verb: str, facts: Mapping[str, Any], diff: Diff, undo: ChangeSpec | None, already: bool, read: bool
    ) -> Preview:
        """Its preview; where nothing is `read`, with a warning."""
        safe = self._own.loses_data is False
        return Preview(
            verb=verb,
            diffs=(diff,),
            facts=facts,
            warnings=() if read else (CardWarning(WarningKind.UNVERIFIED, self.name, UNREAD),),
            sessions_cut=None,
            downtime=self._own.downtime or NOT_KNOWN,
            loss_bytes=0 if safe else None,
            loss_note="" if safe else NOT_KNOWN,
            undo=undo,
            already=already,
            leaves=self.would_leave(),
            services=self._own.services,
        )

    def unread(self) -> ReadBack:
        """The finding of a change that nothing can prove."""
        return ReadBack(Finding.NOT_VERIFIED, (f"{self.name}: {UNREAD}",))


def entry_of(what: str, name: str, entries: Mapping[str, E]) -> E:
    """The entry of the estate. Raises NotFound."""
    if name not in entries:
        raise not_found(what, name, entries)
    return entries[name]


def values_for(kind: str, specs: Mapping[str, ArgSpec], args: Mapping[str, Any]) -> dict[str, Value]:
    """The valid values. Raises UnsuitableArgument."""
    try:
        return valid_values(specs, args)
    except UnfitValue as error:
        raise UnsuitableArgument(f"{kind}: args.{error}") from error
