"""What the sockets offer: one table, from which both servers and their tests are built."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from adapters.api_server.answers import HEADERS, BadRequest, EngineBusy, answer
from adapters.api_server.callers import caller_of
from adapters.api_server.room import Room, Seat, Share
from adapters.api_server.stream import run_stream
from adapters.api_server.throttle import Throttle
from state.api.approvals import read_approval, read_ask
from state.api.caller import Caller
from state.api.releases import read_record
from state.api.requests import Stop, read_control, read_plan, read_submission
from state.api.service import EngineService
from state.api.sessions import read_seen
from state.api.wire import named, plain
from state.capabilities import topics
from state.errors import NotFound
from state.journal.format import known_head

STREAM = "/v1/stream"
LOOK = "/v1/look"
"""Tells which screen a console shows: nothing is kept of it but what the header lists while the console is attached."""
LONGEST_WORD = 40  # characters of a name in a query
MOST_ROWS = 1000  # journal rows in one answer
ROWS_AT_ONCE = 100  # journal rows read before other tasks run
EXPORT_CHUNK = 256 * 1024  # bytes
LONGEST_NUMBER = 40  # digits
BODY_DEADLINE = 10.0  # seconds a request's body may take to arrive


@dataclass(frozen=True, slots=True)
class Side:
    """The engine as one socket offers it."""

    service: EngineService
    read_only: bool
    room: Room
    throttle: Throttle

    def caller(self, request: web.Request) -> Caller:
        """Who asks, as the kernel reports it."""
        return caller_of(request.transport, self.service, read_only=self.read_only)

    def seat(self, request: web.Request) -> Seat:
        """The connection's place in the room. Raises ConnectionResetError when it was closed."""
        found = self.room.seat(request.protocol)
        if found is None:
            raise ConnectionResetError("the caller has closed the connection")
        return found

    async def admit(self, request: web.Request) -> None:
        """Let a request through that stops nothing. Raises EngineBusy."""
        seat = self.seat(request)
        if seat.share is Share.STOPPING:
            raise EngineBusy("this account has too many connections open: this one can only stop runs", 503)
        await self.throttle.admit(seat)


@dataclass(frozen=True, slots=True)
class Route:
    """One route; `acts` routes exist on the engine's socket only. `stops`: it may stop something, and decides itself
    what is let through."""

    method: str
    path: str
    acts: bool
    serve: Callable[[Side, web.Request], Awaitable[web.StreamResponse]]
    stops: bool = False


async def _hello(side: Side, request: web.Request) -> web.StreamResponse:
    return answer({"value": plain(side.service.hello(side.caller(request)))})


async def _stream(side: Side, request: web.Request) -> web.StreamResponse:
    asked = request.query.get("topics", ",".join(topics()))
    wanted = tuple(dict.fromkeys(_topic(name) for name in asked.split(",") if name))
    key = side.service.attach(side.caller(request), _word(request, "console"), _word(request, "screen"))
    try:
        return await run_stream(request, side.service, wanted)
    finally:
        side.service.detach(key)


async def _look(side: Side, request: web.Request) -> web.StreamResponse:
    side.service.look(side.caller(request), _word(request, "console"), _word(request, "screen"))
    return answer({"value": None})


async def _view(side: Side, request: web.Request) -> web.StreamResponse:
    return answer(named(side.service.view(_topic(request.match_info["topic"]))))


async def _run(side: Side, request: web.Request) -> web.StreamResponse:
    return answer(named(await side.service.run_view(request.match_info["run"])))


async def _journal(side: Side, request: web.Request) -> web.StreamResponse:
    after, limit = _number(request, "after", 0), _number(request, "limit", 100)
    left, made = min(limit, MOST_ROWS), list[Any]()
    while left > 0 and (rows := side.service.journal_rows(after, min(left, ROWS_AT_ONCE))):
        made += [plain(row) for row in rows]
        after, left = rows[-1].seq, left - len(rows)
        await asyncio.sleep(0)
    return answer({"value": made})


async def _verify(side: Side, request: web.Request) -> web.StreamResponse:
    asked = request.query.get("head")
    known = "" if asked is None else known_head(asked)
    async with side.throttle.reading(side.seat(request)):
        proof = await side.throttle.alone(request, side.service.journal_verify(known))
    return answer({"value": plain(proof), "problem": proof.problem})


