"""The state of one server of a balancer: drained, in maintenance, or in rotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from state.api.card import CardWarning, Diff, WarningKind
from state.changes.following import (
    follower_rules,
    follower_warnings,
    followers_of,
    followers_touched,
    return_rules,
)
from state.changes.hands import drain_by_hand, maint_by_hand, ready_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Hands, Preview, ReadBack, Risk
from state.changes.safety import Touched, safety_rules
from state.changes.traffic import BackendChange, ServerArgs, shape
from state.errors import EffectRefused
from state.estate.model import Estate
from state.ports.balancer import CanSetState, ServerState
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.verdicts.traffic import ServerEffect, admin_state, state_word
from state.world.balancer_parts import Server

STATE_VERBS: Mapping[ServerState, tuple[str, str]] = {
    "drain": ("Drain", "drain {}"),
    "maint": ("Put into maintenance", "put {} into maintenance"),
    "ready": ("Return to rotation", "return {} to rotation"),
}
"""The words of a title and of a verb for each state."""


class SetState(BackendChange):
    """Take one server out of rotation (drain), out of all traffic (maint), or back (ready)."""

    def __init__(
        self, spec: ChangeSpec, args: ServerArgs, estate: Estate, outside: Outside, state: ServerState
    ) -> None:
        super().__init__(spec, args, estate, outside)
        self.server, self.state = args.server, state
        title, verb = STATE_VERBS[state]
        self.title = f"{title} {self.name}/{args.server}"
        self.verb = verb.format(args.server)

    async def preview(self, *, deadline: float) -> Preview:
        """State before and after, sessions that continue, and who serves afterwards."""
        servers = await self.servers(deadline)
        server = self.one(servers, self.server)
        effects = {self.server: ServerEffect(state=self.state)}
        subject = f"{self.name}/{self.server}"
        reading = await self.balancer.read(deadline=deadline)
        rules, warnings = [*self.own_rules(server)], list[CardWarning]()
        touched = [Touched(self.balancer.name, self.backend, servers, effects)]
        if self.state == "ready":
            rules += return_rules(server, reading, self.name)
            idle = "its weight is 0: in rotation it takes nothing" if not server.weight else ""
        else:
            followers = followers_of(reading, f"{self.backend}/{self.server}")
            rules += follower_rules(reading, followers, self.state, self.estate)
            warnings += follower_warnings(subject, followers, self.state)
            touched += followers_touched(reading, followers, self.state)
            idle = f"{server.sessions} sessions continue until they end" if server.sessions else ""
        rules += await safety_rules(touched, self.estate, self.outside, self.left, deadline)
        if idle:
            warnings.append(CardWarning(WarningKind.EFFECT, subject, idle))
        return Preview(
            verb=self.verb,
            diffs=(Diff(subject, state_word(server), self.state),),
            facts={"servers": shape(servers)},
            rules=(self.floor_rule(servers, effects), *rules),
            warnings=tuple(warnings),
            sessions_cut=0,
            undo=ChangeSpec(f"server.{self._before_it(server)}", self.spec.args),
            already=self._reached(server),
            leaves=self.would_leave(effects),
            gain=self.gain(servers, effects),
        )

    def _reached(self, server: Server) -> bool:
        """Whether it has the state; maintenance hides whether it is drained as well."""
        if self.state == "maint":
            return server.maintenance
        return server.drained == (self.state == "drain") and not server.maintenance

    def _before_it(self, server: Server) -> ServerState:
        """The state an undo gives back; where nothing would change, the opposite of what was asked for."""
        if self._reached(server):
            return "drain" if self.state == "ready" else "ready"
        return cast("ServerState", admin_state(server))

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Send the state once."""
        if not isinstance(self.balancer, CanSetState):
            raise EffectRefused(f"{self.balancer.name} cannot change server states")
        return await self.balancer.set_state(self.backend, self.server, self.state, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Done when the admin state shows it."""
        server = self.one(await self.servers(deadline), self.server)
        evidence = (f"{self.name}/{self.server} reads {state_word(server)}, {server.sessions} sessions",)
        if self._reached(server):
            return ReadBack(Finding.DONE, evidence, leaves=self.leaves((server,)))
        before = facts["servers"].get(self.server, [None, None])[1]
        finding = Finding.NOT_DONE if state_word(server) == before else Finding.PARTIAL
        return ReadBack(finding, evidence, leaves=self.leaves((server,)))


def _state(kind: str, state: ServerState) -> Callable[[ServerArgs, Estate, Outside], SetState]:
    def build(args: ServerArgs, estate: Estate, outside: Outside) -> SetState:
        return SetState(ChangeSpec(kind, args.model_dump()), args, estate, outside, state)

    return build


def _kind(state: ServerState, kind: str, title: str, by_hand: Hands) -> ChangeKind:
    return ChangeKind(kind, title, ServerArgs, Risk.B1, _state(kind, state), by_hand)


KINDS = (
    _kind("drain", "server.drain", "Drain a server", drain_by_hand),
    _kind("maint", "server.maint", "Put a server into maintenance", maint_by_hand),
    _kind("ready", "server.ready", "Return a server to rotation", ready_by_hand),
)
