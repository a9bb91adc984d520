"""What is wrong with a service itself, in a short sentence part, and the change or place that gets it back."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from state.api.views.causes import Cause, Forecast, ForecastKind, NextKind, NextStep, SubjectKind
from state.estate.colours import members
from state.estate.model import Estate, Service
from state.health import Health
from state.units import percent
from state.verdicts.cause_parts import hand
from state.verdicts.cause_source import ROLES
from state.verdicts.own_checks import check_key
from state.verdicts.reach import NameVerdict
from state.verdicts.releases import ReleasesVerdict
from state.verdicts.service import Reason, ServiceFinding, ServiceVerdict
from state.world.balancer_parts import BalancerReading
from state.world.readings import ReleaseTraffic
from state.world.world import World

FLIP = "backend.flip"
POLL = 2.0
"""Seconds until figures that were scraped are read and judged."""


class PastTrouble(NamedTuple):
    """Something that a service needs was in trouble (`how`) until an instant of the engine's monotonic clock."""

    name: str
    how: str
    until: float


def service_cause(
    estate: Estate,
    name: str,
    verdict: ServiceVerdict,
    world: World,
    now_mono: float,
    *,
    waits: bool,
    last: PastTrouble | None,
    releases: ReleasesVerdict | None = None,
) -> Cause | None:
    """The cause that lies in the service, None when it has none of its own.

    `waits`: something that it needs fails. Then its errors are that one's, unless a name or a balancer explains them.
    So are those that are still in its figures from `last`, the trouble of what it needs.
    """
    own = [f for f in verdict.own if f.silent.partition(":")[0] not in ROLES]  # such a source is a cause itself
    probed = any(f.silent.startswith("probe:") or f.reason is Reason.CHECKS for f in own)
    if not own or (verdict.own_health is Health.UNKNOWN and _unread(verdict) and not probed):
        return None
    worst = own[0]
    explained = worst.reason in (Reason.NAME, Reason.BALANCER)
    if waits and not explained:
        return None
    made = Cause(
        key=f"service/{name}/{worst.reason.value}",
        kind=SubjectKind.SERVICE,
        name=name,
        health=worst.health,
        since_mono=None,
        what=worst.message,
        detail=f"{name}: {verdict.message}",
        victims=(),
        forecast=None,
        next=_place(estate.services[name], name) if worst.health is not Health.UNKNOWN else _judge_it(name, worst),
        sources=(verdict.source,) if verdict.source else (),
        loud=worst.health is Health.FAIL,
    )
    wrong = next((n for n in verdict.reach if n.message == worst.message), None)
    if worst.reason is Reason.NAME and wrong is not None:
        return _name(made, verdict, wrong)
    if worst.reason is Reason.FIGURES:
        leave = _left_over(verdict, last) if last is not None else 0.0
        if last is not None and now_mono <= leave:
            return _aftermath(made, last, leave)
        return _figures(made, estate.services[name], name, verdict, world, now_mono, releases)
    if worst.reason is Reason.CHECKS:
        return replace(made, sources=tuple(check_key(each) for each in estate.services[name].objectives.checks))
    if worst.reason is Reason.BALANCER:
        made = replace(made, next=_without_backend(estate.services[name], name, world, now_mono) or made.next)
        return replace(made, sources=tuple(f"balancer:{b}" for b in _balancers(estate.services[name])))
    return made


def _unread(verdict: ServiceVerdict) -> bool:
    """Whether nothing was read that speaks about the service: then the silent sources are the cause."""
    return verdict.traffic is None


def _balancers(service: Service) -> tuple[str, ...]:
    return service.traffic.balancers if service.traffic is not None else ()


def _place(service: Service, name: str) -> NextStep:
    if service.traffic is None:
        steps = f"This version has no runbook that fits {name}. By hand: look at its own logs, and at what it needs."
        return hand("by hand", steps)
    message = f"Look at the servers of {name} on Traffic: this version has no runbook that fits."
    arguments = {"table": "backends", "service": name}
    return NextStep(NextKind.PLACE, "traffic", arguments, "t", "its servers", message)


