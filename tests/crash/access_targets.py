"""Access at a real pair as targets of the crash sweep: a grant that is made, and one that is extended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.access.prepared_sql import prepare_sql
from adapters.lab.client import LabClient
from tests.crash.pair_targets import LEDGER, PairTrial
from tests.crash.targets import Truth
from tests.crash.trials import Target
from tests.support.real_engine import Tree

GRANT, ROLE = "G-7KQ2MX", "bg_g7kq2mx_you"
WHY = {"reason": "rows are missing in the ledger"}


class AccessTrial(PairTrial):
    """A pair that is prepared for grants, and allows them."""

    async def prepared(self) -> None:
        await self.made()
        assert self.servers is not None
        major = int((self.servers.pair.place / "a" / "PG_VERSION").read_text())
        self.servers.sql("a", prepare_sql(major, act="ops", read="recovery", longest=14_400))

    async def given(self) -> None:
        await self.prepared()
        assert self.servers is not None
        call = f"recovery_access.arm('{GRANT}', 'before', '{ROLE}', 'monitor', 'you', 'INC-1', 1200)"
        self.servers.sql("a", f"select * from {call}")

    def allowed(self) -> Tree:
        tree = self.own()
        tree["databases"][LEDGER]["access"] = {}
        return tree

    async def roles(self) -> Any:
        return await self.ask("a", f"select count(*) from pg_roles where rolname = '{ROLE}' and not rolcanlogin")

    async def lasts(self) -> Any:
        """How long the grant lasts from its beginning to its end, in minutes."""
        oid = f"(select oid from pg_roles where rolname = '{ROLE}')"
        marked = f"(select substr(shobj_description({oid}, 'pg_authid'), 16)::jsonb as m) as marked"
        lasts = "((m ->> 'ends')::float8 - (m ->> 'made')::float8) / 60"
        return await self.ask("a", f"select round({lasts})::int from {marked}")


def give_access(lab: LabClient, truth: Truth) -> Target:
    trial = AccessTrial()
    args = {"grant": GRANT, "person": "you", "bundle": "monitor", "seconds": 1200, "ticket": "INC-1", **WHY}
    return replace(_target(trial, "access.grant", args), truth=trial.roles, after=lambda was: 1, prepare=trial.prepared)


def extend_access(lab: LabClient, truth: Truth) -> Target:
    trial = AccessTrial()
    made = _target(trial, "access.extend", {"grant": GRANT, "seconds": 600, **WHY})
    return replace(made, truth=trial.lasts, after=lambda was: 30, prepare=trial.given)


def _target(trial: AccessTrial, kind: str, args: dict[str, Any]) -> Target:
    return Target(
        kind, {"database": LEDGER, **args}, ("databases",), trial.roles, lambda was: was, commands=0, seconds=60.0,
        risky=True, own=trial.allowed, reset=trial.ended,
    )  # fmt: skip
