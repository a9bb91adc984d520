"""Makes plans at random, has them carried out on a lane while others work there too, and counts what came of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from state.api.card import Card
from state.api.requests import PlanRequest, PlanSet, PlanShare, PlanUndo, Stop, Submission
from state.errors import Refused
from state.runs.model import Run
from tests.contract.dns_zones import ZONE
from tests.contract.plan_lane import ADDRESSES, Bind, Lane
from tests.contract.test_change_sets import BEFORE, EDGES, over
from tests.support.small_estate import COMMANDER

WWW = f"www.{ZONE} A"
WAYS = {"calm": 36, "stale": 16, "meanwhile": 26, "reverted": 22}
"""How often of a hundred: nothing else happens; somebody else acts between the card and its confirmation; while the
plan is carried out; after it."""


@dataclass
class Tally:
    """What was counted. `wrong` are plans of which something was not as it has to be."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def plans(self) -> int:
        """Plans that were confirmed."""
        return sum(self.counts[way] for way in WAYS)

    def told(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))


def generated(chance: random.Random) -> PlanRequest:
    """A share; or drains, returns and weights on one to three balancers, with a name or without; or a name alone."""
    kind = chance.random()
    if kind < 0.3:
        to, percent = chance.choice(("blue", "green")), chance.choice((0, 5, 33, 50, 99, 100))
        return PlanShare(service="shop", to=to, percent=percent)
    changes: list[dict[str, Any]] = []
    if kind < 0.9:
        for name in chance.sample(EDGES, chance.randint(1, 3)):
            for server in chance.sample(sorted(BEFORE), chance.randint(1, 2)):
                what = chance.choice(("server.drain", "server.ready", "server.weight"))
                args: dict[str, Any] = {"balancer": name, "backend": "web", "server": server}
                more = {"weight": chance.choice((0, 1, 40, 100, 256))} if what == "server.weight" else {}
                changes.append({"kind": what, "args": args | more})
    if kind > 0.7:
        values = sorted(chance.sample(ADDRESSES, chance.randint(1, 3)))
        changes.insert(
            chance.randint(0, len(changes)), {"kind": "dns.set", "args": {"zone": ZONE, "record": "www", "a": values}}
        )
    return PlanSet(title="generated", changes=tuple(changes))


def expected(before: dict[str, str], card: Card) -> dict[str, str]:
    """What the card says that will be there: everything, not only what it names."""
    after = dict(before)
    for diff in card.diffs:
        if diff.subject in after:
            after[diff.subject] = diff.after
    return after


