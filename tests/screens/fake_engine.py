"""An engine front with made-up views on the real socket, for the screens' tests and for looking at them.

As a program: `python -m tests.screens.fake_engine DIRECTORY [calm|incident|hostile|empty]` serves
DIRECTORY/engine.sock until it is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textual import events
from textual.pilot import Pilot

from adapters.api_server import ApiServer, Sockets
from console.tui.app import ConsoleApp
from console.tui.screens.base import MainScreen
from console.tui.terminal.capabilities import Terminal
from state.api.approvals import ApprovalCard, ApprovalVerb, AskApproval
from state.api.caller import Caller, Identified, KernelAccount
from state.api.card import Card, Confirm
from state.api.messages import API_VERSION, Accepted, ChainProof, Hello
from state.api.releases import ReleaseRecord
from state.api.requests import ControlRequest, PlanRequest, Submission
from state.api.sessions import SeenLine, SessionKept
from state.api.views.journal import JournalRow
from state.engine.attached import Attached
from state.errors import RecoveryError, Refusal, Refused
from state.policy.authority import ASK
from tests.screens.fake_views import LATE, SCENES
from tests.support.cards import card
from tests.support.empty_views import empty_view
from tests.support.small_estate import LoopClock

SWITCH_SECONDS = 0.06
"""Textual holds drawing back for 50 ms when the screen changes."""
CHARACTERS = {
    "question_mark": "?", "slash": "/", "colon": ":", "full_stop": ".", "space": " ", "enter": "\r", "tab": "\t",
    "equals_sign": "=", "comma": ",", "minus": "-",
}  # fmt: skip


class FakeComparing:
    """Comparisons of a front: what was asked for is among its acts."""

    def __init__(self, front: FakeFront) -> None:
        self._front = front

    async def start(self, caller: Caller, a: str, b: str) -> Accepted:
        return self._front._accept("compare", {"a": a, "b": b})

    async def cancel(self, caller: Caller) -> Accepted:
        return self._front._accept("cancel comparison", {})


class FakeReleases:
    """The ledger of a front: what was recorded is among its acts."""

    def __init__(self, front: FakeFront) -> None:
        self._front = front

    async def record(self, caller: Caller, asked: ReleaseRecord) -> Accepted:
        return self._front._accept("record", {"service": asked.service, "digest": asked.digest})


class FakeApprovals:
    """Approvals of a front: what was asked for is among its acts."""

    def __init__(self, front: FakeFront) -> None:
        self._front = front

    async def ask(self, caller: Caller, asked: AskApproval) -> Accepted:
        return self._front._accept("ask", {"plan": asked.plan, "reason": asked.reason})

    async def card(self, caller: Caller, name: str, approver: str = "") -> ApprovalCard:
        return ApprovalCard(
            name, self._front.card, approver or "u1", ("recovery approval, version 1",), self._front.keys
        )

    async def act(self, caller: Caller, name: str, verb: ApprovalVerb) -> Accepted:
        said = {name: getattr(verb, name) for name in ("reason", "note", "signature") if hasattr(verb, name)}
        return self._front._accept(verb.do, {"request": name, **said})


class FakeSessions:
    """The session log of a front: the lines it was told, by kind. `trouble` is why it keeps none."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.trouble = ""

    async def keep(self, caller: Caller, console: str, lines: Sequence[SeenLine]) -> SessionKept:
        if self.trouble:
            return SessionKept(0, self.trouble)
        self.told += [(line.kind.value, line.what, line.about) for line in lines]
        return SessionKept(len(lines))

    async def lines(self) -> bytes:
        return b""


class FakeGranting:
    """Grants of a front: what was asked for is among its acts."""

    def __init__(self, front: FakeFront) -> None:
        self._front = front

    async def claim(self, caller: Caller, grant_id: str, verifier: str) -> Accepted:
        return self._front._accept("claim", {"grant": grant_id, "verifier": verifier})

    async def accept(self, caller: Caller, grant_id: str, reason: str, residue: Sequence[str]) -> Accepted:
        return self._front._accept("accept", {"grant": grant_id, "reason": reason, "residue": residue})

    async def end(self, caller: Caller, grant_id: str) -> Accepted:
        return self._front._accept("end", {"grant": grant_id})


