"""A site that gets at most a share of a backend's traffic, by weight: how it is left step by step."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field

from state.api.card import Rule
from state.changes.model import ChangeKind, ChangeSpec, Risk
from state.changes.sharing import SetShare
from state.changes.traffic import BackendArgs
from state.config_files.suggestions import not_found
from state.estate.model import Estate, HandStep
from state.estate.values import SiteName
from state.ports.outside import Outside
from state.verdicts.safety import standing_at
from state.verdicts.sharing import ShareSide, Split, split
from state.world.balancer_parts import Server

KIND = "backend.leave-site"


class ShareLeftArgs(BackendArgs):
    """And the site, with the percent of the traffic that it may keep."""

    site: SiteName
    at_most: Annotated[int, Field(ge=0, le=99)] = 0


class ShareLeft(SetShare):
    """Give the servers of a site at most this share. One that has no more already stays as it is."""

    risk = Risk.B2

    def __init__(self, spec: ChangeSpec, args: ShareLeftArgs, estate: Estate, outside: Outside) -> None:
        super().__init__(spec, args, estate, outside, args.site, args.at_most)
        left = f"at most {args.at_most}%" if args.at_most else "nothing"
        self.title = f"Leave {args.site} {left} of {self.name}"
        self.verb = f"leave {args.site} {left}"

    def _names(self, servers: tuple[Server, ...]) -> set[str]:
        return {s.name for s in servers if self._site(s) == self.to}

    def _site(self, server: Server) -> str:
        return standing_at(self.estate, (self.balancer.name, self.backend), server)

    def _split(self, servers: tuple[Server, ...], one: ShareSide, other: ShareSide) -> Split | None:
        now = Fraction(self._share_now(servers, one)).limit_denominator(1_000_000)
        if now * 100 <= self.percent and (self.percent or not any(s.weight for s in one.servers)):
            kept = {s.name: s.weight for s in (*one.servers, *other.servers)}
            return Split(kept, now, now, now, True)
        return split(one, other, self.percent)

    def _reachable(self, one: ShareSide, other: ShareSide, made: Split | None) -> Rule:
        if one.servers and not other.servers:
            fact = f"all its servers stand at {self.to}"
            way_out = "Nothing of it can be shifted: lead clients to another balancer"
            return Rule("reachable", False, fact, way_out, "responder", self.name, self.balancer.name)
        return super()._reachable(one, other, made)


def _build(args: ShareLeftArgs, estate: Estate, outside: Outside) -> ShareLeft:
    if args.site not in estate.sites:
        raise not_found("site", args.site, estate.sites)
    return ShareLeft(ChangeSpec(KIND, args.model_dump()), args, estate, outside)


def leave_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """The weights of the site's servers, which are read first."""
    look = estate.balancers[args.balancer].read_by_hand(args.backend)
    wanted = f"weights so that {args.site} gets at most {args.at_most}%" if args.at_most else "weight 0"
    return [look, HandStep(f"set each server of {args.backend} that stands at {args.site} to {wanted}")]


KINDS = (ChangeKind(KIND, "Give a site at most a share", ShareLeftArgs, Risk.B2, _build, leave_by_hand),)
