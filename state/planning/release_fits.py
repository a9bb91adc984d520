"""Whether what would get more traffic fits what is there, whoever asked for it and whatever way it is led there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from state.api.card import CardWarning, Rule, WarningKind
from state.api.views.releases import ReasonKind
from state.changes.safety import effects_of
from state.estate.model import Estate, ServiceTrafficEntry
from state.estate.releases import SERVICE_PARAM, VERSION_PARAM
from state.health import Health
from state.planning.plan import Seen
from state.verdicts.instances import Instance, SchemaFinding, fit
from state.verdicts.releases import ReleasesVerdict
from state.verdicts.schema_undo import against_move, sharing, undo_spec
from state.verdicts.traffic import after_effect, shares
from state.world.release_parts import schema_key

FITS = "release-fits"
KINDS = (ReasonKind.SCHEMA, ReasonKind.MARKER, ReasonKind.BLOCKER, ReasonKind.NEED)
"""What holds against a release whoever sends its traffic there, and how."""
FLIP, SHARE, ROUTE = "backend.flip", "backend.share", "backend.route"
GROUPS = (FLIP, ROUTE, SHARE, "backend.weights", "backend.leave-site")
"""Changes that lead traffic to a group. What sets one server by hand is told on the card and not refused."""
UNDOERS: Mapping[str, str] = {"command": "command.run", "call": "http.call", "statement": "sql.call"}
"""The kind of change that undoes migrations, by what the estate names for it."""
MORE = 0.002
"""By less a share is not more: it is what whole weights leave."""

Verdicts = Mapping[str, ReleasesVerdict]


def fits_rules(seen: Sequence[Seen], estate: Estate, verdicts: Verdicts) -> tuple[Rule, ...]:
    """Of each change that leads traffic to a group whether what takes it fits the schema and goes with what it needs;
    of each by which the estate moves a schema whether what serves runs on the version that it leaves. That one counts
    for what follows; what serves after traffic has moved is not judged again."""
    found: list[Rule] = []
    at: dict[str, str] = {}
    led = False
    for one in seen:
        for name, version in schemas_left(one, estate, verdicts).items():
            found += () if led else _of_schema(name, version, verdicts[name])
            at |= dict.fromkeys((name, *sharing(estate, name)), version)
        if one.change.spec.kind in GROUPS:
            found += _rules(one, estate, verdicts, at)
            led = True
    return tuple(dict.fromkeys(found))


def fits_warnings(seen: Sequence[Seen], estate: Estate, verdicts: Verdicts) -> tuple[CardWarning, ...]:
    """The same of changes of one server, where it does not fit."""
    return tuple(
        CardWarning(WarningKind.EFFECT, rule.subject, f"{one.change.name} would have more traffic: {rule.fact}")
        for one in seen
        if one.change.spec.kind not in GROUPS
        for rule in _rules(one, estate, verdicts, {})
        if not rule.passed
    )


def schemas_left(one: Seen, estate: Estate, verdicts: Verdicts) -> dict[str, str]:
    """The services whose schema a change moves, as the estate says of it, each with the version that it leaves. What
    undoes migrations may be what applies them, too."""
    spec = one.change.spec
    found: dict[str, str] = {}
    for name in verdicts:
        undo = undo_spec(estate, name)
        if undo is None or one.preview.already or spec.kind != UNDOERS[undo[0]] or spec.args.get(undo[0]) != undo[1]:
            continue
        values = spec.args.get("args", {})
        version, service = str(values.get(VERSION_PARAM, "")), str(values.get(SERVICE_PARAM, name))
        if schema_key(version) is not None and service in (name, *sharing(estate, name)):
            found[name] = version
    return found


def _of_schema(name: str, version: str, verdict: ReleasesVerdict) -> Iterator[Rule]:
    assert verdict.undoing is not None, "the estate says what moves it"
    health, fact = against_move(verdict.truth.schema, version, verdict.undoing)
    if health is Health.FAIL:
        way_out = verdict.rollback.forward or f"Go back by its release: recovery rollback {name}"
        yield Rule(FITS, False, fact, way_out, subject=name)
    elif health is Health.PASS:
        yield Rule(FITS, True, fact, subject=name)


def _rules(one: Seen, estate: Estate, verdicts: Verdicts, at: Mapping[str, str]) -> Iterator[Rule]:
    """`at` has the schemas that earlier changes of the plan leave."""
    for name, verdict in verdicts.items():
        traffic = estate.services[name].traffic
        led = _led(one, name, traffic, verdict) if traffic is not None and not one.preview.already else ()
        version = at.get(name, "")
        found = [(each, _against(each, verdict, version), _fits(each, version)) for each in led]
        wrong = next(((each, fact) for each, fact, _ in found if fact), None)
        if wrong is not None:
            way_out = verdict.rollback.forward or f"Go back by its release: recovery rollback {name}"
            yield Rule(FITS, False, wrong[1] or "", way_out, subject=f"{name} {wrong[0].version}")
        elif found and all(fact == "" and fits is Health.PASS for _, fact, fits in found):
            release, on = found[0][0].version, f"schema {version}" if version else "the schema that is there"
            yield Rule(FITS, True, f"{release} fits {on}", subject=f"{name} {release}")


def _fits(each: Instance, version: str) -> Health:
    """Whether an instance's release runs on the schema that is there, or on another version."""
    if not version:
        return each.fits
    return fit(each.release, SchemaFinding(version, "", True)) if each.release is not None else Health.UNKNOWN


def _against(each: Instance, verdict: ReleasesVerdict, version: str) -> str | None:
    """What fails of an instance's release; None where its release is not known."""
    judged = verdict.rollback.of(each.digest)
    if judged is None:
        return None
    wrong = [r.fact for r in judged.against if r.kind in KINDS and r.health is Health.FAIL]
    if _fits(each, version) is Health.FAIL:
        wrong = wrong or [f"{judged.release.version} does not run on schema {version or verdict.truth.schema.version}"]
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