class FakeFront:
    """A Front over fixed views; remembers every acting request it got."""

    def __init__(self, views: dict[str, Any], *, may_act: bool = True) -> None:
        self.views = views
        self.may_act = may_act
        self.card = card()
        self.refusal: RecoveryError | None = None
        self.failing: dict[str, RecoveryError] = {}
        self.unplanned: RecoveryError | None = None
        self.previews: list[PlanRequest] = []
        self.acts: list[tuple[str, Mapping[str, Any]]] = []
        self.keys: tuple[str, ...] = ()
        self.comparing = FakeComparing(self)
        self.releases = FakeReleases(self)
        self.approvals = FakeApprovals(self)
        self.granting = FakeGranting(self)
        self.sessions = FakeSessions()
        self.version = 1
        self._moved = asyncio.Event()
        self.attached = Attached(LoopClock(), self._tell_consoles)

    def _tell_consoles(self) -> None:
        self.show("header", replace(self.views["header"], consoles=self.attached.rows))

    def show(self, topic: str, view: Any) -> None:
        """Another view of one topic; every console hears of it."""
        self.views = {**self.views, topic: view}
        self._move()

    def _move(self) -> None:
        self.version += 1
        self._moved.set()
        self._moved = asyncio.Event()

    def fail(self, topic: str, failure: RecoveryError) -> None:
        """The view of one topic cannot be built from now on."""
        self.failing[topic] = failure
        self._move()

    def mend(self, topic: str) -> None:
        """It can be built again."""
        del self.failing[topic]
        self._move()

    def hello(self, caller: Caller) -> Hello:
        roles = ("commander", "responder") if self.may_act else ("observer",)
        barred = None if self.may_act else Refusal("role", "u1 has the role observer; acting needs responder", ASK)
        environment = self.views["header"].environment
        return Hello(API_VERSION, "eu-shop", environment, "u1", roles, barred, os.getpid(), self.mono(), time.time())

    def who(self, account: KernelAccount, login: KernelAccount | None = None) -> Identified:
        return Identified("u1", ("commander",))

    def accounts(self) -> Sequence[str]:
        return ()

    def view(self, topic: str) -> Any:
        if topic in self.failing:
            raise self.failing[topic]
        return self.views[topic] if topic in self.views else empty_view(topic)

    async def changed(self, seen: int) -> int:
        if self.version == seen:
            await self._moved.wait()
        return self.version

    def attach(self, caller: Caller, console: str, screen: str) -> str:
        return self.attached.come(caller, console, screen)

    def look(self, caller: Caller, console: str, screen: str) -> None:
        self.attached.look(caller, console, screen)

    def detach(self, key: str) -> None:
        self.attached.go(key)

    def mono(self) -> float:
        return time.monotonic()

    async def preview(self, caller: Caller, request: PlanRequest) -> Card:
        self.previews.append(request)
        if self.unplanned is not None:
            raise self.unplanned
        return self.card

    def _accept(self, verb: str, request: Mapping[str, Any]) -> Accepted:
        if self.refusal is not None:
            raise self.refusal
        if not self.may_act:
            raise Refused("role", "an observer asked to act", "Ask a responder")
        self.acts.append((verb, request))
        return Accepted("r-42", "run r-42 started")

    async def submit(self, caller: Caller, request: Submission) -> Accepted:
        return self._accept("submit", request)

    async def control(self, caller: Caller, run: str, request: ControlRequest) -> Accepted:
        return self._accept("control", (run, request))

    async def stop_all(self, caller: Caller) -> Accepted:
        return self._accept("stop", {})

    def journal_rows(self, after: int, limit: int) -> Sequence[JournalRow]:
        return [row for row in self.views["journal"].entries.values() if row.seq > after][:limit]

    async def journal_export(self) -> AsyncIterator[bytes]:
        for line in (b'{"seq":1}', b'{"seq":2}'):
            yield line

    async def journal_verify(self, known: str = "") -> ChainProof:
        return ChainProof("", "", 1287, "9f" * 32, 0, 0)

    async def shut_down(self, caller: Caller) -> Accepted:
        return self._accept("shutdown", {})


