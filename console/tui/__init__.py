"""The screens. `run` opens them on this terminal; Textual is imported only then."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.tui.terminal.capabilities import Terminal
    from state.api.views.header import HeaderView


def run(path: str, *, ascii_only: bool = False, mouse: bool = False, theme: str = "", notice: str = "") -> int:
    """Show the engine behind the socket at `path` until the person leaves; returns the exit code. `notice` is in the
    last line at the begin.

    Raises UnsuitableTerminal (see `console.tui.terminal.capabilities`). Prints the journal's head at the end, so that
    it is in the terminal's history.
    """
    from console.tui.terminal.capabilities import SIGNAL_EXIT_BASE, this_terminal

    terminal = this_terminal(ascii_only=ascii_only, mouse=mouse, theme=theme)
    import asyncio

    # Importing makes much and frees nothing; the app looks for garbage again once it has settled.
    gc.disable()
    code, header = asyncio.run(_session(path, terminal, notice))
    if header is not None and code < SIGNAL_EXIT_BASE:  # a hang-up leaves no terminal to write to
        sys.stdout.write(f"journal {header.journal_seq} {header.journal_head[:16]}\n")
    return code


async def _session(path: str, terminal: Terminal, notice: str) -> tuple[int, HeaderView | None]:
    """Ask the engine first, then load the screens: both take their time at once."""
    from console.client.engine_client import EngineClient, console_name
    from console.tui.early import EarlyStream
    from console.tui.terminal.lean import lean
    from state.capabilities import topics

    client = EngineClient(path, console_name())
    client.screen = next(topic.name for topic in topics().values() if topic.digit)
    early = EarlyStream(client)
    try:
        await early.begin()
        with lean():
            from console.tui.app import ConsoleApp
        from state.api.views.header import HeaderView

        app = ConsoleApp(path, terminal, early.follow(), client=client)
        if notice:
            app.recent.tell(notice)
        code = await app.live()
        return code, app.store.view(HeaderView)
    finally:
        await early.close()