def moved(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [each for each in before if before[each] != after[each]]


def place_of(subject: str) -> str:
    """The balancer, or the zone's name."""
    return "www" if subject == WWW else subject.partition("/")[0]


class Mill:
    """One lane's plans, one after the other."""

    def __init__(self, lane: Lane, tally: Tally) -> None:
        self.lane, self.tally, self.chance = lane, tally, lane.chance
        self._done = 0

    async def grind(self, plans: int) -> None:
        """So many confirmed plans."""
        while self._done < plans:
            await self.lane.well()
            before = await self.lane.observed()
            card = await self._card(generated(self.chance))
            if card is None:
                continue
            if card.refusals:
                self.tally.counts["refused on the card"] += 1
                if self.chance.random() < 0.5:
                    await self.lane.give_back()
                continue
            after = expected(before, card)
            if not moved(before, after):
                continue
            self._done += 1
            way = self.chance.choices(list(WAYS), list(WAYS.values()))[0]
            self.tally.counts[way] += 1
            await getattr(self, f"_{way}")(card, before, after)

    async def _card(self, request: PlanRequest) -> Card | None:
        """None where a target could not be read: a kept connection to a process that has ended since fails once."""
        try:
            return await self.lane.desk.card(request)
        except Refused as error:
            self.tally.counts[f"no card: {error.rule}"] += 1
            if error.rule != "fresh-readings":
                self.tally.wrong.append(f"no card: {error}")
            return None

    async def _submit(self, card: Card) -> Run:
        await asyncio.sleep(card.confirmation.arm)
        sent = Submission(card.plan, card.fingerprint, card.confirmation.typed)
        accepted = await self.lane.desk.engine.submit(COMMANDER, sent)
        return self.lane.desk.engine.history.runs[accepted.run]

    async def _ended(self, run: Run) -> str:
        """How it ended, with its undo; a run that waits for a person is stopped."""
        state = await over(run, 120.0)
        if state == "paused":
            await self.lane.well()
            await self.lane.desk.engine.control(COMMANDER, run.id, Stop())
            state = "stopped"
        runs = self.lane.desk.engine.history.runs
        while run.undoing or any(not each.ended for each in runs.values()):
            await asyncio.sleep(0.02)
        return state

    async def _compare(self, run: Run, wanted: dict[str, str]) -> None:
        found = await self.lane.observed()
        self.tally.counts["previews compared"] += 1
        if found != wanted:
            differing = [f"{each}: {wanted[each]} told, {found[each]} seen" for each in moved(wanted, found)]
            self.tally.wrong.append(f"{run.id} {run.title}: {'; '.join(differing)}")

    async def _undisturbed(self, card: Card) -> Run | None:
        """The run of a card once it is done; None when it is not, which nobody's disturbance explains."""
        run = await self._submit(card)
        state = await self._ended(run)
        if state == "done":
            return run
        self.tally.wrong.append(f"{run.id} {run.title}: {state} though nobody disturbed it: {run.message}")
        return None

    async def _calm(self, card: Card, before: dict[str, str], after: dict[str, str]) -> None:
        run = await self._undisturbed(card)
        if run is None:
            return
        await self._compare(run, after)
        if self.chance.random() < 0.3:
            undo = await self._card(PlanUndo(run.id))
            if undo is None or undo.refusals:
                self.tally.counts["undo refused by a rule"] += 1
                return
            undoing = await self._submit(undo)
            if await self._ended(undoing) == "done":
                self.tally.counts["undone"] += 1
                await self._compare(undoing, before)

    async def _stale(self, card: Card, before: dict[str, str], after: dict[str, str]) -> None:
        subject = self.chance.choice(moved(before, after))
        place = place_of(subject)
        if place != "www" and self.chance.random() < 0.3:
            await self._anew(place)
        else:
            await self._other(subject, before, after)
        await self.lane.well()
        runs = len(self.lane.desk.engine.history.runs)
        try:
            run = await self._submit(card)
        except Refused as error:
            self.tally.counts[f"stale refused: {error.rule}"] += 1
            if len(self.lane.desk.engine.history.runs) != runs:
                self.tally.wrong.append(f"a run began of a plan that was refused: {error}")
            return
        await self._ended(run)
        self.tally.wrong.append(f"{run.id}: a stale plan was taken: {subject} was {before[subject]} on its card")

    async def _anew(self, edge: str) -> None:
        """A reload, or a kill and a start."""
        if self.chance.random() < 0.5:
            self.tally.counts["reloads"] += 1
            await self.lane.begins_anew(edge, self.lane.edges.reload)
        else:
            self.tally.counts["kills"] += 1
            self.lane.edges.kill(edge)
            await self.lane.begins_anew(edge, self.lane.edges.start)

    async def _other(self, subject: str, before: dict[str, str], after: dict[str, str]) -> None:
        """Somebody else sets it to a third value, never below the floor."""
        self.tally.counts["foreign changes"] += 1
        if subject == WWW:
            was = before[WWW].split(", ")
            others = [each for each in ADDRESSES if each not in was]
            await self.lane.names.set_by_others((*was, *others) if others else ADDRESSES[:2])
            return
        place = subject.removesuffix(" weight")
        edge, _, server = place.split("/")
        weight = next(
            each for each in (37, 38, 39) if str(each) not in (before[f"{place} weight"], after[f"{place} weight"])
        )
        await self.lane.hand(edge, server, f"weight {weight}")

    async def _meanwhile(self, card: Card, before: dict[str, str], after: dict[str, str]) -> None:
        run = await self._submit(card)
        at, how = self.chance.choice((*EDGES, "www")), self.chance.random()
        await asyncio.sleep(self.chance.random() * 2.0)
        if at == "www":
            await self._disturb_names(how)
        else:
            await self._disturb_edge(at, how)
        state = await self._ended(run)
        self.tally.counts[f"meanwhile: {state}"] += 1
        await self.lane.well()
        if state == "done" and at not in {place_of(each) for each in moved(before, after)}:
            mine = {each: value for each, value in after.items() if place_of(each) != at}
            found = {each: value for each, value in (await self.lane.observed()).items() if each in mine}
            self.tally.counts["previews compared"] += 1
            if found != mine:
                self.tally.wrong.append(f"{run.id} {run.title}: {moved(mine, found)} otherwise than told")

    async def _disturb_edge(self, edge: str, how: float) -> None:
        if how < 0.4:
            await self._anew(edge)
        elif how < 0.6:
            self.tally.counts["sockets lost"] += 1
            self.lane.edges.cut(edge)
            await asyncio.sleep(self.chance.random() * 2.0)
            self.lane.edges.join(edge)
        elif how < 0.75:
            self.tally.counts["kills"] += 1
            self.lane.edges.kill(edge)
            await asyncio.sleep(self.chance.random() * 2.0)
            await self.lane.begins_anew(edge, self.lane.edges.start)
        else:
            self.tally.counts["foreign changes"] += 1
            what = self.chance.choice(("state drain", "weight 0", "weight 11"))
            await self.lane.hand(edge, self.chance.choice(sorted(BEFORE)), what)

    async def _disturb_names(self, how: float) -> None:
        names = self.lane.names
        if how < 0.4:
            self.tally.counts["kills of a name server"] += 1
            names.kill()
            await asyncio.sleep(self.chance.random() * 2.0)
            await asyncio.to_thread(names.start)
        elif how < 0.6 and isinstance(names, Bind):
            self.tally.counts["reloads of a name server"] += 1
            names.reload()
        else:
            self.tally.counts["foreign changes"] += 1
            await names.set_by_others(tuple(self.chance.sample(ADDRESSES, self.chance.randint(1, 3))))

    async def _reverted(self, card: Card, before: dict[str, str], after: dict[str, str]) -> None:
        run = await self._undisturbed(card)
        if run is None:
            return
        await self._compare(run, after)
        subject = self.chance.choice(moved(before, after))
        place = place_of(subject)
        source = f"dns:{ZONE}@127.0.0.1:{self.lane.names.port}" if place == "www" else f"balancer:{place}"
        await self.lane.polled(source, 2)  # what stood before is told no more
        known = self.lane.alarms()
        if place == "www":
            await self.lane.names.set_by_others(tuple(before[subject].split(", ")))
            words: tuple[str, ...] = ("www",)
        else:
            words = await self._revert(place, subject, before[subject])
            if not words:
                self.tally.counts["not set back: too few would be left"] += 1
                return
        polls = await self.lane.alarmed(source, words, known)
        if polls:
            self.tally.counts[f"reverts alarmed after {polls} polls"] += 1
        if not 1 <= polls <= 2:
            told = f"{run.id}: {subject} set back to {before[subject]}, alarmed after {polls or 'more than 4'} polls"
            self.tally.wrong.append(f"{told}; before {known}, now {self.lane.alarms()}")

    async def _revert(self, edge: str, subject: str, was: str) -> tuple[str, ...]:
        """By a process that begins anew where that changes something, else by hand; what the alarm has to say."""
        server, _, setting = subject.split("/")[2].partition(" ")
        now = await self.lane.observed()
        lost = any(
            now[f"{edge}/web/{s} weight"] != str(w) or now[f"{edge}/web/{s}"] != "ready" for s, w in BEFORE.items()
        )
        if lost and self.chance.random() < 0.4:
            await self._anew(edge)
            return edge, "runtime state lost"
        given = await self.lane.hand(edge, server, f"{setting or 'state'} {was}")
        return (edge, "changed from outside") if given else ()
