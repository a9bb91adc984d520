"""The engine's log: one JSON object a line, in a file that only its account can read."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
from pathlib import Path

BYTES = 5_000_000
FILES = 3


class JsonLines(logging.Formatter):
    """`{"at", "level", "logger", "message"}`, with the trace of a defect; ASCII, so no text can act on a pager."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class Callers(logging.Filter):
    """Leaves out callers who do not speak HTTP or hang up half way: no defect, and theirs to repeat without end."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        of_http = type(error).__module__ == "aiohttp.http_exceptions"
        return not (record.name == "aiohttp.server" and (of_http or isinstance(error, ConnectionError)))


def log_to(path: Path) -> None:
    """Send every logger of this process to `path` (mode 0600), rotated by size. Raises OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=BYTES, backupCount=FILES, encoding="utf-8")
    handler.setFormatter(JsonLines())
    handler.addFilter(Callers())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
