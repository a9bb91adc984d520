"""Checks on releases: one still fits what is there, and every instance with traffic runs it."""

from __future__ import annotations

from state.checks.model import Answer, CheckArgs, CheckKind, answered, unknown
from state.config_files.suggestions import not_found
from state.estate.model import Estate, Name
from state.health import Health
from state.verdicts.instances import service_truth
from state.verdicts.own_checks import own_verdict
from state.verdicts.rollback import held_against
from state.world.release_parts import Release, is_digest, short_digest
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


def fits(args: Fits, world: World, estate: Estate, now_mono: float) -> Answer:
    """The schema is in its range and past no marker, and what it needs passes. Raises NotFound for an unknown name."""
    schema = service_truth(estate, _known(estate, args.service), world, now_mono, ()).schema
    release = Release(args.service, "", args.version, args.schema_min, args.schema_max)
    later = tuple(Release(args.service, "", "a later release", reversible_until=each) for each in args.until)
    checks = {name: own_verdict(name, world, now_mono) for name in args.needs if name in estate.checks}
    reasons = held_against(release, later, schema, args.needs, checks)
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


def _known(estate: Estate, service: str) -> str:
    if service not in estate.services:
        raise not_found("service", service, estate.services)
    return service


KINDS = (
    CheckKind("release.fits", "a release fits the schema and what it needs", Fits, fits),
    CheckKind("release.running", "every instance with traffic runs a release", Running, running),
)
