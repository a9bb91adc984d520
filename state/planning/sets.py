"""Change sets: several changes as one, in an order in which servers are added before others are taken away.

A set is a run of changes: each is pinned, judged and read back by itself. Temporary ones have a wait and the changes
that take them back as further steps of the same run, so they end by the same journal that began them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from state.api.requests import PlanEvacuate, PlanSet, PlanShare, PlanTogether
from state.changes.model import Change, ChangeSpec
from state.config_files.suggestions import not_found
from state.errors import NotFound, ReadFailure, Refused
from state.estate.model import Estate
from state.planning.overriding import reasons_for
from state.planning.plan import Draft, Seen
from state.ports.outside import Outside
from state.runs.steps import PlannedStep
from state.runs.temporary import BACK, OVER
from state.text import reason_in
from state.units import clock
from state.verdicts.safety import standing_at

MOST_CHANGES = 200
"""The most changes of one set."""
SHORTEST_COMMENT = 3
LONGEST = 30 * 86_400.0
"""The most seconds that something temporary lasts."""
SET = "set"
"""The loop that the changes of a set are items of."""

See = Callable[[Draft], Awaitable[list[Seen]]]
Build = Callable[[ChangeSpec], Change]


async def specs_of(request: PlanTogether, estate: Estate, outside: Outside, deadline: float) -> list[ChangeSpec]:
    """The changes that a request stands for. Raises NotFound, or Refused where there is nothing to change."""
    match request:
        case PlanSet(changes=changes):
            found = [_written(each) for each in changes]
        case PlanShare():
            found = _shares(request, estate)
        case PlanEvacuate():
            found = await _evacuation(request.site, estate, outside, deadline)
    if not 0 < len(found) <= MOST_CHANGES:
        raise Refused("set-size", f"{len(found)} changes", f"A set has 1 to {MOST_CHANGES}")
    return found


def title_of(request: PlanTogether) -> str:
    """What a set is called."""
    match request:
        case PlanSet(title=title):
            named = title
        case PlanShare(service=service, to=to, percent=percent):
            named = f"Give {to} {percent}% of {service}"
        case PlanEvacuate(site=site):
            named = f"Evacuate {site}"
    told = f" for {clock(request.lasts)}" if request.lasts else ""
    return f"{named}{told}" + (f": {request.comment.strip()}" if request.comment.strip() else "")


async def together(
    request: PlanTogether, changes: Sequence[Change], step: Callable[..., PlannedStep], see: See
) -> Draft:
    """The set as steps: what adds servers first, a wait between two where it is paced, and the way back where it is
    temporary. Raises Refused for one without a comment, or that cannot be taken back."""
    _require_end(request)
    title = title_of(request)
    first = tuple(step(change, f"change-{i + 1}", i) for i, change in enumerate(changes))
    seen = await see(Draft(title, first))
    ordered = sorted(zip(changes, seen, strict=True), key=lambda pair: -pair[1].preview.gain)
    policy = "pause" if request.keep else "undo"
    steps: list[PlannedStep] = []
    for number, (change, _) in enumerate(ordered, 1):
        if request.pace and number > 1:
            steps.append(_wait(f"pace-{number}", "Pace", request.pace))
        part = step(change, f"change-{number}", 0)
        steps.append(replace(part, on_failure=policy, loop=SET, item=number, part=len(ordered)))
    if request.lasts:
        again = await see(Draft(title, tuple(s for s in steps if s.do == "change")))  # in this order
        steps += [_wait(OVER, f"Temporary, for {clock(request.lasts)}", request.lasts), *_back(again, step)]
    return Draft(title, tuple(replace(s, index=i) for i, s in enumerate(steps)), request=request)


def _back(seen: Sequence[Seen], step: Callable[..., PlannedStep]) -> list[PlannedStep]:
    """What takes the changes back, the last one first."""
    found: list[PlannedStep] = []
    for one in reversed([one for one in seen if not one.preview.already]):
        if one.preview.undo is None:
            raise Refused(
                "temporary", f"nothing takes this back: {one.change.title}", "Leave it out, or make it to last"
            )
        back = step(one.preview.undo, f"{BACK}{one.step.id}", 0)
        found.append(replace(back, on_failure="pause", ends=True))
    return found


def _wait(name: str, title: str, seconds: float) -> PlannedStep:
    return PlannedStep(id=name, index=0, do="wait", title=title, timeout=seconds, owner="responder")


def _require_end(request: PlanTogether) -> None:
    if not 0 <= request.lasts <= LONGEST or not 0 <= request.pace <= LONGEST:
        raise Refused("temporary", f"lasts {request.lasts:g} s, pace {request.pace:g} s", "At most 30 days each")
    if request.lasts and request.keep:
        fact = "what is done of a temporary set would stay without an end when one change fails"
        raise Refused("temporary", fact, "Leave out keep: then it is undone")
    if request.lasts and not reason_in(request.comment, SHORTEST_COMMENT):
        fact = "a temporary change needs a comment: who needs it, and why"
        raise Refused("comment", fact, f"Give one of {SHORTEST_COMMENT} characters or more; the journal records it")


def _written(each: Mapping[str, object]) -> ChangeSpec:
    kind, args = each.get("kind"), each.get("args", {})
    if not isinstance(kind, str) or not isinstance(args, Mapping):
        raise NotFound("each change of a set is an object with kind, a text, and args, an object")
    return ChangeSpec(kind, dict(args))


def _shares(request: PlanShare, estate: Estate) -> list[ChangeSpec]:
    service = estate.services.get(request.service)
    if service is None or service.traffic is None:
        known = [name for name, each in estate.services.items() if each.traffic is not None]
        raise not_found("service with traffic", request.service, known)
    for name in request.balancers:
        if name not in service.traffic.balancers:
            raise not_found(f"balancer of {request.service}", name, service.traffic.balancers)
    where = request.balancers or service.traffic.balancers
    common = {"backend": service.traffic.backend, "to": request.to, "percent": request.percent}
    return [ChangeSpec("backend.share", {"balancer": name, **common}) for name in where]


async def _evacuation(site: str, estate: Estate, outside: Outside, deadline: float) -> list[ChangeSpec]:
    """Of each backend, weight 0 for its servers at the site, where others of it stand elsewhere."""
    if site not in estate.sites:
        raise not_found("site", site, estate.sites)
    entries = [service.traffic for service in estate.services.values() if service.traffic is not None]
    places = dict.fromkeys((name, entry.backend) for entry in entries for name in entry.balancers)
    found: list[ChangeSpec] = []
    for balancer, backend in places:
        try:
            servers = await outside.balancers[balancer].read_backend(backend, deadline=deadline)
        except (ReadFailure, KeyError) as error:
            fact = f"{balancer}/{backend} cannot be read: {error}"
            way_out = "Restore the reading: nobody knows what it leads to; or evacuate-site with gone="
            raise Refused("fresh-readings", fact, f"{way_out}{balancer}, which leaves it out") from error
        here = [s for s in servers if standing_at(estate, (balancer, backend), s) == site]
        if len(here) == len(servers) and estate.balancers[balancer].site != site and any(s.weight for s in here):
            fact = f"{balancer}/{backend} at {estate.balancers[balancer].site} has servers at {site} only"
            raise Refused("evacuate", fact, "Start servers elsewhere, or lead clients to another balancer and name this"
                          " one no more")  # fmt: skip
        if here and len(here) < len(servers) and any(s.weight for s in here):
            weights = dict.fromkeys((s.name for s in here), 0)
            found.append(ChangeSpec("backend.weights", {"balancer": balancer, "backend": backend, "weights": weights}))
    if not found:
        fact = f"no backend has servers at {site} with a weight, and others elsewhere"
        way_out = (
            "Say where colours stand (traffic.colours.NAME.site); where a balancer's servers all stand at one site,"
        )
        raise Refused("evacuate", fact, f"{way_out} clients are led elsewhere by DNS")
    return found


def overridden(draft: Draft, overrides: Mapping[str, object], estate: Estate) -> Draft:
    """The draft with reasons for which safety rules do not hold its changes up. Raises NotFound or Refused."""
    for name in overrides:
        if name not in estate.rules and name not in estate.windows:
            raise not_found("safety rule or protected window", name, [*estate.rules, *estate.windows])
    reasons = reasons_for(overrides, estate.rules, SHORTEST_COMMENT)
    if not reasons:
        return draft
    return replace(draft, steps=tuple(replace(s, overrides=reasons) if s.do == "change" else s for s in draft.steps))


def reasons_of(draft: Draft) -> dict[str, str]:
    """The reasons for overriding, by the name of the rule."""
    return dict(chain.from_iterable(step.overrides.items() for step in draft.steps))
