"""What Patroni is asked to do: each request goes to one member's API, once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from adapters.databases.patroni_judge import (
    judge,
    judge_config,
    judge_reinitialize,
    judge_restart,
    judge_unschedule,
)
from adapters.databases.patroni_parse import parse_scheduled
from adapters.net.http_client import Reply
from state.errors import EffectRefused, ReadFailure, Trouble
from state.ports.target import Receipt
from state.world.manager_parts import ScheduledSwitchover

FIND = 3.0
"""Seconds within which a member that reads the cluster is found; later, nothing is sent."""


class Member(Protocol):
    """One member's API, as far as it acts."""

    node: str

    async def send(self, method: str, path: str, body: Mapping[str, Any] | None, deadline: float) -> Reply: ...
    async def cluster(self, end: float) -> dict[str, Any] | None: ...


class PatroniActs:
    """Fulfils CanSwitchOver, CanSchedule, CanFailOver, CanPause, CanRestart and CanReinitialize.

    All raise EffectRefused (`unreachable`, `unknown-name`, `bad-request-400`, `denied-401`, `denied-403` and those that
    are named) and EffectUnknown (`reset`, `timeout`, `redirect`, `answer-<status>` and those that are named).
    """

    def __init__(self, name: str, members: Mapping[str, Member]) -> None:
        self.name = name
        self._members = members

    async def switch_over(self, leader: str, candidate: str, *, deadline: float) -> Receipt:
        """POST /switchover to the leader's own API.

        Receipt codes: `switched`, `landed-elsewhere` (another node leads now). Raises EffectRefused (`impossible-412`)
        and EffectUnknown (`failed-503`, `status-unknown-503`).
        """
        self._known(candidate)
        body = {"leader": leader, "candidate": candidate}
        return judge(await self._known(leader).send("POST", "/switchover", body, deadline), candidate)

    async def schedule(self, leader: str, candidate: str, at: float, *, deadline: float) -> Receipt:
        """POST /switchover with `scheduled_at` to the leader's own API. Receipt code: `scheduled`."""
        self._known(candidate)
        when = datetime.fromtimestamp(at, UTC).isoformat()
        body = {"leader": leader, "candidate": candidate, "scheduled_at": when}
        return judge(await self._known(leader).send("POST", "/switchover", body, deadline), candidate)

    async def unschedule(self, *, deadline: float) -> Receipt:
        """DELETE /switchover. Receipt code: `unscheduled`. Raises EffectRefused (`none-scheduled-404`)."""
        member = await self._in_contact(deadline)
        return judge_unschedule(await member.send("DELETE", "/switchover", None, deadline))

    async def scheduled(self, *, deadline: float) -> ScheduledSwitchover | None:
        """What is scheduled, by the first member that reads the cluster. Raises ReadFailure."""
        end = time.monotonic() + deadline
        for member in self._members.values():
            if (cluster := await member.cluster(end)) is not None:
                found = parse_scheduled(cluster)
                if found is None and cluster.get("scheduled_switchover"):
                    raise ReadFailure(Trouble.ERROR, f"{self.name}: what is scheduled cannot be read")
                return found
        raise ReadFailure(Trouble.UNREACHABLE, f"{self.name}: no member reads the cluster")

    async def fail_over(self, candidate: str, *, deadline: float) -> Receipt:
        """POST /failover to the candidate's own API: it is to be the next leader. Codes as for `switch_over`."""
        body = {"candidate": candidate}
        return judge(await self._known(candidate).send("POST", "/failover", body, deadline), candidate)

    async def pause(self, *, paused: bool, deadline: float) -> Receipt:
        """PATCH /config. Receipt code: `configured`. Raises EffectRefused (`no-configuration-503`)."""
        member = await self._in_contact(deadline)
        return judge_config(await member.send("PATCH", "/config", {"pause": paused or None}, deadline))

    async def restart(self, node: str, *, pending: bool, deadline: float) -> Receipt:
        """POST /restart to the node's own API; a node that leads refuses it, with `pending` one without need as well.

        Receipt code: `restarted`. Raises EffectRefused (`role-503`) and EffectUnknown (`failed-503`).
        """
        body = {"role": "replica"} | ({"restart_pending": True} if pending else {})
        return judge_restart(await self._known(node).send("POST", "/restart", body, deadline))

    async def reinitialize(self, node: str, *, deadline: float) -> Receipt:
        """POST /reinitialize to the node's own API. Receipt code: `begun`. Raises EffectRefused (`refused-503`)."""
        return judge_reinitialize(await self._known(node).send("POST", "/reinitialize", {"force": False}, deadline))

    def _known(self, node: str) -> Member:
        if node not in self._members:
            raise EffectRefused(f"{node} is not a node of {self.name}", "unknown-name")
        return self._members[node]

    async def _in_contact(self, deadline: float) -> Member:
        """A member that reads the cluster from its store."""
        end = time.monotonic() + min(deadline, FIND)
        for member in self._members.values():
            if await member.cluster(end) is not None:
                return member
        raise EffectRefused(f"{self.name}: no member reads the cluster", "unreachable")
