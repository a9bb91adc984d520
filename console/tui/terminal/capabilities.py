"""What the terminal can do, decided once, before the app exists. Imports no Textual: it reads some of its
settings from the environment while being imported."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import NamedTuple

REFUSED_EXIT = 2
HEADLESS_HINT = "use the headless verbs instead: recovery status, recovery run, recovery journal (each with --json)"
SIGNAL_EXIT_BASE = 128
THEMES = ("dark", "light", "high-contrast", "terminal")


class UnsuitableTerminal(Exception):
    """No screens can be drawn here; the text says why and what to use instead. Exit code 2."""

    exit_code = REFUSED_EXIT


class Terminal(NamedTuple):
    """How to draw on this terminal."""

    theme: str = "dark"
    """One of THEMES."""
    ascii_only: bool = False
    colour: bool = True
    mouse: bool = False
    remote: bool = False
    """Reached over SSH: fewer frames a second."""


def decide(
    environ: Mapping[str, str],
    *,
    encoding: str | None,
    interactive: bool,
    ascii_only: bool = False,
    mouse: bool = False,
    theme: str = "",
) -> Terminal:
    """The terminal described by the environment, the encoding of stderr (where screens are written) and the
    person's wishes. Raises UnsuitableTerminal."""
    if not interactive:
        raise UnsuitableTerminal(f"this is not a terminal; {HEADLESS_HINT}")
    kind = environ.get("TERM", "")
    if kind in {"", "dumb", "unknown"}:
        raise UnsuitableTerminal(f"TERM={kind or '(unset)'} cannot draw screens; {HEADLESS_HINT}")
    if theme and theme not in THEMES:
        raise UnsuitableTerminal(f"no theme {theme!r}; there are {', '.join(THEMES)}")
    colour = "NO_COLOR" not in environ
    return Terminal(
        theme=(theme or "dark") if colour else "terminal",
        ascii_only=ascii_only or not _is_utf8(encoding),
        colour=colour,
        mouse=mouse,
        remote="SSH_CONNECTION" in environ or "SSH_TTY" in environ,
    )


def prepare(terminal: Terminal, environ: MutableMapping[str, str]) -> None:
    """Settings that Textual reads while it is imported: call before the first import of it. What the person
    has set stays."""
    environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    environ.setdefault("TEXTUAL_FPS", "30" if terminal.remote else "60")


def _is_utf8(encoding: str | None) -> bool:
    try:
        return codecs.lookup(encoding or "ascii").name == "utf-8"
    except LookupError:
        return False


def this_terminal(*, ascii_only: bool, mouse: bool, theme: str) -> Terminal:
    """The terminal of this process, with its environment prepared for the screens. Raises UnsuitableTerminal."""
    err, stdin = sys.__stderr__, sys.__stdin__
    terminal = decide(
        os.environ,
        encoding=err.encoding if err is not None else None,
        interactive=err is not None and err.isatty() and stdin is not None and stdin.isatty(),
        ascii_only=ascii_only,
        mouse=mouse,
        theme=theme,
    )
    prepare(terminal, os.environ)
    return terminal
