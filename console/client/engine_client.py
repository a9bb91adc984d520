"""The engine's socket API, typed. Standard library only, so that a console starts fast.

HTTP/1.1 over a Unix socket (RFC 9112), one connection per request, bodies by length or in chunks. Texts are
made safe while they are decoded; no text from this module can act on a terminal.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

from console.client.engine_errors import EngineUnreachable, told_error
from console.client.peer import require_account, require_engine_folder
from console.client.permission import no_permission
from console.client.replies import HEAD_LIMIT, body_of, head_of, lines_of
from state.api.messages import API_VERSION, Accepted, ChainProof, Hello, Retained
from state.api.wire import UNREADABLE, revive
from state.capabilities import topics
from state.errors import EffectUnknown, EngineFailed, NotFound, RecoveryError, Refused
from state.text import clean

if TYPE_CHECKING:
    from state.api.approvals import ApprovalCard, ApprovalVerb, AskApproval
    from state.api.card import Card
    from state.api.releases import ReleaseRecord
    from state.api.requests import ControlRequest, PlanRequest, Submission
    from state.api.sessions import SessionKept
    from state.api.views.journal import JournalRow
    from state.api.views.runbooks import RunbooksView

T = TypeVar("T")
CONNECT_DEADLINE = 3.0
READ_DEADLINE = 10.0
ACT_DEADLINE = 30.0
EXPORT_DEADLINE = 120.0
LONGEST_KEY = 16_384
"""Characters of a public key."""
BACK_OFF = (0.25, 0.5, 1.0, 2.0, 5.0)


class Connected(NamedTuple):
    """The stream is open; it starts with the full state."""

    hello: Hello


class Line(NamedTuple):
    """One line of the stream, decoded: a tick or a frame for a `Mirror`."""

    content: Mapping[str, Any]


class Lost(NamedTuple):
    """The stream ended; the next attempt follows in `retry_in` seconds. `fatal` = retrying will not help."""

    reason: str
    retry_in: float
    fatal: bool = False


def console_name() -> str:
    """A new name for one console."""
    return secrets.token_hex(4)


class EngineClient:
    """A console's connection to one engine. Raises EngineUnreachable, the engine's own refusals, and EffectUnknown
    when the answer to an acting request is missing."""

    def __init__(self, path: str, console: str = "") -> None:
        """With the name of a `console`, others see that it is attached and which screen it shows."""
        self.path = path
        self.console = console
        self.screen = ""
        """The topic of the screen in front; told with the stream and with `look`."""

    async def hello(self) -> Hello:
        """Version, estate and who the engine says you are. Raises Refused when the versions differ."""
        value = (await self._ask("/v1/hello"))["value"]
        spoken = value[0] if isinstance(value, list) and value else None
        if spoken != API_VERSION:
            fact = f"the engine speaks API version {clean(str(spoken))}, this console {API_VERSION}"
            raise Refused("same version", fact, "Update the older of the two programs")
        return _revive(Hello, value)

    async def view(self, topic: str) -> Any:
        """One view as its type, texts made safe. Raises NotFound for an unknown topic."""
        known = topics().get(topic)
        if known is None:
            raise NotFound(f"no topic {topic}; there are {', '.join(topics())}")
        return _revive(known.view_type, await self._ask(f"/v1/view/{quote(topic, safe='')}"))

    async def run(self, run: str) -> RunbooksView:
        """One run with its steps, also one that ended long ago. Raises NotFound."""
        from state.api.views.runbooks import RunbooksView

        return _revive(RunbooksView, await self._ask(f"/v1/runs/{quote(run, safe='')}", deadline=EXPORT_DEADLINE))

    async def look(self, screen: str) -> None:
        """Tell which topic's screen this console shows now."""
        self.screen = screen
        await self._ask(f"/v1/look?console={self.console}&screen={quote(screen, safe='')}")

    async def preview(self, request: PlanRequest) -> Card:
        """Build a plan; nothing outside changes."""
        from state.api.card import Card

        return _revive(Card, (await self._ask("/v1/preview", _written(request), ACT_DEADLINE))["value"])

    async def preview_as(self, request: PlanRequest, person: str) -> tuple[Card, tuple[str, ...]]:
        """The same at a shared account, as one of its people; with the public keys by which that person can sign."""
        from state.api.card import Card

        answer = await self._ask(f"/v1/preview?as={quote(person, safe='')}", _written(request), ACT_DEADLINE)
        return _revive(Card, answer["value"]), tuple(clean(str(key), LONGEST_KEY) for key in answer.get("keys", ()))

    async def submit(self, request: Submission) -> Accepted:
        """Submit a confirmed plan; answers with its run at once."""
        return await self._act("/v1/submit", _written(request))

    async def control(self, run: str, request: ControlRequest) -> Accepted:
        """Pause, resume, skip, stop or decide in one run."""
        return await self._act(f"/v1/runs/{quote(run, safe='')}/control", _written(request))

    async def stop_all(self) -> Accepted:
        """Start nothing new in any run, read the outcome of what was sent."""
        return await self._act("/v1/stop", {})

    async def compare(self, a: str, b: str) -> Accepted:
        """Have the engine compare two nodes, each DATABASE/NODE; answers as soon as it has begun."""
        return await self._act("/v1/compare", {"a": a, "b": b})

    async def claim_grant(self, grant: str, verifier: str) -> Accepted:
        """Have a grant's login opened with what this process made of its secret; `message` is the role's name."""
        return await self._act("/v1/access/claim", {"grant": grant, "verifier": verifier})

    async def accept_residue(self, grant: str, reason: str, residue: Sequence[str]) -> Accepted:
        """Take what a grant left as it was shown. Raises Refused, also where it is another by now, and NotFound."""
        return await self._act("/v1/access/accept", {"grant": grant, "reason": reason, "residue": list(residue)})

    async def end_grant(self, grant: str) -> Accepted:
        """End a grant now; it is over when that is proven."""
        return await self._act("/v1/access/end", {"grant": grant})

    async def cancel_comparison(self) -> Accepted:
        """End the comparison under way."""
        return await self._act("/v1/compare/cancel", {})

    async def record_release(self, record: ReleaseRecord) -> Accepted:
        """Record a release, as a pipeline."""
        return await self._act("/v1/releases", asdict(record))

    async def ask_approval(self, asked: AskApproval) -> Accepted:
        """Ask for the approvals of an open plan."""
        return await self._act("/v1/approvals", asdict(asked))

    async def approval_card(self, name: str, approver: str = "") -> ApprovalCard:
        """The plan of a request as it is now, and what is to be signed."""
        from state.api.approvals import ApprovalCard

        target = f"/v1/approvals/{quote(name, safe='')}/card"
        return _revive(ApprovalCard, (await self._ask(target, {"approver": approver}, ACT_DEADLINE))["value"])

    async def approval(self, name: str, verb: ApprovalVerb) -> Accepted:
        """Approve, deny, withdraw and the like."""
        return await self._act(f"/v1/approvals/{quote(name, safe='')}", {"do": verb.do, **asdict(verb)})

    async def session_lines(self, lines: Sequence[Sequence[object]]) -> SessionKept:
        """Tell the session log what this console has shown."""
        from state.api.sessions import SessionKept

        body = {"console": self.console, "lines": [list(line) for line in lines]}
        return _revive(SessionKept, (await self._ask("/v1/session", body))["value"])

    async def sessions(self) -> bytes:
        """The session log, one JSON object a line, oldest first."""
        return await self._fetch("GET", "/v1/sessions", None, EXPORT_DEADLINE)

    async def reload(self) -> Accepted:
        """Have the engine take its changed files."""
        return await self._act("/v1/reload", {})

    async def shut_down(self) -> Accepted:
        """Stop the engine once every open run has reached a safe point."""
        return await self._act("/v1/shutdown", {})

    async def journal(self, after: int = 0, limit: int = 1000) -> list[JournalRow]:
        """Entries with seq > after, oldest first."""
        from state.api.views.journal import JournalRow

        rows = (await self._ask(f"/v1/journal?after={after}&limit={limit}"))["value"]
        return [_revive(JournalRow, row) for row in rows]

    async def journal_verify(self, known: str = "") -> ChainProof:
        """Whether the chain is valid from its first entry on, and has an entry whose hash begins with `known`."""
        head = f"?head={quote(known, safe='')}" if known else ""
        return _revive(ChainProof, (await self._ask(f"/v1/journal/verify{head}", deadline=EXPORT_DEADLINE))["value"])

    async def journal_export(self) -> bytes:
        """Every entry's stored bytes, one a line, oldest first. For a file, never for a screen."""
        return await self._fetch("GET", "/v1/journal/export", None, EXPORT_DEADLINE)

    async def journal_retain(self, *, dry_run: bool) -> Retained:
        """Erase the details of old entries by policy, or say what that would erase."""
        answer = await self._ask("/v1/journal/retain", {"dry_run": dry_run}, EXPORT_DEADLINE)
        return _revive(Retained, answer["value"])

    async def stream(self, topics: Sequence[str]) -> AsyncGenerator[Mapping[str, Any]]:
        """Lines of one connection until it ends. Raises EngineUnreachable when it breaks or has no more lines."""
        target = "/v1/stream?topics=" + quote(",".join(topics), safe=",")
        if self.console:
            target += f"&console={self.console}&screen={quote(self.screen, safe='')}"
        try:
            async with self._open("GET", target, None) as (reader, status, headers):
                if status != 200:
                    raise told_error(status, await body_of(reader, headers))
                async for raw in lines_of(reader, headers):
                    yield _parse(raw)
        except (OSError, EOFError, TimeoutError) as broken:
            raise EngineUnreachable(_why(broken, self.path)) from broken
        raise EngineUnreachable("the engine closed the stream")

    async def follow(self, topics: Sequence[str]) -> AsyncGenerator[Connected | Line | Lost]:
        """The stream with reconnection: waits longer each time, never gives up."""
        attempt = 0
        while True:
            try:
                yield Connected(await self.hello())
                async with aclosing(self.stream(topics)) as lines:
                    async for content in lines:
                        attempt = 0
                        yield Line(content)
            except Refused as refused:
                pause = BACK_OFF[-1]
                yield Lost(str(refused), pause, fatal=True)
            except RecoveryError as lost:
                pause = BACK_OFF[min(attempt, len(BACK_OFF) - 1)]
                yield Lost(str(lost), pause)
            attempt += 1
            await asyncio.sleep(pause)

    async def _ask(self, target: str, request: Mapping[str, Any] | None = None, deadline: float = READ_DEADLINE) -> Any:
        """A request without effect."""
        raw = await self._fetch("GET" if request is None else "POST", target, request, deadline)
        return _parse(raw)

    async def _act(self, target: str, request: Mapping[str, Any]) -> Accepted:
        """A request with effect: once it may have been read, no answer means unknown, not failure."""
        try:
            return _revive(Accepted, _parse(await self._fetch("POST", target, request, ACT_DEADLINE))["value"])
        except (_Unanswered, EngineFailed) as silent:
            raise EffectUnknown(
                f"{silent}; the engine may have accepted it: look at the runs and the journal before trying again"
            ) from silent

    async def _fetch(self, method: str, target: str, request: Mapping[str, Any] | None, deadline: float) -> bytes:
        sent = False
        try:
            async with self._open(method, target, request, deadline) as answer, asyncio.timeout(deadline):
                sent = True
                reader, status, headers = answer
                body = await body_of(reader, headers)
        except (_Unanswered, EngineUnreachable):
            raise
        except (OSError, EOFError, TimeoutError) as broken:
            kind = _Unanswered if sent else EngineUnreachable
            raise kind(_why(broken, self.path)) from broken
        if status != 200:
            raise told_error(status, body)
        return body

    @asynccontextmanager
    async def _open(
        self, method: str, target: str, request: Mapping[str, Any] | None, deadline: float = ACT_DEADLINE
    ) -> AsyncIterator[tuple[asyncio.StreamReader, int, dict[str, str]]]:
        """Connect, send, read the head. EngineUnreachable until connected, _Unanswered from then on.

        Nothing is sent to a process of a foreign account: Refused.
        """
        async with AsyncExitStack() as stack:
            try:
                account = require_engine_folder(self.path)
                async with asyncio.timeout(CONNECT_DEADLINE):
                    reader, writer = await asyncio.open_unix_connection(self.path, limit=HEAD_LIMIT)
            except (OSError, TimeoutError) as broken:
                raise EngineUnreachable(_why(broken, self.path)) from broken
            stack.push_async_callback(_close, writer)
            require_account(writer.get_extra_info("socket"), account, self.path)
            try:
                writer.write(_encode(method, target, request))
                await writer.drain()
                async with asyncio.timeout(deadline):
                    status, headers = await head_of(reader)
            except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as broken:
                raise _Unanswered(_why(broken, self.path)) from broken
            yield reader, status, headers