async def _export(side: Side, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "application/x-ndjson"})
    async with side.throttle.reading(side.seat(request)):
        await response.prepare(request)
        buffer = bytearray()
        async for entry in side.service.journal_export():
            buffer += entry + b"\n"
            if len(buffer) >= EXPORT_CHUNK:
                await response.write(bytes(buffer))
                buffer.clear()
        await response.write(bytes(buffer))
    return response


async def _seen(side: Side, request: web.Request) -> web.StreamResponse:
    """What a console says of itself, also one that only looks: nothing is done with it but keeping it."""
    console, lines = read_seen(await _body(request))
    return answer({"value": plain(await side.service.sessions.keep(side.caller(request), console, lines))})


async def _sessions(side: Side, request: web.Request) -> web.StreamResponse:
    async with side.throttle.reading(side.seat(request)):
        try:
            raw = await side.service.sessions.lines()
        except OSError as error:
            raise NotFound(f"the session log cannot be read: {error.strerror}") from error
        return web.Response(body=raw, headers={**HEADERS, "Content-Type": "application/x-ndjson"})


async def _preview(side: Side, request: web.Request) -> web.StreamResponse:
    with side.throttle.preview(side.seat(request).uid):
        caller, keys = side.caller(request), tuple[str, ...]()
        if person := request.query.get("as", ""):
            caller, keys = side.service.personal.speaking(caller, person), side.service.personal.keys(person)
        card = await side.service.preview(caller, read_plan(await _body(request)))
    return answer({"value": plain(card), **({"keys": keys} if keys else {})})


async def _submit(side: Side, request: web.Request) -> web.StreamResponse:
    return answer(
        {"value": plain(await side.service.submit(side.caller(request), read_submission(await _body(request))))}
    )


async def _control(side: Side, request: web.Request) -> web.StreamResponse:
    run, control = request.match_info["run"], read_control(await _body(request))
    if not isinstance(control, Stop):
        await side.admit(request)
    return answer({"value": plain(await side.service.control(side.caller(request), run, control))})


async def _stop(side: Side, request: web.Request) -> web.StreamResponse:
    return answer({"value": plain(await side.service.stop_all(side.caller(request)))})


async def _reload(side: Side, request: web.Request) -> web.StreamResponse:
    return answer({"value": plain(await side.service.reload(side.caller(request)))})


async def _retain(side: Side, request: web.Request) -> web.StreamResponse:
    dry_run = (await _body(request)).get("dry_run") is not False
    return answer({"value": plain(await side.service.journal_retain(side.caller(request), dry_run=dry_run))})


async def _compare(side: Side, request: web.Request) -> web.StreamResponse:
    asked = await _body(request)
    a, b = (asked.get(side_) for side_ in ("a", "b"))
    if not (isinstance(a, str) and isinstance(b, str)):
        raise NotFound("a and b must be the two nodes, each as DATABASE/NODE")
    return answer({"value": plain(await side.service.comparing.start(side.caller(request), a, b))})


async def _cancel_comparison(side: Side, request: web.Request) -> web.StreamResponse:
    return answer({"value": plain(await side.service.comparing.cancel(side.caller(request)))})


async def _claim(side: Side, request: web.Request) -> web.StreamResponse:
    asked = await _body(request)
    grant, verifier = (asked.get(name) for name in ("grant", "verifier"))
    if not (isinstance(grant, str) and isinstance(verifier, str)):
        raise NotFound("grant and verifier must be texts")
    return answer({"value": plain(await side.service.granting.claim(side.caller(request), grant, verifier))})


async def _end_grant(side: Side, request: web.Request) -> web.StreamResponse:
    grant = (await _body(request)).get("grant")
    if not isinstance(grant, str):
        raise NotFound("grant must be the name of one")
    return answer({"value": plain(await side.service.granting.end(side.caller(request), grant))})


async def _accept_residue(side: Side, request: web.Request) -> web.StreamResponse:
    asked = await _body(request)
    grant, reason, residue = (asked.get(name) for name in ("grant", "reason", "residue"))
    if not (isinstance(grant, str) and isinstance(reason, str)):
        raise NotFound("grant and reason must be texts")
    if not (isinstance(residue, list) and all(isinstance(each, str) for each in residue)):
        raise NotFound("residue must be the texts that were shown")
    done = await side.service.granting.accept(side.caller(request), grant, reason, residue)
    return answer({"value": plain(done)})


