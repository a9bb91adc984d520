"""Safety rules of the estate: what must still be so after every change of traffic, and what must be so before one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from state.estate.entry import MOST_SERVERS, Entry, ObjectName, Ratio, Seconds
from state.estate.values import ServiceName, SiteName

ASKS = ("at_least", "at_least_share", "sites_on", "colours_on", "capacity", "needs", "wait")
"""What a rule asks for: one of these."""
MOST_RULES = 200


class ServersOf(Entry):
    """The servers of a service on its balancers: all of them, those that stand at a site, those of a colour. A server
    stands where its colour says, else where its balancer stands."""

    service: ServiceName
    site: SiteName | None = None
    colour: ObjectName | None = None


class CapacityNeed(Entry):
    """`per_server`: the requests a second that one server can carry; `factor`: how many times the present requests of a
    balancer its serving servers must be able to carry."""

    per_server: Annotated[float, Field(gt=0, le=1e9)]
    factor: Annotated[float, Field(ge=1, le=100)] = 1.2


class SafetyRule(ServersOf):
    """One rule about these servers.

    `at_least` and `at_least_share` (of those that are there) serve on each balancer; `sites_on` sites and `colours_on`
    colours have one that serves; `capacity` is enough for the present demand of a balancer. `needs`: they are changed
    only while a server of these others serves. `wait`: seconds between a change of them and the next one.
    """

    title: Annotated[str, Field(max_length=120)] = ""
    at_least: Annotated[int, Field(ge=1, le=MOST_SERVERS)] | None = None
    at_least_share: Annotated[Ratio, Field(gt=0)] | None = None
    sites_on: Annotated[int, Field(ge=1, le=100)] | None = None
    colours_on: Annotated[int, Field(ge=1, le=100)] | None = None
    capacity: CapacityNeed | None = None
    needs: ServersOf | None = None
    wait: Seconds | None = None

    @property
    def asks(self) -> str:
        """Which of them it asks for."""
        return next(name for name in ASKS if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _asks_one_thing(self) -> SafetyRule:
        present = [name for name in ASKS if getattr(self, name) is not None]
        if len(present) != 1:
            raise ValueError(f"exactly one of {', '.join(ASKS)}, not {' and '.join(present) or 'none of them'}")
        return self
