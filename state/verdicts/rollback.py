"""To which release a service can go back now, and why not to the others.

Pure: facts in, verdict out. A return is offered only where everything that was held against it is proven; what is not
known is not safe. What serves now and cannot be asked does not stand in the way of its removal: then every later
release counts against the return, as each of them may be what serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from state.api.views.releases import ReasonKind, ReleaseReason, ReleaseStanding, Way
from state.health import Health
from state.units import utc_date
from state.verdicts.instances import SchemaFinding, fit
from state.verdicts.schema_undo import SchemaUndoing, schema_back
from state.world.release_parts import Release, schema_key

EVERY = float("inf")


@dataclass(frozen=True, slots=True)
class Warm:
    """Whether the servers of some colour run an artifact and could take its service's traffic, at every balancer; why,
    and the colour at each of them."""

    health: Health
    fact: str
    to: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RollbackFacts:
    """What a verdict on a service's releases follows from.

    `releases` are those recorded, the oldest first. `running` are the digests that carry traffic, `blind` says what
    carries some and is not known. `warm` is by digest. `checks` have the verdict and words of the estate's own checks;
    `needs` are those that every return needs. `redeploy` is the command that deploys an artifact again. `turn` is how
    traffic gets to another colour. `undoing` is what undoes migrations, None where nothing does.
    """

    releases: tuple[Release, ...]
    running: tuple[str, ...]
    blind: tuple[str, ...]
    schema: SchemaFinding
    warm: Mapping[str, Warm]
    checks: Mapping[str, tuple[Health, str]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    redeploy: str = ""
    turn: Way = Way.FLIP
    undoing: SchemaUndoing | None = None


TURNS = (Way.FLIP, Way.MAP)
"""The ways to a colour that runs the release already."""


@dataclass(frozen=True, slots=True)
class WayBack:
    """One release and its verdict. `to` is the colour at each balancer where the way leads to one. `schema_to` is the
    older schema to which migrations are undone first; empty: none is."""

    release: Release
    standing: ReleaseStanding
    way: Way = Way.NONE
    to: Mapping[str, str] = field(default_factory=dict)
    reasons: tuple[ReleaseReason, ...] = ()
    fits: Health = Health.UNKNOWN
    schema_to: str = ""

    @property
    def against(self) -> tuple[ReleaseReason, ...]:
        """The reasons for which it is not offered, what fails before what is unknown."""
        return tuple(sorted((r for r in self.reasons if r.health is not Health.PASS), key=_fails_first))


@dataclass(frozen=True, slots=True)
class RollbackVerdict:
    """Every release of a service: those to go back to in their order, the best one first, then the others, the newest
    first. `forward` says what is left where none is offered."""

    candidates: tuple[WayBack, ...]
    forward: str

    @property
    def offered(self) -> WayBack | None:
        """The best of those that are safe."""
        return next((each for each in self.candidates if each.standing is ReleaseStanding.OFFERED), None)

    def of(self, digest: str) -> WayBack | None:
        """The verdict on one release."""
        return next((each for each in self.candidates if each.release.digest == digest), None)


def rollback_verdict(facts: RollbackFacts) -> RollbackVerdict:
    """Judge every release."""
    known = {each.digest: each for each in facts.releases}
    serving = [known[digest] for digest in facts.running if digest in known]
    newest = max((each.order for each in serving), default=None)
    open_ended = bool(facts.blind) or any(digest not in known for digest in facts.running) or newest is None
    judged = [_judged(each, facts, newest, open_ended=open_ended) for each in facts.releases]
    ordered = tuple(sorted(judged, key=_place))
    offered = any(each.standing is ReleaseStanding.OFFERED for each in ordered)
    return RollbackVerdict(ordered, "" if offered else forward(facts, serving))


def _judged(release: Release, facts: RollbackFacts, newest: int | None, *, open_ended: bool) -> WayBack:
    fits = fit(release, facts.schema)
    serves = release.digest in facts.running
    if serves and not open_ended and newest is not None and release.order >= newest:
        return WayBack(release, ReleaseStanding.SERVES, fits=fits)
    if newest is not None and release.order > newest:
        return WayBack(release, ReleaseStanding.NEWER, fits=fits)
    until = EVERY if open_ended or newest is None else newest
    later = [each for each in facts.releases if release.order < each.order <= until]
    warm = facts.warm.get(release.digest, Warm(Health.FAIL, "no colour runs it"))
    way, runs = _way(warm, facts, known=newest is not None)
    needs = (*facts.needs, *release.needs)
    back = schema_back(release, later, facts.schema, facts.undoing)
    about = schema_reasons(release, facts.schema) if back is None else back.reasons
    reasons = (runs, *about, *held_against(later, facts.schema, needs, facts.checks), *_left(release))
    found = {each.health for each in reasons}
    standing = ReleaseStanding.OFFERED
    if found != {Health.PASS}:
        standing = ReleaseStanding.BLOCKED if Health.FAIL in found else ReleaseStanding.UNKNOWN
    to = warm.to if way in TURNS else {}
    return WayBack(release, standing, way, to, reasons, fits, back.version if back is not None else "")


def _way(warm: Warm, facts: RollbackFacts, *, known: bool) -> tuple[Way, ReleaseReason]:
    """A colour that runs it, proven and ready; else the command that deploys it, where it is known from what."""
    if warm.health is Health.PASS:
        return facts.turn, ReleaseReason(ReasonKind.RUNS, Health.PASS, warm.fact)
    if not facts.redeploy:
        return Way.NONE, ReleaseReason(ReasonKind.RUNS, warm.health, warm.fact)
    if not known:
        return Way.NONE, ReleaseReason(ReasonKind.NOW, Health.UNKNOWN, "what serves now is not known")
    return Way.REDEPLOY, ReleaseReason(ReasonKind.RUNS, Health.PASS, f"{facts.redeploy} deploys it; {warm.fact}")


def held_against(
    later: Sequence[Release],
    schema: SchemaFinding,
    needs: Sequence[str],
    checks: Mapping[str, tuple[Health, str]],
) -> tuple[ReleaseReason, ...]:
    """Everything but what runs it and its schema: what later releases say, and the checks that must pass."""
    return (*(reason for each in later for reason in _of_later(each, schema)), *_of_needs(needs, checks))


def _left(release: Release) -> Iterator[ReleaseReason]:
    """That people went back from it, which proves nothing: it comes after the others, and the card says it."""
    if release.left_in:
        fact = f"{release.left_in} went back from it at {utc_date(release.left_at)}: it comes after the others"
        yield ReleaseReason(ReasonKind.LEFT, Health.PASS, fact)


def schema_reasons(release: Release, schema: SchemaFinding) -> tuple[ReleaseReason, ...]:
    """Whether the schema that is there is in its range; nothing where neither is said."""
    return tuple(_of_schema(release, schema, fit(release, schema)))


def _of_schema(release: Release, schema: SchemaFinding, fits: Health) -> Iterator[ReleaseReason]:
    if not release.schema_min:
        if schema.read:
            fact = f"no range of schemas was recorded for {release.version}"
            yield ReleaseReason(ReasonKind.SCHEMA, Health.UNKNOWN, fact)
        return
    span = f"{release.schema_min} to {release.schema_max}"
    if fits is Health.UNKNOWN:
        fact = f"it runs on schema {span}; which one is there is not known: {schema.why}"
    else:
        fact = f"schema {schema.version} is {'' if fits is Health.PASS else 'not '}in its range {span}"
    yield ReleaseReason(ReasonKind.SCHEMA, fits, fact)


def _of_later(later: Release, schema: SchemaFinding) -> Iterator[ReleaseReason]:
    """What a later release says against going back from it."""
    for blocker in later.blockers:
        yield ReleaseReason(ReasonKind.BLOCKER, Health.FAIL, f"{later.version}: {blocker}")
    if not later.reversible_until:
        return
    now, until = schema_key(schema.version), schema_key(later.reversible_until)
    if now is None or until is None:
        fact = f"{later.version} can be reversed until schema {later.reversible_until}; which one is there is not known"
        yield ReleaseReason(ReasonKind.MARKER, Health.UNKNOWN, f"{fact}: {schema.why}")
    elif now > until:
        fact = f"schema {schema.version} is past {later.reversible_until}: going back from {later.version} loses data"
        yield ReleaseReason(ReasonKind.MARKER, Health.FAIL, fact)
    else:
        fact = f"{later.version} can be reversed until schema {later.reversible_until}"
        yield ReleaseReason(ReasonKind.MARKER, Health.PASS, fact)


def _of_needs(needs: Sequence[str], checks: Mapping[str, tuple[Health, str]]) -> Iterator[ReleaseReason]:
    for name in dict.fromkeys(needs):
        health, words = checks.get(name, (Health.UNKNOWN, f"{name}: no check of the estate has this name"))
        known = health if health in (Health.PASS, Health.FAIL) else Health.UNKNOWN
        yield ReleaseReason(ReasonKind.NEED, known, words)


def forward(facts: RollbackFacts, serving: Sequence[Release]) -> str:
    """What is left where no return is safe."""
    newest = max((each.order for each in serving), default=None)
    schema = f" on schema {facts.schema.version}" if facts.schema.version else ""
    if newest is not None:
        for release in reversed(facts.releases):
            if release.order > newest and fit(release, facts.schema) is Health.PASS:
                return f"Go forward: deploy {release.label}, which is recorded and runs{schema}"
    if not facts.releases:
        return "No release is recorded: let the pipeline call recovery release record"
    base = max(serving, key=lambda each: each.order, default=None)
    commit = f" (commit {base.commit})" if base is not None and base.commit else ""
    of = f", from {base.version}{commit}" if base is not None else ""
    return f"Go forward: make a release that runs{schema}{of} with the fault mended, and record it"


def _fails_first(reason: ReleaseReason) -> int:
    return 0 if reason.health is Health.FAIL else 1


PLACES = tuple(ReleaseStanding(name) for name in ("offered", "unknown", "blocked", "serves", "newer"))


def _place(candidate: WayBack) -> tuple[int, bool, bool, bool, int]:
    """Those that are offered first; those that nobody went back from before others, then those that leave the schema as
    it is, a flip before a deployment; of equal ones the newest, which changes least."""
    left, undone, deployed = bool(candidate.release.left_in), bool(candidate.schema_to), candidate.way not in TURNS
    return PLACES.index(candidate.standing), left, undone, deployed, -candidate.release.order
