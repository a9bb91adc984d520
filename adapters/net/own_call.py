"""A call of the estate's own: one origin with its headers; sent once, never redirected, read by GET."""

from __future__ import annotations

from typing import Any

from adapters.net.answers_read import Ambiguous, read_json
from adapters.net.http_act import HttpActor
from adapters.net.http_client import Reply
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.conditions import found
from state.ports.own import CallAnswer
from state.ports.target import Identity
from state.text import clean

LONGEST = 400
MOST = 4096
"""So much of an answer is looked at for what is shown of it."""
IDEMPOTENCY = "Idempotency-Key"
"""The header with the id of the effect: a target that knows it carries the same request out once."""


class OwnCall:
    """Fulfils CanCall. `hide` takes the estate's secrets out of what is answered."""

    def __init__(self, name: str, actor: HttpActor, hide: Any) -> None:
        self.name, self._actor, self._hide = name, actor, hide

    async def identify(self, path: str | None, field: str, *, deadline: float) -> Identity:
        """The origin, and the field of the answer to an identity call. Raises ReadFailure."""
        facts = {"asks": f"{self._actor.origin.scheme}://{self._actor.origin.netloc}"}
        if path is not None:
            answer = await self.read(path, deadline=deadline)
            value = found(answer.data, field) if 200 <= answer.status < 300 else None
            if not isinstance(value, str | int | float) or isinstance(value, bool) or value == "":
                raise ReadFailure(Trouble.ERROR, f"{self.name}: the identity call has no {field}: {answer}")
            facts["identity"] = clean(self._hide(str(value)[:MOST]), LONGEST)
        return Identity(self.name, facts)

    async def send(self, method: str, path: str, body: Any, *, effect: str, deadline: float) -> CallAnswer:
        """Send it once. Raises EffectRefused when nothing was sent, EffectUnknown without a complete answer."""
        return self._answer(await self._actor.send(method, path, body, deadline=deadline, more={IDEMPOTENCY: effect}))

    async def read(self, path: str, *, deadline: float) -> CallAnswer:
        """GET. Raises ReadFailure without a complete answer."""
        try:
            return self._answer(await self._actor.send("GET", path, None, deadline=deadline))
        except EffectRefused as error:
            raise ReadFailure(Trouble.UNREACHABLE, f"{self.name}: {error.message}") from error
        except EffectUnknown as error:
            trouble = Trouble.TIMEOUT if error.code == "timeout" else Trouble.ERROR
            raise ReadFailure(trouble, f"{self.name}: {error.message}") from error

    def _answer(self, reply: Reply) -> CallAnswer:
        data, why = None, ""
        try:
            data = read_json(reply.body) if reply.body else None
        except Ambiguous as error:
            why = f"{error}: "
        except ValueError:
            data = None
        return CallAnswer(reply.status, data, clean(self._hide(f"{why}{reply.text[:MOST]}"), LONGEST))
