"""Asks whether people stay logged in: a session of one place shown to others, and the signing keys of all of them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlencode

from adapters.commands.own_checks import judged
from adapters.net.answers_read import Ambiguous, read_json
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from state.estate.conditions import found
from state.estate.own_checks import by_answer
from state.estate.own_sessions import SessionCheck
from state.world.readings import OwnCheckReading

MOST_BYTES = 1 << 20
SHOWN = 3
"""So many places or keys are named."""
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x"), "AKP": ("alg", "kty", "pub"),
}  # fmt: skip
"""What makes a key the same key, by its type (RFC 7638 section 3.2, RFC 8037)."""

Asked: TypeAlias = tuple[HttpReader, str]
"""Who is asked, and for which path."""


class SessionSource:
    """Logs in at one place and shows the session to the others."""

    def __init__(
        self, name: str, entry: SessionCheck, login: Asked, accept: Mapping[str, Asked], secrets: Mapping[str, Secret]
    ) -> None:
        self._name, self._entry, self._login, self._accept, self._secrets = name, entry, login, accept, secrets

    async def close(self) -> None:
        """Drop the kept connections."""
        await _closed(self._login, *self._accept.values())

    async def read(self, *, deadline: float) -> OwnCheckReading:
        """How many of the places accept it. Raises ReadFailure when no session could be made."""
        ends = asyncio.get_running_loop().time() + deadline
        shown = await self._made(deadline)
        places = list(self._accept)
        answers = await asyncio.gather(*(self._shown(self._accept[each], shown, ends) for each in places))
        told = dict(zip(places, answers, strict=True))
        wrong = {place: said for place, (fits, said) in told.items() if not fits}
        fits = False if any(each is False for each, _ in told.values()) else None if wrong else True
        said = f"{len(places) - len(wrong)} of {len(places)} accept a session of {self._login[0].origin.netloc}"
        named = "".join(f"; {place} {what}" for place, what in list(wrong.items())[:SHOWN])
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        return judged(self._name, fits, f"{said}{named}{more}")

    async def _made(self, deadline: float) -> dict[str, str]:
        """The header that shows the session."""
        reader, path = self._login
        fields = {**self._entry.fields, **{name: secret.reveal() for name, secret in self._secrets.items()}}
        media = "application/x-www-form-urlencoded" if self._entry.form else "application/json"
        body = (urlencode(fields) if self._entry.form else json.dumps(fields)).encode()
        reply = await reader.fetch(
            path, deadline=deadline, cap=MOST_BYTES, question=body, more={"Content-Type": media}, redirects=True
        )
        if reply.status >= 400:
            raise ReadFailure(Trouble.ERROR, f"no session: {reader.origin.netloc} answered the login {reply.status}")
        if not self._entry.token:
            if not reply.cookies:
                raise ReadFailure(Trouble.EMPTY, f"no session: {reader.origin.netloc} set no cookie at the login")
            return {"Cookie": "; ".join(f"{name}={value}" for name, value in reply.cookies)}
        token = found(_data(reply), self._entry.token)
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise ReadFailure(Trouble.EMPTY, f"no session: the answer to the login has no {self._entry.token}")
        return {"Authorization": f"Bearer {token}"}

    async def _shown(self, asked: Asked, session: Mapping[str, str], ends: float) -> tuple[bool | None, str]:
        """Whether one place accepts it, None where that is not known; and what it said. A page that answers everybody
        so proves nothing."""
        try:
            fits, said = await self._answer(asked, session, ends)
            if fits and (await self._answer(asked, {}, ends))[0] is not False:
                return None, f"{said} without a session too, which proves nothing"
        except ReadFailure as error:
            return None, error.message
        return fits, f"{said}, wanted {self._entry.passes}"

    async def _answer(self, asked: Asked, session: Mapping[str, str], ends: float) -> tuple[bool | None, str]:
        reader, path = asked
        deadline = max(0.1, (ends - asyncio.get_running_loop().time()) * 0.9)
        reply = await reader.fetch(path, deadline=deadline, cap=MOST_BYTES, more=session, redirects=True)
        data = _data(reply)
        fits = by_answer(self._entry.passes, None, reply.status, data, readable=data is not None)
        return fits, f"answered {reply.status}"


class KeysSource:
    """Compares the signing keys that several places publish."""

    def __init__(self, name: str, at: Mapping[str, Asked]) -> None:
        self._name, self._at = name, at

    async def close(self) -> None:
        """Drop the kept connections."""
        await _closed(*self._at.values())

    async def read(self, *, deadline: float) -> OwnCheckReading:
        """Pass when all have the same keys. Raises ReadFailure when one of them tells none."""
        places = list(self._at)
        keys = await asyncio.gather(*(_keys(self._at[each], deadline) for each in places))
        at = dict(zip(places, keys, strict=True))
        everywhere: dict[str, str] = {mark: kid for known in keys for mark, kid in known.items()}
        lacking = [
            f"{place} lacks {kid} of {', '.join(p for p in places if mark in at[p])}"
            for mark, kid in everywhere.items()
            for place in places
            if mark not in at[place]
        ]
        if not lacking:
            return judged(self._name, True, f"{len(everywhere)} signing keys, the same at {' and '.join(places)}")
        more = f"; and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        return judged(self._name, False, f"tokens will be refused: {'; '.join(lacking[:SHOWN])}{more}")


async def _keys(asked: Asked, deadline: float) -> dict[str, str]:
    """The public signing keys of a place: thumbprint (RFC 7638) to the name they have there."""
    reader, path = asked
    where = reader.origin.netloc
    listed = found(_data(await reader.page(path, deadline=deadline, cap=MOST_BYTES)), "keys")
    keys = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    signing = [each for each in keys if each.get("use", "sig") == "sig" and each.get("kty") in MEMBERS]
    if not signing:
        raise ReadFailure(Trouble.EMPTY, f"{where} publishes no signing key")
    known = {thumbprint(each): each for each in signing}
    names = Counter(str(each.get("kid", "")) for each in known.values())
    return {
        mark: f"key {each['kid']}" if each.get("kid") and names[str(each["kid"])] == 1 else f"key {mark[:8]}"
        for mark, each in known.items()
    }


def thumbprint(key: Mapping[str, Any]) -> str:
    """What identifies a public key whatever it is called (RFC 7638): base64url of a SHA-256 of its required members."""
    members = {name: key.get(name) for name in MEMBERS[key["kty"]]}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _data(reply: Reply) -> Any:
    try:
        return read_json(reply.body)
    except (Ambiguous, ValueError):
        return None


async def _closed(*asked: Asked) -> None:
    closes: Sequence[Callable[[], Awaitable[None]]] = list({id(reader): reader.close for reader, _ in asked}.values())
    await asyncio.gather(*(close() for close in closes))
