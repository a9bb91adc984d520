"""The first start, without any estate: a few pages that drive `recovery init` as a process of its own.

The screens hold no driver and ask no target: the child does, and tells what it found line by line.
"""

from __future__ import annotations

from pathlib import Path


def run(*, ascii_only: bool = False, mouse: bool = False, theme: str = "") -> Path | None:
    """Show the pages until the person leaves; the estate's file when one was written and is to be opened.

    Raises UnsuitableTerminal.
    """
    from console.tui.terminal.capabilities import this_terminal

    terminal = this_terminal(ascii_only=ascii_only, mouse=mouse, theme=theme)
    from console.tui.wizard.app import WizardApp

    app = WizardApp(terminal)
    app.start()
    return app.opened
