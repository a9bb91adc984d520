"""What dialogs, screens, parts and actions see of the console: protocols that the app implements."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from console.tui.glyphs import Glyphs
from console.tui.store import Store
from state.health import Health

if TYPE_CHECKING:
    from textual.message_pump import MessagePump

    from state.api.requests import ControlRequest, PlanRequest
    from state.api.sessions import SeenKind
    from state.api.topics import Topic
    from state.api.views.runbooks import Param

NOTICE_SECONDS = 12.0

FormValues = Mapping[str, str]
Then = Callable[[FormValues], None]
Check = Callable[[FormValues], str | None]
"""Why the answers of a form are not valid, None when they are."""
Over = Callable[[], str]
"""Why a form cannot be sent any more, asked at every change of the store; empty while it can."""


def still_open() -> str:
    """A form that is never over."""
    return ""


class ActionContext(NamedTuple):
    """What a key would act on: the store, the topic of the screen in front and the row under the cursor."""

    store: Store
    screen: str
    row: Any = None


class Navigation(Protocol):
    """The requests to the console. None of them acts on a target without a person's confirmation."""

    def preview(self, request: PlanRequest) -> None: ...
    def ask(
        self,
        title: str,
        params: Sequence[Param],
        then: Then,
        check: Check | None = None,
        over: Over = still_open,
        about: Sequence[tuple[str, str]] = (),
    ) -> None:
        """A form below labelled facts; `check` says why answers are not valid, `over` why it cannot be sent any more.
        What was typed is kept until a request was accepted."""

    def confirm(self, title: str, facts: Sequence[tuple[str, str]], send: Callable[[], Any]) -> None: ...
    def send_control(self, run: str, request: ControlRequest) -> Any: ...
    def send_stop_all(self) -> Any: ...
    def send_compare(self, a: str, b: str) -> Any: ...
    def send_cancel_comparison(self) -> Any: ...
    def send_claim(self, grant: str, verifier: str) -> Any: ...
    def send_end_grant(self, grant: str) -> Any: ...
    def send_accept_residue(self, grant: str, reason: str, residue: Sequence[str]) -> Any: ...
    def verify_journal(self) -> None: ...
    def say(self, message: str) -> None: ...
    def open_help(self) -> None: ...
    def open_palette(self) -> None: ...
    def open_goto(self) -> None: ...
    def open_filter(self) -> None: ...
    def open_presenter(self) -> None: ...
    def act(self, action: str) -> None: ...
    def act_on(self, action: str, screen: str, table: str, key: str) -> None: ...
    def open_causes(self) -> None: ...
    def explain(self, title: str, message: str) -> None: ...
    def open_company(self) -> None: ...
    def open_approvals(self) -> None: ...
    def answer(self, run: str) -> None: ...
    def open_detail(self) -> None: ...
    def open_screen(self, topic: str) -> None: ...
    def open_place(self, screen: str, table: str, key: str) -> None: ...
    def filter_to(self, needle: str) -> None: ...
    def leave(self) -> None: ...
    def step_back(self) -> None: ...


class ChainCheck(NamedTuple):
    """The result of a verification of the journal; `health` None while it runs."""

    message: str
    health: Health | None


class Recent:
    """What the person at this console did last, as far as screens show it."""

    def __init__(self) -> None:
        self.started = ""
        """The run that was started last, until the runbooks screen has shown it."""
        self.chain_check: ChainCheck | None = None
        self.notice = ""
        self.notice_until = 0.0
        """On this process's monotonic clock."""

    def tell(self, message: str) -> None:
        """A notice for the last line, from now on."""
        self.notice, self.notice_until = message, time.monotonic() + NOTICE_SECONDS

    @property
    def notice_now(self) -> str:
        """The notice in the last line, for a while."""
        return self.notice if time.monotonic() < self.notice_until else ""


class Records(Protocol):
    """What is told to the session log. `trouble` says why that is not kept; empty while it is."""

    @property
    def trouble(self) -> str: ...
    def note(self, kind: SeenKind, what: str, about: str = "") -> None: ...


class Session(Protocol):
    """One person's console."""

    store: Store
    glyphs: Glyphs
    recent: Recent
    attached_as: str
    """The name by which the engine knows this console among others."""

    @property
    def navigator(self) -> Navigation: ...

    @property
    def recorder(self) -> Records: ...

    @property
    def tabs(self) -> Sequence[Topic]:
        """The topics that have a screen, in the order of their digits."""

    def looks_at(self, topic: str) -> None:
        """Tell the engine which screen is in front."""

    def use_theme(self, name: str) -> None:
        """Switch to other colours."""


def session_of(node: MessagePump) -> Session:
    """The console that a screen, dialog or widget is in."""
    return cast("Session", node.app)
