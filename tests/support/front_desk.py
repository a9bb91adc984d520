"""A front desk without an engine: it remembers who asked what, and answers as it was told."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from state.api.approvals import ApprovalCard, ApprovalVerb, AskApproval
from state.api.caller import Caller, Identified, KernelAccount
from state.api.card import Card, Confirm
from state.api.messages import API_VERSION, Accepted, ChainProof, Hello, Retained
from state.api.releases import ReleaseRecord
from state.api.requests import ControlRequest, PlanRequest, Submission
from state.api.run_states import RunState, StepState
from state.api.views.comparisons import ComparisonsView
from state.api.views.header import HeaderView, SourceRow
from state.api.views.history import HistoryView
from state.api.views.journal import JournalRow, JournalView
from state.api.views.overview import OverviewView, ServiceRow
from state.api.views.replication import ReplicationView
from state.api.views.runbooks import RunbooksView, RunRow, StepRow
from state.api.views.traffic import TrafficView
from state.engine.attached import Attached
from state.errors import Refusal
from state.health import Health
from tests.support.cards import card
from tests.support.empty_views import empty_view
from tests.support.small_estate import LoopClock

CARD = card(Confirm.NONCE, nonce="AB2C", arm=0.05)
SOURCES = {"pg:n1": SourceRow("pg:n1", 1.0, 3.0, "", "")}
HEADER = HeaderView("shop", "lab", None, None, (), "", 7, "aa", "", (), SOURCES)
SERVICE = ServiceRow(
    name="checkout",
    order=1,
    tier=1,
    health=Health.PASS,
    message="within its objectives",
    rate=20.0,
    error_ratio=0.0,
    error_limit=0.01,
    p99=0.02,
    p99_limit=0.3,
    releases="blue v41 100%",
    depends_on=("orders",),
    unblocks=1,
    owners="u1",
    rto=None,
    rto_target=300.0,
    rpo_target=1_000_000,
    source="pg:n1",
    fallback=False,
    trend=(),
    p99_beyond=False,
)


def run_row(state: RunState, message: str = "") -> RunRow:
    """A run in some state."""
    return RunRow("R-1", "", "Drain", "", state, "u1", "", 0.0, 1.5, None, None, 1, 1, message, "", (), ())


def step_row(run: str, step: str, instance: int, state: StepState, **more: Any) -> StepRow:
    """A step instance of a run in some state."""
    key = f"{run}/{step}#{instance}"
    row = StepRow(key, run, step, instance, 0, 0, "check", step, "u1", state, None, None, None, 10.0, "", (), "")
    return replace(row, **more)


class ReleasesDesk:
    """Remembers which releases were recorded."""

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk

    async def record(self, caller: Caller, asked: ReleaseRecord) -> Accepted:
        return await self._desk._acted(f"record {asked.service} {asked.digest}", caller)


class GrantingDesk:
    """Remembers what was asked of grants."""

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk

    async def accept(self, caller: Caller, grant_id: str, reason: str, residue: Sequence[str]) -> Accepted:
        return await self._desk._acted(f"accept {grant_id}", caller)

    async def claim(self, caller: Caller, grant_id: str, verifier: str) -> Accepted:
        return await self._desk._acted(f"claim {grant_id}", caller)

    async def end(self, caller: Caller, grant_id: str) -> Accepted:
        return await self._desk._acted(f"end {grant_id}", caller)


class ApprovalsDesk:
    """Remembers what was asked about approvals."""

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk

    async def ask(self, caller: Caller, asked: AskApproval) -> Accepted:
        return await self._desk._acted(f"ask for {asked.plan}", caller)

    async def card(self, caller: Caller, name: str, approver: str = "") -> ApprovalCard:
        await self._desk._acted(f"card of {name}", caller)
        return ApprovalCard(name, self._desk.card, approver, (), ())

    async def act(self, caller: Caller, name: str, verb: ApprovalVerb) -> Accepted:
        return await self._desk._acted(f"{verb.do} {name}", caller)


class ComparingDesk:
    """Remembers which comparisons were asked for."""

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk

    async def start(self, caller: Caller, a: str, b: str) -> Accepted:
        return await self._desk._acted(f"compare {a} {b}", caller)

    async def cancel(self, caller: Caller) -> Accepted:
        return await self._desk._acted("cancel comparison", caller)


class Desk:
    """A Front that remembers who asked what; a change is `touch`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Caller]] = []
        self.requests: list[PlanRequest | Submission | ControlRequest] = []
        self.raises: Exception | None = None
        self.card = CARD
        self.problem = ""
        self.comparing = ComparingDesk(self)
        self.releases = ReleasesDesk(self)
        self.granting = GrantingDesk(self)
        self.approvals = ApprovalsDesk(self)
        self.version = 0
        self.moved = asyncio.Event()
        self.attached = Attached(LoopClock(), lambda: self.touch(consoles=self.attached.rows))
        self.views: dict[str, Any] = {
            "header": HEADER,
            "overview": OverviewView(
                Health.UNKNOWN, "", "", Health.UNKNOWN, "", None, 0, {}, {"checkout": SERVICE}, {}, {}
            ),
            "replication": ReplicationView({}, {}, {}),
            "runbooks": RunbooksView((), {}, {}, {}),
            "traffic": TrafficView({}, {}, {}),
            "history": HistoryView({}),
            "comparisons": ComparisonsView({}),
            "journal": JournalView(7, "aa", "", "", {}),
        }

    def touch(self, topic: str = "header", **changes: Any) -> None:
        self.views[topic] = replace(self.views[topic], **changes)
        self.version += 1
        self.moved.set()
        self.moved = asyncio.Event()

    def hello(self, caller: Caller) -> Hello:
        self.calls.append(("hello", caller))
        barred = Refusal("observer", "read-only", "engine.sock") if caller.read_only else None
        return Hello(
            API_VERSION, "shop", "lab", caller.person, caller.roles, barred, os.getpid(), self.mono(), time.time()
        )

    def who(self, account: KernelAccount, login: KernelAccount | None = None) -> Identified:
        return Identified("u1", ("commander",)) if account.uid == os.getuid() else Identified("", ())

    def accounts(self) -> Sequence[str]:
        return ()

    def view(self, topic: str) -> Any:
        return self.views[topic] if topic in self.views else empty_view(topic)

    async def changed(self, seen: int) -> int:
        while self.version <= seen:
            await self.moved.wait()
        return self.version

    def attach(self, caller: Caller, console: str, screen: str) -> str:
        return self.attached.come(caller, console, screen)

    def look(self, caller: Caller, console: str, screen: str) -> None:
        self.attached.look(caller, console, screen)

    def detach(self, key: str) -> None:
        self.attached.go(key)

    def mono(self) -> float:
        return time.monotonic()

    async def _acted(self, name: str, caller: Caller) -> Accepted:
        self.calls.append((name, caller))
        if self.raises is not None:
            raise self.raises
        return Accepted("R-1", name)

    async def preview(self, caller: Caller, request: PlanRequest) -> Card:
        self.requests.append(request)
        await self._acted("preview", caller)
        return self.card

    async def submit(self, caller: Caller, request: Submission) -> Accepted:
        self.requests.append(request)
        return await self._acted("submit", caller)

    async def control(self, caller: Caller, run: str, request: ControlRequest) -> Accepted:
        self.requests.append(request)
        return await self._acted(f"control {run}", caller)

    async def stop_all(self, caller: Caller) -> Accepted:
        return await self._acted("stop", caller)

    async def reload(self, caller: Caller) -> Accepted:
        return await self._acted("reload", caller)

    async def journal_retain(self, caller: Caller, *, dry_run: bool) -> Retained:
        return Retained(0, {}, (await self._acted("retain", caller)).message, dry_run)

    async def run_view(self, run: str) -> RunbooksView:
        return RunbooksView((), {}, {}, {})

    async def shut_down(self, caller: Caller) -> Accepted:
        return await self._acted("shutdown", caller)

    def journal_rows(self, after: int, limit: int) -> Sequence[JournalRow]:
        return [JournalRow(n, 0.0, "u1", "run.started", "", "", "message", "") for n in range(after + 1, 8)][:limit]

    async def journal_export(self) -> AsyncIterator[bytes]:
        for line in (b'{"seq":1}', b'{"seq":2}'):
            yield line

    async def journal_verify(self, known: str = "") -> ChainProof:
        return ChainProof(self.problem, "", 7, "aa" * 32, 0, 7 if known else 0)
