"""A consequence card in words: wording, order and folding, for the screen and for the verbs. Standard library only.

Loss, downtime and undo come first, then every object before and after, then the rules, then the proof, ids last. What
is the same for several targets is said once: same label and value, another subject. Against the card of a former
preview each line says whether it is new, changed or gone. Ages are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from state.api.card import Card, CardWarning, DataLoss, Downtime, Fact, FactKind, Undo, WarningKind
from state.health import Health
from state.units import ago, megabytes


class CardMark(StrEnum):
    """How a line differs from the card of a former preview."""

    NEW = "NEW"
    CHANGED = "CHANGED"
    GONE = "GONE"


@dataclass(frozen=True, slots=True)
class CardLine:
    """One line of a card. `before`: the value `text` replaces. `was`: what a changed line said formerly."""

    label: str
    text: str
    health: Health | None = None
    before: str = ""
    mark: CardMark | None = None
    was: str = ""

    @property
    def difference(self) -> str:
        """`CHANGED, was: …`; empty when nothing differs."""
        if self.mark is None:
            return ""
        return f"{self.mark}, was: {self.was}" if self.was else str(self.mark)


class Part(StrEnum):
    """The parts of a card in reading order, by their titles; the first has none."""

    TOP = ""
    DIFFS = "before → after"
    RULES = "rules"
    PROOF = "proof"


@dataclass(frozen=True, slots=True)
class Section:
    """The lines of one part; `note` belongs beside its title."""

    part: Part
    lines: tuple[CardLine, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Item:
    """One typed piece of a card. Label, subject and name say which it is; `tail` (an age) is not compared.

    Pieces of one label that are `listed` stand in one line.
    """

    label: str
    value: str
    subject: str = ""
    name: str = ""
    before: str = ""
    health: Health | None = None
    tail: str = ""
    listed: bool = False
    mark: CardMark | None = None
    was: str = ""

    @property
    def which(self) -> tuple[str, str, str]:
        return self.label, self.subject, self.name

    @property
    def says(self) -> tuple[tuple[str, str, str], str, str]:
        return self.which, self.value, self.before

    @property
    def whole(self) -> str:
        return f"{self.before} → {self.value}" if self.before else self.value


def card_sections(card: Card, former: Card | None = None, held: float = 0.0) -> tuple[Section, ...]:
    """The card in reading order; `held` is the seconds since it arrived, which make its readings older."""
    old = None if former is None else _parts(former, held)
    found: list[Section] = []
    ages = [fact.age for fact in card.of(FactKind.IDENTITY) if fact.age is not None]
    for part, items in _parts(card, held).items():
        marked = items if old is None else _marked(items, old[part])
        lines = tuple(_folded(marked, _only_target(card)))
        note = f"read {_since(max(ages) + held)}" if part is Part.PROOF and ages else ""
        if lines:
            found.append(Section(part, lines, note))
    return tuple(found)


def plain_card(card: Card) -> list[str]:
    """The card for a terminal without a screen."""
    marks = {Health.PASS: "ok", Health.WARN: "WARN", Health.FAIL: "FAIL", Health.UNKNOWN: "UNKNOWN"}
    lines = [f"{card.title}   risk {card.risk}"]
    for section in card_sections(card):
        if section.part:
            lines.append(", ".join(text for text in (str(section.part), section.note) if text))
        width = max(len(line.label) for line in section.lines)
        for line in section.lines:
            health = f"   [{marks[line.health]}]" if line.health else ""
            text = f"{line.before} → {line.text}" if line.before else line.text
            lines.append(f"  {line.label:<{width}}  {text}{health}")
    return lines


def _parts(card: Card, held: float) -> dict[Part, list[_Item]]:
    """The pieces of a card."""
    refused = [_Item("REFUSED", str(each), health=Health.FAIL) for each in card.refusals]
    return {
        Part.TOP: [*refused, *_top(card, held)],
        Part.DIFFS: [_Item(d.subject, _with_unit(d.after, d.unit), before=d.before) for d in card.diffs],
        Part.RULES: [*_rules(card), *map(_warning, card.warnings)],
        Part.PROOF: list(_proof(card, held)),
    }


def _top(card: Card, held: float) -> Iterable[_Item]:
    """What may be lost, what stops, who feels it, how it is taken back, and what is done."""
    acts = card.of(FactKind.DOES)
    if acts:
        yield _loss(card.loss, held)
        yield from (_downtime(each, card) for each in card.downtime)
        if card.sessions_cut is None and not card.downtime:
            yield _Item("downtime", "none; how many sessions are cut is not known", health=Health.UNKNOWN)
        elif not card.downtime:
            yield _Item("downtime", f"none; {card.sessions_cut or 'no'} sessions are cut")
        elif card.sessions_cut is not None:
            yield _Item("sessions", f"{card.sessions_cut or 'none'} are cut")
    dependents = card.of(FactKind.DEPENDENT)
    if dependents:
        label = "affects" if card.downtime else "needed by"
        yield _Item(label, ", ".join(f"{f.subject} (tier {f.figures['tier']:.0f})" for f in dependents))
    yield from map(_undo, card.undo)
    yield from (_Item("does", fact.value, fact.subject) for fact in acts)
    for fact in card.of(FactKind.ALREADY):
        yield _Item("does nothing", f"already so, nothing is sent ({fact.value})", fact.subject)


def _loss(loss: DataLoss, held: float) -> _Item:
    if loss.size == 0 and not loss.note:
        return _Item("loss", "none")
    allowed = "" if loss.limit is None else f"{megabytes(loss.limit)} allowed"
    known = "not known" if loss.size is None else megabytes(loss.size)
    known += allowed and (f", {allowed}" if loss.size is None else f" of {allowed}")
    value = known + (f" ({loss.note})" if loss.note else "")
    health = Health.UNKNOWN
    if loss.size is not None:
        health = Health.PASS if loss.size <= (loss.limit or 0) else Health.FAIL
    tail = "" if loss.age is None or loss.size is None else f", read {_since(loss.age + held)}"
    return _Item("loss", value, health=health, tail=tail)


def _downtime(downtime: Downtime, card: Card) -> _Item:
    took = next((f.figures for f in card.of(FactKind.HISTORY) if f.subject == downtime.change), {})
    count = took.get("count", 0)
    length = f"the whole step takes {_took(took)}" if count else "for how long is not known: never done here"
    return _Item("downtime", f"{downtime.note}; {length}", downtime.subject)


def _undo(undo: Undo) -> _Item:
    if undo.change is None:
        return _Item("undo", "no change takes this back", undo.subject, health=Health.WARN)
    return _Item("undo", f"{undo.verb}, with a card of its own", undo.subject)


def _rules(card: Card) -> Iterable[_Item]:
    """The rules that passed; the others are refusals, or warnings about later steps."""
    for rule in card.rules:
        if rule.passed:
            yield _Item(rule.rule, rule.fact, rule.subject, health=Health.PASS)


def _warning(warning: CardWarning) -> _Item:
    value = warning.message
    if warning.kind is WarningKind.UNKNOWN:
        value = f"not known beforehand: {value}"
    elif warning.kind is WarningKind.LATER:
        value = f"{warning.rule} refuses a later step as things are now: {value}; an earlier step may change that"
    return _Item("warning", value, warning.subject, f"{warning.kind} {warning.rule}", health=Health.WARN)


def _proof(card: Card, held: float) -> Iterable[_Item]:
    """What checks it, what it took before, and who the targets are."""
    if card.verified_by:
        yield _Item("verified by", "; ".join(card.verified_by))
    told = {each.change for each in card.downtime}
    for fact in (each for each in card.of(FactKind.HISTORY) if each.subject not in told):
        value = _took(fact.figures) if fact.figures["count"] else "never done here"
        yield _Item("took before", value, fact.subject)
    yield from (_runbook(fact, held) for fact in card.of(FactKind.RUNBOOK))
    for fact in card.of(FactKind.IDENTITY):
        health = None if fact.health is Health.PASS else fact.health
        yield _Item(fact.subject, f"{fact.name} {fact.value}", name=fact.name, health=health, listed=True)


def _runbook(fact: Fact, held: float) -> _Item:
    value = f"{fact.subject} at {fact.value[:8]}, "
    if fact.age is None:
        return _Item("runbook", f"{value}this version never ran to its end", name=fact.subject, health=Health.WARN)
    tail = f" {_since(fact.age + held)}"
    return _Item(
        "runbook", f"{value}this version last ran to its end", name=fact.subject, health=Health.PASS, tail=tail
    )


def _since(age: float) -> str:
    return "just now" if age < 1.0 else f"{ago(age)} ago"


def _took(figures: Mapping[str, float]) -> str:
    count, middle, worst = figures["count"], figures["median"], figures["worst"]
    return f"{middle:.1f} s (median of {count:.0f}, worst {worst:.1f} s)"


def _marked(items: Sequence[_Item], former: Sequence[_Item]) -> list[_Item]:
    """The items with what is new, changed or gone since the former ones."""
    said, now = {item.says for item in former}, {item.says for item in items}
    left = [item for item in former if item.says not in now]
    found: list[_Item] = []
    for item in items:
        if item.says in said:
            found.append(item)
            continue
        was = next((old for old in left if old.which == item.which), None)
        if was is None:
            found.append(replace(item, mark=CardMark.NEW))
        else:
            left.remove(was)
            found.append(replace(item, mark=CardMark.CHANGED, was=was.whole))
    return [*found, *(replace(item, mark=CardMark.GONE, health=None) for item in left)]


def _folded(items: Sequence[_Item], only: str) -> Iterable[CardLine]:
    """Items that differ in their subject only as one line, and listed ones as one line.

    `only` is the target's name when there is one only: then it need not be said again.
    """
    groups: dict[object, list[_Item]] = {}
    for item in items:
        value = "" if item.listed and item.mark is None else item.value
        groups.setdefault((item.label, value, item.before, item.health, item.mark, item.was), []).append(item)
    for group in groups.values():
        first = group[0]
        subjects = [s for s in dict.fromkeys(item.subject for item in group) if s and s != only]
        value = ", ".join(dict.fromkeys(item.value for item in group))
        text = (f"{_names(subjects)}: " if subjects else "") + value + first.tail
        yield CardLine(first.label, text, first.health, first.before, first.mark, first.was)


def _only_target(card: Card) -> str:
    names = {fact.subject for fact in card.facts if fact.kind in (FactKind.DOES, FactKind.ALREADY)}
    return names.pop() if len(names) == 1 else ""


def _names(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _with_unit(value: str, unit: str) -> str:
    return f"{value} {unit}" if unit else value
