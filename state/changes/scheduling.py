"""A switchover at a later time, which the cluster's manager carries out by itself; and taking it back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.cluster_base import ClusterArgs, ClusterChange, database_of
from state.changes.hands import cluster_by_hand
from state.changes.leader import candidates
from state.changes.model import ChangeKind, ChangeSpec, Finding, Preview, ReadBack, Risk
from state.changes.sight import look, world_of
from state.errors import EffectRefused
from state.estate.model import Estate, Name
from state.ports.database import CanSchedule, Database
from state.ports.outside import Outside
from state.ports.target import Receipt, Setting
from state.units import utc
from state.verdicts.replication import cluster_verdict
from state.verdicts.switchover import switchover_obstacles
from state.world.manager_parts import ScheduledSwitchover

SCHEDULE, UNSCHEDULE = "database.schedule", "database.unschedule"
NOTHING = "no switchover is scheduled"


def _instant(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a time with its zone, as 2026-03-01T04:00:00+00:00") from None
    if at.tzinfo is None:
        raise ValueError("a time with its zone, as 2026-03-01T04:00:00+00:00")
    return text


Instant8601 = Annotated[str, AfterValidator(_instant)]


class ScheduleArgs(ClusterArgs):
    """A database, the node that is to lead, and when (RFC 3339, with its zone)."""

    to: Name
    at: Instant8601


class Schedule(ClusterChange):
    """Done when the manager lists it. Whether it is carried out then is the manager's: it looks again at its time."""

    risk = Risk.B3

    def __init__(self, args: ScheduleArgs, estate: Estate, database: Database) -> None:
        super().__init__(SCHEDULE, args, estate, database)
        self.to, self.at = args.to, datetime.fromisoformat(args.at).timestamp()
        self.title = f"Schedule a switchover of {args.database} to {args.to}"
        self.verb = f"hand the leader role to {args.to} at {utc(self.at)}"

    async def preview(self, *, deadline: float) -> Preview:
        """What is scheduled now, and every obstacle that a switchover has now."""
        self.known(self.to)
        sight = await look(self.database, deadline)
        self.saw(sight)
        cluster = cluster_verdict(self.cluster_name, self.entry, world_of(self.cluster_name, sight), 0.0)
        able = isinstance(self.database, CanSchedule)
        now = await self.database.scheduled(deadline=deadline) if isinstance(self.database, CanSchedule) else None
        leader = self.led or (sight.writable[0] if len(sight.writable) == 1 else "")
        wanted = ScheduledSwitchover(self.at, leader, self.to)
        already = now is not None and (now.at, now.candidate) == (self.at, self.to)
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.cluster_name} schedule", told(now), told(wanted)),),
            facts={"leader": leader or "nobody", "now": told(now)},
            rules=self.able(able, "switch over at a later time", "Switch over when it is time")
            or (
                *self._rules(now, cluster.paused, already=already),
                *(Rule(r.rule, False, r.fact, r.way_out, r.who) for r in switchover_obstacles(cluster, self.to)),
            ),
            warnings=(
                CardWarning(
                    WarningKind.EFFECT,
                    self.cluster_name,
                    f"at {utc(self.at)} open transactions on {leader or 'the leader'} end, whoever is here then",
                ),
                CardWarning(WarningKind.UNKNOWN, self.cluster_name, f"whether {self.to} may lead at its time"),
            ),
            sessions_cut=0,
            downtime=f"nothing now; writes are refused at {utc(self.at)} while the role moves",
            undo=ChangeSpec(UNSCHEDULE, {"database": self.cluster_name}),
            already=already,
            ranking=candidates(cluster),
        )

    def _rules(self, now: ScheduledSwitchover | None, paused: bool, *, already: bool) -> tuple[Rule, ...]:
        free = now is None or already
        found = [self.rule("nothing-scheduled", free, told(now), "Take it back first: recovery db unschedule")]
        if paused:
            found.append(
                self.rule("not-paused", False, "its manager is paused", "Resume it; paused it schedules nothing")
            )
        return tuple(found)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Ask the leader's manager once."""
        if not isinstance(self.database, CanSchedule):
            raise EffectRefused(f"{self.cluster_name}: its adapter cannot schedule")
        return await self.database.schedule(facts["leader"], self.to, self.at, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """What the manager lists."""
        assert isinstance(self.database, CanSchedule), "it was scheduled"
        now = await self.database.scheduled(deadline=deadline)
        if now is not None and now.candidate == self.to and abs(now.at - self.at) < 1.0:
            return ReadBack(Finding.DONE, (told(now),), {"at": utc(now.at)})
        sight = await look(self.database, deadline)
        if sight.writable == (self.to,) and facts["leader"] != self.to:
            return ReadBack(Finding.DONE, (f"{self.to} leads already: its time has come",), {"at": utc(self.at)})
        return ReadBack(Finding.NOT_DONE, (told(now),))


class Unschedule(ClusterChange):
    """Done when the manager lists none."""

    risk = Risk.B2

    def __init__(self, args: ClusterArgs, estate: Estate, database: Database) -> None:
        super().__init__(UNSCHEDULE, args, estate, database)
        self.title = f"Take back the scheduled switchover of {args.database}"
        self.verb = "take back the scheduled switchover"

    async def preview(self, *, deadline: float) -> Preview:
        """What is scheduled now."""
        able = isinstance(self.database, CanSchedule)
        now = await self.database.scheduled(deadline=deadline) if isinstance(self.database, CanSchedule) else None
        back = None
        if now is not None and now.candidate:
            at = datetime.fromtimestamp(now.at, UTC).isoformat()
            back = ChangeSpec(SCHEDULE, {"database": self.cluster_name, "to": now.candidate, "at": at})
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.cluster_name} schedule", told(now), NOTHING),),
            facts={"now": told(now)},
            rules=self.able(able, "switch over at a later time", "There is nothing to take back"),
            sessions_cut=0,
            undo=back,
            already=able and now is None,
            leaves=(Setting(self.targets, "schedule", "none"),),
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Ask a member once."""
        if not isinstance(self.database, CanSchedule):
            raise EffectRefused(f"{self.cluster_name}: its adapter cannot schedule")
        return await self.database.unschedule(deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """What the manager lists."""
        assert isinstance(self.database, CanSchedule), "it was scheduled"
        now = await self.database.scheduled(deadline=deadline)
        return ReadBack(Finding.DONE if now is None else Finding.NOT_DONE, (told(now),))


def told(scheduled: ScheduledSwitchover | None) -> str:
    """What is scheduled, for people."""
    if scheduled is None:
        return NOTHING
    who = f"from {scheduled.leader or 'the leader'} to {scheduled.candidate or 'the best candidate'}"
    return f"switchover {who}, {utc(scheduled.at)}"


def _schedule(args: ScheduleArgs, estate: Estate, outside: Outside) -> Schedule:
    return Schedule(args, estate, database_of(args.database, outside))


def _unschedule(args: ClusterArgs, estate: Estate, outside: Outside) -> Unschedule:
    return Unschedule(args, estate, database_of(args.database, outside))


KINDS = (
    ChangeKind(
        SCHEDULE, "Schedule a switchover", ScheduleArgs, Risk.B3, _schedule, cluster_by_hand("schedule"), {"at": "text"}
    ),
    ChangeKind(
        UNSCHEDULE, "Take back a scheduled switchover", ClusterArgs, Risk.B2, _unschedule, cluster_by_hand("unschedule")
    ),
)
