"""The first start, without any estate: a few pages that drive `recovery init` as a process of its own.

The screens hold no driver and ask no target: the child does, and tells what it found line by line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def run(*, ascii_only: bool = False, mouse: bool = False, theme: str = "") -> Path | None:
    """Show the pages until the person leaves; the estate's file when one was written and is to be opened.

    Raises UnsuitableTerminal.
    """
    from console.tui.terminal.capabilities import decide, prepare

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
    from console.tui.wizard.app import WizardApp

    app = WizardApp(terminal)
    app.start()
    return app.opened
