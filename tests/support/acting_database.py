"""A cluster in memory that can be asked for everything: what is asked for is noted and, where told so, done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from state.errors import ReadFailure, Trouble
from state.ports.database import LeaderLease, PointRecord, PromotionFacts, ScheduledSwitchover, SeenWriter
from state.ports.own import Exited
from state.ports.target import Identity, Receipt
from state.world.readings import PatroniReading, PostgresReading
from tests.support.cards import MemoryDatabase
from tests.unit.verdict_world import WALL


class ActingDatabase(MemoryDatabase):
    """n1 leads, n2 and n3 stream. Fulfils every capability; `dead` nodes do not answer, `asked` is what was asked."""

    def __init__(self, behind: int = 0) -> None:
        super().__init__(behind)
        self.asked: list[str] = []
        self.dead: set[str] = set()
        self.silent: set[str] = set()
        self.writer: SeenWriter | None = None
        self.lock = LeaderLease("n1", None, 30.0, True)
        self.members: dict[str, PatroniReading] = {}
        self.at: ScheduledSwitchover | None = None
        self.marks: dict[str, str] = {}
        self.makes_points, self.made_points = True, list[PointRecord]()
        self.upstreams = {"n2": "n1", "n3": "n1"}
        self.slots: dict[str, tuple[str, ...]] = {}
        self.facts: dict[str, PromotionFacts] = {}
        self.forks: dict[int, int] = {}

    def slots_seen(self, node: str) -> Collection[str]:
        return self.slots.get(node, ())

    def set(self, node: str, **values: Any) -> None:
        """Change a server's reading."""
        self._servers[node] = replace(self._servers[node], **values)

    def say(self, node: str, **values: Any) -> None:
        """Change what a member says."""
        self.members[node] = replace(self.members[node], **values)

    def promoted(self, node: str) -> None:
        """The node accepts writes on the next timeline; the others follow or are dead."""
        was = self._servers[node]
        self.set(node, in_recovery=False, timeline=(was.timeline or 0) + 1, write_lsn=was.receive_lsn,
                 receive_lsn=None, replay_lsn=None, receiver_state=None)  # fmt: skip

    def died(self, node: str, age: float = 38.0) -> None:
        """The node answers no more; what it said last is remembered when it wrote."""
        last = self._servers[node]
        if not last.in_recovery:
            self.writer = SeenWriter(last, age, WALL - age)
        self.dead.add(node)

    async def identify_unled(self, *, deadline: float) -> Identity:
        return Identity(self.name, {"scope": "orders", "leader": "no node"})

    async def read_node(self, node: str, *, deadline: float) -> PostgresReading:
        if node in self.dead:
            raise ReadFailure(Trouble.UNREACHABLE, f"{node} does not answer")
        return self._servers[node]

    async def read_member(self, node: str, *, deadline: float) -> PatroniReading:
        if node in self.dead | self.silent:
            raise ReadFailure(Trouble.UNREACHABLE, f"{node} does not answer")
        if node not in self.members:
            self.members[node] = replace(await super().read_member(node, deadline=deadline), ttl=30.0)
        return self.members[node]

    def last_writer(self) -> SeenWriter | None:
        return self.writer

    def lease(self) -> LeaderLease:
        return self.lock

    async def promotion(self, node: str, *, deadline: float) -> PromotionFacts:
        if node in self.dead:
            raise ReadFailure(Trouble.UNREACHABLE, f"{node} does not answer")
        return self.facts.get(node, PromotionFacts(node, unlogged=0, checkpoint=self._servers[node].timeline))

    async def fork(self, node: str, timeline: int, *, deadline: float) -> int | None:
        return self.forks.get(timeline)

    async def switch_over(self, leader: str, candidate: str, *, deadline: float) -> Receipt:
        return self._note(f"switch over {leader} {candidate}")

    async def fail_over(self, candidate: str, *, deadline: float) -> Receipt:
        return self._note(f"fail over {candidate}")

    async def pause(self, *, paused: bool, deadline: float) -> Receipt:
        return self._note(f"pause {paused}")

    async def restart(self, node: str, *, pending: bool, deadline: float) -> Receipt:
        return self._note(f"restart {node} {pending}")

    async def reinitialize(self, node: str, *, deadline: float) -> Receipt:
        return self._note(f"reinitialize {node}")

    async def schedule(self, leader: str, candidate: str, at: float, *, deadline: float) -> Receipt:
        return self._note(f"schedule {leader} {candidate} {at:.0f}")

    async def unschedule(self, *, deadline: float) -> Receipt:
        return self._note("unschedule")

    async def scheduled(self, *, deadline: float) -> ScheduledSwitchover | None:
        return self.at

    async def upstream(self, node: str, *, deadline: float) -> str:
        return self.upstreams.get(node, "")

    async def repoint(self, node: str, upstream: str, *, deadline: float) -> Receipt:
        return self._note(f"repoint {node} {upstream}")

    async def drop_slot(self, node: str, slot: str, *, deadline: float) -> Receipt:
        return self._note(f"drop {node} {slot}")

    async def make_point(self, node: str, name: str, mark: str, *, deadline: float) -> Receipt:
        self.made_points.append(PointRecord(name, 0x3000060, mark))
        return self._note(f"point {node} {name}")

    async def points(self, node: str, *, deadline: float) -> Sequence[PointRecord]:
        if node in self.dead:
            raise ReadFailure(Trouble.UNREACHABLE, f"{node} does not answer")
        return tuple(self.made_points)

    async def mark(self, node: str, mark: str, *, deadline: float) -> Receipt:
        self.marks[node] = mark
        return self._note(f"mark {node}")

    async def marked(self, node: str, *, deadline: float) -> str:
        if node in self.dead:
            raise ReadFailure(Trouble.UNREACHABLE, f"{node} does not answer")
        return self.marks.get(node, "")

    def _note(self, what: str) -> Receipt:
        self.asked.append(what)
        return Receipt("noted", what)


class PlainDatabase(ActingDatabase):
    """The same without managers: it can promote, and has no lock."""

    async def promote(self, node: str, *, deadline: float) -> Receipt:
        return self._note(f"promote {node}")


class HostCommand:
    """A command of the estate at a host: `code` is what its reading answers. Fulfils CanRunCommand."""

    name = "fence"

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.ran: list[tuple[str, ...]] = []
        self.processes: tuple[str, ...] = ()

    def output(self) -> HostCommand:
        return self

    def lines(self) -> tuple[str, ...]:
        return ()

    async def identify(self, argv: Any, *, deadline: float) -> Identity:
        return Identity("host", {})

    async def run(self, argv: Any, output: Any, *, effect: str, deadline: float) -> Receipt:
        self.ran.append(tuple(argv))
        return Receipt("exit-0", "exit code 0")

    async def at_work(self, effect: str) -> tuple[str, ...]:
        return self.processes

    async def read(self, argv: Any, *, effect: str, deadline: float) -> Exited:
        return Exited(self.code, "")


Commands = Mapping[str, HostCommand]
