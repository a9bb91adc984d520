"""Whether a change of records happened: what every authoritative server answers, asked past the update's own path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from state.changes.model import Finding
from state.verdicts.record_sets import parts_missing
from state.world.record_sets import NameSeen, NameState, Sets


@dataclass(frozen=True, slots=True)
class Agreement:
    """A finding over all servers. `following`: the acting one has it, and only others lack it; `state` is its own."""

    finding: Finding
    evidence: tuple[str, ...]
    state: NameState | None
    following: bool = False


def agreement(seen: Sequence[NameSeen], acting: str, before: Sets, after: Sets) -> Agreement:
    """Done at n of n only. The evidence has the serial of each server, and each part that it does not answer."""
    plain = {each.server: each for each in seen if not each.keyed}
    keyed = next((each.state for each in seen if each.keyed), None)
    at = plain[acting].state
    if at is None:
        return Agreement(Finding.UNKNOWN, (f"{acting} cannot be read: {plain[acting].trouble}",), None)
    missing = parts_missing(at.sets, after)
    if missing:
        return _at_acting(at, keyed, missing, before, after)
    others = [_told(each, after, at) for each in plain.values() if each.server != acting]
    evidence = (f"{acting} answers it, serial {at.serial}", *(message for message, _ in others))
    if all(done for _, done in others):
        return Agreement(Finding.DONE, evidence, at)
    count = 1 + sum(done for _, done in others)
    return Agreement(Finding.PARTIAL, (f"{count} of {len(plain)} servers answer it", *evidence), at, following=True)


def _at_acting(at: NameState, keyed: NameState | None, missing: Sequence[str], before: Sets, after: Sets) -> Agreement:
    """The server that was to change has not, or not all of it."""
    if keyed is not None and not parts_missing(keyed.sets, after) and parts_missing(keyed.sets, at.sets):
        said = f"{at.server} answers it when asked with the key, and not without: the key reaches another view"
        return Agreement(Finding.PARTIAL, (said, *missing), at)
    untouched = not parts_missing(at.sets, before)
    finding = Finding.NOT_DONE if untouched else Finding.PARTIAL
    return Agreement(finding, (f"{at.server}, serial {at.serial}: {'; '.join(missing)}",), at)


def _told(each: NameSeen, after: Sets, at: NameState) -> tuple[str, bool]:
    """What another server answers, and whether that is the change."""
    if each.state is None:
        return f"{each.server} cannot be read: {each.trouble}", False
    serial = f"serial {each.state.serial}"
    if not (missing := parts_missing(each.state.sets, after)):
        return f"{each.server} answers it, {serial}", True
    same = ", the same as there: it is stale" if each.state.serial == at.serial else ""
    return f"{each.server}, {serial}{same}: {'; '.join(missing)}", False
