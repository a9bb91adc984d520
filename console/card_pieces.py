"""The pieces of a consequence card: the text of each typed fact, in reading order. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from state.api.card import Card, CardWarning, DataLoss, Downtime, Fact, FactKind, Undo, WarningKind
from state.health import Health
from state.units import ago, megabytes

WAIVED = "waived"
"""The label of a protection that is waived: red, though nothing fails."""
RISKS = {
    "B1": "small effect",
    "B2": "wide effect",
    "B3": "may lose data or availability",
    "B4": "hands out power",
}
WARNING = "warning"
"""The label of what the plan warns of, and of what would refuse a later step."""
ILL = {Health.PASS: "passes", Health.WARN: "is impaired", Health.FAIL: "fails", Health.UNKNOWN: "is not known"}
TOLD = (WAIVED, WARNING)
"""Labels that say themselves how bad it is."""
WAIVERS = {"tls": "plain text, no TLS", "host_key": "the ssh host's key is not verified"}


class Part(StrEnum):
    """The parts of a card in reading order, by their titles; the first has none."""

    TOP = ""
    DIFFS = "before → after"
    RULES = "rules"
    PROOF = "proof"


class CardMark(StrEnum):
    """How a line differs from the card of a former preview."""

    NEW = "NEW"
    CHANGED = "CHANGED"
    GONE = "GONE"


@dataclass(frozen=True, slots=True)
class CardPiece:
    """One typed piece of a card. Label, subject and name say which it is; `tail` (an age) is not compared.

    Pieces of one label that are `listed` share one line.
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


def pieces_of(card: Card, held: float) -> dict[Part, list[CardPiece]]:
    """The pieces of a card."""
    refused = [CardPiece("REFUSED", str(each), health=Health.FAIL) for each in card.refusals]
    return {
        Part.TOP: [*refused, *_waived(card), *_warnings(card), *_top(card, held)],
        Part.DIFFS: [CardPiece(d.subject, _with_unit(d.after, d.unit), before=d.before) for d in card.diffs],
        Part.RULES: list(_rules(card)),
        Part.PROOF: list(_proof(card, held)),
    }


def _waived(card: Card) -> Iterable[CardPiece]:
    """Protections that the estate waives for what this plan uses."""
    for each in card.warnings:
        if each.kind is WarningKind.WAIVED:
            value = f"{WAIVERS.get(each.rule, each.rule)}: {each.message}"
            yield CardPiece(WAIVED, value, each.subject, each.rule, health=Health.FAIL)


def _warnings(card: Card) -> Iterable[CardPiece]:
    """What would refuse a later step, then every other warning: before anybody has read enough to type."""
    others = [each for each in card.warnings if each.kind is not WarningKind.WAIVED]
    for each in sorted(others, key=lambda each: each.kind is not WarningKind.LATER):
        yield _warning(each)


def _top(card: Card, held: float) -> Iterable[CardPiece]:
    """What may be lost, what stops, what is affected, how it is undone, and what is done."""
    acts = card.of(FactKind.DOES)
    if acts:
        yield _loss(card.loss, held)
        yield from (_downtime(each, card) for each in card.downtime)
        if card.sessions_cut is None and not card.downtime:
            yield CardPiece("downtime", "none")
            yield CardPiece("sessions", "how many are cut is not known", health=Health.UNKNOWN)
        elif not card.downtime:
            yield CardPiece("downtime", f"none; {card.sessions_cut or 'no'} sessions are cut")
        elif card.sessions_cut is not None:
            yield CardPiece("sessions", f"{card.sessions_cut or 'none'} are cut")
    services = card.of(FactKind.SERVICE)
    if services:
        other = any(fact.value for fact in services)
        note = ": not the service that this run is for" if other else ""
        names = ", ".join(f.subject for f in services)
        yield CardPiece("acts on", f"{names}{note}", health=Health.FAIL if other else None)
    dependents = card.of(FactKind.DEPENDENT)
    if dependents:
        label = "affects" if card.downtime else "needed by"
        yield CardPiece(label, _dependents(dependents))
    yield from map(_blocker, card.of(FactKind.BLOCKER))
    yield from map(_undo, card.undo)
    yield from (
        CardPiece("lost", f"{f.value}: it is then set as configured", f.subject) for f in card.of(FactKind.FORGOTTEN)
    )
    yield from map(_saved, card.of(FactKind.SAVED))
    yield from (CardPiece("does", fact.value, fact.subject) for fact in acts)
    yield from _conditions(card.of(FactKind.CONDITION))
    already = card.of(FactKind.ALREADY)
    if not (acts or already):
        yield CardPiece("does", f"{_nothing(card)}: it reads, and asks people")
    for fact in already:
        yield CardPiece("does nothing", f"already done, nothing is sent ({fact.value})", fact.subject)
    for fact in card.of(FactKind.CANDIDATE):
        value = f"{fact.name} {fact.subject} {fact.value}"
        yield CardPiece("candidates", value, name=fact.subject, listed=True)


