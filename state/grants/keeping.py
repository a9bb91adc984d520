"""Keeps the grants of an estate: finds them at the targets, keeps their login open, warns, and ends them until proven.

What is live is read from the targets, also grants that this journal does not know. An end is never given up and never
refused: without a journal it goes on, and is recorded when that is possible again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from state.api.caller import Caller
from state.api.messages import Accepted
from state.changes.model import Risk
from state.clock import Clock
from state.config_files.suggestions import not_found
from state.errors import EffectRefused, EffectUnknown, JournalUnavailable, ReadFailure, Refused
from state.granting.credentials import require_credential
from state.granting.model import AccessSeen, Bundle, EndProof, TargetGrant, TargetState, host_of_target
from state.granting.scram import fingerprint
from state.grants.ending import GrantEnd
from state.grants.events import (
    GrantArmed,
    GrantEnded,
    GrantEnding,
    GrantExtended,
    GrantHeldUp,
    GrantOpened,
    GrantOpening,
    GrantResidueAccepted,
    GrantReturned,
    GrantWarned,
)
from state.grants.fold import Grant, Grants, TargetLook
from state.grants.residue import Pictures
from state.journal.events import Body, Event
from state.journal.writer import Journal
from state.policy.authority import ACTING, require_known, require_role
from state.ports.access import CanGrant
from state.ports.outside import Outside
from state.runs.witness import Witness
from state.units import counted, utc

LOOK = 1.0
"""Seconds between two looks at a target where a grant is live; where none is, the target says it."""
DEADLINE = 4.0
WINDOW = 30.0
"""Seconds for which the login is open at a time: so long it stays open when this engine is gone."""
REOPEN = 10.0
"""Seconds of it that may pass until it is opened for another while."""
WARNINGS = (120, 30)
"""Seconds before its end at which is warned."""
UNUSED = 600.0
"""Seconds after which a grant whose secret nobody took is ended."""
RETRY, LONGEST_RETRY = 0.5, 30.0
AGAIN = 1.0
"""Seconds until a proof that could not be recorded is tried again."""
SHORTEST_REASON = 10
NOT_LOGGED = "the server's log has none of its statements (log_statement)"
NOT_INSIDE = "not those inside blocks and functions, nor what ran while a superuser had it turned off"
LOGGED = {
    "unknown": "what the server's log has of its statements is not known: log_statement is not the same for everybody",
    "ddl": f"the server's log has what it created, altered and dropped, {NOT_INSIDE}",
    "mod": f"the server's log has what it changed, {NOT_INSIDE}",
    "all": f"the server's log has its statements, {NOT_INSIDE}",
}
EXPIRED, LAPSED = "its time is over", "nobody took its secret within 10 min"
ENDED_THERE = "it was blocked at the target"


class Granting:
    """What people may ask for besides plans: to take the secret of a grant, and to end it."""

    def __init__(
        self,
        outside: Callable[[], Outside],
        grants: Grants,
        journal: Journal,
        actor: str,
        moved: Callable[[], None],
        clock: Clock,
        witness: Witness,
    ) -> None:
        self._outside, self._grants, self._journal, self._witness = outside, grants, journal, witness
        self._actor, self._moved, self._clock = actor, moved, clock
        self.looks = grants.looks
        self._reopened: dict[str, float] = {}
        self._over_at: dict[str, tuple[float, float]] = {}
        self._ends: dict[str, asyncio.Task[None]] = {}
        self._claims: dict[str, asyncio.Lock] = {}
        self._hurry = asyncio.Event()
        self._pictures = Pictures(self._beside, self._note_own)

    async def watch(self) -> None:
        """Look at each target for as long as the engine lives."""
        looked: dict[str, float] = {}
        try:
            while True:
                now = self._clock.mono()
                targets = dict(self._outside().access)
                names = [name for name in targets if self._due(name, targets[name], looked, now)]
                self._hurry.clear()
                await asyncio.gather(*(self._look(name, targets[name]) for name in names))
                looked |= dict.fromkeys(names, self._clock.mono())
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK / 2):
                        await self._hurry.wait()
        finally:
            for task in self._ends.values():
                task.cancel()
            await asyncio.gather(*self._ends.values(), return_exceptions=True)
            await self._pictures.close()

    def _due(self, name: str, target: CanGrant, looked: Mapping[str, float], now: float) -> bool:
        """Whether a target is looked at now: what it says of its pace may change at any time."""
        pace = LOOK if self._live(name) else target.idle
        return self._hurry.is_set() or looked.get(name, float("-inf")) + pace <= now

    async def claim(self, caller: Caller, grant_id: str, verifier: str) -> Accepted:
        """Open the login with what the caller's own process made of a secret. Raises Refused, NotFound,
        EffectRefused, EffectUnknown and JournalUnavailable."""
        require_known(caller, "taking the secret of a grant")
        grant = self._known(grant_id)
        if caller.person.casefold() != grant.person.casefold():
            raise Refused("grantee", f"{grant.id} is for {grant.person}", "Ask for a grant of your own")
        target = self._target(grant)
        require_credential(target.takes, verifier)
        async with self._claims.setdefault(grant.id, asyncio.Lock()):  # of two at once, one takes it
            return await self._claimed(caller, grant, target, verifier)

    async def _claimed(self, caller: Caller, grant: Grant, target: CanGrant, verifier: str) -> Accepted:
        if grant.opening or grant.opened or grant.ending_since is not None:
            raise Refused("secret-once", f"the secret of {grant.id} was taken", "End it and ask for another one")
        if grant.bundle == Bundle.SUPERUSER.value and not grant.pictured:
            fact = f"what {grant.database} is like before {grant.id} is not recorded yet"
            raise Refused("picture", fact, "Take it again in a moment; recovery access list")
        await target.watch(grant.oid, deadline=DEADLINE)
        seen = await target.seen([grant.oid], deadline=DEADLINE)
        if grant.oid not in seen.reapers.get(seen.primary, ()):
            fact = f"nothing inside {seen.primary} waits for the end of {grant.id}"
            raise Refused("ender", fact, "Look at the log there and take it again; recovery access list")
        if against := await target.rehearse(grant.oid, grant.role, deadline=DEADLINE):
            way_out = f"Have pg_hba.conf ask {grant.role} for scram-sha-256, reload it, take the secret again"
            raise Refused("password", "; ".join(against), way_out, "database administrator")
        made = GrantOpening(grant.id, fingerprint(verifier), f"{grant.id}: {grant.person} takes the secret")
        await self._journal.append(Event(made, caller.person, caller.session))
        if unseen := await self._witness.before(Risk.B4):
            await self._begin_end(grant, "its opening has no witness", self._actor)
            raise Refused("anchors", unseen, "recovery journal anchors; bring a place back, then ask again")
        failed: EffectRefused | EffectUnknown | None = None
        try:
            await target.open_login(grant.oid, verifier, window=WINDOW, deadline=DEADLINE)
        except (EffectRefused, EffectUnknown) as error:
            failed = error
        role = (await self._told(grant.database, target, grant.oid)).role(grant.oid)
        if role is None or not role.can_login or role.secret != fingerprint(verifier):
            await self._begin_end(grant, "its login was not read to be open", self._actor)
            raise failed or EffectUnknown(f"the login of {grant.id} was not read to be open")
        told = f"{grant.id}: {grant.role} can log in at {grant.database}"
        await self._note(GrantOpened(grant.id, told), caller.person)
        self._witness.after(Risk.B4)
        return Accepted("", grant.role, role.certificate)

    async def _told(self, name: str, target: CanGrant, oid: int) -> AccessSeen:
        """What the target tells now, for everybody who looks. Raises ReadFailure."""
        seen, look = await target.seen([oid], deadline=DEADLINE), self.looks.setdefault(name, TargetLook())
        look.seen, look.mono = seen, self._clock.mono()
        self._grants.unrecorded += 1
        self._moved()
        return seen

    async def end(self, caller: Caller, grant_id: str) -> Accepted:
        """End a grant now. Never refused because of the journal. Raises Refused and NotFound."""
        grant = self._known(grant_id)
        if caller.person.casefold() != grant.person.casefold():
            require_role(caller, (*ACTING, "access-admin"), "ending a grant")
        require_known(caller, "ending a grant")
        await self._begin_end(grant, f"ended by {caller.person}", caller.person)
        return Accepted("", f"{grant.id} is ending; it is over when that is proven")

    async def accept(self, caller: Caller, grant_id: str, reason: str, residue: Sequence[str]) -> Accepted:
        """Take what a grant left as it is: the `residue` that the person saw. Raises Refused, NotFound and
        JournalUnavailable."""
        require_role(caller, ("commander", "access-admin"), "accepting what a grant left")
        grant = self._grants.all.get(grant_id)
        if grant is None or grant not in self._grants.unsettled or not grant.compared:
            raise not_found("grant that left something", grant_id, [each.id for each in self._grants.unsettled])
        if caller.person.casefold() == grant.person.casefold():
            raise Refused("grantee", f"{grant.id} was for {grant.person}", "Ask another person to look at it")
        if len(reason.strip()) < SHORTEST_REASON:
            raise Refused("reason", "why what it left may stay is not said", "Say it in 10 characters or more")
        if tuple(residue) != grant.residue:
            new = [each for each in grant.residue if each not in residue]
            fact = f"it left {counted(len(grant.residue), 'thing')} now, {len(new)} of them not shown before"
            raise Refused("residue", fact, "Look at it again")
        told = f"{grant.id}: {counted(len(grant.residue), 'thing')} accepted by {caller.person}: {reason.strip()[:300]}"
        body = GrantResidueAccepted(grant.id, grant.residue, reason.strip()[:300], told)
        await self._journal.append(Event(body, caller.person, caller.session))
        return Accepted("", told)

    def _known(self, name: str) -> Grant:
        grant = self._grants.all.get(name)
        if grant is None or grant.ended is not None:
            raise not_found("live grant", name, [each.id for each in self._grants.open])
        return grant

    def _target(self, grant: Grant) -> CanGrant:
        found = self._outside().access.get(grant.database)
        if found is None:
            raise not_found("database with access", grant.database, self._outside().access)
        return found

    def _beside(self, grant: Grant) -> list[int]:
        """The OIDs of live grants there. One that is over has no role; and one that began after a superuser's may be
        that superuser's own making: both are differences."""
        live = [each for each in self._grants.open if each.database == grant.database]
        return [each.oid for each in live if not grant.pictured or each.seqs[0] <= grant.seqs[0]]

    def _live(self, name: str) -> bool:
        return any(each.database == name for each in self._grants.open)

    async def _look(self, name: str, target: CanGrant) -> None:
        """Read one target, and do what is due there."""
        look = self.looks.setdefault(name, TargetLook())
        look.takes, look.bundles = target.takes, tuple(target.bundles)
        mine = [each for each in self._grants.open if each.database == name]
        try:
            seen = await target.seen([each.oid for each in mine], deadline=DEADLINE)
        except ReadFailure as error:
            look.error = error.message
            self._grants.unrecorded += 1
            await asyncio.gather(*(self._kept_blindly(each, target) for each in mine))
            return
        look.seen, look.mono, look.error = seen, self._clock.mono(), "; ".join(seen.unread.values())
        self._grants.unrecorded += 1
        for role in seen.roles:
            if role.ours and role.ends is not None:  # no grant is longer: else somebody else wrote its mark
                await self._found(name, replace(role, ends=min(role.ends, seen.clock + target.longest)), seen.system)
        for grant in [*self._grants.open, *self._grants.unsettled]:
            if grant.database == name:
                self._pictures.keep(grant, target)
        mine = [each for each in self._grants.open if each.database == name]
        watched = await self._watched(mine, target, seen)
        await asyncio.gather(*(self._kept(each, target, seen, watched=each.id in watched) for each in mine))
        self._moved()

    async def _found(self, name: str, role: TargetGrant, system: str) -> None:
        known = self._grants.all.get(role.grant)
        if known is not None and known.oid == role.oid:
            if known.ended is not None:
                told = f"{known.id} is at {name} again, as {role.role}: a node that had not heard of its end leads"
                await self._note(GrantReturned(known.id, told), self._actor)
            return
        if role.ends is None or (known is not None and known.ended is None):
            return
        told = f"{role.grant}: {role.person} may have {role.bundle} at {name} as {role.role} until {utc(role.ends)}"
        who = role.grant, name, role.oid, role.role, role.person, role.bundle, role.ticket, role.ends
        body = GrantArmed(*who, told, system)
        await self._note(body, self._actor)

    async def _watched(self, grants: Sequence[Grant], target: CanGrant, seen: AccessSeen) -> Collection[str]:
        """Have each server that is read wait for the end of each; those for which all do. Before anything else: in a
        server that has restarted nobody waits, and a session may have begun."""
        live = [each for each in grants if each.ending_since is None]
        lacking = [each for each in live if any(each.oid not in oids for oids in seen.reapers.values())]
        told = await asyncio.gather(*(target.watch(each.oid, deadline=DEADLINE) for each in lacking))
        failed = {each.id for each, why in zip(lacking, told, strict=True) if any(node in seen.reapers for node in why)}
        return {each.id for each in grants} - failed

    async def _kept(self, grant: Grant, target: CanGrant, seen: AccessSeen, *, watched: bool) -> None:
        """What is due for one grant now, by the target's clock. `watched`: each server that is read waits for its
        end."""
        role = seen.role(grant.oid)
        if grant.ending_since is not None or grant.id in self._ends:
            self._end(grant, target)
            return
        if role is None or role.state is TargetState.ENDING:
            await self._begin_end(grant, ENDED_THERE, self._actor)
            return
        ends = _end_told(grant, role, seen.clock + target.longest)
        if ends != grant.ends:
            told = f"{grant.id} ends at {utc(ends)}"
            await self._note(GrantExtended(grant.id, ends, told), self._actor)
        left = self._left(grant.id, ends, seen.clock)
        if left <= 0:
            await self._begin_end(grant, EXPIRED, self._actor)
            return
        if role.state is TargetState.ARMED and role.made is not None and seen.clock - role.made > UNUSED:
            await self._begin_end(grant, LAPSED, self._actor)
            return
        for seconds in WARNINGS:
            if left <= seconds and seconds not in grant.warned:
                told = f"{grant.id} of {grant.person} at {grant.database} ends in {round(left)} s"
                await self._note(GrantWarned(grant.id, seconds, told), self._actor)
        now = self._clock.mono()
        if not watched:
            return  # a session that began there now would end by nobody but this engine
        if role.state is TargetState.OPEN and now - self._reopened.get(grant.id, float("-inf")) >= REOPEN:
            with suppress(
                EffectRefused, EffectUnknown
            ):  # the next look tries again; the window bars the door meanwhile
                await target.keep_open(grant.oid, window=WINDOW, deadline=DEADLINE)
                self._reopened[grant.id] = now

    def _left(self, grant: str, ends: float, clock: float) -> float:
        """Seconds until it is over: by the target's clock, or by ours that goes on evenly, where that is sooner. A
        clock that is set back there makes nothing longer."""
        now = self._clock.mono()
        over_at = now + ends - clock
        for_ends, sooner = self._over_at.get(grant, (ends, over_at))
        if for_ends == ends:
            over_at = min(over_at, sooner)
        self._over_at[grant] = ends, over_at
        return over_at - now

    async def _kept_blindly(self, grant: Grant, target: CanGrant) -> None:
        """Where no node, or more than one, is known to accept writes: each node waits for the end, and ends what is
        over by its own clock; no login is kept open."""
        _, over_at = self._over_at.get(grant.id, (0.0, float("inf")))
        if grant.ending_since is None and self._clock.mono() >= over_at:
            await self._begin_end(grant, EXPIRED, self._actor)
        elif grant.ending_since is None:
            await target.watch(grant.oid, deadline=DEADLINE)
            await target.terminate(grant.oid, {}, sure=False, deadline=DEADLINE)
        else:
            self._end(grant, target)

    async def _begin_end(self, grant: Grant, reason: str, actor: str) -> None:
        if grant.ending_since is None:
            told = f"{grant.id} of {grant.person} at {grant.database} is ending: {reason}"
            await self._note(GrantEnding(grant.id, reason, told), actor)
        self._end(grant, self._target(grant))

    def _end(self, grant: Grant, target: CanGrant) -> None:
        """Have it ended, unless that is under way."""
        task = self._ends.get(grant.id)
        if task is None or task.done():
            self._ends[grant.id] = asyncio.create_task(self._until_proven(grant, target), name=f"end {grant.id}")

    async def _until_proven(self, grant: Grant, target: CanGrant) -> None:
        """Try until it is proven; there is no other way out."""
        ending, pause = GrantEnd(target, grant.oid, grant.role, DEADLINE, grant.system), RETRY
        look = self.looks.setdefault(grant.database, TargetLook())
        while True:
            found = await ending.attempt()
            if isinstance(found, EndProof):
                break
            look.held_up[grant.id] = found
            if found.told != grant.obstacle and pause > RETRY:  # the first look is always too early for some
                told = f"{grant.id} is not over: {found.told}. {found.way_out}"
                await self._note(GrantHeldUp(grant.id, found.told, told), self._actor)
            self._grants.unrecorded += 1
            self._moved()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_RETRY)
        look.held_up.pop(grant.id, None)
        await self._proven(grant, found)

    async def _proven(self, grant: Grant, proof: EndProof) -> None:
        """Record the proof, however long that takes."""
        late = max(0.0, proof.at - grant.ends)
        left = tuple(f"{each.kind.value} in {each.database}: {each.thing}" for each in proof.residue)
        nothing = "no account, no process" if host_of_target(grant.database) else "no role, no session"
        told = f"{grant.id} of {grant.person} at {grant.database} is over: {nothing} at {', '.join(proof.nodes)}"
        if proof.refused:
            told += f"; login refused: {', '.join(proof.refused)}"
        elif grant.opened and host_of_target(grant.database):
            told += "; no login was tried: the host has lost what it knew of it"
        told += f"; {counted(len(left), 'thing')} left, handed over or revoked" if left else ""
        told += f"; {LOGGED.get(proof.logged, NOT_LOGGED)}" if proof.logged else ""
        body = GrantEnded(grant.id, proof.at, round(late, 3), tuple(proof.nodes), left[:50], told, tuple(proof.refused))
        while not await self._note(body, self._actor):  # noqa: ASYNC110 the journal tells nobody when it is back
            await asyncio.sleep(AGAIN)
        self._witness.after(Risk.B4)
        self._hurry.set()

    async def _note_own(self, body: Body) -> bool:
        return await self._note(body, self._actor)

    async def _note(self, body: Body, actor: str) -> bool:
        """Record it, and tell whether that was possible."""
        try:
            await self._journal.append(Event(body, actor))
        except JournalUnavailable:
            return False
        return True


def _end_told(grant: Grant, role: TargetGrant, latest: float) -> float:
    """When it ends as its mark says. Whoever is a superuser can write that: what no extension could have made is not
    believed, and of a grant of that tier nothing later than it was told for."""
    if role.ends is None or role.ends > latest:
        return grant.ends
    return min(role.ends, grant.ends) if grant.bundle == Bundle.SUPERUSER.value else role.ends
