"""Answers and errors as JSON, the same for every route."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import Any

from aiohttp import web

from state.api.messages import API_VERSION
from state.errors import (
    ConfigError,
    EffectRefused,
    EffectUnknown,
    EngineFailed,
    ExitCode,
    JournalUnavailable,
    NotFound,
    ReadFailure,
    RecoveryError,
    Refusal,
    Refused,
)

log = logging.getLogger("aiohttp.server")
"""The server's own: what callers do wrong is left out of it."""

VERSION_HEADER = "Recovery-Version"
HEADERS = {VERSION_HEADER: str(API_VERSION), "Cache-Control": "no-store"}

_STATUS: tuple[tuple[type[RecoveryError], int], ...] = (
    (ConfigError, 400),
    (Refused, 403),
    (NotFound, 404),
    (EffectRefused, 409),
    (EffectUnknown, 409),
    (JournalUnavailable, 503),
    (ReadFailure, 503),
    (EngineFailed, 500),
)


class BadRequest(RecoveryError):
    """The request itself is invalid: not JSON, too large, or of another API version."""

    title = "Bad request"
    kind = "bad-request"
    exit_code = ExitCode.USAGE

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class EngineBusy(RecoveryError):
    """An account asks for more than its share; what it asked for was not done."""

    title = "Engine busy"
    kind = "busy"
    hint = "Ask less often, close connections, or wait for what is under way."
    exit_code = ExitCode.UNREACHABLE

    def __init__(self, message: str, status: int = 429) -> None:
        super().__init__(message)
        self.status = status


def encode(value: Any) -> bytes:
    """One line of JSON, ASCII only, so that no text can break the line or the terminal that prints it."""
    return json.dumps(value, separators=(",", ":")).encode()


def answer(value: Any, status: int = 200) -> web.Response:
    """A JSON answer with the API's version."""
    return web.Response(body=encode(value), status=status, content_type="application/json", headers=HEADERS)


def failure(error: RecoveryError) -> web.Response:
    """An error as JSON: kind, title, message, exit code; where a rule refused the refusal, for a file its problems."""
    status = error.status if isinstance(error, BadRequest | EngineBusy) else 400
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), status)
    refusal = error.refusal if isinstance(error, Refused) else Refusal("", "", error.hint)
    return answer(
        {
            "kind": error.kind,
            "title": error.title,
            "message": str(error),
            "exit_code": int(error.exit_code),
            **asdict(refusal),
            "problems": [asdict(problem) for problem in error.problems] if isinstance(error, ConfigError) else [],
        },
        status,
    )


@web.middleware
async def errors_as_json(request: web.Request, handler: Any) -> web.StreamResponse:
    """Errors become JSON answers; what was not expected is a defect: its trace is in the log, not in the answer."""
    try:
        version = request.headers.get(VERSION_HEADER, str(API_VERSION))
        if version != str(API_VERSION):
            raise BadRequest(f"the console speaks API version {version}, this engine {API_VERSION}", 409)
        response: web.StreamResponse = await handler(request)
        return response
    except RecoveryError as error:
        return failure(error)
    except web.HTTPException as error:
        message = f"{request.method} {request.path}: {error.reason}"
        return failure(BadRequest(message, error.status))
    except Exception:
        if request.writer.output_size:
            raise  # a part of the answer was sent: nothing else can be put behind it
        log.exception("%s %s failed", request.method, request.path)
        return failure(EngineFailed(f"the engine failed at {request.method} {request.path}"))
