"""Calls that come later, once and surely."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.message_pump import MessagePump


def call_after(pump: MessagePump, seconds: float, call: Callable[[], object]) -> None:
    """Call once after so many seconds, as a message of `pump`. A timer of Textual drops its only call when the process
    pauses for longer than the wait."""
    asyncio.get_running_loop().call_later(max(0.0, seconds), pump.call_later, call)