def _judge_it(name: str, worst: ServiceFinding) -> NextStep:
    """What is unknown is no fault of the service: what has to change is what judges it."""
    if worst.reason is Reason.PROBES:
        steps = (
            f"{name} is judged by probes that nobody answers: {worst.message}. By hand: ask its address from the host"
            " of this engine. It may be down: then look at its own logs."
        )
        return hand("by hand", steps)
    if worst.reason is Reason.CHECKS:
        steps = (
            f"{name} is judged by a check of this estate that has no answer: {worst.message}. By hand: ask it yourself."
        )
        return hand("by hand", steps)
    steps = (
        f"Nothing is known to be wrong with {name}, and nothing judges it: {worst.message}. By hand: mend what it is"
        " judged by, in the estate (`metrics` and probes of the service, settings of the monitor) or at the monitor."
    )
    return hand("by hand", steps)


def _without_backend(service: Service, name: str, world: World, now_mono: float) -> NextStep | None:
    """A balancer that answers and has no such backend: the estate names another one, or its configuration lost it."""
    if service.traffic is None:
        return None
    backend = service.traffic.backend
    without = [
        balancer
        for balancer in service.traffic.balancers
        if (reading := world.fresh(f"balancer:{balancer}", BalancerReading, now_mono)) and not reading.of(backend)
    ]
    if not without:
        return None
    steps = (
        f"By hand: compare `backend: {backend}` of {name} in the estate with the configuration of {', '.join(without)}:"
        " it has no such backend."
    )
    return hand("by hand", steps)


def _name(made: Cause, verdict: ServiceVerdict, wrong: NameVerdict) -> Cause:
    expected = ", ".join(sorted(wrong.record.expect))
    answers = f"answers {', '.join(wrong.answers)}" if wrong.answers else "has no answer"
    what = f"is an alias of {wrong.lost}, which has no address" if wrong.lost else f"{answers}, not {expected}"
    rate = verdict.traffic.rate if verdict.traffic is not None else None
    arriving = "" if rate is None else f"; requests still arrive, {max(rate, 1):.0f}/s" if rate else "; none arrive"
    ttl = f" Clients follow within its TTL of {wrong.ttl} s." if wrong.ttl is not None else ""
    on_purpose = "If the move is on purpose, change `expect` in the estate."
    told = f"{wrong.name} {wrong.record.type} {expected}.{ttl}"
    if wrong.lost and wrong.record.type == "CNAME":
        step = hand("repair DNS by hand", f"By hand: give {wrong.lost} its addresses again. {on_purpose}")
    elif wrong.resolvers:
        who = ", ".join(wrong.resolvers)
        told = f"By hand: its own servers answer rightly; look at the resolvers {who}, flush {wrong.name} there."
        step = hand("repair resolvers by hand", told)
    elif wrong.changeable:
        message = f"On Traffic, at its record: a sets {told} {on_purpose}"
        arguments = {"table": "dns", "record": wrong.record.name}
        step = NextStep(NextKind.PLACE, "traffic", arguments, "t", "its records", message)
    else:
        by_hand = "By hand, on the zone's primary server (nsupdate, or its zone file), as the estate has no key for it:"
        step = hand("repair DNS by hand", f"{by_hand} {told} {on_purpose}")
    return replace(
        made,
        kind=SubjectKind.RECORD,
        what=f"DNS {wrong.name} {what}{arriving}",
        next=step,
        sources=wrong.sources,
    )


def _left_over(verdict: ServiceVerdict, last: PastTrouble) -> float:
    """Until when the figures hold what was counted during a past trouble; 0 where their window is not known."""
    scraping = verdict.traffic.scraping if verdict.traffic is not None else None
    return 0.0 if scraping is None else last.until + scraping.window + (scraping.interval or 0.0) + POLL


def _aftermath(made: Cause, last: PastTrouble, leave: float) -> Cause:
    """No release is to blame for what was counted while something else failed."""
    message = (
        f"Nothing yet: its figures still hold the time in which {last.name} {last.how}."
        " If they stay, look at its servers on Traffic."
    )
    assert made.next is not None
    return replace(
        made,
        what=f"{made.what}, counted while {last.name} {last.how}",
        forecast=Forecast(ForecastKind.NOTHING, "That leaves its figures", leave),
        next=replace(made.next, message=message),
    )


