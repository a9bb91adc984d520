"""The tamper corpus, extended by seals, keys and anchors: all of it is found and its place named; nothing is found in a
journal that only had a bad month."""

from __future__ import annotations

import copy
import re
from random import Random

import pytest

from state.proof.chain import Verification
from state.proof.lines import verify_export
from tests.attack.tampering import ENTRIES, exported
from tests.attack.tampering_seals import ANCHORS, SEALS
from tests.support.sealed import Written, eventful, written

SHORT, LONG = 2, 60
CLEAN_SHORT, CLEAN_LONG = 40, 1000
KEYED = b"journal.keyed"
NAMED = re.compile(r"entr(y|ies) \d|line \d|anchor of \d{4}-|anchors? none is of this|no key in it")
"""What every finding tells: an entry, a line, an anchor, or that the journal is another one."""


def judged(made: Written, *, anchored: bool, trusted: str = "") -> Verification:
    keys = [trusted] if trusted else []
    return verify_export(exported(made.entries), anchors=made.anchors if anchored else (), trusted=keys)


def run(mutants: int) -> None:
    missed: list[str] = []
    count = 0
    for kind, attack in {**SEALS, **ANCHORS}.items():
        for number in range(mutants):
            chance, clean = Random(f"{kind}/{number}"), written(number)
            root = clean.root
            changed = attack(copy.deepcopy(clean), chance)
            if changed.entries == clean.entries and changed.anchors == clean.anchors:
                continue
            count += 1
            sealed = judged(changed, anchored=False, trusted=root) if kind in SEALS else None
            said = (sealed or judged(changed, anchored=True)).problem
            if not NAMED.search(said):
                missed.append(f"{kind} {number}: {said!r}")
    for kind, by_entries in ENTRIES.items():
        for number in range(mutants):
            clean = written(number, periods=4, each=8)
            changed = copy.copy(clean)
            changed.entries = by_entries(clean.entries[:], Random(f"{kind}/{number}"))
            if changed.entries == clean.entries:
                continue
            count += 1
            said = judged(changed, anchored=True).problem
            if not NAMED.search(said):
                missed.append(f"{kind} {number} under anchors: {said!r}")
    assert missed == []
    kinds = len(SEALS) + len(ANCHORS) + len(ENTRIES)
    assert len(SEALS) + len(ANCHORS) >= 30
    assert count >= kinds * mutants * 0.95
    print(f"{count} tampered journals of {kinds} kinds, all found and named")


def test_every_tampered_seal_key_and_anchor_is_found_and_named() -> None:
    run(SHORT)


@pytest.mark.torture
def test_every_tampered_seal_key_and_anchor_is_found_and_named_many() -> None:
    run(LONG)


def run_clean(count: int) -> None:
    false: list[str] = []
    seals = anchors = torn = steps = 0
    for number in range(count):
        made = eventful(number)
        lines = exported(made.entries)
        if number % 2:  # the end of the last line was lost in a crash
            lines[-1] = lines[-1][: -2 - made.chance.randrange(len(lines[-1]) - 3)]
            last = made.entries[-1].seq
            made.anchors = [each for each in made.anchors if each.seq < last]
        keyed = any(
            KEYED in line for line in lines if line.endswith(b"\n")
        )  # nobody has a key from elsewhere whose entry was lost
        found = verify_export(lines, anchors=made.anchors, trusted=[made.root] if keyed else ())
        if found.problem or bool(found.torn) != bool(number % 2) or found.entries != len(lines) - number % 2:
            false.append(f"{number}: {found}")
        seals, anchors, torn = seals + found.periods, anchors + len(made.anchors), torn + bool(found.torn)
        steps += sum(b"clock.jumped" in each.header or b"engine.started" in each.header for each in made.entries)
    assert false == []
    assert min(seals, anchors, steps) > count
    assert torn == count // 2
    held = f"{seals} seals, {anchors} anchors, {steps} clock steps and starts, {torn} torn"
    print(f"{count} clean journals, {held}: no alarm")


def test_a_clean_journal_is_never_called_tampered() -> None:
    run_clean(CLEAN_SHORT)


@pytest.mark.torture
def test_a_clean_journal_is_never_called_tampered_many() -> None:
    run_clean(CLEAN_LONG)
