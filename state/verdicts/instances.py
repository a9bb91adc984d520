"""What every instance of a service runs, by its own word, and where that differs from what should be.

What an instance says counts only where it is fresh and nothing speaks against it; a server at a balancer that no page
tells of is an instance too, and nobody knows what it runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from state.estate.colours import colour_of
from state.estate.model import Estate, Service, ServiceTrafficEntry
from state.estate.releases import InstanceEntry, SchemaEntry
from state.health import Health
from state.verdicts.evidence import no_data_reason
from state.verdicts.routing import routed
from state.verdicts.traffic import shares, state_word
from state.world.balancer_parts import BalancerReading, Server
from state.world.release_parts import Release, SchemaReading, VersionReading, schema_key, short_digest
from state.world.world import World

NO_PAGE = "no monitor of kind version asks it what it runs"
NO_SCHEMA = "the estate does not say where its schema is read"


def schema_source(service: str) -> str:
    """The key of the source of a service's schema version."""
    return f"schema:{service}"


def version_source(monitor: str, target: str) -> str:
    """The key of the source of an instance."""
    return f"version:{monitor}/{target}"


def schema_of(service: Service) -> SchemaEntry | None:
    """Where the version of a service's schema is read."""
    return service.releases.read_schema if service.releases is not None else None


