"""How an engine's start is reported: to the console that started it, to a terminal, and to systemd."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from dataclasses import asdict
from typing import Any

from state.errors import RecoveryError, Refusal, Refused
from state.text import clean


class StartReport:
    """Reports progress, then either `ready` or `failed`, once. `descriptor` is the pipe of a starting console."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_inheritable(descriptor, False)

    def doing(self, message: str) -> None:
        """One step of the start."""
        self._send({"doing": message}, message)

    def ready(self, message: str) -> None:
        """The engine is ready; nothing more follows."""
        self._send({"doing": message, "ready": True}, message)
        self.close()
        notify_systemd("READY=1")

    def failed(self, error: RecoveryError) -> None:
        """The engine does not start, and why."""
        refusal = error.refusal if isinstance(error, Refused) else Refusal("", "", "")
        report = {
            "title": error.title,
            "message": str(error),
            "exit_code": int(error.exit_code),
            **asdict(refusal),
        }
        self._send({"error": report}, f"{error.title}: {error}" + (f"\n{error.hint}" if error.hint else ""))
        self.close()

    def close(self) -> None:
        """End the report; the console sees the end of the pipe."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _send(self, report: dict[str, Any], message: str) -> None:
        if self._descriptor is None:
            sys.stderr.write("".join(clean(line) + "\n" for line in message.splitlines()))
            return
        with contextlib.suppress(BrokenPipeError):  # the console that asked has ended; the engine continues
            os.write(self._descriptor, json.dumps(report).encode() + b"\n")


def watched_by_systemd() -> bool:
    """Whether the service manager waits for the watchdog signal of this very process: sd_watchdog_enabled(3)."""
    period, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    return period not in ("", "0") and pid in ("", str(os.getpid()))


def notify_systemd(state: str) -> None:
    """Send one state to the service manager, if there is one: sd_notify(3), a datagram to $NOTIFY_SOCKET."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, contextlib.suppress(OSError):
        manager.connect(address)
        manager.sendall(state.encode())
