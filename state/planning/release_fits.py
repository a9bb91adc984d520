"""Whether what would get more traffic fits what is there, whoever asked for it and whatever way it is led there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from state.api.card import CardWarning, Rule, WarningKind
from state.api.views.releases import ReasonKind
from state.changes.safety import effects_of
from state.estate.model import Estate, ServiceTrafficEntry
from state.health import Health
from state.planning.plan import Seen
from state.verdicts.instances import Instance
from state.verdicts.releases import ReleasesVerdict
from state.verdicts.traffic import after_effect, shares

FITS = "release-fits"
KINDS = (ReasonKind.SCHEMA, ReasonKind.MARKER, ReasonKind.BLOCKER, ReasonKind.NEED)
"""What holds against a release whoever sends its traffic there, and how."""
FLIP, SHARE, ROUTE = "backend.flip", "backend.share", "backend.route"
GROUPS = (FLIP, ROUTE, SHARE, "backend.weights", "backend.leave-site")
"""Changes that lead traffic to a group. What sets one server by hand is told on the card and not refused."""
MORE = 0.002
"""By less a share is not more: it is what whole weights leave."""

Verdicts = Mapping[str, ReleasesVerdict]


def fits_rules(seen: Sequence[Seen], estate: Estate, verdicts: Verdicts) -> tuple[Rule, ...]:
    """Of each change that leads traffic to a group whether what takes it fits the schema and goes with what it
    needs."""
    return tuple(rule for one in seen if one.change.spec.kind in GROUPS for rule in _rules(one, estate, verdicts))


def fits_warnings(seen: Sequence[Seen], estate: Estate, verdicts: Verdicts) -> tuple[CardWarning, ...]:
    """The same of changes of one server, where it does not fit."""
    return tuple(
        CardWarning(WarningKind.EFFECT, rule.subject, f"{one.change.name} would have more traffic: {rule.fact}")
        for one in seen
        if one.change.spec.kind not in GROUPS
        for rule in _rules(one, estate, verdicts)
        if not rule.passed
    )


def _rules(one: Seen, estate: Estate, verdicts: Verdicts) -> Iterator[Rule]:
    for name, verdict in verdicts.items():
        traffic = estate.services[name].traffic
        led = _led(one, name, traffic, verdict) if traffic is not None and not one.preview.already else ()
        found = [(each, _against(each, verdict)) for each in led]
        wrong = next(((each, fact) for each, fact in found if fact), None)
        if wrong is not None:
            way_out = verdict.rollback.forward or f"Go back by its release: recovery rollback {name}"
            yield Rule(FITS, False, wrong[1] or "", way_out, subject=f"{name} {wrong[0].version}")
        elif found and all(fact == "" and each.fits is Health.PASS for each, fact in found):
            version = found[0][0].version
            yield Rule(FITS, True, f"{version} fits the schema that is there", subject=f"{name} {version}")


def _against(each: Instance, verdict: ReleasesVerdict) -> str | None:
    """What fails of an instance's release; None where its release is not known."""
    judged = verdict.rollback.of(each.digest)
    if judged is None:
        return None
    wrong = [r.fact for r in judged.against if r.kind in KINDS and r.health is Health.FAIL]
    if judged.fits is Health.FAIL:
        wrong = wrong or [f"{judged.release.version} does not run on schema {verdict.truth.schema.version}"]
    return "; ".join(wrong)


def _led(one: Seen, service: str, traffic: ServiceTrafficEntry, verdict: ReleasesVerdict) -> list[Instance]:
    """The instances of a service that would have more traffic than now."""
    spec, instances = one.change.spec, verdict.truth.instances
    balancer, to = str(spec.args.get("balancer")), str(spec.args.get("to"))
    if balancer not in traffic.balancers:
        return []
    if spec.kind == ROUTE:
        return [each for each in instances if each.colour == to] if spec.args.get("service") == service else []
    if spec.args.get("backend") != traffic.backend:
        return []
    names = _gaining(one, balancer, traffic, instances)
    if spec.kind == FLIP:
        names |= {each.server for each in instances if to in (each.colour, each.server)}
    return [each for each in instances if each.server in names and any(at.balancer == balancer for at in each.places)]


def _gaining(one: Seen, balancer: str, traffic: ServiceTrafficEntry, instances: Sequence[Instance]) -> set[str]:
    """The servers of a balancer whose share of new traffic grows."""
    here = {at.server.name: at.server for e in instances for at in e.places if at.balancer == balancer and at.server}
    effects = effects_of(one.preview.leaves, balancer, traffic.backend)
    after = [after_effect(each, effects[name]) if name in effects else each for name, each in here.items()]
    now, then = shares(list(here.values()), traffic.backups), shares(after, traffic.backups)
    return {name for name in here if then[name] > now[name] + MORE}
