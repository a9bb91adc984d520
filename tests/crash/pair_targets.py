"""What is done to servers without a manager as targets of the crash sweep: a real pair of each target's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import asyncpg

from adapters.lab.client import LabClient
from tests.crash.targets import Truth
from tests.crash.trials import Target
from tests.support.plain_pair import Servers, plain_pair
from tests.support.real_engine import Tree, until

LEDGER = "ledger"
Work = Callable[[], Awaitable[None]]


class PairTrial:
    """The pair of one target, made when it is prepared and ended when it is reset."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.servers: Servers | None = None
        self.nodes: tuple[str, ...] = ("a", "b")

    async def made(self) -> None:
        self.servers = self._stack.enter_context(plain_pair())

    async def ended(self) -> None:
        self._stack.close()

    def own(self) -> Tree:
        assert self.servers is not None
        return {"databases": {LEDGER: self.servers.database(*self.nodes)}, "commands": self.servers.commands()}

    async def ask(self, node: str, query: str) -> Any:
        """One value of a server, None while it does not answer."""
        assert self.servers is not None
        try:
            connection = await asyncpg.connect(
                host=str(self.servers.pair.place), port=self.servers.ports[node], user="postgres", database="postgres",
                timeout=2, command_timeout=5,
            )  # fmt: skip
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return None
        try:
            return await connection.fetchval(query)
        finally:
            connection.terminate()

    async def standby(self, node: str) -> bool | None:
        return await self.ask(node, "select pg_is_in_recovery()")

    async def split_off(self) -> None:
        """a was stopped and b leads."""
        await self.made()
        assert self.servers is not None
        self.servers.pair.control("a", "-m", "fast", "stop")
        self.servers.sql("b", "select pg_promote()")
        self.servers.sql("b", "checkpoint")

    def target(self, kind: str, read: Any, after: Any, *, prepare: Work, risky: bool, **args: str) -> Target:
        given = {"database": LEDGER, **args}
        return Target(
            f"database.{kind}", given, ("databases",), read, lambda was: after, commands=0, seconds=150.0,
            risky=risky, own=self.own, prepare=prepare, reset=self.ended,
        )  # fmt: skip


def fence(lab: LabClient, truth: Truth) -> Target:
    trial = PairTrial()

    return trial.target("fence", partial(trial.standby, "a"), None, prepare=trial.made, risky=True, node="a")


def promote(lab: LabClient, truth: Truth) -> Target:
    trial = PairTrial()

    async def alone() -> None:
        await trial.made()
        assert trial.servers is not None
        trial.servers.pair.control("a", "-m", "immediate", "stop")

    return trial.target("promote", partial(trial.standby, "b"), False, prepare=alone, risky=True, to="b")


def rejoin(lab: LabClient, truth: Truth) -> Target:
    trial = PairTrial()

    return trial.target("rejoin", partial(trial.standby, "a"), True, prepare=trial.split_off, risky=True, node="a")


def rebuild(lab: LabClient, truth: Truth) -> Target:
    trial = PairTrial()

    return trial.target("rebuild", partial(trial.standby, "a"), True, prepare=trial.split_off, risky=True, node="a")


def repoint(lab: LabClient, truth: Truth) -> Target:
    trial = PairTrial()
    trial.nodes = ("a", "b", "c")

    async def cascade() -> None:
        await trial.made()
        assert trial.servers is not None
        trial.servers.copy("b", "c")

        async def streams() -> bool:
            return await read() == trial.servers.ports["b"]  # type: ignore[union-attr]

        await until(streams, 60, "c does not stream")

    async def read() -> Any:
        return await trial.ask("c", "select sender_port from pg_stat_wal_receiver")

    made = trial.target("repoint", read, None, prepare=cascade, risky=False, node="c", to="a")

    def at_a(was: Any) -> Any:
        assert trial.servers is not None
        return trial.servers.ports["a"]

    return Target(**{**{name: getattr(made, name) for name in made.__dataclass_fields__}, "after": at_a})


def drop_slot(lab: LabClient, truth: Truth) -> Target:
    trial = PairTrial()

    async def lost() -> None:
        await trial.made()
        assert trial.servers is not None
        trial.servers.lose_slot("gone")

    async def read() -> Any:
        return await trial.ask("a", "select count(*) from pg_replication_slots")

    return trial.target("drop-slot", read, 0, prepare=lost, risky=False, node="a", slot="gone")


def restore_point(lab: LabClient, truth: Truth) -> Target:
    """Done when the primary has the point on record; how often it is in the WAL is counted there."""
    trial = PairTrial()

    async def read() -> Any:
        assert trial.servers is not None
        return trial.servers.points_in_wal("a", "before-v42")

    return trial.target("restore-point", read, 1, prepare=trial.made, risky=False, point="before-v42")
