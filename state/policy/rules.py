"""Verdicts of policy as data, for the card: the same checks that refuse a submission."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from state.api.card import Rule
from state.errors import JournalUnavailable, Refused
from state.estate.model import Person


def judged(rule: str, fact: str, check: Callable[[], None]) -> Rule:
    """The verdict of a check that raises when it refuses; `fact` is the fact when it does not."""
    try:
        check()
    except Refused as error:
        refusal = error.refusal
        return Rule(refusal.rule, False, refusal.fact, refusal.way_out, refusal.who)
    except JournalUnavailable as error:
        way_out = "Free disk space for the journal or repair it; stopping works without it"
        return Rule(rule, False, f"no entry can be made durable: {error}", way_out, "administrator of this host")
    return Rule(rule, True, fact)


def with_names(rule: Rule, roles: Collection[str], people: Mapping[str, Person]) -> Rule:
    """A refusal by role, with the people of the estate who have one of the roles."""
    allowed = set(roles)
    names = [name for name, person in people.items() if allowed & set(person.roles)]
    return replace(rule, who=", ".join(names)) if rule.rule == "role" and not rule.passed and names else rule
