"""Releases of a made-up estate, for the pictures and tests of their screen."""

from __future__ import annotations

from state.api.views.releases import (
    InstanceRow,
    ReasonKind,
    ReleaseReason,
    ReleaseRow,
    ReleaseServiceRow,
    ReleaseStanding,
    ReleasesView,
    Way,
)
from state.health import Health

V40, V41, V42 = (f"sha256:{each * 64}" for each in "4ab")
RUNS = ReleaseReason(ReasonKind.RUNS, Health.PASS, "blue at edge-east runs it, 1 of 1 ready")
FITS = ReleaseReason(ReasonKind.SCHEMA, Health.PASS, "schema 12 is in its range 11 to 12")
OLD = ReleaseReason(ReasonKind.SCHEMA, Health.FAIL, "schema 12 is not in its range 10 to 11")
COLD = ReleaseReason(ReasonKind.RUNS, Health.FAIL, "no colour runs it")


def release(digest: str, version: str, standing: ReleaseStanding, place: int, *reasons: ReleaseReason) -> ReleaseRow:
    return ReleaseRow(
        key=f"checkout/{digest}", service="checkout", digest=digest, version=version, commit=f"c0ffee{version}",
        change="CHG-4711", schema_min=str(int(version[1:]) - 30), schema_max=str(int(version[1:]) - 29),
        reversible_until="", recorded_at=1_795_400_000.0 + int(version[1:]), actor="ci", standing=standing,
        way=Way.FLIP if standing is ReleaseStanding.OFFERED else Way.NONE, place=place, fits=Health.PASS,
        reasons=reasons, sources=("edge-east",),
    )  # fmt: skip


def instance(name: str, version: str, digest: str, share: float, drift: str = "", doubt: str = "") -> InstanceRow:
    return InstanceRow(
        key=f"checkout/{name}", service="checkout", instance=name, site=name.partition("-")[2],
        server=name.partition("-")[0], colour=name.partition("-")[0], digest="" if doubt else digest, version=version,
        schema_min="11", schema_max="12", fits=Health.PASS, state=f"ready {share:.0%}", share=share,
        started_at=1_795_400_000.0, health=Health.FAIL if drift else Health.UNKNOWN if doubt else Health.PASS,
        doubt=doubt, drift=drift, sources=("edge-east",),
    )  # fmt: skip


def releases(mono: float, wall: float) -> ReleasesView:
    """Green's release is bad, blue's is safe to go back to, one green instance runs another artifact."""
    drift = "v42 names 2 artifacts"
    services = ReleaseServiceRow(
        service="checkout", health=Health.FAIL, message=drift, schema="12", schema_why="", schema_read=True, order=0,
        running=f"v42 {V42[:19]}", drifts=(drift,), offered=V41, forward="", sources=("edge-east",),
    )  # fmt: skip
    instances = [
        instance("blue-east", "v41", V41, 0.0),
        instance("green-east", "v42", V42, 1.0),
        instance("blue-west", "", "", 0.0, doubt="a cache answered (Age: 30)"),
        instance("green-west", "v42", V40, 1.0, drift=drift),
    ]
    known = [
        release(V41, "v41", ReleaseStanding.OFFERED, 1, RUNS, FITS),
        release(V40, "v40", ReleaseStanding.BLOCKED, 2, COLD, OLD),
        release(V42, "v42", ReleaseStanding.SERVES, 0),
    ]
    return ReleasesView({"checkout": services}, {row.key: row for row in instances}, {row.key: row for row in known})
