"""Protected windows as rules of a plan: what is risky waits until they end, or a commander says why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from state.api.card import CardWarning, Rule, WarningKind
from state.api.requests import PlanRetry
from state.changes.floors import services_of
from state.estate.model import Estate
from state.estate.windows import WindowEntry
from state.planning.overriding import reasons_for
from state.planning.plan import Draft, Seen, may_act, risk_of
from state.units import clock
from state.verdicts.windows import coming, next_of_all, open_now, why_unknown

RULE = "window"
SHORTEST = 10
"""Letters of a reason."""


def window_rules(draft: Draft, seen: Sequence[Seen], estate: Estate, wall: float) -> tuple[Rule, ...]:
    """One refusal for each window that protects what the plan touches and is open, or of which nobody knows whether it
    is; else that there is none, and the next one. A step that is tried again was decided with its run. Raises NotFound
    and Refused for a reason that is none."""
    reasons = window_reasons(draft, estate)
    held = list(_held(draft, seen, estate))
    found: list[Rule] = []
    for name, entry in held:
        now, unknown = open_now(name, entry, wall), why_unknown(entry, wall)
        if now is None and not unknown:
            continue
        fact = f"{entry.title or name} may protect it now: {unknown}"
        way_out = "Mend it (recovery check says where), then recovery engine reload"
        if now is not None:
            fact, way_out = f"{now.title} is protected: {now.local}{now.source}", "Wait until it ends"
        if name in reasons:
            found.append(Rule(RULE, True, f"{fact}; overridden: {reasons[name]}", own=name))
        else:
            way_out = f"{way_out}; a commander may override {name}, by its name and with a reason"
            found.append(Rule(RULE, False, fact, way_out, "commander", own=name))
    if not found and held:
        following = next_of_all(dict(held), wall)
        told = f"; next: {following.title}, {following.local}{following.source}" if following is not None else ""
        found.append(Rule(RULE, True, f"no protected window is open{told}"))
    return tuple(found)


def window_warnings(draft: Draft, seen: Sequence[Seen], estate: Estate, wall: float) -> tuple[CardWarning, ...]:
    """Windows that are overridden, and those that may begin before the plan has ended."""
    reasons, longest = window_reasons(draft, estate), sum(step.timeout for step in draft.steps)
    found: list[CardWarning] = []
    for name, entry in _held(draft, seen, estate):
        now, following = open_now(name, entry, wall), coming(name, entry, wall)
        unknown = why_unknown(entry, wall)
        if (now is not None or unknown) and name in reasons:
            held_up = f"{now.title} is protected: {now.local}" if now is not None else f"{name}: {unknown}"
            said = f"{held_up}; reason: {reasons[name]}"
            found.append(CardWarning(WarningKind.OVERRIDDEN, name, said, name))
        elif now is None and following is not None and following.start < wall + longest:
            left = clock(following.start - wall)
            said = (
                f"{following.title} is protected from {following.local}, in {left}; the plan may take {clock(longest)}"
            )
            found.append(CardWarning(WarningKind.EFFECT, name, said))
    return tuple(found)


def window_reasons(draft: Draft, estate: Estate) -> dict[str, str]:
    """Why windows are overridden, by their names. Raises Refused for one without a reason."""
    given: Mapping[str, object] = getattr(draft.request, "overrides", {})
    return reasons_for(given, estate.windows, SHORTEST)


def _held(draft: Draft, seen: Sequence[Seen], estate: Estate) -> Iterator[tuple[str, WindowEntry]]:
    """The windows that are about the plan: about a service that it touches, also through others, and its class."""
    acting = may_act(seen)
    if isinstance(draft.request, PlanRetry) or not acting or not estate.windows:
        return
    risk, touched = risk_of(seen).value, _touched(draft, acting, estate)
    for name, entry in estate.windows.items():
        if entry.from_risk <= risk and (not entry.services or touched & set(entry.services)):
            yield name, entry


def _touched(draft: Draft, acting: Sequence[Seen], estate: Estate) -> set[str]:
    """Services that it touches, and those that need what it touches."""
    found = {draft.service} if draft.service else set[str]()
    for one in acting:
        args = one.step.args
        found |= {str(args.get("database", ""))}
        found |= set(services_of(estate, str(args.get("balancer", "")), str(args.get("backend", ""))))
        found |= set(one.preview.services)
    while more := {n for n, s in estate.services.items() if found & set(s.depends_on)} - found:
        found |= more
    return found
