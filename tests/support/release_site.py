"""A small estate whose instances tell what they run: two colours at a balancer, a schema, a check."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.caller import Caller
from state.api.releases import ReleaseRecord
from state.api.views.releases import ReleasesView
from state.engine.engine import Engine
from state.errors import ReadFailure, Trouble
from state.estate.model import Estate, MonitorEntry, ProbeEntry
from state.estate.releases import InstanceEntry
from state.health import Health
from state.journal.store import JournalStore
from state.planning.library import Library
from state.ports.outside import Outside
from state.ports.own import CanRunCommand
from state.world.readings import OwnCheckReading, ProbeReading, Reading, SchemaReading, VersionReading
from tests.support.small_estate import ESTATE, BalancerSource, LoopClock, Small

PIPELINE = Caller(1002, "ci", "ci", ("pipeline",), "s9", read_only=False)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


class Told(MonitorEntry):
    """A monitor that names instances and a probe."""

    @property
    def instances(self) -> Mapping[str, InstanceEntry]:
        sites = {"blue": "west", "green": "east"}
        return {name: InstanceEntry(site=site, service="shop", server=name) for name, site in sites.items()}

    @property
    def probes(self) -> Mapping[str, ProbeEntry]:
        return {"shop": ProbeEntry(site="east", service="shop")}


class Servers(MemoryBalancer):
    """A balancer whose servers may be down, or more than were configured."""

    def down(self, server: str) -> None:
        self._servers[f"shop/{server}"] = replace(self._servers[f"shop/{server}"], up=False, status="DOWN")

    def add(self, server: str) -> None:
        self._servers[f"shop/{server}"] = replace(self._servers["shop/green"], name=server)


@dataclass
class Answers:
    """What each source says, by its key; None for no answer."""

    told: dict[str, Reading | None] = field(default_factory=dict)


@dataclass
class ToldSource:
    """One source that says what `answers` has for it."""

    key: str
    answers: Answers
    every: float = 0.05
    deadline: float = 0.5
    limit: float = 1.0

    async def read(self) -> Reading:
        found = self.answers.told[self.key]
        if found is None:
            raise ReadFailure(Trouble.TIMEOUT, "no answer")
        return found

    async def close(self) -> None:
        return


@dataclass
class ReleaseSite(Small):
    """A running engine and what its sources say."""

    balancer: Servers
    answers: Answers = field(default_factory=Answers)

    def runs(self, name: str, number: int, **told: Any) -> None:
        """An instance runs the release of a number from now on."""
        reading = VersionReading(name, digest(number), f"v{number}", "", 1.0)
        self.answers.told[f"version:versions/{name}"] = replace(reading, **told)

    def schema(self, version: str | None) -> None:
        """The schema is at a version from now on."""
        self.answers.told["schema:shop"] = SchemaReading("shop", version) if version is not None else None

    async def record(self, number: int, caller: Caller = PIPELINE, **more: Any) -> str:
        record = ReleaseRecord("shop", digest(number), f"v{number}", **more)
        return (await self.engine.releases.record(caller, record)).message

    @property
    def view(self) -> ReleasesView:
        found: ReleasesView = self.engine.view("releases")
        return found


TREE: Mapping[str, Any] = {
    **ESTATE,
    "sites": {**ESTATE["sites"], "west": {}},
    "people": {**ESTATE["people"], "ci": {"accounts": ["ci"], "roles": ["pipeline"]}},
    "checks": {"api": {"command": {"argv": ["true"]}}},
    "services": {
        "shop": {
            **ESTATE["services"]["shop"],
            "releases": {"schema": {"database": "orders", "query": "select 1"}},
        }
    },
}


@asynccontextmanager
async def release_site(
    *,
    store: JournalStore | None = None,
    balancer: Servers | None = None,
    releases: Mapping[str, Any] | None = None,
    windows: Mapping[str, Any] | None = None,
    commands: Mapping[str, Any] | None = None,
    deploys: Callable[[ReleaseSite], Mapping[str, CanRunCommand]] = lambda _site: {},
) -> AsyncIterator[ReleaseSite]:
    """A started engine: green runs v2 and takes all traffic, blue v1 is warm, the schema is at 10."""
    balancer = balancer or Servers("edge", {"shop": {"blue": 0, "green": 100}})
    store = store if store is not None else MemoryJournal()
    tree = dict(TREE)
    service = {**tree["services"]["shop"], "traffic": {**ESTATE["services"]["shop"]["traffic"], "colours": COLOURS}}
    tree["services"] = {"shop": {**service, **({"releases": releases} if releases is not None else {})}}
    model = Estate.model_validate({**tree, "windows": windows or {}, "commands": commands or {}}).model_copy(
        update={"monitors": {"versions": Told(kind="told")}}
    )
    answers = Answers(
        {
            "probe:versions/shop": ProbeReading("shop", 200, 0.01),
            "check:api": OwnCheckReading("api", Health.PASS, "the API answers"),
        }
    )
    keys = ("version:versions/blue", "version:versions/green", "schema:shop", *answers.told)
    site = ReleaseSite(None, balancer, store, answers=answers)  # type: ignore[arg-type]
    site.runs("blue", 1)
    site.runs("green", 2)
    site.schema("10")
    sources = (BalancerSource(balancer), *(ToldSource(key, answers) for key in keys))
    outside = Outside(sources, {"edge": balancer}, {}, commands=deploys(site))
    engine = Engine(model, outside, store, LoopClock(), Library({}, model, {}), node="test", pid=1, uid=0)
    site.engine = engine
    await engine.start()
    try:
        yield site
    finally:
        await engine.stop()


COLOURS = {"blue": {"site": "west"}, "green": ""}
