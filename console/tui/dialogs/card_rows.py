"""What a consequence card says, in the order a person must read it: what changes, what forbids it or warns, what it
does to whom, what checks it, what may be lost, how it is reversed. Repeated facts are told once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from console.tui.glyphs import FAIL, MUTED, WARN, Glyphs
from console.tui.parts.facts import Row, fact
from console.tui.text import cell, joined, state_text
from state.api.card import Card
from state.health import Health
from state.text import cells

LABEL_WIDTH = 14
WIDEST_SUBJECT = 44
ORDER = (
    ("do", "verb"),
    ("object",),
    ("target", "identity"),
    ("before → after",),
    ("depends on it",),
    ("checks",),
    ("rule", "policy"),
    ("data loss", "loss"),
    ("sessions cut",),
    ("downtime",),
    ("undo", "reversal"),
    ("verified by",),
    ("predicted",),
    ("runbook",),
)
RANK = {label: place for place, labels in enumerate(ORDER) for label in labels}

CardFact = tuple[str, str, Health | None]
"""Label, words and how it stands."""


def card_rows(card: Card, former: Card | None, glyphs: Glyphs) -> list[Row]:
    """The whole card; with the card of a former preview, what has changed since."""
    rows: list[Row] = [*_changes(card, former), *(_line("refused", message, FAIL, FAIL) for message in card.refusals)]
    rows += [_line("warning", message, "", WARN) for message in card.warnings]
    if rows:
        rows.append(cell(""))
    before = grouped(former) if former is not None else []
    known = [(label, message) for label, message, _ in before]
    now = grouped(card)
    current = [(label, message) for label, message, _ in now]
    last = ""
    for label, message, health in now:
        sign = joined(state_text(health.value, glyphs), " ") if health is not None else cell("")
        rows.append(_line("" if label == last else label, joined(sign, message)))
        last = label
        if former is not None and (label, message) not in known:
            was = [old for old, said in zip(known, before, strict=True) if old[0] == label and old not in current]
            rows.append(_line("", f"CHANGED, was: {'; '.join(message for _, message in was) or 'not there'}", WARN))
    gone = [(label, message) for label, message in known if label not in {label for label, _ in current}]
    return [*rows, *(_line(label, f"GONE, was: {message}", WARN) for label, message in gone)]


def _changes(card: Card, former: Card | None) -> list[Row]:
    """Each changed thing, before and after, in columns."""
    parts = [split_change(message) for message in card.changes]
    width = min(WIDEST_SUBJECT, max((cells(subject) for subject, _, _ in parts), default=0))
    room = max((cells(before) for _, before, _ in parts), default=0)
    rows: list[Row] = []
    for message, (subject, before, after) in zip(card.changes, parts, strict=True):
        label = cell(f"{subject}{' ' * max(0, width - cells(subject))} ")
        value = joined(
            (" " * (room - cells(before)) + before, MUTED), (" → " if before else "", MUTED), (after, "bold")
        )
        rows.append(joined(label, " ", value))
        if former is not None and message not in former.changes:
            same = [old for old in former.changes if split_change(old)[0] == subject]
            rows.append(cell(f"  CHANGED, was: {'; '.join(same) or 'not there'}", WARN))
    if former is not None:
        here = {subject for subject, _, _ in parts}
        rows += [cell(f"GONE, was: {old}", WARN) for old in former.changes if split_change(old)[0] not in here]
    return rows


def split_change(message: str) -> tuple[str, str, str]:
    """Subject, before and after of `subject: before → after`; other words are all `after`."""
    told, arrow, after = message.rpartition(" → ")
    subject, colon, before = told.rpartition(": ")
    if arrow and not colon:
        subject, _, before = told.rpartition("  ")
    return (subject.rstrip(), before.strip(), after) if arrow and subject else ("", "", message)


def grouped(card: Card) -> list[CardFact]:
    """The facts in reading order; lines of one label that differ in one word only become one."""
    facts = sorted(card.facts, key=lambda line: RANK.get(line.label, len(ORDER)))
    told: list[CardFact] = []
    for label in dict.fromkeys(line.label for line in facts):
        for health in dict.fromkeys(line.health for line in facts if line.label == label):
            same = [line.message for line in facts if line.label == label and line.health == health]
            told += [(label, message, health) for message in merged(same)]
    return told


def merged(said: Iterable[str]) -> list[str]:
    """Sentences that are equal, or differ in one word, as one sentence."""
    groups: list[tuple[list[list[str]], int]] = []
    for message in said:
        tokens = message.split(" ")
        for place, (members, slot) in enumerate(groups):
            found = _slot(members[0], tokens)
            if found is not None and (slot < 0 or found in {slot, -1}):
                groups[place] = ([*members, tokens] if found >= 0 else members, max(slot, found))
                break
        else:
            groups.append(([tokens], -1))
    return [_sentence(members, slot) for members, slot in groups]


def _slot(one: Sequence[str], other: Sequence[str]) -> int | None:
    """The place of the only word that differs, -1 when none does, None when they say different things."""
    if len(one) != len(other):
        return None
    differs = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    return None if len(differs) > 1 else differs[0] if differs else -1


def _sentence(members: Sequence[Sequence[str]], slot: int) -> str:
    if slot < 0:
        return " ".join(members[0])
    tails = {member[slot][-1:] for member in members}
    tail = tails.pop() if len(tails) == 1 and tails <= {":", ","} else ""
    names = [member[slot].removesuffix(tail) if tail else member[slot] for member in members]
    listed = f"{', '.join(names[:-1])} and {names[-1]}{tail}"
    said = " ".join([*members[0][:slot], listed, *members[0][slot + 1 :]])
    return said.replace(" allows it", " allow it") if not slot else said


def _line(label: str, message: Text | str, style: str = "", mark: str = MUTED) -> Row:
    return fact(label, message, style, width=LABEL_WIDTH, mark=mark)