class _Unanswered(EngineUnreachable):
    """The request may have been read, but no complete answer came."""


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await writer.wait_closed()


def _written(request: PlanRequest | ControlRequest | Submission) -> dict[str, Any]:
    """A request as JSON. Its types are loaded when something is asked: a stream needs none of them."""
    from state.api.requests import write

    return write(request)


def _encode(method: str, target: str, request: Mapping[str, Any] | None) -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
    if request is None:
        return f"{head}\r\n".encode()
    body = json.dumps(request).encode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _parse(raw: bytes) -> Any:
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as broken:
        raise EngineUnreachable("the engine's answer is not JSON") from broken
    if not isinstance(content, dict):
        raise EngineUnreachable("the engine's answer is not a JSON object")
    return content


def _revive(kind: type[T], value: Any) -> T:
    try:
        made: T = revive(kind, value)
    except UNREADABLE as broken:
        raise EngineUnreachable(f"the engine's answer is not a {kind.__name__}") from broken
    return made


def _why(broken: BaseException, path: str) -> str:
    if isinstance(broken, FileNotFoundError):
        return clean(f"no engine: {path} does not exist")
    if isinstance(broken, ConnectionRefusedError):
        return clean(f"no engine listens on {path}")
    if isinstance(broken, PermissionError):
        return no_permission(path)
    if isinstance(broken, TimeoutError):
        return "the engine did not answer in time"
    if isinstance(broken, asyncio.IncompleteReadError):
        return "the engine's answer is incomplete"
    return clean(str(broken)) or "the connection to the engine broke"
