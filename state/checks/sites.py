"""Checks on sites: one that was left gets no traffic any more."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from state.changes.floors import colours_of
from state.checks.hands import traffic_by_hand
from state.checks.model import Answer, CheckArgs, CheckKind, answered
from state.checks.traffic import Drained, backend_servers, drained
from state.config_files.suggestions import not_found
from state.estate.colours import Colours, colour_of
from state.estate.model import Estate, Name, ObjectName
from state.estate.values import SiteName
from state.health import Health
from state.verdicts.safety import standing_at
from state.world.balancer_parts import Server
from state.world.world import World

NAMED = 3
"""So many servers are named."""


class DrainedSite(CheckArgs):
    """Which site of which backend on which balancer, and how many sessions each of its servers may still have."""

    balancer: Name
    backend: ObjectName
    site: SiteName
    sessions: int = Field(default=0, ge=0)


def site_drained(args: DrainedSite, world: World, estate: Estate, now_mono: float) -> Answer:
    """Every server of a backend at a site is drained, as `server.drained` tells of one."""
    if args.site not in estate.sites:
        raise not_found("site", args.site, estate.sites)
    servers = backend_servers(args.balancer, args.backend, world, estate, now_mono)
    if isinstance(servers, Answer):
        return servers
    place = args.balancer, args.backend
    here = [s.name for s in servers if standing_at(estate, place, s) == args.site]
    if not here:
        return _none_there(args, servers, colours_of(estate, *place))
    common = {"balancer": args.balancer, "backend": args.backend, "sessions": args.sessions}
    found = [drained(Drained.model_validate({**common, "server": name}), world, estate, now_mono) for name in here]
    for health in (Health.FAIL, Health.UNKNOWN):
        if not_so := [each for each in found if each.health is health]:
            return Answer(health, tuple(told for each in not_so for told in each.evidence))
    return answered(True, *(told for each in found for told in each.evidence))


def _none_there(args: DrainedSite, servers: Sequence[Server], colours: Colours) -> Answer:
    """Nothing is drained there only where the estate says of every server that it stands elsewhere."""
    none = f"{args.balancer}/{args.backend} has no server at {args.site}"
    unplaced = [s.name for s in servers if (name := colour_of(colours, s.name)) == "" or colours[name].site is None]
    if unplaced:
        more = f" and {len(unplaced) - NAMED} more" if len(unplaced) > NAMED else ""
        none += f"; where {', '.join(unplaced[:NAMED])}{more} stand, no colour says"
    return answered(not unplaced, none)


KINDS = (
    CheckKind(
        "site.drained",
        "a site's servers take no new connections and are empty",
        DrainedSite,
        site_drained,
        by_hand=traffic_by_hand,
    ),
)