def _figures(
    made: Cause,
    service: Service,
    name: str,
    verdict: ServiceVerdict,
    world: World,
    now_mono: float,
    releases: ReleasesVerdict | None,
) -> Cause:
    """Errors: which release answers them, and to which one the service can go back."""
    bad = _bad_release(service, verdict)
    if bad is None or service.traffic is None or made.health is not Health.FAIL:
        return made
    colours = service.traffic.colours
    colour = next((name for name, each in colours.items() if each.release == bad.release), "")
    said = f"{percent(bad.error_ratio or 0.0)} of requests fail on release {bad.release}"
    what = f"{said}{f' ({colour})' if colour else ''}{_of_all(verdict, bad)}"
    if releases is not None and releases.rollback.candidates:
        return replace(made, what=what, next=_way_back(name, releases))
    other = _other_colour(service, colour, world, now_mono)
    if not colour or not other:
        return replace(made, what=what)
    message = f"Roll {name} back: flip its traffic from {colour} {bad.release} to {other} {colours[other].release}."
    arguments = {"service": name, "backend": service.traffic.backend, "to": other}
    step = NextStep(NextKind.CHANGE, FLIP, arguments, "r", f"roll back to {colours[other].release}", message)
    return replace(made, what=what, next=step)


def _way_back(name: str, releases: ReleasesVerdict) -> NextStep:
    """The release that is safe to go back to; where none is, why, and what is left."""
    offered = releases.offered
    if offered is not None:
        to = offered.release
        schema = f"its schema {releases.truth.schema.version} → {offered.schema_to} is undone first, then "
        first = schema if offered.schema_to else ""
        message = f"Roll {name} back to {to.label}: {first}{offered.reasons[0].fact}."
        arguments = {"service": name, "to": to.digest}
        return NextStep(NextKind.ROLLBACK, "rollback", arguments, "r", f"roll back to {to.version}", message)
    back = [each for each in releases.rollback.candidates if each.against]
    nearest = max(back, key=lambda each: each.release.order, default=None)
    why = f" {nearest.release.version}: {'; '.join(r.fact for r in nearest.against)}." if nearest is not None else ""
    return hand("no way back", f"No release of {name} is safe to go back to.{why} {releases.rollback.forward}.")


def _of_all(verdict: ServiceVerdict, bad: ReleaseTraffic) -> str:
    """The service's own figure, where that of its release is another one: what is judged is the service."""
    whole = verdict.traffic.error_ratio if verdict.traffic is not None else None
    if whole is None or percent(whole) == percent(bad.error_ratio or 0.0):
        return ""
    return f", {percent(whole)} of all"


def _bad_release(service: Service, verdict: ServiceVerdict) -> ReleaseTraffic | None:
    """The release with the most errors above the limit, by its own figures."""
    releases = verdict.traffic.releases if verdict.traffic is not None else ()
    bad = [
        r for r in releases if r.error_ratio is not None and r.rate and r.error_ratio > service.objectives.error_ratio
    ]
    return max(bad, key=lambda r: (r.error_ratio or 0.0) * (r.rate or 0.0), default=None)


def _other_colour(service: Service, bad: str, world: World, now_mono: float) -> str:
    """Another colour with enough servers up on every balancer of the service, by fresh readings."""
    assert service.traffic is not None
    colours, enough = service.traffic.colours, max(1, service.traffic.floor)
    able = [name for name in colours if name != bad]
    for balancer in service.traffic.balancers:
        reading = world.fresh(f"balancer:{balancer}", BalancerReading, now_mono)
        if reading is None:
            return ""
        up = [s.name for s in reading.of(service.traffic.backend) if s.up and not s.maintenance]
        able = [name for name in able if len(members(colours, name, up)) >= enough]
    return able[0] if able else ""


def own_message(findings: tuple[ServiceFinding, ...]) -> str:
    """The findings about the service itself in one line."""
    return "; ".join(f.message for f in findings if f.message)
