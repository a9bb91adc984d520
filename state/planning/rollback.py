"""A roll-back as a plan: one card for all balancers, each flip proven before the next, the end proven by the instances
themselves and by the service's figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from state.api.card import Diff, Rule
from state.api.requests import PlanRollback
from state.api.views.releases import ReasonKind, ReleaseStanding, Way
from state.changes.registry import change_kind
from state.config_files.suggestions import not_found
from state.errors import Refused
from state.estate.model import Estate, Service
from state.estate.releases import DIGEST_PARAM
from state.health import Health
from state.planning.plan import Draft
from state.planning.release_fits import FLIP, ROUTE, SHARE, UNDOERS
from state.runs.steps import PlannedStep
from state.verdicts.releases import ReleasesVerdict
from state.verdicts.rollback import TURNS, WayBack
from state.verdicts.schema_undo import run_on, undo_args, undo_spec
from state.world.release_parts import LEAVES, Release, is_digest

RULES: Mapping[ReasonKind, str] = {
    ReasonKind.SCHEMA: "release-schema",
    ReasonKind.UNDO: "release-undo",
    ReasonKind.MARKER: "release-marker",
    ReasonKind.BLOCKER: "release-blocker",
    ReasonKind.NEED: "release-need",
    ReasonKind.RUNS: "release-runs",
    ReasonKind.NOW: "release-now",
    ReasonKind.LEFT: "release-left",
}
"""The rule that a reason is told under."""
COMMAND = "command.run"
RAMP = (5, 25, 50, 100)
"""The shares of a ramp in percent, as in the runbook of that name."""
NO_SHARES: Mapping[Way, str] = {Way.MAP: "by the entry of a map", Way.REDEPLOY: "by a deployment"}
"""The ways on which no share of the traffic can be given."""


def rollback_draft(request: PlanRollback, estate: Estate, verdicts: Mapping[str, ReleasesVerdict]) -> Draft:
    """The plan for a return to a release, the best one where none is named. Raises NotFound, and Refused with the
    reasons and the way forward where it is not offered."""
    name = request.service
    if name not in estate.services:
        raise not_found("service", name, estate.services)
    verdict = verdicts.get(name)
    if verdict is None or not verdict.rollback.candidates:
        way_out = f"Let the pipeline record its releases: recovery release record {name} --digest … --version …"
        raise Refused("release-recorded", f"no release of {name} is recorded", way_out)
    chosen = _chosen(name, request.to, verdict)
    if request.ramp and chosen.way is not Way.FLIP:
        fact = f"{name} goes back to {chosen.release.label} {NO_SHARES[chosen.way]}: all of it at once"
        raise Refused("ramp", fact, "Roll it back without a ramp")
    service, release = estate.services[name], chosen.release
    rules = [
        Rule(RULES[reason.kind], reason.health is Health.PASS, reason.fact, subject=f"{name} {release.version}")
        for reason in chosen.reasons
    ]
    steps = tuple(_numbered(_steps(name, service, chosen, verdict, estate, ramp=request.ramp)))
    asked = replace(request, to=release.digest)
    title = f"Roll {name} back to {release.label}" + (" by a ramp" if request.ramp else "")
    now, to = verdict.truth.schema.version, chosen.schema_to
    diffs = (Diff(f"schema of {name}", now, to),) if to else ()
    title += f" after schema {now} → {to}" if to else ""
    noted, told = {LEAVES: list(verdict.truth.running)}, tuple(rules)
    return Draft(title, steps, service=name, budget=service.rto, request=asked, rules=told, diffs=diffs, noted=noted)


def _chosen(name: str, to: str, verdict: ReleasesVerdict) -> WayBack:
    """The release to go back to. Raises Refused."""
    best = verdict.offered
    if not to:
        if best is None:
            raise _nothing(name, verdict)
        return best
    if not is_digest(to):
        fact = f"{to[:60]} names no artifact for ever: a tag may be another one tomorrow"
        raise Refused("digest", fact, f"Name the digest, sha256:…; recovery release list {name} has them")
    chosen = verdict.rollback.of(to)
    if chosen is None:
        way_out = f"Choose one that is: recovery release list {name}"
        raise Refused("release-recorded", f"no release of {name} with this digest is recorded", way_out)
    if chosen.standing is ReleaseStanding.SERVES:
        raise Refused("release-older", f"{chosen.release.label} serves {name} now", "Choose an older release")
    if chosen.standing is ReleaseStanding.NEWER:
        way_out = "Deploy it with the pipeline, or flip to its colour on Traffic"
        raise Refused("release-older", f"{chosen.release.label} is newer than what serves {name}", way_out)
    if chosen.standing is not ReleaseStanding.OFFERED:
        raise _not_safe(name, chosen, verdict)
    return chosen


def _not_safe(name: str, chosen: WayBack, verdict: ReleasesVerdict) -> Refused:
    best = verdict.offered
    way_out = verdict.rollback.forward or (f"Go back to {best.release.label} instead" if best is not None else "")
    facts = "; ".join(reason.fact for reason in chosen.against)
    return Refused(RULES[chosen.against[0].kind], f"{name} cannot go back to {chosen.release.label}: {facts}", way_out)


def _nothing(name: str, verdict: ReleasesVerdict) -> Refused:
    """No release is offered: why not the nearest one, and what is left."""
    back = [each for each in verdict.rollback.candidates if each.against]
    if back:
        return _not_safe(name, max(back, key=lambda each: each.release.order), verdict)
    return Refused("release-older", f"no release of {name} is older than what serves", verdict.rollback.forward)


def _steps(
    name: str, service: Service, chosen: WayBack, verdict: ReleasesVerdict, estate: Estate, *, ramp: bool
) -> Iterator[PlannedStep]:
    """First that it still fits, by readings of that moment, where migrations are undone after them; then each balancer;
    then the proof."""
    release = chosen.release
    if chosen.schema_to:
        yield from _schema_first(name, chosen, verdict, estate)
    fits = {
        "service": name,
        "version": release.version,
        "schema_min": release.schema_min,
        "schema_max": release.schema_max,
        "until": _markers(release, verdict),
        "needs": list(dict.fromkeys((*(service.releases.needs if service.releases else ()), *release.needs))),
    }
    title = f"{release.version} fits the schema that is there"
    yield _check("fits", "release.fits", fits, title, 20.0, "stop")
    if chosen.way in TURNS:
        assert service.traffic is not None, "a colour is one of a backend"
        gate = _check("", "release.fits", fits, title, 20.0, "undo")
        if ramp:
            yield from _ramp(service.traffic.backend, chosen.to, release.version, gate)
        elif chosen.way is Way.FLIP:
            yield from _flips(service.traffic.backend, chosen.to, release.version, gate)
        else:
            yield from _routes(name, chosen.to, release.version, gate)
    else:
        entry = service.releases
        assert entry is not None, "there is a way"
        assert entry.redeploy is not None, "it is to deploy it again"
        params = estate.commands[entry.redeploy].params
        known = {DIGEST_PARAM: release.digest, "service": name}
        args = {"command": entry.redeploy, "args": {key: value for key, value in known.items() if key in params}}
        timeout = estate.commands[entry.redeploy].timeout
        yield _change("deploy", COMMAND, args, f"Deploy {release.label} again", timeout, "pause")
    running = {"service": name, "digest": release.digest}
    title = f"Every instance with traffic runs {release.version}, by its own word"
    yield _check("runs", "release.running", running, title, 60.0, "pause", samples=3)
    title = f"{name} is within its objectives, ten times in a row"
    healthy = _check("healthy", "service.healthy", {"service": name}, title, 120.0, "pause", samples=10, every=2.0)
    yield healthy
    yield _check("still-fits", "release.fits", fits, f"{release.version} still fits the schema", 20.0, "pause")


def _schema_first(name: str, chosen: WayBack, verdict: ReleasesVerdict, estate: Estate) -> Iterator[PlannedStep]:
    """What serves runs on the older schema too, then the migrations are undone, then it reads that version. The traffic
    moves after all three; where one is not as wanted, the run stands before it."""
    spec, ways, version = undo_spec(estate, name), verdict.undoing, chosen.schema_to
    assert spec is not None, "a way back over an older schema has what undoes migrations"
    assert ways is not None, "and the services on it"
    now = verdict.truth.schema.version
    args = {"service": name, "now": now, "version": version, "running": run_on(ways, version)}
    title = f"The schema is at {now}, and what serves runs on {version} too"
    yield _check("undoable", "schema.undoable", args, title, 20.0, "stop")
    what, undoer, _ = spec
    kind = UNDOERS[what]
    change = {what: undoer, "args": undo_args(estate, name, now, version)}
    yield _change("schema", kind, change, f"Undo the schema of {name} from {now} to {version}", 0.0, "pause")
    at = {"service": name, "version": version}
    yield _check("schema-at", "schema.at", at, f"The schema of {name} is at {version}", 30.0, "pause", samples=2)


def _flips(backend: str, to: Mapping[str, str], version: str, gate: PlannedStep) -> Iterator[PlannedStep]:
    """One balancer after the other, each proven before the next, which waits until the release still fits."""
    for index, (balancer, colour) in enumerate(to.items()):
        if index:
            yield replace(gate, id=f"{balancer}.fits")
        place = {"balancer": balancer, "backend": backend}
        flip = {**place, "to": colour}
        yield _change(f"{balancer}.flip", FLIP, flip, f"Flip {balancer} to {colour} ({version})", 30.0, "undo")
        active = {**place, "server": colour}
        title = f"{balancer} serves from {colour} alone"
        yield _check(f"{balancer}.active", "backend.active", active, title, 20.0, "undo", samples=3)


def _routes(service: str, to: Mapping[str, str], version: str, gate: PlannedStep) -> Iterator[PlannedStep]:
    """The entry of the map at one balancer after the other; each is read back in the map and by a look-up, and the
    release must still fit before the next."""
    for index, (balancer, colour) in enumerate(to.items()):
        if index:
            yield replace(gate, id=f"{balancer}.fits")
        route = {"balancer": balancer, "service": service, "to": colour}
        yield _change(f"{balancer}.route", ROUTE, route, f"Lead {balancer} to {colour} ({version})", 30.0, "undo")


def _ramp(backend: str, to: Mapping[str, str], version: str, gate: PlannedStep) -> Iterator[PlannedStep]:
    """More and more at every balancer. What the service's figures say is no gate: the release that is left makes them.
    Between two shares the next one waits until the colour gets the requests of this one, as counted at the servers
    (without requests a person decides), and the release must still fit; where it does not, all is taken back."""
    for percent in RAMP:
        if percent != RAMP[0]:
            yield replace(gate, id=f"fits-{percent}")
        for balancer, colour in to.items():
            share = {"balancer": balancer, "backend": backend, "to": colour, "percent": percent}
            title = f"Give {colour} ({version}) {percent}% of {balancer}"
            yield _change(f"{balancer}.share-{percent}", SHARE, share, title, 30.0, "undo")
            title = f"{colour} gets {percent}% of {balancer}, as counted at the servers"
            yield _check(f"{balancer}.got-{percent}", SHARE, share, title, 60.0, "pause", samples=3)


def _markers(release: Release, verdict: ReleasesVerdict) -> list[str]:
    """The markers of later releases that were held against it."""
    known = [each.release for each in verdict.rollback.candidates]
    now = {each.order for each in known if each.digest in verdict.truth.running}
    last = max(now, default=0) if now and not verdict.truth.blind else max(each.order for each in known)
    later = [each for each in known if release.order < each.order <= last]
    return [each.reversible_until for each in later if each.reversible_until]


def _check(
    step: str,
    kind: str,
    args: Mapping[str, Any],
    title: str,
    timeout: float,
    on_failure: str,
    *,
    samples: int = 1,
    every: float = 1.0,
) -> PlannedStep:
    return PlannedStep(
        step, 0, "check", title, timeout, kind, dict(args), "responder", on_failure, samples=samples, every=every
    )


def _change(step: str, kind: str, args: Mapping[str, Any], title: str, timeout: float, on_failure: str) -> PlannedStep:
    risk = change_kind(kind).risk.value
    return PlannedStep(step, 0, "change", title, timeout, kind, dict(args), "responder", on_failure, risk=risk)


def _numbered(steps: Iterator[PlannedStep]) -> Iterator[PlannedStep]:
    for index, step in enumerate(steps):
        yield replace(step, index=index)
