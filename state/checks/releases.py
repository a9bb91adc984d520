"""Checks on releases: one still fits what is there, and every instance with traffic runs it; which schema is there, and
whether its migrations can be undone under what serves."""

from __future__ import annotations

from collections.abc import Mapping

from state.checks.model import Answer, CheckArgs, CheckKind, answered, unknown
from state.config_files.suggestions import not_found
from state.estate.model import Estate, Name
from state.health import Health
from state.verdicts.instances import service_truth
from state.verdicts.own_checks import own_verdict
from state.verdicts.rollback import held_against, schema_reasons
from state.verdicts.schema_undo import sharing
from state.world.release_parts import Release, is_digest, schema_key, short_digest
from state.world.world import World


class Fits(CheckArgs):
    """A release as it was recorded: its range of schemas, the markers of later releases, and the checks it needs."""

    service: Name
    version: str
    schema_min: str = ""
    schema_max: str = ""
    until: tuple[str, ...] = ()
    needs: tuple[Name, ...] = ()


class Running(CheckArgs):
    """A service, and the digest that it should run."""

    service: Name
    digest: str


class SchemaAt(CheckArgs):
    """A service, and the version at which its schema should be."""

    service: Name
    version: str


class Undoable(CheckArgs):
    """The version of a service's schema that should be there, and, of each service on it, the digests that run on the
    older one `version` as well."""

    service: Name
    now: str
    version: str
    running: Mapping[Name, tuple[str, ...]]


def fits(args: Fits, world: World, estate: Estate, now_mono: float) -> Answer:
    """The schema is in its range and past no marker, and what it needs passes. Raises NotFound for an unknown name."""
    schema = service_truth(estate, _known(estate, args.service), world, now_mono, ()).schema
    release = Release(args.service, "", args.version, args.schema_min, args.schema_max)
    later = tuple(Release(args.service, "", "a later release", reversible_until=each) for each in args.until)
    checks = {name: own_verdict(name, world, now_mono) for name in args.needs if name in estate.checks}
    reasons = (*schema_reasons(release, schema), *held_against(later, schema, args.needs, checks))
    facts = [each.fact for each in reasons] or [f"{args.service}: no schema and no check is held against it"]
    healths = {each.health for each in reasons}
    if Health.FAIL not in healths and healths - {Health.PASS}:
        return unknown(*facts)
    return answered(Health.FAIL not in healths, *facts)


def running(args: Running, world: World, estate: Estate, now_mono: float) -> Answer:
    """Every instance with traffic says, past caches, that it runs the digest. Raises NotFound for an unknown name."""
    truth = service_truth(estate, _known(estate, args.service), world, now_mono, ())
    others = [each for each in truth.instances if each.carries and each.digest and each.digest != args.digest]
    if others:
        return answered(False, *(f"{each.name} runs {short_digest(each.digest)}" for each in others[:3]))
    if truth.blind:
        return unknown(*truth.blind[:3])
    if not is_digest(args.digest) or args.digest not in truth.running:
        return unknown(f"{args.service}: nothing carries its traffic")
    count = sum(each.carries for each in truth.instances)
    return answered(True, f"{count} instances with traffic run {short_digest(args.digest)}")


def at_version(args: SchemaAt, world: World, estate: Estate, now_mono: float) -> Answer:
    """The schema reads this version, by a fresh reading. Raises NotFound for an unknown name."""
    schema = service_truth(estate, _known(estate, args.service), world, now_mono, ()).schema
    now = schema_key(schema.version)
    if now is None:
        return unknown(f"which schema is there is not known: {schema.why}")
    return answered(now == schema_key(args.version), f"{args.service}: schema {schema.version} is there")


def undoable(args: Undoable, world: World, estate: Estate, now_mono: float) -> Answer:
    """The schema reads `now`, and everything that serves on it is known to run on `version`. Raises NotFound for an
    unknown name."""
    there = at_version(SchemaAt(service=args.service, version=args.now), world, estate, now_mono)
    if there.health is not Health.PASS:
        return there
    for name in (args.service, *sharing(estate, args.service)):
        truth = service_truth(estate, name, world, now_mono, ())
        other = next((digest for digest in truth.running if digest not in args.running.get(name, ())), "")
        if other:
            return answered(False, f"{name}: nothing says that {short_digest(other)} runs on schema {args.version}")
        if truth.blind or not truth.running:
            return unknown(f"{name}: {truth.blind[0] if truth.blind else 'nothing carries its traffic'}")
    return answered(True, *there.evidence, f"what serves runs on schema {args.version}")


def _known(estate: Estate, service: str) -> str:
    if service not in estate.services:
        raise not_found("service", service, estate.services)
    return service


KINDS = (
    CheckKind("release.fits", "a release fits the schema and what it needs", Fits, fits),
    CheckKind("release.running", "every instance with traffic runs a release", Running, running),
    CheckKind("schema.at", "the schema of a service is at a version", SchemaAt, at_version),
    CheckKind("schema.undoable", "what serves on a schema runs on an older one", Undoable, undoable),
)
