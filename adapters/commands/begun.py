"""Whether a command on a host was started at all: an account that is locked or expired ends with a code of its own."""

from __future__ import annotations

import secrets

from adapters.commands.process import TakesOutput

MOST_BEFORE = 1 << 16
"""Bytes that a login shell may say before it."""


class Begun:
    """Passes on what a command says, without the sign that stands before it; `begun` once that has come."""

    def __init__(self, output: TakesOutput) -> None:
        self.sign = secrets.token_hex(12)
        self.begun = False
        self._output, self._before = output, bytearray()
        self.notes = output.notes

    def add(self, data: bytes) -> None:
        """Take what came."""
        if self.begun:
            self._output.add(data)
            return
        self._before += data
        before, sign, after = bytes(self._before).partition(f"{self.sign}\n".encode())
        if sign or len(before) > MOST_BEFORE:
            self.begun = bool(sign)
            self._before.clear()
            self._output.add(before + after)

    def close(self) -> None:
        """Pass on what came without a sign."""
        self._output.add(bytes(self._before))
        self._before.clear()
