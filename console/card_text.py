"""A consequence card as text: wording, order and grouping, for the screen and for the verbs. Standard library only.

Loss, downtime and undo come first, then every object before and after, then the rules, then the proof, ids last. What
is the same for several targets is shown once: same label and value, another subject. Against the card of a former
preview each line says whether it is new, changed or gone. Ages are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from console.card_pieces import TOLD, CardMark, CardPiece, Part, pieces_of, risk_words, since
from state.api.card import Card, FactKind
from state.health import Health
from state.text import cells

MOST_ORDERED = 300
"""With more lines than these each stands where it comes first."""


@dataclass(frozen=True, slots=True)
class CardLine:
    """One line of a card. `before`: the value `text` replaces. `was`: the former text of a changed line."""

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


@dataclass(frozen=True, slots=True)
class Section:
    """The lines of one part; `note` is shown beside its title."""

    part: Part
    lines: tuple[CardLine, ...]
    note: str = ""


def card_sections(card: Card, former: Card | None = None, held: float = 0.0) -> tuple[Section, ...]:
    """The card in reading order; `held` is the seconds since it arrived, which make its readings older."""
    old = None if former is None else pieces_of(former, held)
    found: list[Section] = []
    ages = [fact.age for fact in card.of(FactKind.IDENTITY) if fact.age is not None]
    for part, items in pieces_of(card, held).items():
        marked = items if old is None else _marked(items, old[part])
        lines = tuple(_folded(marked, _only_target(card)))
        note = f"read {since(max(ages) + held)}" if part is Part.PROOF and ages else ""
        if lines:
            found.append(Section(part, lines, note))
    return tuple(found)


def plain_card(card: Card) -> list[str]:
    """The card for a terminal without a screen."""
    marks = {Health.PASS: "ok", Health.WARN: "WARN", Health.FAIL: "FAIL", Health.UNKNOWN: "UNKNOWN"}
    lines = [f"{card.title}   risk {risk_words(card)}"]
    for section in card_sections(card):
        if section.part:
            lines.append(", ".join(text for text in (str(section.part), section.note) if text))
        width = max(cells(line.label) for line in section.lines)
        for line in section.lines:
            health = f"   [{marks[line.health]}]" if line.health and line.label not in TOLD else ""
            text = f"{line.before} → {line.text}" if line.before else line.text
            lines.append(f"  {line.label}{' ' * (width - cells(line.label))}  {text}{health}")
    return lines


def _marked(items: Sequence[CardPiece], former: Sequence[CardPiece]) -> list[CardPiece]:
    """The items with what is new, changed or gone since the former ones."""
    said, now = {item.says for item in former}, {item.says for item in items}
    left = [item for item in former if item.says not in now]
    found: list[CardPiece] = []
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


def _folded(items: Sequence[CardPiece], only: str) -> Iterable[CardLine]:
    """Items that differ in their subject only as one line, and listed ones as one line.

    `only` is the target's name when there is one only: then it is not repeated.
    """
    groups: dict[object, list[CardPiece]] = {}
    for item in items:
        value = "" if item.listed and item.mark is None else item.value
        groups.setdefault((item.label, value, item.before, item.health, item.mark, item.was), []).append(item)
    for group in _in_turn(list(groups.values()), items):
        first = group[0]
        subjects = [s for s in dict.fromkeys(item.subject for item in group) if s and s != only]
        value = ", ".join(dict.fromkeys(item.value for item in group))
        text = (f"{_names(subjects)}: " if subjects else "") + value + first.tail
        yield CardLine(first.label, text, first.health, first.before, first.mark, first.was)


def _in_turn(groups: list[list[CardPiece]], items: Sequence[CardPiece]) -> Iterable[list[CardPiece]]:
    """Lines that stand for several subjects, in an order that is also that of each subject: of steps on several
    targets none comes before the one that it follows."""
    place = {id(item): at for at, group in enumerate(groups) for item in group}
    before: dict[int, set[int]] = {at: set() for at in range(len(groups))}
    last: dict[tuple[str, str], int] = {}
    for item in items if len(groups) <= MOST_ORDERED else ():
        at, mine = place[id(item)], (item.label, item.subject)
        if item.subject and last.get(mine, at) != at:
            before[at].add(last[mine])
        last[mine] = at
    while before:
        following = next((at for at, others in before.items() if not others & before.keys()), next(iter(before)))
        del before[following]
        yield groups[following]


def _only_target(card: Card) -> str:
    names = {fact.subject for fact in card.facts if fact.kind in (FactKind.DOES, FactKind.ALREADY)}
    return names.pop() if len(names) == 1 else ""


def _names(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
