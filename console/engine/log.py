"""The engine's log: one JSON object a line, in a file that only its account can read."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import logging.handlers
import os
import queue
import threading
import time
from io import TextIOWrapper
from pathlib import Path

BYTES = 5_000_000
FILES = 3
MOST = 10_000
"""Lines that wait for the disk."""
LAST = 2.0
"""Seconds for which the end of the process waits for them."""


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


class Beside(logging.handlers.QueueHandler):
    """Hands every line to a thread that writes it: the disk may hang, and then only the thread waits for it."""

    def __init__(self, handler: logging.Handler) -> None:
        self._lines: queue.Queue[logging.LogRecord] = queue.Queue(MOST)
        super().__init__(self._lines)
        self._handler = handler
        writing = threading.Thread(target=self._write, name="log", daemon=True)
        writing.start()
        atexit.register(self.flush)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Keep the record as it is: trace and text are made in the thread."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Add a line; those that find no room are lost, and nothing else."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(record)

    def flush(self) -> None:
        """Let what was said be written, as far as the disk takes it."""
        until = time.monotonic() + LAST
        while self._lines.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.01)

    def _write(self) -> None:
        while True:
            record = self._lines.get()
            self._handler.handle(record)
            self._lines.task_done()


def log_to(path: Path) -> None:
    """Send every logger of this process to `path` (mode 0600). Raises OSError."""
    handler = LogFile(path, maxBytes=BYTES, backupCount=FILES, encoding="utf-8")
    handler.setFormatter(JsonLines())
    handler.addFilter(Callers())
    root = logging.getLogger()
    root.handlers[:] = [Beside(handler)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
