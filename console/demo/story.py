"""The story of `recovery demo --headless`: a bad release and a switchover on real components, measured.

Detection and recovery are measured as a console gets them from the engine; write outage and lost orders by the lab's
own count. A figure that could not be read is None, never zero.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from console.card_text import plain_card
from console.cli.acting import ARM_MARGIN, require_confirmable
from console.cli.following import followed
from console.client.engine_client import EngineClient
from console.demo.watch import NotSeen, OrderGap, Watcher
from state.api.requests import PlanChange, PlanRequest, PlanRunbook, Submission
from state.api.views.replication import ReplicationView
from state.api.views.runbooks import RunbooksView
from state.errors import ExitCode, Refused
from state.health import Health
from state.units import megabytes

if TYPE_CHECKING:
    from adapters.lab.client import LabClient

SERVICE, DATABASE, FAULT = "checkout", "orders", "bad-release"
SETTLE, DETECT, RUN, RECOVER = 60.0, 60.0, 240.0, 60.0  # seconds each part may take
FAULT_SECONDS = 600.0  # longer than the story: only the roll-back ends its effect
RESOLUTION = "one order in flight and one sample, about 0.1 s"


@dataclass(slots=True)
class StoryStep:
    """One verified statement of the story."""

    what: str
    passed: bool
    evidence: list[str]


@dataclass(slots=True)
class Account:
    """What was measured; seconds, None = not measured."""

    steps: list[StoryStep] = field(default_factory=list)
    detection_seconds: float | None = None
    rto_seconds: float | None = None
    rto_target_seconds: float | None = None
    write_outage_seconds: float | None = None
    write_outage_resolution: str = RESOLUTION
    orders_acknowledged: int | None = None
    orders_lost: int | None = None
    data_loss_bytes: int | None = None
    data_loss_evidence: str = "not measured"
    leader_before: str = ""
    leader_after: str = ""
    runs: dict[str, list[str]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every statement is true, and there is at least one."""
        return bool(self.steps) and all(step.passed for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {"passed": self.passed, **asdict(self)}


class Story:
    """Runs the story on one lab with its engine. `tell` is called with each line as it happens."""

    def __init__(self, lab: LabClient, client: EngineClient, tell: Callable[[str], None]) -> None:
        self._lab, self._client, self._tell = lab, client, tell
        self._watcher = Watcher(client)
        self.account = Account()

    async def run(self) -> Account:
        """The whole story. The first part that fails ends it; the figures until then are kept."""
        async with self._listening():
            try:
                await self._baseline()
                await self._bad_release()
                await self._switchover()
                await self._verify()
            except (NotSeen, Refused) as failed:
                self._state(f"{failed.title}: {failed}", False)
        return self.account

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watcher.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _state(self, what: str, passed: bool, *evidence: str) -> None:
        self.account.steps.append(StoryStep(what, passed, list(evidence)))
        self._tell(f"{'ok  ' if passed else 'FAIL'} {what}" + "".join(f"\n       {message}" for message in evidence))

    async def _baseline(self) -> None:
        self._tell("-- a healthy baseline")
        await self._watcher.until("a healthy baseline", self._watcher.all_pass, SETTLE)
        self._state("every service and the database cluster pass", True, self._watcher.message())

    async def _bad_release(self) -> None:
        self._tell(f"-- {FAULT}: green (v42) fails one request in five and takes all traffic")
        await self._do(PlanChange("fault.inject", {"fault": FAULT, "seconds": FAULT_SECONDS}))
        injected = await self._injected_at()
        detected = await self._watcher.turned(SERVICE, Health.FAIL, after=injected, seconds=DETECT) - injected
        self.account.detection_seconds = round(detected, 2)
        self._state(f"detected {detected:.1f} s after the injection", True, self._watcher.message())
        self._tell("-- roll the release back, one site after the other")
        code = await self._do(PlanRunbook("roll-back-release", {"service": SERVICE, "to": "blue"}))
        self._state("the roll-back is verified", code is ExitCode.DONE, *self.account.runs["roll-back-release"])
        await self._watcher.until(f"{SERVICE} passes", lambda: self._watcher.service(SERVICE) is Health.PASS, RECOVER)
        recovered = self._watcher.last_turn(SERVICE, Health.PASS) or time.time()
        view = self._watcher.view("overview")
        target = view.services[SERVICE].rto_target
        self.account.rto_seconds, self.account.rto_target_seconds = round(recovered - injected, 2), target
        self._state(
            f"recovered {recovered - injected:.1f} s after the injection, objective {target:.0f} s",
            recovered - injected <= target,
            self._watcher.message(),
        )

    async def _injected_at(self) -> float:
        """When the lab put the fault into effect, by its own clock, which is this host's."""
        faults = (await self._lab.faults())["injected"]
        return float(next(row["since"] for row in faults if row["name"] == FAULT))

    def _leader(self) -> str:
        view: ReplicationView | None = self._watcher.view("replication")
        row = view.clusters.get(DATABASE) if view is not None else None
        return row.leader if row is not None else ""

    def _candidate(self) -> str:
        """The standby to hand over to, named so that the plan does not depend on which lags less at an instant."""
        view: ReplicationView | None = self._watcher.view("replication")
        nodes = view.nodes.values() if view is not None else ()
        able = sorted(
            n.node for n in nodes if n.cluster == DATABASE and n.role == "standby" and n.health is Health.PASS
        )
        if not able:
            raise NotSeen(f"no standby of {DATABASE} can lead")
        return able[0]

    async def _switchover(self) -> None:
        self._tell("-- switch the database's leader role over, while orders come in")
        self.account.leader_before = self._leader()
        params = {"service": SERVICE, "database": DATABASE, "to": self._candidate()}
        gap = OrderGap()
        sampling = asyncio.create_task(gap.run(self._lab))
        try:
            code = await self._do(PlanRunbook("switch-database", params))
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)
        self.account.write_outage_seconds = round(gap.longest, 2)
        self._state("the switchover is verified", code is ExitCode.DONE, *self.account.runs["switch-database"])

    async def _verify(self) -> None:
        self._tell("-- verify")
        await self._watcher.until("every service and cluster passes", self._watcher.all_pass, SETTLE)
        account = self.account
        account.leader_after = self._leader()
        moved = account.leader_after not in ("", account.leader_before)
        self._state(f"the leader moved from {account.leader_before} to {account.leader_after}", moved)
        orders = await self._lab.lost_orders()
        account.orders_acknowledged, account.orders_lost = int(orders["acknowledged"]), int(orders["lost"])
        counted = f"{account.orders_lost} of {account.orders_acknowledged} acknowledged orders are missing"
        account.data_loss_bytes = self._lost_bytes()
        account.data_loss_evidence = f"WAL past the fork; every acknowledged order looked up: {counted}"
        self._state("no acknowledged order was lost", account.orders_lost == 0, counted)
        problem = (await self._client.journal_verify()).problem
        self._state("the journal's chain is valid", not problem, problem or "verified from the first entry")

    def _lost_bytes(self) -> int | None:
        """Bytes the old leader wrote past the fork, as measured by the switchover's step."""
        view: RunbooksView | None = self._watcher.view("runbooks")
        steps = [] if view is None else [s for s in view.steps.values() if "lost_bytes" in s.figures]
        return int(steps[-1].figures["lost_bytes"]) if steps else None

    async def _do(self, request: PlanRequest) -> ExitCode:
        """Preview, show the card, confirm as it asks, and follow the run to its end. Raises Refused."""
        card = await self._client.preview(request)
        for line in plain_card(card):
            self._tell(f"   | {line}")
        require_confirmable(card)
        await asyncio.sleep(card.confirmation.arm + ARM_MARGIN)
        typed = card.confirmation.typed
        accepted = await self._client.submit(Submission(card.plan, card.fingerprint, typed))
        code, _ = await followed(self._client, accepted.run, within=RUN, tell=lambda line: self._tell(f"   {line}"))
        await self._remember(request.name if isinstance(request, PlanRunbook) else request.do, accepted.run)
        return code

    async def _remember(self, name: str, run: str) -> None:
        view: RunbooksView = await self._client.view("runbooks")
        steps = [step for step in view.steps.values() if step.run == run]
        steps.sort(key=lambda step: (step.index, step.instance))
        self.account.runs[name] = [
            f"{step.title}: {step.state.value}" + (f", {step.evidence[-1]}" if step.evidence else "") for step in steps
        ]


def summary(account: Account) -> list[str]:
    """The measured figures for people."""

    def seconds(value: float | None) -> str:
        return "not measured" if value is None else f"{value:.1f} s"

    loss = "unknown" if account.data_loss_bytes is None else megabytes(account.data_loss_bytes)
    lost = "unknown" if account.orders_lost is None else f"{account.orders_lost} of {account.orders_acknowledged}"
    promised = "" if account.rto_target_seconds is None else f" of {account.rto_target_seconds:.0f} s objective"
    return [
        "",
        "PASSED" if account.passed else "NOT PASSED",
        f"  detection      {seconds(account.detection_seconds)}   injection to the verdict FAIL in a console",
        f"  recovery (RTO) {seconds(account.rto_seconds)}{promised}   injection to the last change to PASS",
        f"  write outage   {seconds(account.write_outage_seconds)}   longest time without an acknowledged order while"
        f" switching over; resolution {account.write_outage_resolution}",
        f"  data loss      {loss}   {account.data_loss_evidence}",
        f"  orders lost    {lost}",
        f"  leader         {account.leader_before or '?'} -> {account.leader_after or '?'}",
        *(f"  failed: {step.what}" for step in account.steps if not step.passed),
    ]
