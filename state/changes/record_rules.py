"""What refuses a change of records, and what its card says besides."""

from __future__ import annotations

from collections.abc import Mapping

from state.api.card import CardWarning, Rule, WarningKind
from state.changes.record_args import SetRecordsArgs
from state.estate.dns_names import APEX
from state.verdicts.record_sets import ADDRESSES, answer_for
from state.world.record_sets import Bar, NameLook, Sets

BARS: Mapping[Bar, tuple[str, str]] = {
    Bar.KEY: ("tsig-key", "Let name, algorithm and secret of the key be the same in the estate and at the server"),
    Bar.CLOCK: ("tsig-clock", "Set the clock of the host that is wrong, then preview again"),
    Bar.ZONE: ("authoritative", "Name the zone's primary server in the estate: primary of the zone"),
    Bar.DENIED: (
        "update-allowed",
        "Allow the key to change this name at the server (update-policy, allow-update); thaw the zone if it is frozen"
        " there (rndc thaw)",
    ),
    Bar.VIEW: ("same-view", "Give each view an entry of its own with its key and ask_with_key, or ask another server"),
    Bar.SILENT: ("update-answers", "Restore the server's answers to updates, then preview again"),
}
"""The rule for each reason, and what to do."""


def rules_of(
    look: NameLook,
    answered: Sets,
    after: Sets,
    expected: Sets,
    args: SetRecordsArgs,
    *,
    guessed: bool,
    whole: str,
) -> tuple[Rule, ...]:
    """The preconditions with their verdicts: `answered` now, `after` at the name, `expected` as answers then."""
    known = "no answer has a TTL to keep" if guessed else "each TTL is known"
    verdicts = [
        _reached(look),
        _delegated(look),
        _alone(look, after, args),
        _expanded(look),
        ("ttl-known", not guessed, known, "Say the TTL"),
        _answer_left(answered, expected, args),
    ]
    at = look.state.server
    return tuple(Rule(*each[:4], "responder", whole, at) for each in verdicts if each is not None)


Verdict = tuple[str, bool, str, str]
"""Name of a rule, whether it passed, the fact, and what to do."""


def _reached(look: NameLook) -> Verdict:
    if look.bar is None:
        return "as-read", True, f"an update finds at {look.state.server} what it answers", ""
    name, way_out = BARS[look.bar]
    return name, False, look.trouble, way_out


def _delegated(look: NameLook) -> Verdict | None:
    if not look.state.delegated:
        return None
    return "delegated", False, f"{', '.join(look.state.delegated)} answer for it", "Give that zone an entry of its own"


def _alone(look: NameLook, after: Sets, args: SetRecordsArgs) -> Verdict | None:
    """A server leaves out an alias beside other records, and answers that all went well."""
    if "CNAME" not in after:
        return None
    others = list(dict.fromkeys([*look.state.other, *(["SOA"] if args.record == APEX else [])]))
    fact = f"it has {', '.join(others)} too, beside which no alias may stand" if others else "nothing stands beside it"
    return "alias-alone", not others, fact, "Set its addresses, or move the other records first"


def _expanded(look: NameLook) -> Verdict | None:
    if not look.expanded:
        return None
    fact = f"it is an ALIAS of {look.expanded}, whose addresses the server looks up"
    return "not-expanded", False, fact, "Change that name, or remove the ALIAS at the server first"


def _answer_left(answered: Sets, left: Sets, args: SetRecordsArgs) -> Verdict:
    """A name never loses an answer that nobody said to take away."""
    way_out = "Set the other family too, or another answer; `empty` leaves the name without any"
    given = {"A": args.a, "AAAA": args.aaaa}
    lost = [
        kind for kind in ADDRESSES if answer_for(answered, kind) and not answer_for(left, kind) and given[kind] is None
    ]
    if answered and not left and not args.empty:
        return "answer-left", False, "it would have no answer left", way_out
    if lost and not args.empty:
        return "answer-left", False, f"it would lose its {' and '.join(lost)}, which the change leaves out", way_out
    return "answer-left", True, "it answers afterwards" if left else "it has no answer afterwards", ""


def values_of(sets: Sets) -> set[str]:
    """All addresses of a name."""
    return {value for kind in ADDRESSES if kind in sets for value in sets[kind].values}


def warnings_of(look: NameLook, answered: Sets, after: Sets, whole: str, wait: int) -> tuple[CardWarning, ...]:
    """What else follows: caches, the family that stays, wildcards that end, what the server says of itself."""
    said: list[str] = []
    if wait:
        old = "the old answer" if answered else "that there is none"
        said.append(
            f"caches may keep {old} for {wait} s: complete not before that, for clients that honour TTL; some resolvers"
            " and clients keep addresses longer"
        )
    stays = [k for k in ADDRESSES if k in answered and answered.get(k) == after.get(k)]
    moves = [k for k in ADDRESSES if answer_for(answered, k) != answer_for(after, k)]
    if moves:
        said += [f"{kind} stays as it is: {', '.join(answered[kind].values)}" for kind in stays]
    said += [
        f"{each.name} is answered by {each.wildcard} now ({each.type} {', '.join(each.values)}) and will not be"
        for each in look.shaded
    ]
    gone = values_of(answered) - values_of(after)
    if hinted := [each for each in look.state.hints if each in gone]:
        said.append(
            f"its HTTPS record has {', '.join(hinted)} in it too (ipv4hint, ipv6hint): some clients still go there"
        )
    if answered and not after:
        said.append("the name has no record of its own afterwards")
    return tuple(CardWarning(WarningKind.EFFECT, whole, message) for message in (*said, *look.notes))
