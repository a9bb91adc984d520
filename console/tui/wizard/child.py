"""`recovery init --events` as a child process: its events one by one, killed with whoever waits for it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from state.text import clean, is_clean

LONGEST_LINE = 16 << 20
MOST_SAID = 64 << 10
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class InitEnded:
    """How the child ended: its exit code, its last event, and the lines it said on stderr, clean."""

    code: int
    done: Event
    said: tuple[str, ...]


def safe(text: object) -> str:
    """Text of another process, as it may be shown."""
    shown = str(text)
    return shown if is_clean(shown) else clean(shown)


async def run_init(words: Sequence[str], tell: Callable[[Event], None]) -> InitEnded:
    """Run it to its end; `tell` gets every event but the last one. When cancelled, the child is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "console.cli", "init", "--events", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said = asyncio.create_task(_drained(process.stderr))
    done: Event = {}
    try:
        with suppress(ValueError):  # a line that is too long: how it ended is told by its exit code
            async for line in process.stdout:
                event = _event(line)
                if event.get("event") == "done":
                    done = event
                elif event:
                    tell(event)
        code = await process.wait()
        lines = (await said).decode("utf-8", "replace").splitlines()
        return InitEnded(code, done, tuple(safe(line) for line in lines if line.strip()))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        said.cancel()


def _event(line: bytes) -> Event:
    """One event, empty for what is none."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


async def _drained(stream: asyncio.StreamReader) -> bytes:
    """The first part of what is said; the rest is read too, so that the child never waits for a reader."""
    kept = b""
    while piece := await stream.read(1 << 16):
        kept = (kept + piece)[:MOST_SAID]
    return kept
