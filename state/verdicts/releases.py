"""The verdict on every service's releases at one instant: what runs, what should not, where it could go back to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from state.api.views.releases import Way
from state.estate.model import Estate, ServiceTrafficEntry
from state.health import Health
from state.verdicts.evidence import no_data_reason, worst
from state.verdicts.instances import AtBalancer, Instance, ServiceTruth, asked
from state.verdicts.own_checks import own_verdict
from state.verdicts.rollback import RollbackFacts, RollbackVerdict, Warm, WayBack, rollback_verdict
from state.verdicts.routing import routed
from state.verdicts.schema_undo import SchemaUndoing, undoing
from state.verdicts.traffic import reason_word, state_word
from state.world.balancer_parts import BalancerReading
from state.world.release_parts import Release, short_digest
from state.world.world import World

NAMED = 3
"""So many servers or digests are named."""


@dataclass(frozen=True, slots=True)
class ReleasesVerdict:
    """What a service runs and where it could go back to; `said` is the short verdict in words. `undoing` is what undoes
    migrations of its schema."""

    truth: ServiceTruth
    rollback: RollbackVerdict
    health: Health
    said: str
    running: str
    undoing: SchemaUndoing | None = None

    @property
    def offered(self) -> WayBack | None:
        """The release to go back to."""
        return self.rollback.offered


def has_releases(estate: Estate, name: str, released: Mapping[str, Sequence[Release]]) -> bool:
    """Whether anything is known or said of a service's releases."""
    return estate.services[name].releases is not None or bool(released.get(name)) or bool(asked(estate, name))


def releases_verdict(
    estate: Estate,
    name: str,
    world: World,
    now_mono: float,
    released: Mapping[str, tuple[Release, ...]],
    truths: Mapping[str, ServiceTruth],
) -> ReleasesVerdict:
    """The verdict on one service, by fresh readings; `released` are the releases that were recorded of each, `truths`
    what each runs."""
    releases, truth = released.get(name, ()), truths[name]
    back = undoing(estate, name, truths, released)
    entry = estate.services[name].releases
    needs = entry.needs if entry is not None else ()
    names = {*needs, *(need for each in releases for need in each.needs)}
    traffic = estate.services[name].traffic
    facts = RollbackFacts(
        releases=releases,
        running=truth.running,
        blind=truth.blind,
        schema=truth.schema,
        warm={each.digest: warm(each, traffic, truth, world) for each in releases},
        checks={each: own_verdict(each, world, now_mono) for each in names if each in estate.checks},
        needs=needs,
        redeploy=(entry.redeploy or "") if entry is not None else "",
        turn=Way.FLIP if traffic is None or traffic.routes is None else Way.MAP,
        undoing=back,
    )
    rollback = rollback_verdict(facts)
    return ReleasesVerdict(truth, rollback, *_said(truth), _running(truth, releases), back)


def _said(truth: ServiceTruth) -> tuple[Health, str]:
    """What differs from what should be, else what is not known."""
    if truth.drifts:
        more = f" and {len(truth.drifts) - 1} more" if len(truth.drifts) > 1 else ""
        return Health.FAIL, f"{truth.drifts[0]}{more}"
    if truth.blind:
        more = f" and {len(truth.blind) - 1} more" if len(truth.blind) > 1 else ""
        return Health.UNKNOWN, f"{truth.blind[0]}{more}"
    if not truth.running:
        return Health.UNKNOWN, "nothing carries its traffic"
    if truth.schema.read and not truth.schema.version:
        return Health.UNKNOWN, f"its schema is not known: {truth.schema.why}"
    unrecorded = [each for each in truth.instances if each.carries and each.release is None]
    if unrecorded:
        return Health.WARN, "no release is recorded"
    return Health.PASS, f"{len(truth.instances)} instances run what they should"


def _running(truth: ServiceTruth, releases: Sequence[Release]) -> str:
    """The releases that carry traffic."""
    labels = {each.digest: each.label for each in releases}
    told = [labels.get(digest, short_digest(digest)) for digest in truth.running]
    return ", ".join([*told, *(["not known"] if truth.blind else [])]) or "nothing"


