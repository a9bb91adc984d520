"""The engine's log: one JSON object a line, in a file that only its account can read."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
from io import TextIOWrapper
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


class LogFile(logging.handlers.RotatingFileHandler):
    """Rotated by size; a file that another program renamed or removed is made anew for the next line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line to the file that has the name now. What cannot be written is lost, and nothing else."""
        if self.stream is not None and self._moved(self.stream):
            with contextlib.suppress(OSError):
                self.stream.close()
            self.stream = None  # the base class opens it for the line
        super().emit(record)

    def _moved(self, stream: TextIOWrapper) -> bool:
        try:
            return not os.path.samestat(os.stat(self.baseFilename), os.fstat(stream.fileno()))
        except OSError:
            return True

    def _open(self) -> TextIOWrapper:
        def closed(path: str, flags: int) -> int:
            return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o600)  # a pipe would wait for its reader

        return open(self.baseFilename, "a", encoding="utf-8", opener=closed)


def log_to(path: Path) -> None:
    """Send every logger of this process to `path` (mode 0600). Raises OSError."""
    handler = LogFile(path, maxBytes=BYTES, backupCount=FILES, encoding="utf-8")
    handler.setFormatter(JsonLines())
    handler.addFilter(Callers())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