@dataclass(frozen=True, slots=True)
class AtBalancer:
    """An instance's server at one balancer; `server` None: its reading is not fresh. `share` is of that balancer."""

    balancer: str
    server: Server | None
    share: float

    @property
    def ready(self) -> bool:
        """Whether it could take traffic now, by a check that has answered, as far as is known."""
        each = self.server
        return each is not None and each.up and each.checked and not each.drained and not each.maintenance

    @property
    def word(self) -> str:
        """For people: its state and its share."""
        if self.server is None:
            return f"{self.balancer} unknown"
        return f"{state_word(self.server)} {round(self.share * 100)}%"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance. `digest` is empty where nothing proves what it runs; `doubt` says why. `said` is what it says of
    itself, proof or not. `release` is its record, `fits` whether that runs on the schema that is there."""

    key: str
    service: str
    name: str
    site: str
    server: str
    colour: str
    places: tuple[AtBalancer, ...]
    digest: str
    doubt: str
    said: VersionReading | None
    release: Release | None
    fits: Health
    sources: tuple[str, ...]
    drift: str = ""

    @property
    def version(self) -> str:
        """By its record, else by its own word."""
        return self.release.version if self.release is not None else self.said.version if self.said is not None else ""

    @property
    def carries(self) -> bool:
        """Whether it takes traffic, or nobody knows that it does not."""
        return not self.places or any(each.share > 0 or each.server is None for each in self.places)

    @property
    def share(self) -> float:
        """Its largest share of the traffic of one balancer."""
        return max((each.share for each in self.places), default=0.0)


@dataclass(frozen=True, slots=True)
class SchemaFinding:
    """The version of a service's schema, empty where it is not known; `why` says why not. `read`: the estate says where
    it is read."""

    version: str
    why: str
    read: bool


@dataclass(frozen=True, slots=True)
class ServiceTruth:
    """What a service runs. `running` are the digests that carry traffic, `blind` what carries some and is not known."""

    service: str
    instances: tuple[Instance, ...]
    schema: SchemaFinding
    drifts: tuple[str, ...]
    running: tuple[str, ...]
    blind: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """What it was read from."""
        found = (source for each in self.instances for source in each.sources)
        own = (schema_source(self.service),) if self.schema.read else ()
        return tuple(dict.fromkeys((*found, *own)))


def service_truth(
    estate: Estate, name: str, world: World, now_mono: float, releases: Sequence[Release]
) -> ServiceTruth:
    """The truth of one service now, by fresh readings; `releases` are those recorded of it."""
    service = estate.services[name]
    schema = _schema(name, service, world, now_mono)
    known = {each.digest: each for each in releases}
    found = [_with_release(each, known, schema) for each in _instances(estate, name, service, world, now_mono)]
    drifts = list(_drifts(service, found, releases))
    told = dict(reversed([(key, why) for key, why, _ in drifts]))
    instances = tuple(replace(each, drift=told.get(each.key, "")) for each in found)
    carrying = [each for each in instances if each.carries]
    running = tuple(dict.fromkeys(each.digest for each in carrying if each.digest))
    blind = tuple(f"{each.name}: {each.doubt}" for each in carrying if not each.digest)
    return ServiceTruth(name, instances, schema, tuple(dict.fromkeys(said for _, _, said in drifts)), running, blind)


def asked(estate: Estate, name: str) -> dict[str, tuple[str, InstanceEntry]]:
    """The instances of a service that are asked, by their source: their own name, and what the estate says of each."""
    return {
        version_source(monitor, target): (target, entry)
        for monitor, each in estate.monitors.items()
        for target, entry in each.instances.items()
        if entry.service == name
    }


def fit(release: Release, schema: SchemaFinding) -> Health:
    """Whether a release runs on the schema that is there, by the range that was recorded. Unknown is no pass."""
    if not release.schema_min:
        return Health.UNKNOWN if schema.read else Health.PASS
    now, low, high = schema_key(schema.version), schema_key(release.schema_min), schema_key(release.schema_max)
    if now is None or low is None or high is None:
        return Health.UNKNOWN
    return Health.PASS if low <= now <= high else Health.FAIL


def _schema(name: str, service: Service, world: World, now_mono: float) -> SchemaFinding:
    if schema_of(service) is None:
        return SchemaFinding("", NO_SCHEMA, False)
    key = schema_source(name)
    reading = world.fresh(key, SchemaReading, now_mono)
    if reading is None:
        return SchemaFinding("", no_data_reason(world.observed.get(key)), True)
    return SchemaFinding(reading.version, "", True)


def _instances(estate: Estate, name: str, service: Service, world: World, now_mono: float) -> Iterator[Instance]:
    """Every instance that is asked, then every server of the balancers that no instance stands for."""
    servers = _servers(estate, service, world, now_mono)
    stood: set[tuple[str, str]] = set()
    for source, (target, entry) in asked(estate, name).items():
        there = [(b, each) for (b, site), each in servers.items() if _site(service, entry.server, site) == entry.site]
        places = tuple(at for _, each in there if (at := each.get(entry.server)))
        unread = tuple(AtBalancer(balancer, None, 0.0) for balancer, each in there if not each)
        stood |= {(at.balancer, entry.server) for at in places}
        reading = world.fresh(source, VersionReading, now_mono)
        doubt = no_data_reason(world.observed.get(source)) if reading is None else reading.doubt
        digest = reading.digest if reading is not None and not doubt else ""
        sources = (source, *(f"balancer:{at.balancer}" for at in (*places, *unread)))
        yield Instance(
            f"{name}/{target}", name, target, entry.site, entry.server, _colour(service, entry.server, places),
            (*places, *unread), digest, doubt, reading, None, Health.UNKNOWN, sources,
        )  # fmt: skip
    for (balancer, site), each in servers.items():
        for server, at in each.items():
            if (balancer, server) not in stood:
                key, colour = f"{name}/{balancer}/{server}", _colour(service, server, (at,))
                yield Instance(
                    key, name, f"{balancer}/{server}", _site(service, server, site), server, colour, (at,), "",
                    NO_PAGE, None, None, Health.UNKNOWN, (f"balancer:{balancer}",),
                )  # fmt: skip


def _site(service: Service, server: str, site: str) -> str:
    """Where a server stands: as the estate says of its colour, else at the `site` of the balancer."""
    colours = service.traffic.colours if service.traffic is not None else {}
    colour = colours.get(colour_of(colours, server))
    return colour.site if colour is not None and colour.site else site


def _servers(
    estate: Estate, service: Service, world: World, now_mono: float
) -> dict[tuple[str, str], dict[str, AtBalancer]]:
    """The servers of a service's backend, by balancer with its site; none where the balancer is not read."""
    if service.traffic is None:
        return {}
    found: dict[tuple[str, str], dict[str, AtBalancer]] = {}
    for balancer in service.traffic.balancers:
        reading = world.fresh(f"balancer:{balancer}", BalancerReading, now_mono)
        place = (balancer, estate.balancers[balancer].site)
        found[place] = _at(balancer, reading, service.traffic) if reading is not None else {}
    return found


