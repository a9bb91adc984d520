"""What the changes of an estate's own have in common: arguments, services, and what is said where nothing is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from state.api.card import CardWarning, Diff, WarningKind
from state.changes.model import ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.config_files.suggestions import not_found
from state.errors import UnsuitableArgument
from state.estate.arguments import ArgSpec, UnfitValue, Value, valid_values
from state.estate.model import Name
from state.estate.own import OwnChange
from state.ports.target import Identity, Setting

E = TypeVar("E", bound=OwnChange)
NOT_KNOWN = "not known: the estate does not say"
LONGEST_SUBJECT = 80
UNREAD = "the estate names no reading of it"


class OwnArgs(BaseModel):
    """The values of the parameters that the estate declares."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    args: Mapping[Name, Value] = Field(default_factory=dict)


class OwnEffect:
    """The common part of a command, a call and a statement. `effect` is the one that `read_back` is about.

    What undoes it acts on the same thing, and so does what it undoes: `group` names them all. `subject` is what its row
    on a card is about: its name, and the values that tell it from another one of this name.
    """

    def __init__(
        self,
        spec: ChangeSpec,
        section: str,
        entry: OwnChange,
        undo: ChangeSpec | None,
        group: Sequence[str],
        late: Late,
    ) -> None:
        self.spec, self.undo, self.late = spec, undo, late
        self._section = section
        self.name = _named(section, spec)
        told = " ".join(str(value) for value in spec.args["args"].values())
        self.subject = f"{self.name} {told}"[:LONGEST_SUBJECT].rstrip()
        self.targets: tuple[str, ...] = tuple(f"{section}/{each}" for each in group)
        self.risk = Risk(entry.risk)
        self.settle, self.quiet, self.timeout = entry.settle, entry.quiet, entry.timeout
        self._own = entry
        self.effect = ""
        self._earlier: bool | None = None

    def defined(self, identity: Identity) -> Identity:
        """The identity of its target together with that of its definition: what was confirmed is what is sent, also
        where the estate was changed while a run had it still to do."""
        written = json.dumps(self._own.model_dump(mode="json"), sort_keys=True)
        digest = hashlib.sha256(written.encode()).hexdigest()[:12]
        return Identity(identity.target, {**identity.facts, "definition": digest})

    def follow(self, left: Sequence[Setting]) -> None:
        """Preview as if an earlier change of the same plan had done, or undone, this very thing; fulfils CanFollow."""
        for setting in left:
            if setting == _done(self._section, self.spec):
                self._earlier = True
            elif self.undo is not None and setting == _done(self._section, self.undo):
                self._earlier = False

    def reached(self, *, done: bool) -> bool:
        """Whether there is nothing to do: as it is read now, or as earlier changes of the plan leave it."""
        return done if self._earlier is None else self._earlier

    def before(self, read: str) -> str:
        """What stands before it on the card: what is read now, unless an earlier change of the plan takes it back."""
        return "not done, since an earlier step takes it back" if self._earlier is False else read

    def would_leave(self) -> tuple[Setting, ...]:
        """What it leaves, as far as the estate says it: that it is done with these values."""
        return (_done(self._section, self.spec),)

    def previewed(self, *, verb: str, facts: Mapping[str, Any], diff: Diff, already: bool, read: bool) -> Preview:
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
            undo=self.undo,
            already=already,
            leaves=self.would_leave(),
            services=self._own.services,
        )

    def unread(self) -> ReadBack:
        """The finding of a change that nothing can prove."""
        return ReadBack(Finding.NOT_VERIFIED, (f"{self.name}: {UNREAD}",))


def _named(section: str, spec: ChangeSpec) -> str:
    """`commands/restart` of a change that says `command: restart`."""
    return f"{section}/{next(value for key, value in spec.args.items() if key != 'args')}"


def _done(section: str, spec: ChangeSpec) -> Setting:
    values = " ".join(f"{name}={value}" for name, value in sorted(spec.args["args"].items()))
    return Setting((_named(section, spec), values), "done", "yes")


def related_names(name: str, undone_by: Mapping[str, str]) -> tuple[str, ...]:
    """A command and those that undo it or are undone by it, also over several; by name, for each of them the same."""
    found = {name}
    while more := {each for pair in undone_by.items() if found & set(pair) for each in pair} - found:
        found |= more
    return tuple(sorted(found))


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