def warm(release: Release, traffic: ServiceTrafficEntry | None, truth: ServiceTruth, world: World) -> Warm:
    """Whether at every balancer of the service some colour runs the artifact, is ready, and is enough for its floor."""
    colours = traffic.names_of_colours if traffic is not None else ()
    if traffic is None or not colours:
        return Warm(Health.FAIL, "no colour runs it: the service has none")
    to: dict[str, str] = {}
    found: list[Warm] = []
    for balancer in traffic.balancers:
        here = [(each, at) for each in truth.instances for at in each.places if at.balancer == balancer]
        known = [(each, at) for each, at in here if at.server is not None]
        if not known:
            why = _unknown(balancer, traffic, world)
            found.append(Warm(Health.UNKNOWN, f"{balancer}: {why}"))
            continue
        best = _best([_colour(release, name, balancer, traffic, known) for name in colours])
        found.append(best)
        to |= best.to
    health = worst([each.health for each in found])
    facts = "; ".join(
        dict.fromkeys(each.fact for each in found if health is Health.PASS or each.health is not Health.PASS)
    )
    return Warm(health, facts, to if health is Health.PASS else {})


def _unknown(balancer: str, traffic: ServiceTrafficEntry, world: World) -> str:
    """Why nothing is known of a balancer's servers: no reading, or a map without an answer in it."""
    seen = world.observed.get(f"balancer:{balancer}")
    if seen is not None and seen.error is None and isinstance(seen.value, BalancerReading):
        return routed(traffic, seen.value)[1] or f"no server of {traffic.backend} is known"
    return no_data_reason(seen)


def _best(found: Iterable[Warm | None]) -> Warm:
    """The colour that is ready; else the one that runs it and is not, which says why; else one that may run it."""
    able = [each for each in found if each is not None]
    order = (Health.PASS, Health.FAIL, Health.UNKNOWN)
    return min(able, key=lambda each: order.index(each.health), default=Warm(Health.FAIL, "no colour runs it"))


def _colour(
    release: Release,
    colour: str,
    balancer: str,
    traffic: ServiceTrafficEntry,
    here: Sequence[tuple[Instance, AtBalancer]],
) -> Warm | None:
    """One colour at one balancer; None where it runs something else."""
    members = [(each, at) for each, at in here if each.colour == colour]
    digests = {each.digest for each, _ in members if each.digest}
    told = traffic.colours[colour].release if colour in traffic.colours else ""
    named = told == release.version
    if release.digest not in digests and not (not digests and named):
        unread = bool(members) and not digests and not told
        fact = f"what {colour} at {balancer} runs is not known: {members[0][0].doubt}" if unread else ""
        return Warm(Health.UNKNOWN, fact) if unread else None
    where, ready = f"{colour} at {balancer}", [each for each, at in members if at.ready]
    others = [each for each in ready if each.digest and each.digest != release.digest]
    silent = [each for each in ready if not each.digest]
    enough = max(1, traffic.floor)
    if len(ready) < enough:
        out = [_word(at) for _, at in members if not at.ready][:NAMED]
        fact = f"{where}: {len(ready)} of {len(members)} ready, {enough} needed; {', '.join(out)}"
        return Warm(Health.FAIL, fact.removesuffix("; "))
    if others:
        return Warm(Health.FAIL, f"{where}: {others[0].name} runs {short_digest(others[0].digest)}")
    if silent:
        return Warm(Health.UNKNOWN, f"{where}: what {silent[0].name} runs is not known: {silent[0].doubt}")
    return Warm(Health.PASS, f"{where} runs it, {len(ready)} of {len(members)} ready", {balancer: colour})


def _word(at: AtBalancer) -> str:
    """A server that is not ready, and why."""
    if at.server is None:
        return at.balancer
    word = state_word(at.server) if not at.server.checked or state_word(at.server) != "ready" else "not checked"
    why = reason_word(at.server)
    return f"{at.server.name} {word}" + (f" ({why})" if why else "")
