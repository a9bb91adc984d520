"""Balancers that were reloaded or restarted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from state.detection.families import Family, Look, named
from state.detection.follow import Pace, Shift, Told
from state.detection.observations import BalancerRestarted, RestartedBalancer
from state.journal.events import Observation
from state.units import utc
from state.world.balancer_parts import BalancerReading


class Restarts(Family):
    """The process of every balancer. `ended`: wall time up to which an earlier engine of this journal ran, if any."""

    pace = Pace(worse=1.0, better=1.0, gather=0.5)
    bodies = (BalancerRestarted,)

    def __init__(self) -> None:
        super().__init__()
        self.ended: float | None = None

    def see(self, look: Look) -> Iterator[tuple[str, str | None]]:
        world = look.judgement.world
        for key in world.keys("balancer"):
            reading = world.fresh(key, BalancerReading, look.mono)
            if reading is None:
                yield reading_name(key), None
                continue
            known = self.follower.told(reading.name)
            if known is None and (self.ended is None or reading.started_at <= self.ended):
                self.follower.tell(reading.name, reading.process, look.mono)  # the first one seen is no restart
            yield reading.name, reading.process

    def tell(self, shifts: Sequence[Shift], look: Look) -> Iterator[Observation]:
        facts: list[RestartedBalancer] = []
        for shift in shifts:
            reading = look.judgement.world.fresh(f"balancer:{shift.subject}", BalancerReading, look.mono)
            started = reading.started_at if reading is not None else look.told_at(shift.since)
            facts.append(RestartedBalancer(shift.subject, shift.before, shift.now, started, shift.more))
        who = named(f"{f.balancer} (process started {utc(f.started_at)})" for f in facts)
        yield BalancerRestarted(f"reloaded or restarted: {who}", tuple(facts))

    def told(self, body: BalancerRestarted, at: float) -> Iterable[Told]:
        return [Told(each.balancer, each.process) for each in body.balancers]


def reading_name(key: str) -> str:
    """The balancer of a source key."""
    return key.partition(":")[2]
