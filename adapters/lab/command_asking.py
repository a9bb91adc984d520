"""How the commands of the lab's estate ask its supervisor, over the control socket."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from typing import Any

UNKNOWN = 2
"""The exit code where the lab gives no answer, or says that it could not."""


class ControlConnection(http.client.HTTPConnection):
    """HTTP over the lab's control socket."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("lab", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def told(path: str, method: str, place: str, seconds: float) -> dict[str, Any] | None:
    """What the lab answers; None, with the reason on stderr, where it has none."""
    control = ControlConnection(path, seconds)
    try:
        control.request(method, place)
        answer: dict[str, Any] = json.loads(control.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"the lab does not answer: {error or type(error).__name__}", file=sys.stderr)
        return None
    finally:
        control.close()
    if "error" in answer:
        print(answer["error"], file=sys.stderr)
        return None
    return answer
