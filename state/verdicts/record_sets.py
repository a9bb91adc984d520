"""Record sets compared as DNS compares them: by type, values and TTL; the order of values is none of DNS's."""

from __future__ import annotations

from state.world.record_sets import SETTABLE, RecordSet, Sets

ADDRESSES = ("A", "AAAA")
NOTHING = RecordSet("", 0, ())


def parts_missing(found: Sets, wanted: Sets) -> list[str]:
    """What is answered and should not be, and what is not and should be, each part of its own."""
    parts: list[str] = []
    for kind in SETTABLE:
        got, will = found.get(kind, NOTHING), wanted.get(kind, NOTHING)
        missing = [value for value in will.values if value not in got.values]
        extra = [value for value in got.values if value not in will.values]
        parts += [f"{kind} {', '.join(missing)} is missing"] if missing else []
        parts += [f"{kind} {', '.join(extra)} is still answered"] if extra else []
        if got.values and will.values and got.ttl != will.ttl:
            parts.append(f"TTL of {kind} is {got.ttl} s, not {will.ttl} s")
    return parts


def answers_of(sets: Sets) -> dict[str, RecordSet]:
    """The sets that have an answer: disabled values are none."""
    return {kind: each for kind, each in sets.items() if each.values}


def answer_for(sets: Sets, kind: str) -> RecordSet | None:
    """What a client that asks for an address of one family gets: the set, or the alias in its place."""
    answering = answers_of(sets)
    return answering.get(kind) or answering.get("CNAME")


def wait_after(before: Sets, after: Sets, negative: int) -> int:
    """Seconds after a change for which caches may keep what they had: the TTL of the old answer, for "there is none"
    the negative TTL of the zone's SOA."""
    waits = [0]
    for kind in ADDRESSES:
        was, will = answer_for(before, kind), answer_for(after, kind)
        if was != will:
            waits.append(negative if was is None else was.ttl)
    return max(waits)
