"""A small site whose schema can be migrated down and up by commands of its estate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from state.errors import EffectUnknown
from state.journal.store import JournalStore
from state.ports.own import Exited, Output
from state.ports.target import Identity, Receipt
from state.world.readings import SchemaReading
from tests.support.release_site import ReleaseSite, Servers, release_site

VERSION = {"kind": "text", "pattern": "[0-9]+"}
DOWN: Mapping[str, Any] = {
    "argv": ["migrate", "${version}", "--from", "${from}"],
    "params": {"version": VERSION, "from": VERSION},
    "read": {"argv": ["at", "${version}"], "done": [0], "not_done": [1]},
    "services": ["shop"], "loses_data": False, "risk": "B2", "quiet": "500ms", "timeout": "5s",
}  # fmt: skip
RELEASES = {"schema": {"database": "orders", "query": "select 1", "undo": {"command": "migrate-down"}}}


class Silence:
    """Says nothing. Fulfils Output."""

    def lines(self) -> tuple[str, ...]:
        return ()


class Migrator:
    """Migrates the schema of a site. Fulfils CanRunCommand. `arrives` tells whether what is sent has an effect,
    `answers` whether anybody says so; `lies`: the schema stays and the reading command says it was moved; `third`:
    the version that it leaves whatever it was asked for."""

    name = "commands/migrate-down"

    def __init__(
        self,
        site: ReleaseSite,
        *,
        arrives: bool = True,
        answers: bool = True,
        reads: bool = True,
        lies: bool = False,
        third: str = "",
    ) -> None:
        self._site, self.arrives, self.answers, self.reads, self.lies = site, arrives, answers, reads, lies
        self.third = third
        self.ran: list[tuple[str, ...]] = []

    def output(self) -> Output:
        return Silence()

    async def identify(self, argv: Sequence[str] | None, *, deadline: float) -> Identity:
        return Identity(self.name, {"host": "here"})

    async def run(self, argv: Sequence[str], output: Output, *, effect: str, deadline: float) -> Receipt:
        self.ran.append(tuple(argv))
        if self.arrives and not self.lies:
            self._site.schema(self.third or argv[1])
        if not self.answers:
            raise EffectUnknown("the connection was lost", "lost", over=True)
        return Receipt("0" if self.arrives else "1", "exit code")

    async def at_work(self, effect: str) -> Sequence[str]:
        return ()

    async def read(self, argv: Sequence[str], *, effect: str, deadline: float) -> Exited:
        if self.ran and not self.reads:
            return Exited(2, "no database is reached")
        seen = self._site.answers.told["schema:shop"]
        there = seen.version if isinstance(seen, SchemaReading) else ""
        return Exited(0 if argv[1] == there or (self.lies and self.ran) else 1, there)


@asynccontextmanager
async def migrating_site(
    *,
    undo: Mapping[str, Any] | None = None,
    down: Mapping[str, Any] | None = None,
    store: JournalStore | None = None,
    balancer: Servers | None = None,
    schema: str = "11",
    **manner: Any,
) -> AsyncIterator[tuple[ReleaseSite, Migrator]]:
    """A site whose schema is at 11: v1 runs on 9 and 10, v2, which serves, on 10 and 11. `undo` is how the estate
    undoes what migrates down; `down` changes that entry."""
    made: list[Migrator] = []

    def deploys(site: ReleaseSite) -> Mapping[str, Migrator]:
        made.append(Migrator(site, **manner))
        return {"migrate-down": made[0], "migrate-up": made[0]}

    entry = {**DOWN, **({"undo": undo} if undo is not None else {}), **(down or {})}
    commands = {"migrate-down": entry, "migrate-up": DOWN}
    async with release_site(
        commands=commands, releases=RELEASES, deploys=deploys, store=store, balancer=balancer
    ) as site:
        site.schema(schema)
        await site.record(1, schema_min="9", schema_max="10")
        await site.record(2, schema_min="10", schema_max="11")
        yield site, made[0]
