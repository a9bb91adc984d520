"""What became of a change of a name: who answers it by now, and from when caches can hold nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from state.ports.target import Setting
from state.units import utc
from state.verdicts.dns import comparable
from state.verdicts.record_sets import ADDRESSES
from state.world.dns_parts import DnsReading

PLACE = "dns:"
"""How the place of a setting of a zone begins."""
Name = tuple[str, str]
"""Zone and record, as the estate calls them."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a name that ended: the values of each type, how long caches may keep what was before (seconds), and
    when it ended, by the wall clock and by the engine's. `whole`: every authoritative server answered it then."""

    wanted: Mapping[str, frozenset[str]]
    wait: float
    at: float
    mono: float
    whole: bool

    @property
    def complete(self) -> str:
        """From when on clients that honour TTL have it."""
        return f"complete not before {utc(self.at + self.wait)}"


@dataclass(frozen=True, slots=True)
class Spread:
    """How far a change has come: the sources that answer it, all that are asked, and the shares after each reading."""

    move: Move
    shown: frozenset[str]
    asked: frozenset[str]
    curve: tuple[float, ...]


def moved_names(settings: Iterable[Setting]) -> dict[Name, dict[str, frozenset[str]]]:
    """The names whose sets are among settings that an effect left, with the values of each type."""
    found: dict[Name, dict[str, frozenset[str]]] = {}
    for setting in settings:
        if len(setting.place) == 3 and setting.place[0].startswith(PLACE):
            zone, record, kind = setting.place[0].removeprefix(PLACE), setting.place[1], setting.place[2]
            values = frozenset(comparable(each) for each in setting.value.split(" ")[1:])
            found.setdefault((zone, record), {})[kind] = values
    return found


def answers_it(reading: DnsReading, record: str, wanted: Mapping[str, frozenset[str]]) -> bool | None:
    """Whether one server answers a change of a name, by the types that are asked of it; None: that says nothing."""
    verdicts: list[bool] = []
    for key, values in reading.records.items():
        name, _, kind = key.rpartition("/")
        if name != record:
            continue
        target = next(iter(wanted.get("CNAME", ())), "")
        if kind in ADDRESSES and target:
            if alias := reading.aliases.get(key):
                verdicts.append(comparable(alias) == target)
            continue  # an alias that is followed has the addresses of another name
        verdicts.append({comparable(each) for each in values} == wanted.get(kind, frozenset()))
    return all(verdicts) if verdicts else None
