"""The engine as its API server uses it: who calls, and which requests there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from state.api.approvals import ApprovalCard, ApprovalVerb, AskApproval
from state.api.caller import Caller, Identified, KernelAccount
from state.api.card import Card
from state.api.messages import Accepted, ChainProof, Hello, Retained
from state.api.releases import ReleaseRecord
from state.api.requests import ControlRequest, PlanRequest, Submission
from state.api.sessions import SeenLine, SessionKept
from state.api.views.journal import JournalRow
from state.api.views.runbooks import RunbooksView


class ComparingService(Protocol):
    """Comparisons of two nodes, one at a time. Raises Refused, NotFound or JournalUnavailable."""

    async def start(self, caller: Caller, a: str, b: str) -> Accepted: ...
    async def cancel(self, caller: Caller) -> Accepted: ...


class GrantingService(Protocol):
    """What is asked of grants besides plans. Raises Refused, NotFound, EffectRefused, EffectUnknown or
    JournalUnavailable."""

    async def accept(self, caller: Caller, grant_id: str, reason: str, residue: Sequence[str]) -> Accepted: ...
    async def claim(self, caller: Caller, grant_id: str, verifier: str) -> Accepted: ...
    async def end(self, caller: Caller, grant_id: str) -> Accepted: ...


class ReleasesService(Protocol):
    """The ledger of releases. Raises Refused, NotFound or JournalUnavailable."""

    async def record(self, caller: Caller, asked: ReleaseRecord) -> Accepted: ...


class ApprovalsService(Protocol):
    """Approvals. Raises Refused, NotFound or JournalUnavailable."""

    async def ask(self, caller: Caller, asked: AskApproval) -> Accepted: ...
    async def card(self, caller: Caller, name: str, approver: str = "") -> ApprovalCard: ...
    async def act(self, caller: Caller, name: str, verb: ApprovalVerb) -> Accepted: ...


class SessionService(Protocol):
    """The session log. `keep` never raises, `lines` raises OSError."""

    async def keep(self, caller: Caller, console: str, lines: Sequence[SeenLine]) -> SessionKept: ...
    async def lines(self) -> bytes: ...


class PersonalService(Protocol):
    """Who speaks at a shared account."""

    def speaking(self, caller: Caller, person: str) -> Caller:
        """The caller as a person, for a card; nothing is proven yet. Raises Refused."""

    def keys(self, person: str) -> tuple[str, ...]: ...


class EngineService(Protocol):
    """What the socket offers. Acting verbs raise Refused, NotFound, ConfigError or JournalUnavailable."""

    @property
    def comparing(self) -> ComparingService: ...

    @property
    def granting(self) -> GrantingService: ...

    @property
    def releases(self) -> ReleasesService: ...

    @property
    def approvals(self) -> ApprovalsService: ...

    @property
    def personal(self) -> PersonalService: ...

    @property
    def sessions(self) -> SessionService: ...

    def hello(self, caller: Caller) -> Hello: ...

    def who(self, account: KernelAccount, login: KernelAccount | None = None) -> Identified:
        """Person and roles of an operating-system account that was reached from a login; nobody when the estate does
        not know it."""

    def accounts(self) -> Sequence[str]:
        """The accounts that the estate names, by name or number."""

    def view(self, topic: str) -> Any:
        """The topic's current view; the same object as before when nothing in it changed."""

    async def changed(self, seen: int) -> int:
        """Wait until the world is newer than version `seen`; returns the new version."""

    def attach(self, caller: Caller, console: str, screen: str) -> str:
        """A console that calls itself so follows the stream and shows that topic's screen. Answers with its key for
        `detach`; empty when it is not listed."""

    def look(self, caller: Caller, console: str, screen: str) -> None:
        """An attached console shows another screen."""

    def detach(self, key: str) -> None:
        """A console has left."""

    def mono(self) -> float:
        """The engine's monotonic clock, seconds."""

    async def preview(self, caller: Caller, request: PlanRequest) -> Card: ...
    async def submit(self, caller: Caller, request: Submission) -> Accepted: ...
    async def control(self, caller: Caller, run: str, request: ControlRequest) -> Accepted: ...
    async def run_view(self, run: str) -> RunbooksView:
        """One run with its steps, also one that ended long ago. Raises NotFound."""

    async def stop_all(self, caller: Caller) -> Accepted: ...

    async def reload(self, caller: Caller) -> Accepted:
        """Take the changed files of the estate, all or nothing."""

    def journal_rows(self, after: int, limit: int) -> Sequence[JournalRow]:
        """Entries with seq > after, oldest first, each with a message."""

    def journal_export(self) -> AsyncIterator[bytes]:
        """Every entry as a line an offline verifier reads, oldest first."""

    async def journal_verify(self, known: str = "") -> ChainProof:
        """Whether the chain is valid from its first entry on, and has an entry whose hash begins with `known`."""

    async def journal_retain(self, caller: Caller, *, dry_run: bool) -> Retained:
        """Erase the details of old entries by the estate's policy, or say what that would erase."""

    async def shut_down(self, caller: Caller) -> Accepted:
        """End the engine once every open run has reached a safe point."""
