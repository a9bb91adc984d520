"""`recovery release`: what instances run, which releases are known, and the record that a pipeline makes."""

from __future__ import annotations

import click

from console.cli.groups import Listing
from console.cli.look import SeenView, gather, heading
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import NOTHING, say, say_json, table
from console.release_text import reason_line, schema_span, standing_text, undone_first, whole_digest
from state.api.releases import ReleaseRecord
from state.api.views.releases import InstanceRow, ReleaseRow, ReleaseServiceRow, ReleaseStanding, ReleasesView
from state.api.wire import named
from state.errors import ExitCode, NotFound
from state.health import Health
from state.units import utc_date
from state.world.release_parts import short_digest

INSTANCES = ("VERDICT", "INSTANCE", "COLOUR", "VERSION", "DIGEST", "SCHEMA", "TRAFFIC", "AGE", "WHY")
RELEASES = ("STANDING", "VERSION", "DIGEST", "SCHEMA", "UNTIL", "RECORDED", "BY", "WHY")


@click.group(cls=Listing)
def release() -> None:
    """Releases of services; without a verb: list."""


def _seen(estate: str | None, *, quiet: bool) -> SeenView[ReleasesView]:
    seen: SeenView[ReleasesView] = ask(gather(client_of(estate, quiet=quiet), "releases"))
    return seen


@release.command(name="list")
@click.argument("service", required=False)
@estate_option
@json_option
def list_(estate: str | None = None, service: str | None = None, as_json: bool = False) -> int:
    """What every instance runs, and the known releases, those to go back to first.

    Exit code 1 when an instance runs what it should not, 3 when something is unknown or old.
    """
    seen = _seen(estate, quiet=as_json)
    services = [row for row in seen.view.services.values() if service in (None, row.service)]
    if service is not None and not services:
        raise NotFound(f"no releases of {service}: the estate has no such service, or nothing is said of its releases")
    if as_json:
        say_json(seen.as_json())
    else:
        for line in heading(seen):
            say(line)
        for row in services:
            for line in ["", *_service(row, seen)]:
                say(line)
        if not services:
            say("no service has releases: see docs/releases.md")
    return seen.code([row.health for row in services], [source for row in services for source in row.sources])


def _service(row: ReleaseServiceRow, seen: SeenView[ReleasesView]) -> list[str]:
    schema = row.schema or f"unknown ({row.schema_why})"
    lines = [f"{row.health.value.upper()} {row.service}: {row.message}; runs {row.running}; schema {schema}"]
    if row.forward:
        lines.append(f"  {row.forward}")
    instances = [_instance(each, seen) for each in seen.view.instances.values() if each.service == row.service]
    lines += ["", *table(INSTANCES, instances, right=("AGE",))] if instances else []
    releases = [_release(each) for each in seen.view.releases.values() if each.service == row.service]
    return [*lines, *(["", *table(RELEASES, releases)] if releases else [])]


def _instance(row: InstanceRow, seen: SeenView[ReleasesView]) -> list[str]:
    return [
        row.health.value.upper(),
        row.instance,
        row.colour or NOTHING,
        row.version or NOTHING,
        short_digest(row.digest) or NOTHING,
        schema_span(row.schema_min, row.schema_max) or NOTHING,
        row.state,
        seen.age(row.sources[:1]),
        row.drift or row.doubt,
    ]


def _release(row: ReleaseRow) -> list[str]:
    return [
        standing_text(row),
        row.version,
        short_digest(row.digest),
        schema_span(row.schema_min, row.schema_max) or NOTHING,
        row.reversible_until or NOTHING,
        utc_date(row.recorded_at),
        row.actor,
        undone_first(row) or "; ".join(reason.fact for reason in row.reasons if reason.health is not Health.PASS),
    ]


@release.command()
@click.argument("service")
@click.argument("digest")
@estate_option
@json_option
def show(estate: str | None, service: str, digest: str, as_json: bool) -> int:
    """One release, and everything that is held against a return to it.

    Exit code 0 when it serves or is safe to go back to, 1 when it is not, 3 when that is not known.
    """
    seen = _seen(estate, quiet=as_json)
    row = seen.view.releases.get(f"{service}/{whole_digest(seen.view, service, digest)}")
    if row is None:
        raise NotFound(f"no release of {service} with the digest {digest} is recorded; recovery release list {service}")
    if as_json:
        say_json(named(row))
    else:
        for line in _whole(row):
            say(line)
    if row.standing is ReleaseStanding.BLOCKED:
        return ExitCode.FAILED
    known = row.standing is not ReleaseStanding.UNKNOWN
    return seen.code([Health.PASS if known else Health.UNKNOWN], row.sources)


def _whole(row: ReleaseRow) -> list[str]:
    facts = [
        ("digest", row.digest),
        ("commit", row.commit),
        ("change", row.change),
        ("schema", schema_span(row.schema_min, row.schema_max)),
        ("reversible until schema", row.reversible_until),
        ("recorded", f"{utc_date(row.recorded_at)} by {row.actor}"),
    ]
    head = f"{standing_text(row)} {row.service} {row.version}"
    told = [f"  {name}: {value}" for name, value in facts if value]
    return [head, *told, *(f"  {reason_line(reason)}" for reason in row.reasons)]


@release.command()
@click.argument("service")
@click.option("--digest", required=True, metavar="sha256:HEX", help="The artifact, as its build named it.")
@click.option("--version", required=True, help="What people call it.")
@click.option("--schema-min", default="", metavar="VERSION", help="The oldest schema that it runs on.")
@click.option("--schema-max", default="", metavar="VERSION", help="The newest schema that it runs on.")
@click.option("--commit", default="", help="The commit that it was built from.")
@click.option("--change", default="", help="The change that it belongs to.")
@click.option("--reversible-until", default="", metavar="VERSION", help="The newest schema at which it can be left.")
@click.option("--blocker", multiple=True, metavar="TEXT", help="Why nobody goes back from it; may be repeated.")
@click.option("--needs", multiple=True, metavar="CHECK", help="A check of the estate that it needs; may be repeated.")
@estate_option
@json_option
def record(
    estate: str | None,
    service: str,
    digest: str,
    version: str,
    schema_min: str,
    schema_max: str,
    commit: str,
    change: str,
    reversible_until: str,
    blocker: tuple[str, ...],
    needs: tuple[str, ...],
    as_json: bool,
) -> int:
    """Record a release, as the pipeline that made it. The same again in other words replaces what was said.

    Needs the role pipeline, responder or commander.
    """
    asked = ReleaseRecord(
        service, digest, version, schema_min, schema_max, commit, change, reversible_until, blocker, needs
    )
    accepted = ask(client_of(estate, quiet=as_json, acting=True).record_release(asked))
    if as_json:
        say_json(named(accepted))
    else:
        say(accepted.message)
    return ExitCode.DONE
