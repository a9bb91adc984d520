"""A console without an engine: it is told fixed views at a fixed instant, so that it looks the same every time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from console.client.engine_client import Connected, Line
from console.tui.app import ConsoleApp
from console.tui.early import StreamItem
from console.tui.store import Store
from console.tui.terminal.capabilities import Terminal
from state.api.messages import API_VERSION, Hello
from state.api.wire import Differ

MONO = 50_000.0
WALL = 1_795_417_392.0
HELLO = Hello(API_VERSION, "eu-shop", "lab", "u1", ("commander", "responder"), None, 4711, MONO, WALL)


def lines(views: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines of a stream that tell these views to a console that knows nothing."""
    told = [Differ(topic).frame(view) for topic, view in views.items()]
    return [dict(frame) for frame in told if frame is not None]


async def _told(views: Mapping[str, Any]) -> AsyncIterator[StreamItem]:
    yield Connected(HELLO)
    for line in lines(views):
        yield Line(line)
    await asyncio.Event().wait()


def still_app(views: Mapping[str, Any], terminal: Terminal | None = None) -> ConsoleApp:
    """The console on these views; its clock stands at MONO and WALL."""
    store = Store(clock=lambda: MONO)
    return ConsoleApp("/nowhere/engine.sock", terminal or Terminal(), _told(views), store)
