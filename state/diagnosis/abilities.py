"""What the accounts of an estate can do at each target, from the answers of one examination: nothing else is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from state.diagnosis.model import Asked, Can, Diagnosis
from state.health import Health

READS = "be read"
FIRST = (Asked.FILES, Asked.NAME, Asked.REACHED, Asked.CERTIFICATE, Asked.CREDENTIAL, Asked.IDENTIFIED)
"""Without these nothing is known of what an account may do."""


@dataclass(frozen=True, slots=True)
class ShownAbility:
    """One thing that an account can or cannot do at a target, with the evidence and the way out; `next` is empty where
    nothing is to be done."""

    target: str
    identity: Literal["read", "act"]
    does: str
    can: Can
    evidence: str
    next: str = ""


def abilities(found: Iterable[Diagnosis]) -> list[ShownAbility]:
    """Every ability that the answers show, by target; a target that could not be asked for any has one line that says
    why."""
    rows: list[ShownAbility] = []
    for target, answers in groupby(found, lambda each: each.target):
        rows += _of_target(target, list(answers))
    return rows


def _of_target(target: str, answers: list[Diagnosis]) -> Iterator[ShownAbility]:
    known = [each for each in answers if each.ability is not None]
    bar = next((each for each in answers if each.asked in FIRST and each.health in BARS and each.ability is None), None)
    reached = next((each for each in answers if each.asked is Asked.REACHED and each.health is Health.PASS), None)
    if bar is not None:
        yield ShownAbility(target, "read", READS, BARS[bar.health], bar.reason, bar.next)
    elif reached is not None and reached.ability is None:
        yield ShownAbility(target, "read", READS, Can.YES, reached.reason)
    for each in known:
        assert each.ability is not None, "only those that have one"
        yield ShownAbility(target, each.ability.identity, each.ability.does, each.ability.can, each.reason, each.next)


BARS: Mapping[Health, Can] = {Health.FAIL: Can.NO, Health.UNKNOWN: Can.UNKNOWN}
