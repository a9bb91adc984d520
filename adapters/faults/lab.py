"""The laboratory's own faults, injected and lifted through its control socket."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from adapters.context import AdapterContext
from adapters.net.answers_read import read_json
from adapters.net.http_act import HttpActor
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from adapters.net.origin import Origin
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.model import FaultsEntry
from state.ports.faults import FaultStatus
from state.ports.target import UNREADABLE, Identity, Receipt, began

KIND = "lab"
LAB = "http://lab"


class LabFaultsOptions(FaultsEntry):
    """`control`: the laboratory's control socket; relative names start at the estate's folder."""

    control: str


OPTIONS = LabFaultsOptions


class LabFaults:
    """Fulfils FaultInjector."""

    def __init__(self, control: str) -> None:
        self._control = control
        self._actor = HttpActor(Origin.of(LAB), unix=control)

    async def identify(self, *, deadline: float) -> Identity:
        """The laboratory's directory and when it began. Raises ReadFailure."""
        status = await self._get("/status", deadline)
        since = status.get("since")
        started = began(float(since)) if isinstance(since, int | float) else UNREADABLE
        return Identity("lab", {"directory": str(status.get("directory")), "started": started})

    async def faults(self, *, deadline: float) -> tuple[FaultStatus, ...]:
        """Every fault this laboratory can inject, and which are on. Raises ReadFailure."""
        answer = await self._get("/faults", deadline)
        try:
            injected = {row["name"]: row for row in answer["injected"] if row["state"] != "undone"}
            return tuple(
                _status(kind, injected.get(kind["name"])) for kind in answer["catalogue"] if not kind["missing"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ReadFailure(Trouble.ERROR, "the laboratory's list of faults cannot be read") from error

    async def inject(self, name: str, seconds: float, *, deadline: float) -> Receipt:
        """Inject a fault that lifts itself after `seconds`. Raises EffectRefused or EffectUnknown."""
        reply = await self._actor.send("POST", f"/faults/{quote(name, '')}", {"seconds": seconds}, deadline=deadline)
        return _judge(reply, "injected")

    async def lift(self, name: str, *, deadline: float) -> Receipt:
        """Lift a fault; the laboratory answers when a reading confirms it. Raises EffectRefused or EffectUnknown."""
        reply = await self._actor.send("DELETE", f"/faults/{quote(name, '')}", None, deadline=deadline)
        return _judge(reply, "lifted")

    async def _get(self, path: str, deadline: float) -> dict[str, Any]:
        reader = HttpReader(LAB, unix=self._control)
        try:
            body = await reader.get(path, deadline=deadline)
        finally:
            await reader.close()  # asked so rarely that no connection is kept
        try:
            answer = read_json(body)
        except ValueError as error:
            raise ReadFailure(Trouble.ERROR, "the laboratory's answer is not JSON") from error
        if not isinstance(answer, dict):
            raise ReadFailure(Trouble.ERROR, "the laboratory's answer is not a JSON object")
        return answer


def _status(kind: dict[str, Any], injected: dict[str, Any] | None) -> FaultStatus:
    if injected is None:
        return FaultStatus(kind["name"], kind["description"], active=False, remaining=None, target="")
    remaining = max(0.0, float(injected["until"]) - time.time())
    return FaultStatus(kind["name"], kind["description"], True, remaining, str(injected["target"]))


def _judge(reply: Reply, done: str) -> Receipt:
    """What an answer means. 409 also follows an attempt that was not confirmed, so it is unknown."""
    if reply.status == 200:
        return Receipt(done, f"the laboratory says: {done}")
    if reply.status in (400, 404):
        raise EffectRefused(_text(reply), f"refused-{reply.status}")
    raise EffectUnknown(_text(reply), f"answer-{reply.status}")


def _text(reply: Reply) -> str:
    try:
        return str(read_json(reply.text)["error"])
    except (ValueError, KeyError, TypeError):
        return reply.text or f"answer {reply.status}"


def build(options: LabFaultsOptions, context: AdapterContext) -> LabFaults:
    """The adapter for the estate's `faults`; connects to nothing yet."""
    return LabFaults(str(context.base / options.control))