@contextlib.asynccontextmanager
async def serving(front: FakeFront, folder: Path) -> AsyncIterator[str]:
    """The front on a socket; yields its path."""
    server = ApiServer(front, Sockets(folder))
    await server.start()
    try:
        yield str(folder / "engine.sock")
    finally:
        await server.stop()


@dataclass(slots=True)
class Stage:
    """A console on a fake engine, driven like a person would."""

    app: ConsoleApp
    pilot: Pilot[int]
    front: FakeFront

    async def until(self, true: Callable[[], object], what: str = "it") -> None:
        """Wait for a condition, at most five seconds."""
        end = time.monotonic() + 5.0
        while not true():
            assert time.monotonic() < end, f"{what} did not happen; the screen shows:\n{self.text}"
            await self.pilot.pause(0.02)

    async def press(self, *keys: str) -> None:
        """Keys one after the other, each with its consequences on the screen."""
        for key in keys:
            digits = {tab.digit: tab.name for tab in self.app.tabs}
            mode = digits.get(key) if isinstance(self.app.screen, MainScreen) else None
            self.send(key)
            await self.settle()
            if mode is not None:
                await self.until(lambda mode=mode: self.app.current_mode == mode, f"screen {mode}")  # type: ignore[misc]
                await self.until(lambda: isinstance(self.app.screen, MainScreen) and self.app.screen.ready, "a screen")
                await self.pilot.pause(SWITCH_SECONDS)
                await self.settle()

    def send(self, key: str) -> None:
        """One key as the driver would send it, without waiting for anything."""
        assert self.app._driver is not None
        event = events.Key(key, CHARACTERS.get(key, key if len(key) == 1 else None))
        event.set_sender(self.app)
        self.app._driver.send_message(event)

    async def settle(self) -> None:
        """Until every widget has handled what was sent to it, and what came of that."""
        for _ in range(3):
            await asyncio.sleep(0.004)
            await self.pilot._wait_for_screen()

    async def sees(self, *message: str) -> None:
        """Wait until all words are on the screen."""
        await self.until(lambda: all(word in self.text for word in message), " and ".join(message))

    @property
    def lines(self) -> list[str]:
        """What the terminal would show."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def told(app: ConsoleApp, topic: str) -> bool:
    """Whether a topic has come; asking for its view would decode it."""
    mirror = app.store._mirrors[topic]
    return mirror._waiting is not None or mirror._view is not None


@contextlib.asynccontextmanager
async def stage(
    scene: str = "incident",
    size: tuple[int, int] = (80, 24),
    *,
    may_act: bool = True,
    terminal: Terminal | None = None,
    topics: Mapping[str, Any] | None = None,
) -> AsyncIterator[Stage]:
    """A console of this size, connected and filled; `topics` are views beside those of the scene."""
    front = FakeFront({**SCENES[scene](), **(topics or {})}, may_act=may_act)
    # A short path: the kernel takes 107 bytes for a socket.
    with tempfile.TemporaryDirectory(prefix="fe-") as folder:
        async with serving(front, Path(folder)) as path:
            app = ConsoleApp(path, terminal or Terminal())
            async with app.run_test(size=size) as pilot:
                made = Stage(app, pilot, front)
                await made.until(lambda: app._announced and all(told(app, tab.name) for tab in app.tabs), "the views")
                await pilot.pause(SWITCH_SECONDS)
                await made.settle()
                yield made


async def _serve_forever(folder: Path, scene: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    front = FakeFront(SCENES[scene](), may_act=os.environ.get("OBSERVER") is None)
    front.card = card(Confirm(os.environ.get("CONFIRM", "y")))
    async with serving(front, folder):
        while True:
            await asyncio.sleep(1)
            now = front.views["header"]
            fresh = {k: replace(row, mono=time.monotonic()) if k != LATE else row for k, row in now.sources.items()}
            front.show("header", replace(now, sources=fresh))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve_forever(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "incident"))
