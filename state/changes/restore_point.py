"""A named restore point in the WAL of the node that leads: a place to restore to, made before something risky."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.cluster_base import ClusterArgs, ClusterChange, database_of
from state.changes.hands import cluster_by_hand
from state.changes.host_acts import mark_of
from state.changes.model import ChangeKind, Finding, Late, Preview, ReadBack, Risk
from state.changes.sight import Sight, look, world_of
from state.errors import EffectRefused, ReadFailure
from state.estate.model import Estate
from state.health import Health
from state.ports.database import CanMakePoint, Database, PointRecord
from state.ports.outside import Outside
from state.ports.target import Identity, Receipt
from state.restoring.targets import TargetKind, parse_target
from state.verdicts.archiving import archiver_finding
from state.verdicts.lag import lsn
from state.verdicts.replication import ClusterVerdict, cluster_verdict

KIND = "database.restore-point"
EXPECTED = "a name of letters, digits, _ . and -, of up to 63, that is no time, no LSN, no transaction and not latest"


def _point_name(text: str) -> str:
    """Such a name means the point wherever a target of a restore is typed."""
    try:
        target = parse_target(text)
    except ValueError:
        raise ValueError(EXPECTED) from None
    if target.kind is not TargetKind.NAME or target.text != text or ":" in text:
        raise ValueError(EXPECTED)
    return text


class PointArgs(ClusterArgs):
    """A database, and the name of the point."""

    point: Annotated[str, AfterValidator(_point_name)]


class MakeRestorePoint(ClusterChange):
    """Done when the node that leads has the point on record, with its position. `effect` is the one that `read_back` is
    about."""

    risk = Risk.B1
    settle = 0.5
    quiet = 5.0
    timeout = 10.0

    def __init__(self, args: PointArgs, estate: Estate, database: Database) -> None:
        super().__init__(KIND, args, estate, database)
        self.effect, self.point = "", args.point
        self.title = f"Restore point {args.point} in {args.database}"
        self.verb = f"write the restore point {args.point}"

    @property
    def late(self) -> Late:
        """One statement: it is over when its session is."""
        return Late(self._delivery, 5.0, "PostgreSQL: a statement ends with its session")

    async def identify(self, *, deadline: float) -> Identity:
        """Each node's server and who leads: exactly one."""
        return await self.database.identify(deadline=deadline)

    async def preview(self, *, deadline: float) -> Preview:
        """Who writes it, that its name is free, and whether its WAL is archived."""
        sight = await look(self.database, deadline)
        cluster = cluster_verdict(self.cluster_name, self.entry, world_of(self.cluster_name, sight), 0.0)
        leader = self.led or (sight.writable[0] if len(sight.writable) == 1 else "")
        points = await self._points(leader, deadline)
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.cluster_name} restore point", "not there", self.point),),
            facts={"leader": leader or "nobody", "timeline": _timeline(sight, leader)},
            rules=(
                *self.able(isinstance(self.database, CanMakePoint), "write a restore point", "Write it by hand"),
                *self._rules(points, leader),
                *(() if self.led else (self.one_primary(cluster),)),
                *self.one_engine(cluster),
            ),
            warnings=self._warnings(cluster, sight, leader),
            sessions_cut=0,
        )

    def _rules(self, points: Sequence[PointRecord] | None, leader: str) -> tuple[Rule, ...]:
        if not isinstance(self.database, CanMakePoint):
            return ()
        able = self.database.makes_points
        account = self.rule(
            "account", able, f"the estate names {'an' if able else 'no'} account that acts on {self.cluster_name}",
            "Name an act_user with EXECUTE on pg_create_restore_point in the estate", "database administrator",
        )  # fmt: skip
        if not leader:
            return (account,)  # without a leader there is nobody to ask, which another rule says
        if points is None:
            return account, self.rule(
                "name-free", False, f"{leader} does not tell its restore points", "Wait until it does"
            )
        taken = next((each for each in points if each.name == self.point), None)
        fact = f"{self.point} is {'free' if taken is None else 'a restore point already, at ' + _where(taken)}"
        return account, self.rule(
            "name-free", taken is None, fact, "A restore ends at the first one: choose another name"
        )

    def _warnings(self, cluster: ClusterVerdict, sight: Sight, leader: str) -> tuple[CardWarning, ...]:
        """A point whose WAL is not archived cannot be restored to."""
        server, node = sight.servers.get(leader), cluster.facts.nodes.get(leader)
        if server is None or node is None:
            return ()
        mode = server.archiver.mode if server.archiver is not None else ""
        found = archiver_finding(node)
        if not mode:
            said = f"whether {leader} archives its WAL is not known: without it nothing can be restored to the point"
        elif mode == "off":
            said = f"{leader} archives no WAL (archive_mode is off): nothing can be restored to the point"
        elif found is not None and found[0] is Health.FAIL:
            said = f"{found[1]}: until it works, nothing can be restored to the point"
        else:
            return ()
        return (CardWarning(WarningKind.EFFECT, self.cluster_name, said),)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Write it once."""
        if not isinstance(self.database, CanMakePoint):
            raise EffectRefused(f"{self.cluster_name}: its adapter cannot write a restore point")
        return await self.database.make_point(facts["leader"], self.point, _mark(effect), deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """The record of the node that led. A point that was only begun may be in the WAL or not: nobody tells."""
        leader = facts["leader"]
        points = await self._points(leader, deadline)
        if points is None:
            return ReadBack(Finding.UNKNOWN, (f"{leader} does not tell its restore points",))
        made = next((each for each in reversed(points) if each.mark == _mark(self.effect)), None)
        if made is None:
            return ReadBack(Finding.NOT_DONE, (f"{leader} has no restore point {self.point} of this step on record",))
        if made.lsn is None:
            said = f"{self.point} was begun on {leader}; whether it is in the WAL is not known: use another name"
            return ReadBack(Finding.PARTIAL, (said,))
        evidence = (f"restore point {self.point} of {leader} ends at {lsn(made.lsn)}",)
        return ReadBack(Finding.DONE, evidence, {"lsn": lsn(made.lsn), "timeline": facts["timeline"]})

    async def _points(self, leader: str, deadline: float) -> Sequence[PointRecord] | None:
        if not leader or not isinstance(self.database, CanMakePoint):
            return None
        try:
            return await self.database.points(leader, deadline=deadline)
        except ReadFailure:
            return None


def _mark(effect: str) -> str:
    return mark_of(effect).rpartition(" ")[2]


def _timeline(sight: Sight, leader: str) -> int | None:
    server = sight.servers.get(leader)
    return None if server is None else server.timeline


def _where(point: PointRecord) -> str:
    return "a position that is not known" if point.lsn is None else lsn(point.lsn)


def _build(args: PointArgs, estate: Estate, outside: Outside) -> MakeRestorePoint:
    return MakeRestorePoint(args, estate, database_of(args.database, outside))


KINDS = (
    ChangeKind(
        KIND,
        "Write a restore point",
        PointArgs,
        Risk.B1,
        _build,
        cluster_by_hand("restore-point"),
        figures={"lsn": "text"},
    ),
)
