"""The end of one grant at its target: block the login, end the sessions everywhere, revoke, remove, read that it is so.

Each part is idempotent and is done again until the reading shows it; no answer counts as an end. What is refused in one
part does not keep another one from being done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from state.api.views.access import GrantCredential
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.granting.model import (
    AccessSeen,
    EndObstacle,
    EndProof,
    NotEnded,
    Residue,
    ResidueKind,
    TargetGrant,
    TargetState,
)
from state.ports.access import CanGrant
from state.units import counted

WAYS_OUT = {
    EndObstacle.UNREAD: "Bring the node back, free a connection there, or fence it: sessions may be open",
    EndObstacle.ELSEWHERE: "Put the addresses where it was given back into the estate, then recovery engine reload",
    EndObstacle.LOGIN: "Run recovery db prepare again, or: alter role ROLE nologin",
    EndObstacle.SESSIONS: "Fence the node, or end the process on its host: kill -TERM PID",
    EndObstacle.STARTING: "Wait: it is ended in the next look, or gives up by itself (authentication_timeout)",
    EndObstacle.RESIDUE: "Look at what it left, and resolve it in that database",
    EndObstacle.BEHIND: "Wait: that ends with its login window; see why the node is behind, or fence it",
    EndObstacle.POOLED: "At the pooler's console: show servers; reconnect",
    EndObstacle.ROLE: "Run recovery db prepare again, or: drop role ROLE",
}
HOST_WAYS_OUT = {
    **WAYS_OUT,
    EndObstacle.UNREAD: "Bring the host back, or cut it off: sessions there may be open",
    EndObstacle.LOGIN: "There, as root: usermod -L -e 1 ROLE; then run recovery host prepare again",
    EndObstacle.SESSIONS: "There, as root: recovery-access terminate UID; what stays hangs in the kernel: restart it",
    EndObstacle.STARTING: "Wait a second",
    EndObstacle.RESIDUE: "There, as root: undo it, or say that it is right: recovery-access accept UID ID",
    EndObstacle.ROLE: "There, as root: recovery-access finish UID; it says what is against it",
}
LONGEST_WINDOW = 65.0
"""Seconds after which no login is open any more that was kept open for a while, with what clocks may differ."""
RESIDUE_WAYS_OUT = {
    ResidueKind.PREPARED: "rollback prepared 'GID' or commit prepared 'GID' there, by its owner or a superuser",
    ResidueKind.CLOSED_DATABASE: "allow connections to it, or drop it",
    ResidueKind.RIGHT: "revoke it as the one who granted it: set role GRANTOR; revoke all on THAT from ROLE",
    ResidueKind.PASSED_ON: "revoke it as the one who granted it",
}


class GrantEnd:
    """One grant that must end. `deadline` is for each reading and each part, seconds; `system` what its target said it
    was when it was given, empty where that is not known."""

    def __init__(self, target: CanGrant, oid: int, role: str, deadline: float = 4.0, system: str = "") -> None:
        self._target, self._oid, self._role, self._deadline, self._system = target, oid, role, deadline, system
        self._ways = HOST_WAYS_OUT if target.takes is GrantCredential.PUBLIC_KEY else WAYS_OUT
        self._before: AccessSeen | None = None
        self._gone: tuple[int, float] | None = None
        self.residue: list[Residue] = []
        """Everything that was found to be left, also what has been resolved since."""

    async def attempt(self) -> EndProof | NotEnded:
        """Do what is left to do, and read. Never raises for what a target says."""
        seen = await self._seen()
        if isinstance(seen, AccessSeen) and (elsewhere := self._elsewhere(seen)):
            return elsewhere
        if isinstance(seen, str):  # also when two nodes accept writes: it is closed at both
            await self._tried(self._target.block(self._oid, deadline=self._deadline))
            await self._target.terminate(self._oid, {}, sure=True, deadline=self._deadline)
            return self._not(EndObstacle.UNREAD, seen)
        role, told = self._marked(seen), ""
        was_gone = role is None and not self.residue
        let_in = any(each.accepted for each in seen.doors.get(self._oid, ()))
        if role is not None and (role.can_login or role.state is not TargetState.ENDING or let_in):
            told = await self._tried(self._target.block(self._oid, deadline=self._deadline))
        starting = self._still_starting(seen)
        failed = await self._target.terminate(self._oid, starting, sure=True, deadline=self._deadline)
        self._before, seen = seen, await self._seen()
        if isinstance(seen, str):
            return self._not(EndObstacle.UNREAD, seen)
        if against := self._open(seen, told, failed):
            return await self._or_prepared(against)
        if self._marked(seen) is not None and (against := await self._cleared()):
            return against
        return await self._proven(was_gone)

    def _elsewhere(self, seen: AccessSeen) -> NotEnded | None:
        """Whether another place than the one where it was given answers: that it has nothing of it proves nothing."""
        if not self._system or not seen.system or seen.system == self._system or seen.role(self._oid) is not None:
            return None
        told = f"{seen.primary} is {seen.system} now, and this was given at {self._system}"
        return self._not(EndObstacle.ELSEWHERE, told)

    async def _cleared(self) -> NotEnded | None:
        """Hand over what it made, revoke what it had, remove the role; what is against it."""
        try:
            left = await self._target.residue(self._oid, self._role, deadline=self._deadline)
        except ReadFailure as error:
            return self._not(EndObstacle.UNREAD, error.message)
        self.residue += [each for each in left if each not in self.residue]
        databases = {each.database for each in left if each.database != "(cluster)"}
        failed = await self._target.clear(self._oid, databases, deadline=self._deadline)
        try:
            left = await self._target.residue(self._oid, self._role, deadline=self._deadline)
        except ReadFailure as error:
            return self._not(EndObstacle.UNREAD, error.message)
        left = [each for each in left if each.kind is not ResidueKind.RIGHT or each.database != "(cluster)"]
        told = await self._tried(self._target.finish(self._oid, deadline=self._deadline))
        if not told:
            return None
        if left or failed:
            return self._left(left, [*failed.values()]) if self._ways is WAYS_OUT else self._held(told, failed)
        return self._not(EndObstacle.ROLE, told)

    def _held(self, told: str, failed: Mapping[str, str]) -> NotEnded:
        """A host names by itself what holds, of all that it has found."""
        return self._not(EndObstacle.RESIDUE, "; ".join([told, *failed.values()]), 0)

    async def _or_prepared(self, against: NotEnded) -> NotEnded:
        """What keeps a login from being closed may be a prepared transaction that has changed its role."""
        if against.obstacle is not EndObstacle.LOGIN:
            return against
        try:
            left = await self._target.residue(self._oid, self._role, deadline=self._deadline)
        except ReadFailure:
            return against
        prepared = [each for each in left if each.kind is ResidueKind.PREPARED]
        return replace(self._left(prepared, [against.told]), sessions=against.sessions) if prepared else against

    def _left(self, left: Sequence[Residue], failed: Sequence[str]) -> NotEnded:
        told = [f"{each.kind.value} in {each.database}: {each.thing}" for each in left]
        ways = [RESIDUE_WAYS_OUT[each.kind] for each in left if each.kind in RESIDUE_WAYS_OUT]
        way_out = self._way_out(ways[0] if ways else self._ways[EndObstacle.RESIDUE])
        return NotEnded(EndObstacle.RESIDUE, "; ".join([*told, *failed]), way_out, sessions=0)

    async def _proven(self, was_gone: bool) -> EndProof | NotEnded:
        """Two readings of every node in which nothing of it is there."""
        first = await self._seen()
        for seen in (first, await self._seen()):
            if isinstance(seen, str):
                return self._not(EndObstacle.UNREAD, seen)
            if against := self._open(seen, "", {}):
                return against
            if seen.role(self._oid) is not None:
                return self._not(EndObstacle.ROLE, f"role {self._role} is there")
            if name := seen.unmarked.get(self._oid):
                told = f"role {name} is there, and somebody has taken the mark of the grant from it"
                return NotEnded(EndObstacle.ROLE, told, f"As a superuser: drop role {name}")
        assert isinstance(first, AccessSeen), "it was looked at above"
        if elsewhere := self._elsewhere(first):
            return elsewhere
        poolers = sorted(name for name, each in first.poolers.items() if not each.shares)
        nodes = [*sorted(first.reapers), *(f"pooler {name}" for name in poolers)]
        refused = tuple(each.name for each in first.doors.get(self._oid, ()) if each.accepted is False)
        return EndProof(first.clock, nodes, tuple(self.residue), was_gone, first.logged, refused)

    def _marked(self, seen: AccessSeen) -> TargetGrant | None:
        """Its role, while it carries the mark by which it may be touched."""
        return None if self._oid in seen.unmarked else seen.role(self._oid)

    def _open(self, seen: AccessSeen, told: str, failed: object) -> NotEnded | None:
        """What of it is still open, the worst first."""
        sessions = seen.sessions.get(self._oid, ())
        if let_in := self._let_in(seen, told):
            return self._not(EndObstacle.LOGIN, let_in, len(sessions))
        if sessions:
            where = ", ".join(f"{each.node} process {each.pid}" for each in sessions)
            return self._not(
                EndObstacle.SESSIONS, f"still open: {where}{f' ({failed})' if failed else ''}", len(sessions)
            )
        if pooled := self._pooled(seen):
            return pooled
        if behind := [node for node, oids in seen.admitting.items() if self._oid in oids]:
            return self._not(EndObstacle.BEHIND, f"role {self._role} can still log in at {', '.join(behind)}", 0)
        if deaf := self._not_heard(seen):
            told = f"{', '.join(deaf)} has not heard of the end yet, and may have to open the login first"
            return self._not(EndObstacle.BEHIND, told, 0)
        doors = [each for each in seen.doors.get(self._oid, ()) if each.accepted is None]
        if unread := [*seen.unread.values(), *(f"whether {each.name} is let in: {each.told}" for each in doors)]:
            return self._not(EndObstacle.UNREAD, "; ".join(unread))
        if stays := self._still_starting(seen):
            where = ", ".join(f"{node} process {pid}" for node, pids in stays.items() for pid in pids)
            return self._not(EndObstacle.STARTING, f"not yet known whose: {where}", 0)
        return None

    def _pooled(self, seen: AccessSeen) -> NotEnded | None:
        """What poolers keep of it: sessions at servers, or clients that go on as another user."""
        if kept := {
            name: each.servers[self._role] for name, each in seen.poolers.items() if self._role in each.servers
        }:
            told = ", ".join(f"pooler {name} keeps {counted(many, 'session')} for it" for name, many in kept.items())
            return self._not(EndObstacle.POOLED, told, sum(kept.values()))
        for name, pooler in seen.poolers.items():
            if entries := pooler.disguised.get(self._role):
                told = f"pooler {name} has clients of it, which go on as another user: {', '.join(entries)}"
                way_out = (
                    f"At the pooler's console: kill {entries[0]}; resume {entries[0]}; take user= out of it, or of *"
                )
                return NotEnded(EndObstacle.POOLED, told, way_out, pooler.clients.get(self._role))
        return None

    def _not_heard(self, seen: AccessSeen) -> list[str]:
        """Nodes that have not replayed what the primary had written when its role was first read to be gone: what such
        a node knows of the role, also nothing, may be from before its login was opened. After the login window of that
        time it bars everybody anyway."""
        if seen.role(self._oid) is not None:
            self._gone = None
            return []
        if self._gone is None:
            self._gone = seen.wal.get(seen.primary, 0), seen.clock
            return []
        wal, clock = self._gone
        return [] if seen.clock > clock + LONGEST_WINDOW else [node for node, at in seen.wal.items() if at < wal]

    def _let_in(self, seen: AccessSeen, told: str) -> str:
        """By what it could still log in, empty when by nothing that is known; not of a role without its mark, which
        is there, and which only a superuser can close."""
        role = self._marked(seen)
        if role is not None and role.can_login:
            return told or f"role {self._role} can log in"
        ajar = [each.name for each in seen.doors.get(self._oid, ()) if each.accepted]
        return f"{self._role} is still let in: {', '.join(ajar)}" if ajar else ""

    def _still_starting(self, seen: AccessSeen) -> dict[str, list[int]]:
        """Processes that had not said whose they are in the look before either: one that starts is quicker."""
        before = self._before.starting if self._before is not None else {}
        both = {node: sorted({*pids} & {*before.get(node, ())}) for node, pids in seen.starting.items()}
        return {node: pids for node, pids in both.items() if pids}

    def _not(self, obstacle: EndObstacle, told: str, sessions: int | None = None) -> NotEnded:
        return NotEnded(obstacle, told, self._way_out(self._ways[obstacle]), sessions)

    def _way_out(self, way: str) -> str:
        return way.replace("ROLE", self._role).replace("UID", str(self._oid))

    async def _seen(self) -> AccessSeen | str:
        try:
            return await self._target.seen([self._oid], deadline=self._deadline)
        except ReadFailure as error:
            return error.message

    async def _tried(self, part: object) -> str:
        """Empty when it was done, else what was said."""
        try:
            await part  # type: ignore[misc]
        except (EffectRefused, EffectUnknown) as error:
            return error.message
        return ""
