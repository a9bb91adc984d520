"""All actions, in the order the footer names them."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from console.tui.actions.base import (
    Action,
    Back,
    ExportJournal,
    Filter,
    FilterKind,
    FilterRun,
    GoTo,
    Help,
    OpenTraffic,
    Palette,
    Present,
    Quit,
    StopEverything,
    VerifyJournal,
)
from console.tui.actions.changes import (
    FAULTS,
    ChangeWeight,
    DrainServer,
    FlipBackend,
    InjectFault,
    LiftFault,
    ReadyServer,
    SwitchOver,
)
from console.tui.actions.runs import Decide, PauseRun, ResumeRun, RetryStep, SkipStep, StartRun, StopRun, UndoRun

_ALL: tuple[Action, ...] = (
    Decide(),
    StartRun(),
    PauseRun(),
    ResumeRun(),
    RetryStep(),
    SkipStep(),
    StopRun(),
    UndoRun(),
    ChangeWeight(),
    DrainServer(),
    ReadyServer(),
    FlipBackend(),
    SwitchOver(),
    OpenTraffic(),
    VerifyJournal(),
    FilterRun(),
    FilterKind(),
    ExportJournal(),
    Help(),
    Filter(),
    GoTo(),
    StopEverything(),
    Present(),
    Palette(),
    Back(),
    Quit(),
    *(InjectFault(fault) for fault in FAULTS),
    *(LiftFault(fault) for fault in FAULTS),
)
ACTIONS: dict[str, Action] = {action.id: action for action in _ALL}

_SHOWN_KEYS = {"question_mark": "?", "slash": "/", "colon": ":", "full_stop": ".", "ctrl+p": "^p", "escape": "esc"}


def shown_key(action: Action) -> str:
    """The key as people write it."""
    return _SHOWN_KEYS.get(action.key, action.key)


def actions_of(screen: str) -> list[Action]:
    """The keys that exist on a screen, its own first."""
    return [a for a in ACTIONS.values() if a.key and (not a.screens or screen in a.screens)]


def bindings_of(screen: str) -> list[BindingType]:
    """The bindings of a screen; each id is unique, so a keymap can move it."""
    return [
        Binding(action.key, f"do('{action.id}')", action.title, show=False, id=action.id)
        for action in actions_of(screen)
    ]
