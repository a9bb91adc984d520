"""What `${…}` stands for at one place of a runbook: parameters, items of loops, and the fields of what they name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from state.config_files.suggestions import nearest, one_of
from state.estate.model import Estate
from state.runbooks.fields import FIELDS, LED_BY, EstateField

Leaders = Callable[[str], str]
"""Who leads a database, as it was read for this plan."""


class Meaning(NamedTuple):
    """What a name in `${…}` is: its kind, and whether it is many values or known only when a run is planned."""

    kind: str
    many: bool = False
    live: bool = False


class Captured(NamedTuple):
    """A figure of a step that runs before it is used: its kind, that step's id in the run, and a sample where uses are
    only looked at."""

    kind: str = ""
    source: str = ""
    sample: Any = None


class Unresolved(KeyError):
    """A name in `${…}` that stands for nothing: what was expected, and the nearest name."""

    def __init__(self, expected: str, close: str = "") -> None:
        super().__init__(expected)
        self.expected, self.close = expected, close


@dataclass(frozen=True, slots=True)
class Scope(Mapping[str, Any]):
    """Values by name, with the fields of the estate's objects behind them: `scope["service.backend"]`.

    `open` are the names whose value is not known before a run; `lists` those that stand for several values.
    """

    estate: Estate
    given: Mapping[str, Any]
    kinds: Mapping[str, str]
    leaders: Leaders
    open: frozenset[str] = field(default=frozenset())
    lists: frozenset[str] = field(default=frozenset())
    captured: Mapping[str, Mapping[str, Captured]] = field(default_factory=dict)

    def with_item(self, name: str, kind: str, value: Any, *, unknown: bool) -> Scope:
        """The same inside a loop: one more name."""
        opened = self.open | {name} if unknown else self.open - {name}
        return replace(
            self, given={**self.given, name: value}, kinds={**self.kinds, name: kind}, open=frozenset(opened)
        )

    def with_captured(self, step: str, values: Mapping[str, Captured]) -> Scope:
        """The same after a step whose figures have names: `${step.name}`."""
        return replace(self, captured={**self.captured, step: values}) if values else self

    def late(self, written: Any) -> tuple[str, str] | None:
        """The step and name of a captured value, where it is all that is written."""
        if not isinstance(written, str) or not written.startswith("${") or not written.endswith("}"):
            return None
        step, _, name = written[2:-1].partition(".")
        known = self.captured.get(step, {})
        return (known[name].source, name) if name in known else None

    def head(self, name: str) -> str:
        """The parameter or item that a name begins with."""
        return name if name in self.given else name.partition(".")[0]

    def meaning(self, name: str) -> Meaning:
        """What a name is. Raises Unresolved."""
        head = self.head(name)
        if head in self.captured:
            return Meaning(self._captured(head, name).kind)
        if head not in self.given:
            known = [*self.given, *self.captured]
            raise Unresolved(
                f"a parameter: {one_of(known)}" if known else "a parameter, but none is declared",
                nearest(head, known),
            )
        found = Meaning(self.kinds.get(head, ""), head in self.lists)
        for part in name[len(head) + 1 :].split(".") if name != head else ():
            step = self._field(found, part)
            found = Meaning(step.kind, step.many, found.live or step.live)
        return found

    def _captured(self, step: str, name: str) -> Captured:
        values, wanted = self.captured[step], name.partition(".")[2]
        if wanted not in values:
            raise Unresolved(f"what {step} captures: {one_of(values)}", nearest(wanted, values))
        return values[wanted]

    def _field(self, of: Meaning, name: str) -> EstateField:
        fields = FIELDS.get(of.kind, {})
        if of.many or name not in fields:
            kind = of.kind or "text"
            there = f"a field of a {kind}: {one_of(fields)}" if fields else f"no field: a {kind} has none"
            raise Unresolved("one object: these are many" if of.many else there, nearest(name, fields))
        return fields[name]

    def is_open(self, name: str) -> bool:
        """Whether its value is known only when the run starts."""
        return self.head(name) in self.open or self.head(name) in self.captured

    def all(self, name: str) -> tuple[Any, ...]:
        """Every value that a name stands for, in the estate's order; empty when there is none. Raises Unresolved."""
        self.meaning(name)
        head = self.head(name)
        if head in self.captured:
            sample = self._captured(head, name).sample
            if sample is None:
                raise Unresolved("a parameter: what a step captures is an argument of a later step, alone")
            return (sample,)
        values, kind = (self.given[head],), self.kinds.get(head, "")
        if head in self.lists:
            values = tuple(self.given[head] or ())
        for part in name[len(head) + 1 :].split(".") if name != head else ():
            step = FIELDS[kind][part]
            values = self._values(step, part, values[0]) if values and values[0] is not None else ()
            kind = step.kind
        return values

    def _values(self, step: EstateField, part: str, of: Any) -> tuple[Any, ...]:
        found = step.values(self.estate, str(of))
        if not step.live or not found:
            return found
        leader = self.leaders(str(of))
        return (leader,) if part == LED_BY else tuple(n for n in found if n != leader)

    def __getitem__(self, name: str) -> Any:
        """One value, a list of many, or None. Raises Unresolved."""
        found = self.all(name)
        if self.meaning(name).many:
            return list(found)
        return found[0] if found else None

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)
