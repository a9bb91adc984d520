"""What a state follows from is looked for by subjects: storms of alerts leave no memory behind."""

from __future__ import annotations

from state.journal.needed import PRUNE, About, Needed

STORM = 200


def test_subjects_that_are_over_are_forgotten_though_few_entries_told_of_them() -> None:
    needed, seq, most = Needed(), 0, 0
    needed.take(seq, [About("open")])
    for storm in range(500):
        names = [f"{storm}/{n}" for n in range(STORM)]
        needed.take(seq := seq + 1, [About(name) for name in names])
        needed.take(seq := seq + 1, [About(name, closes=True) for name in names])
        most = max(most, needed.subjects)
    assert most <= PRUNE + 2 * STORM
    assert needed.seqs() == [0]


def test_what_is_open_stays_and_is_not_looked_through_at_every_entry() -> None:
    needed, open_ones = Needed(), 5 * PRUNE
    for seq in range(open_ones):
        needed.take(seq, [About(seq)])
    assert needed.subjects == open_ones
    assert list(needed.seqs()) == list(range(open_ones))