def _saved(fact: Fact) -> CardPiece:
    """Where what is set is saved, and whether a reload reads it there."""
    if fact.health is Health.PASS:
        return CardPiece("saved", f"then, in {fact.value}, which a reload reads", fact.subject)
    if fact.health is Health.FAIL:
        value = f"at a reload or restart: it is then set as configured, for nothing reads {fact.value}"
        return CardPiece("lost", value, fact.subject)
    why = f": {fact.source}" if fact.source else ""
    value = f"then, in {fact.value}; whether a reload reads it is not known{why}"
    return CardPiece("saved", value, fact.subject, health=Health.UNKNOWN)


def _conditions(facts: Iterable[Fact]) -> Iterable[CardPiece]:
    """Each condition in a line: what follows from each of its answers."""
    meanings = {
        "continue": "goes on",
        "stop": "stops the run",
        "pause": "pauses",
        "undo": "undoes what was done",
        "": "leaves out the rest",
    }
    asked: dict[str, list[str]] = {}
    for fact in facts:
        means = meanings.get(fact.value) or f"leads to {fact.value}"
        asked.setdefault(fact.subject, []).append(f"{fact.name} {means}")
    for subject, answers in asked.items():
        yield CardPiece("condition", f"{subject}: {', '.join(answers)}", name=subject)


def _loss(loss: DataLoss, held: float) -> CardPiece:
    if loss.size == 0 and not loss.note:
        return CardPiece("loss", "none")
    allowed = "" if loss.limit is None else f"{megabytes(loss.limit)} allowed"
    known = "not known" if loss.size is None else megabytes(loss.size)
    known += allowed and (f", {allowed}" if loss.size is None else f" of {allowed}")
    value = known + (f" ({loss.note})" if loss.note else "")
    health = Health.UNKNOWN
    if loss.size is not None:
        health = Health.PASS if loss.size <= (loss.limit or 0) else Health.FAIL
    tail = "" if loss.age is None or loss.size is None else f", read {since(loss.age + held)}"
    return CardPiece("loss", value, health=health, tail=tail)


def _downtime(downtime: Downtime, card: Card) -> CardPiece:
    took = next((f.figures for f in card.of(FactKind.HISTORY) if f.subject == downtime.change), {})
    measured = {name.removeprefix("outage_"): value for name, value in took.items() if name.startswith("outage_")}
    if measured.get("count", 0):
        length = f"before: {_took(measured)}"
    elif took.get("count", 0):
        length = f"the whole step takes {_took(took)}"
    else:
        length = "duration unknown: never done here"
    if downtime.agreed is None:
        return CardPiece("downtime", f"{downtime.note}; {length}", downtime.subject)
    worst = (measured or took).get("worst")
    agreed = f"agreed: {downtime.agreed:g} s at most"
    over = None if worst is None else Health.FAIL if worst > downtime.agreed else Health.PASS
    return CardPiece("downtime", f"{downtime.note}; {length}; {agreed}", downtime.subject, health=over)


def _blocker(fact: Fact) -> CardPiece:
    """What is needed and not well."""
    said = f"{fact.value} needs it, and it {ILL[fact.health or Health.UNKNOWN]}"
    return CardPiece("blocked by", said, fact.subject, health=fact.health)