async def _record_release(side: Side, request: web.Request) -> web.StreamResponse:
    asked = read_record(await _body(request))
    return answer({"value": plain(await side.service.releases.record(side.caller(request), asked))})


async def _ask_approval(side: Side, request: web.Request) -> web.StreamResponse:
    asked = read_ask(await _body(request))
    return answer({"value": plain(await side.service.approvals.ask(side.caller(request), asked))})


async def _approval_card(side: Side, request: web.Request) -> web.StreamResponse:
    approver = (await _body(request)).get("approver", "")
    if not isinstance(approver, str):
        raise NotFound("approver must be the name of a person")
    with side.throttle.preview(side.seat(request).uid):
        found = await side.service.approvals.card(side.caller(request), request.match_info["name"], approver)
    return answer({"value": plain(found)})


async def _approval(side: Side, request: web.Request) -> web.StreamResponse:
    name, verb = request.match_info["name"], read_approval(await _body(request))
    return answer({"value": plain(await side.service.approvals.act(side.caller(request), name, verb))})


async def _shut_down(side: Side, request: web.Request) -> web.StreamResponse:
    return answer({"value": plain(await side.service.shut_down(side.caller(request)))})


ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/hello", False, _hello),
    Route("GET", STREAM, False, _stream),
    Route("GET", LOOK, False, _look),
    Route("GET", "/v1/view/{topic}", False, _view),
    Route("GET", "/v1/runs/{run}", False, _run),
    Route("GET", "/v1/journal", False, _journal),
    Route("GET", "/v1/journal/verify", False, _verify),
    Route("GET", "/v1/journal/export", False, _export),
    Route("POST", "/v1/session", False, _seen),
    Route("GET", "/v1/sessions", False, _sessions),
    Route("POST", "/v1/preview", True, _preview),
    Route("POST", "/v1/submit", True, _submit),
    Route("POST", "/v1/runs/{run}/control", True, _control, stops=True),
    Route("POST", "/v1/stop", True, _stop, stops=True),
    Route("POST", "/v1/reload", True, _reload),
    Route("POST", "/v1/journal/retain", True, _retain),
    Route("POST", "/v1/compare", True, _compare),
    Route("POST", "/v1/compare/cancel", True, _cancel_comparison, stops=True),
    Route("POST", "/v1/access/claim", True, _claim),
    Route("POST", "/v1/access/end", True, _end_grant, stops=True),
    Route("POST", "/v1/access/accept", True, _accept_residue),
    Route("POST", "/v1/releases", True, _record_release),
    Route("POST", "/v1/approvals", True, _ask_approval),
    Route("POST", "/v1/approvals/{name}/card", True, _approval_card),
    Route("POST", "/v1/approvals/{name}", True, _approval),
    Route("POST", "/v1/shutdown", True, _shut_down),
)


def _topic(name: str) -> str:
    known = topics()
    if name not in known:
        raise NotFound(f"no topic {name!r}; there are {', '.join(known)}")
    return name


def _word(request: web.Request, name: str) -> str:
    """A name of letters, digits and dashes from the query; empty when there is none."""
    text = request.query.get(name, "")
    if len(text) > LONGEST_WORD or not ((text.isascii() and text.replace("-", "").isalnum()) or not text):
        raise BadRequest(f"{name} must be at most {LONGEST_WORD} letters, digits and dashes")
    return text


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest(f"{name} must be a whole number, not {text!r}")
    return int(text)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is a number that is too large")
    return number


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"{text[:40]}… is a number that is too large")
    return int(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are unique: an object with two values for one name is refused."""
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)[:40]!r} occurs twice")
    return made


async def _body(request: web.Request) -> Mapping[str, Any]:
    """The JSON object of a request."""
    if request.content_type != "application/json":
        raise BadRequest(f"the body must be application/json, not {request.content_type}")
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            raw = await request.read()
        body = json.loads(
            raw or b"{}",
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_once,
        )
    except TimeoutError as error:
        raise BadRequest(f"the body did not arrive within {BODY_DEADLINE:.0f} s", 408) from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body