def _at(balancer: str, reading: BalancerReading, traffic: ServiceTrafficEntry) -> dict[str, AtBalancer]:
    """The servers of a service at one balancer with their shares; where a map leads to one of several backends, those
    of all of them, and no share is known where the map is not. Servers of one name in two backends cannot be told
    apart: each goes by both names, and no instance stands for it."""
    led, _ = routed(traffic, reading)
    backends = (traffic.backend,) if traffic.routes is None else tuple(traffic.routes.backends.values())
    members = [each for backend in dict.fromkeys(backends) for each in reading.of(backend)]
    split = {backend: shares(reading.of(backend), traffic.backups) for backend in backends}
    names = Counter(each.name for each in members)
    found: dict[str, AtBalancer] = {}
    for each in members:
        share = split[each.backend][each.name] if each.backend == led else 0.0
        name = each.name if names[each.name] == 1 else f"{each.backend}/{each.name}"
        found[name] = AtBalancer(balancer, each if led else None, share)
    return found


def _colour(service: Service, server: str, places: Sequence[AtBalancer]) -> str:
    """The colour of an instance, by its server; empty when it has none."""
    if service.traffic is None:
        return ""
    backend = next((at.server.backend for at in places if at.server is not None), "")
    return service.traffic.colour_at(backend, server)


def _with_release(each: Instance, known: Mapping[str, Release], schema: SchemaFinding) -> Instance:
    release = known.get(each.digest)
    return each if release is None else replace(each, release=release, fits=fit(release, schema))


def _drifts(
    service: Service, instances: Sequence[Instance], releases: Sequence[Release]
) -> Iterator[tuple[str, str, str]]:
    """The key of an instance, why it should not run what it does, and that in a sentence for the service."""
    proven = [each for each in instances if each.digest]
    yield from _same_version(proven, releases)
    groups: dict[str, list[Instance]] = {}
    for each in proven:
        groups.setdefault(each.colour, []).append(each)
    for colour, members in groups.items():
        digests = Counter(each.digest for each in members)
        if len(digests) > 1:
            most = digests.most_common(1)[0][0]
            what = f"{colour} runs {len(digests)} artifacts" if colour else f"{len(digests)} artifacts run"
            for each in members:
                if each.digest != most:
                    yield each.key, f"others of {colour or 'it'} run {short_digest(most)}", what
    recorded = {each.digest for each in releases}
    colours = service.traffic.colours if service.traffic is not None else {}
    for each in proven:
        named = colours[each.colour].release if each.colour in colours else ""
        for why, said in _of_one(each, named, recorded):
            yield each.key, why, said


def _of_one(each: Instance, named: str, recorded: set[str]) -> Iterator[tuple[str, str]]:
    """What one instance alone shows; `named` is the release that the estate has for its colour."""
    if recorded and each.digest not in recorded:
        yield "nobody recorded it", f"{each.name} runs {short_digest(each.digest)}, which nobody recorded"
    if each.fits is Health.FAIL and each.carries:
        yield "the schema is not in its range", f"{each.name} serves on a schema that is not in its range"
    if named and each.version and named != each.version:
        yield f"the estate calls it {named}", f"{each.name} runs {each.version}, the estate says {named}"


def _same_version(proven: Sequence[Instance], releases: Sequence[Release]) -> Iterator[tuple[str, str, str]]:
    """One version that names several artifacts: a tag was moved."""
    artifacts: dict[str, set[str]] = {}
    for version, digest in (*((e.version, e.digest) for e in proven), *((r.version, r.digest) for r in releases)):
        if version:
            artifacts.setdefault(version, set()).add(digest)
    for each in proven:
        count = len(artifacts.get(each.version, ()))
        if count > 1:
            yield each.key, f"{each.version} names {count} artifacts", f"{each.version} names {count} artifacts"