def _dependents(dependents: Sequence[Fact]) -> str:
    """Services that need this, with what is wrong with each now: said once where it is the same for all of several."""
    ills = {each.health for each in dependents}
    once = len(dependents) > 1 and len(ills) == 1
    named = ", ".join(f"{f.subject} (tier {f.figures['tier']:.0f}{'' if once else _ill(f)})" for f in dependents)
    return named + _all_ill(ills.pop()) if once else named


def _all_ill(health: Health | None) -> str:
    """What is wrong with each of several services."""
    if health in (None, Health.PASS):
        return ""
    return ": no state is known" if health is Health.UNKNOWN else f": each {ILL[health]}"


def _ill(fact: Fact) -> str:
    """What is wrong with a service now; nothing where nothing is."""
    if fact.health in (None, Health.PASS):
        return ""
    return ", state not known" if fact.health is Health.UNKNOWN else f", {ILL[fact.health]}"


def _undo(undo: Undo) -> CardPiece:
    if undo.change is None:
        return CardPiece("undo", "no change undoes this", undo.subject, health=Health.WARN)
    return CardPiece("undo", f"{undo.verb}, with a card of its own", undo.subject)


def _rules(card: Card) -> Iterable[CardPiece]:
    """The rules that passed; the others are refusals, or warnings about later steps."""
    for rule in card.rules:
        if rule.passed:
            yield CardPiece(rule.rule, rule.fact, rule.subject, health=Health.PASS)


def _warning(warning: CardWarning) -> CardPiece:
    value = warning.message
    if warning.kind is WarningKind.UNKNOWN:
        value = f"not known beforehand: {value}"
    elif warning.kind is WarningKind.UNVERIFIED:
        value = f"not verified afterwards: {value}"
    elif warning.kind is WarningKind.OVERRIDDEN:
        value = f"the safety rule {warning.rule} is overridden: {value}"
    elif warning.kind is WarningKind.LATER:
        value = f"{warning.rule} would refuse a later step: {value}; what happens before it may change that"
    return CardPiece(WARNING, value, warning.subject, f"{warning.kind} {warning.rule}", health=Health.WARN)


def _proof(card: Card, held: float) -> Iterable[CardPiece]:
    """The checks afterwards, earlier durations, and the identity of the targets."""
    if card.verified_by:
        yield CardPiece("verified by", "; ".join(card.verified_by))
    told = {each.change for each in card.downtime}
    for fact in (each for each in card.of(FactKind.HISTORY) if each.subject not in told):
        value = _took(fact.figures) if fact.figures["count"] else "never done here"
        yield CardPiece("took before", value, fact.subject)
    yield from (_runbook(fact, held) for fact in card.of(FactKind.RUNBOOK))
    for fact in card.of(FactKind.IDENTITY):
        health = None if fact.health is Health.PASS else fact.health
        yield CardPiece(fact.subject, f"{fact.name} {fact.value}", name=fact.name, health=health, listed=True)


def _runbook(fact: Fact, held: float) -> CardPiece:
    value = f"{fact.subject} at {fact.value[:8]}, "
    if fact.age is None:
        return CardPiece("runbook", f"{value}this version never ran to its end", name=fact.subject, health=Health.WARN)
    tail = f" {since(fact.age + held)}"
    return CardPiece(
        "runbook", f"{value}this version last ran to its end", name=fact.subject, health=Health.PASS, tail=tail
    )


def risk_words(card: Card) -> str:
    """The risk class of a card in words: `B2: wide effect`."""
    return f"{card.risk}: {RISKS.get(card.risk) or _nothing(card)}"


def _nothing(card: Card) -> str:
    """What a card without an effect says; a change whose arguments are not known yet comes with a later card."""
    late = any(each.kind is WarningKind.UNKNOWN for each in card.warnings)
    return "changes nothing before its next card" if late else "changes nothing"


def since(age: float) -> str:
    """How long ago a reading is: `just now`, `42 s ago`."""
    return "just now" if age < 1.0 else f"{ago(age)} ago"


def _took(figures: Mapping[str, float]) -> str:
    count, middle, worst = figures["count"], figures["median"], figures["worst"]
    return f"{middle:.1f} s (median of {count:.0f}, worst {worst:.1f} s)"


def _with_unit(value: str, unit: str) -> str:
    return f"{value} {unit}" if unit else value
