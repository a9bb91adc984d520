"""The errors of a request to the engine, and the engine's own as they were there. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from state.api.wire import UNREADABLE, revive
from state.errors import (
    BadArguments,
    ConfigError,
    EffectRefused,
    EffectUnknown,
    EngineFailed,
    ExitCode,
    JournalUnavailable,
    NotFound,
    Problem,
    ReadFailure,
    RecoveryError,
    Refused,
    Trouble,
)
from state.text import clean

TEXTS = ("kind", "title", "message", "hint", "rule", "fact", "way_out", "who")
"""The texts of an answer that is an error."""
SIMPLE: Mapping[str, type[RecoveryError]] = {
    each.kind: each for each in (NotFound, JournalUnavailable, EffectUnknown, EffectRefused)
}
"""Errors that consist of their message, by kind."""


class EngineUnreachable(RecoveryError):
    """No engine answers on the socket; nothing was sent, or only a read request."""

    title = "Engine unreachable"
    kind = "unreachable"
    hint = "Start one with `recovery engine start`, or read in its log why it ended."
    exit_code = ExitCode.UNREACHABLE


class EngineError(RecoveryError):
    """An error that has no type of its own here; kind, title, exit code and what to do are those of the answer."""

    def __init__(self, kind: str, title: str, message: str, exit_code: ExitCode, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.title = title
        self.hint = hint
        self.exit_code = exit_code


def _problems(told: Any) -> tuple[Problem, ...]:
    """The problems of an answer; none where they are not as an engine writes them."""
    try:
        made = tuple(revive(Problem, each) for each in told or ())
        return made if all(str(each) for each in made) else ()
    except UNREADABLE:
        return ()


def told_error(status: int, body: bytes) -> RecoveryError:
    """The engine's error as the exception it was there."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    texts = {key: clean(str(answer.get(key) or "")) for key in TEXTS}
    kind, message, code = texts["kind"], texts["message"], answer.get("exit_code")
    if kind == Refused.kind:
        return Refused(texts["rule"], texts["fact"], texts["way_out"], texts["who"])
    if kind == EngineFailed.kind or not isinstance(code, int) or code not in set(ExitCode):
        return EngineFailed(message or f"the engine answered {status} and no error of its own")
    if kind == ReadFailure.kind:
        return ReadFailure(Trouble.ERROR, message)
    if listed := _problems(answer.get("problems")):
        return BadArguments(listed) if kind == BadArguments.kind else ConfigError(listed)
    if kind in SIMPLE:
        return SIMPLE[kind](message)
    return EngineError(kind, texts["title"], message, ExitCode(code), texts["hint"] or texts["way_out"])
