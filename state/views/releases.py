"""Screen 5: the instances of every service with releases, its ledger, and to which release it can go back."""

from __future__ import annotations

from collections.abc import Iterator

from state.api.views.causes import NextKind, NextStep
from state.api.views.releases import InstanceRow, ReleaseRow, ReleaseServiceRow, ReleaseStanding, ReleasesView
from state.health import Health
from state.verdicts.evidence import rank
from state.verdicts.instances import Instance
from state.verdicts.releases import ReleasesVerdict
from state.verdicts.rollback import WayBack
from state.views.context import Alarm, Contribution, ViewContext

GOES_BACK = (ReleaseStanding.OFFERED, ReleaseStanding.UNKNOWN, ReleaseStanding.BLOCKED)


def build(context: ViewContext) -> ReleasesView:
    """Build the view."""
    services: dict[str, ReleaseServiceRow] = {}
    instances: dict[str, InstanceRow] = {}
    releases: dict[str, ReleaseRow] = {}
    place = {each.name: at for at, each in enumerate(context.picture.order)}
    order = sorted(context.releases, key=lambda name: (-rank(context.healths[name]), place[name]))
    for name, verdict in context.releases.items():
        services[name] = _service(name, verdict, order.index(name))
        instances |= {each.key: _instance(each) for each in verdict.truth.instances}
        releases |= {row.key: row for row in _releases(name, verdict)}
    return context.memory.keep("releases", ReleasesView(services, instances, releases))


def contribute(context: ViewContext) -> Contribution:
    """Instances that run what they should not, by their own fresh word."""
    alarms = [
        Alarm(f"{name}: {'; '.join(verdict.truth.drifts[:3])}", _look(name))
        for name, verdict in context.releases.items()
        if verdict.truth.drifts
    ]
    return Contribution(alarms=tuple(alarms))


def _look(service: str) -> NextStep:
    message = (
        f"On Releases, at {service}: which instance runs what, and what was recorded. Nothing is deployed by itself."
    )
    return NextStep(NextKind.PLACE, "releases", {"service": service}, "v", "its releases", message)


def _service(name: str, verdict: ReleasesVerdict, order: int) -> ReleaseServiceRow:
    truth, offered = verdict.truth, verdict.offered
    return ReleaseServiceRow(
        service=name,
        health=verdict.health,
        message=verdict.said,
        schema=truth.schema.version,
        schema_why=truth.schema.why,
        schema_read=truth.schema.read,
        running=verdict.running,
        drifts=truth.drifts,
        offered=offered.release.digest if offered is not None else "",
        forward=verdict.rollback.forward,
        order=order,
        sources=truth.sources,
    )


def _instance(each: Instance) -> InstanceRow:
    release, said = each.release, each.said
    health = Health.FAIL if each.drift else Health.UNKNOWN if each.doubt else Health.PASS
    return InstanceRow(
        key=each.key,
        service=each.service,
        instance=each.name,
        site=each.site,
        server=each.server,
        colour=each.colour,
        digest=each.digest,
        version=each.version,
        schema_min=release.schema_min if release is not None else "",
        schema_max=release.schema_max if release is not None else "",
        fits=each.fits,
        state=", ".join(dict.fromkeys(at.word for at in each.places)) or "at no balancer",
        share=each.share,
        started_at=said.started_at if said is not None else None,
        health=health,
        doubt=each.doubt,
        drift=each.drift,
        sources=each.sources,
    )


def _releases(name: str, verdict: ReleasesVerdict) -> Iterator[ReleaseRow]:
    place = 0
    for each in verdict.rollback.candidates:
        back = each.standing in GOES_BACK
        place += back
        yield _release(name, each, place if back else 0, verdict)


def _release(name: str, each: WayBack, place: int, verdict: ReleasesVerdict) -> ReleaseRow:
    release = each.release
    return ReleaseRow(
        key=f"{name}/{release.digest}",
        service=name,
        digest=release.digest,
        version=release.version,
        commit=release.commit,
        change=release.change,
        schema_min=release.schema_min,
        schema_max=release.schema_max,
        reversible_until=release.reversible_until,
        recorded_at=release.at,
        actor=release.actor,
        standing=each.standing,
        way=each.way,
        place=place,
        fits=each.fits,
        reasons=each.reasons,
        sources=verdict.truth.sources,
        schema_now=verdict.truth.schema.version if each.schema_to else "",
        schema_to=each.schema_to,
    )
