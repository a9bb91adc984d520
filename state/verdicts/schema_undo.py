"""To which older schema migrations can be undone before a service goes back to a release, and why not.

The version is the highest one that the release and everything that serves now run on, so that what serves works at
every instant: first the schema goes back, then the traffic. What is not known is not safe, and nothing goes back over
a step that a release says loses data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from state.api.views.releases import ReasonKind, ReleaseReason
from state.estate.arguments import ArgSpec
from state.estate.model import Estate
from state.estate.releases import FROM_PARAM, SERVICE_PARAM, VERSION_PARAM, SchemaEntry, SchemaUndo
from state.health import Health
from state.verdicts.instances import SchemaFinding, ServiceTruth, fit, schema_of
from state.world.release_parts import Release, schema_key, short_digest

Key = tuple[int, ...]
NOTHING: Key = ()


@dataclass(frozen=True, slots=True)
class SchemaUser:
    """A service on a schema: the releases that carry its traffic; `doubt` says why they are not all known."""

    service: str
    releases: tuple[Release, ...]
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class SchemaUndoing:
    """What undoes migrations of a schema, and what would feel it.

    `by` is its name, `loses_data` what the estate says of it (None: nothing), `whole` whether it takes whole numbers
    only. `users` are the services on the schema, `recorded` every release of theirs.
    """

    by: str
    loses_data: bool | None
    users: tuple[SchemaUser, ...]
    recorded: tuple[Release, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class SchemaBack:
    """How an older schema comes before a release: the version, empty where there is none, and what is held against."""

    version: str
    reasons: tuple[ReleaseReason, ...]


def undo_spec(estate: Estate, service: str) -> tuple[str, str, Mapping[str, ArgSpec]] | None:
    """What undoes migrations of a service's schema: which kind of entry it is, its name and parameters; None where the
    estate names nothing."""
    undo = _undo_of(schema_of(estate.services[service]))
    if undo is None:
        return None
    what, name = undo.named
    return what, name, _entry(estate, what, name)[0]


def undo_args(estate: Estate, service: str, now: str, version: str) -> dict[str, str]:
    """The values of its parameters to go from one version to another."""
    spec = undo_spec(estate, service)
    known = {VERSION_PARAM: version, FROM_PARAM: now, SERVICE_PARAM: service}
    return {name: value for name, value in known.items() if spec is not None and name in spec[2]}


def _undo_of(entry: SchemaEntry | None) -> SchemaUndo | None:
    return entry.undo if entry is not None else None


def _entry(estate: Estate, what: str, name: str) -> tuple[Mapping[str, ArgSpec], bool | None]:
    sections = {"command": estate.commands, "call": estate.http_calls, "statement": estate.sql_calls}
    found = sections[what][name]
    return found.params, found.loses_data


def sharing(estate: Estate, service: str) -> tuple[str, ...]:
    """The other services whose schema is the same one: read in the same database by the same query."""
    mine = schema_of(estate.services[service])
    others = {name: schema_of(each) for name, each in estate.services.items() if name != service}
    return tuple(name for name, each in others.items() if each is not None and mine is not None and _same(mine, each))


def _same(one: SchemaEntry, other: SchemaEntry) -> bool:
    return one.database == other.database and one.query.split() == other.query.split()


def undoing(
    estate: Estate, service: str, truths: Mapping[str, ServiceTruth], released: Mapping[str, Sequence[Release]]
) -> SchemaUndoing | None:
    """What undoes migrations of a service's schema, with what every service on it runs; None where the estate names
    nothing. `truths` are those of all services."""
    undo = _undo_of(schema_of(estate.services[service]))
    if undo is None:
        return None
    what, name = undo.named
    params, loses = _entry(estate, what, name)
    names = (service, *sharing(estate, service))
    users = tuple(_user(truths[each], released.get(each, ())) for each in names)
    recorded = tuple(release for each in names for release in released.get(each, ()))
    return SchemaUndoing(name, loses, users, recorded, params[VERSION_PARAM].kind == "number")


def _user(truth: ServiceTruth, releases: Sequence[Release]) -> SchemaUser:
    known = {each.digest: each for each in releases}
    found = tuple(known[digest] for digest in truth.running if digest in known)
    unrecorded = next((digest for digest in truth.running if digest not in known), "")
    doubt = truth.blind[0] if truth.blind else ""
    if unrecorded and not doubt:
        doubt = f"nobody recorded {short_digest(unrecorded)}"
    return SchemaUser(truth.service, found, doubt or ("" if found else "nothing carries its traffic"))


def schema_back(
    release: Release, later: Collection[Release], schema: SchemaFinding, ways: SchemaUndoing | None
) -> SchemaBack | None:
    """The older schema that would come before a release; None where it fits what is there, needs a newer one, or
    nothing undoes a migration. The markers of `later` releases are held against it elsewhere."""
    now, newest = schema_key(schema.version), schema_key(release.schema_max)
    if ways is None or now is None or newest is None or now <= newest:
        return None
    head = f"schema {schema.version} is not in its range {_span(release)}"
    doubt = next(_doubts(ways.users), "")
    if doubt:
        fact = f"{head}; undone first, what serves must run on it too, and that is not known: {doubt}"
        return SchemaBack("", (ReleaseReason(ReasonKind.SCHEMA, Health.UNKNOWN, fact),))
    serving = [(user.service, each) for user in ways.users for each in user.releases]
    version = min((release.schema_max, *(each.schema_max for _, each in serving)), key=_key)
    ranges = " and in ".join(f"{_span(each)} of {_named(service, each, release)}" for service, each in serving)
    if any(_key(each.schema_min) > _key(version) for each in (release, *(each for _, each in serving))):
        fact = f"{head}; undone first, what serves would fail meanwhile: no version of it is in {ranges}"
        return SchemaBack("", (ReleaseReason(ReasonKind.SCHEMA, Health.FAIL, fact),))
    fact = f"{version}, to which schema {schema.version} is undone first, is in its range {_span(release)}"
    fits = ReleaseReason(ReasonKind.SCHEMA, Health.PASS, f"{fact}, and in {ranges}")
    crossed = tuple(_crossed([r for r in ways.recorded if r not in later], schema.version, version, release))
    return SchemaBack(version, (fits, _loss(ways, version), *crossed))


def against_move(schema: SchemaFinding, version: str, ways: SchemaUndoing) -> tuple[Health, str]:
    """Whether a schema at another version harms what serves now, or going back to it loses data; the fact that says
    so."""
    target = schema_key(version)
    if target is None or schema_key(schema.version) is None:
        return Health.UNKNOWN, f"whether what serves runs on schema {version} is not known: {schema.why}"
    for user in ways.users:
        for each in user.releases:
            low, high = schema_key(each.schema_min), schema_key(each.schema_max)
            if low is not None and high is not None and not low <= target <= high:
                serves = f"{user.service} {each.version}, which serves"
                return Health.FAIL, f"schema {version} is not in the range {_span(each)} of {serves}"
    crossed = next(_crossed(ways.recorded, schema.version, version, None), None)
    if crossed is not None:
        return Health.FAIL, crossed.fact
    doubt = next(_doubts(ways.users), "")
    if doubt:
        return Health.UNKNOWN, f"whether what serves runs on schema {version} is not known: {doubt}"
    return Health.PASS, f"what serves runs on schema {version}"


def run_on(ways: SchemaUndoing, version: str) -> dict[str, list[str]]:
    """Of each service on the schema the recorded releases, by digest, that run on a version: it does not follow what
    serves, which may be another one of them a moment later."""
    schema = SchemaFinding(version, "", True)
    return {
        user.service: [
            each.digest for each in ways.recorded if each.service == user.service and fit(each, schema) is Health.PASS
        ]
        for user in ways.users
    }


def _doubts(users: Sequence[SchemaUser]) -> Iterator[str]:
    for user in users:
        if user.doubt:
            yield f"{user.service}: {user.doubt}"
        for each in user.releases:
            if not each.schema_min:
                yield f"no range of schemas was recorded for {user.service} {each.version}"


def _loss(ways: SchemaUndoing, version: str) -> ReleaseReason:
    if ways.whole and "." in version:
        fact = f"{ways.by} takes whole numbers only, {version} is none"
        return ReleaseReason(ReasonKind.UNDO, Health.FAIL, fact)
    if ways.loses_data is None:
        fact = f"whether {ways.by} loses data is not known: the estate does not say (loses_data)"
        return ReleaseReason(ReasonKind.UNDO, Health.UNKNOWN, fact)
    fact = f"{ways.by} undoes it and may lose data" if ways.loses_data else f"{ways.by} undoes it and loses no data"
    health = Health.FAIL if ways.loses_data else Health.PASS
    return ReleaseReason(ReasonKind.UNDO, health, f"{fact}, says the estate")


def _crossed(recorded: Sequence[Release], now: str, version: str, of: Release | None) -> Iterator[ReleaseReason]:
    """The markers between the two versions, whoever has them: the step after each cannot be taken back."""
    for each in recorded:
        until = schema_key(each.reversible_until)
        if until is not None and _key(version) <= until < _key(now):
            said = f"undoing it to {version} loses data, as recorded with {_named(each.service, each, of)}"
            fact = f"schema {now} is past {each.reversible_until}: {said}"
            yield ReleaseReason(ReasonKind.MARKER, Health.FAIL, fact)


def _named(service: str, each: Release, of: Release | None) -> str:
    return each.version if of is not None and service == of.service else f"{service} {each.version}"


def _span(release: Release) -> str:
    low, high = release.schema_min, release.schema_max
    return low if low == high else f"{low} to {high}"


def _key(version: str) -> Key:
    return schema_key(version) or NOTHING
