"""The standard streams of a verb: every text can be written to them, and what reads them may end at any time.

What an encoding lacks is written in ASCII. A stream whose reader has ended (`| head`) is replaced by nothing: the verb
goes on to its exit code, because what it found does not depend on who reads it.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
from typing import TextIO

OUTPUT_CLOSED = 141
UNWRITTEN = 74
"""The answer of a reading verb could not be written; EX_IOERR of sysexits.h."""
"""The exit code of what ends because nobody reads it any more: 128 + SIGPIPE, as other programs have it."""
HANDLER = "recovery"
SIGNS = {
    "→": "->", "←": "<-", "↑": "^", "↓": "v", "…": "...", "·": "-", "•": "*", "●": "*", "○": "o", "■": "#", "█": "#",
    "✓": "ok", "✗": "x", "×": "x", "≠": "!=", "≥": ">=", "≤": "<=", "±": "+-", "–": "-", "—": "-", "─": "-", "━": "-",
    "│": "|", "├": "|", "└": "`", "▶": ">", "▸": ">", "›": ">", "‘": "'", "’": "'", "“": '"', "”": '"',
    "\xa0": " ", "µ": "u",
}  # fmt: skip
"""ASCII for the signs that the project writes itself."""


def in_ascii(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: signs as ASCII, everything else as the escape of a Python literal."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    shown = (SIGNS.get(char) or char.encode("ascii", "backslashreplace").decode("ascii") for char in lacking)
    return "".join(shown), error.end


class Ends:
    """What is known about the streams of this verb: who still reads, and whether the answer was given."""

    def __init__(self) -> None:
        self.closed = False
        """Whether the reader of stdout or stderr has ended."""
        self.answered = False
        """Whether the one JSON document was written."""
        self.lost = ""
        """Why stdout took no more, as on a full disk; empty while it does."""
        self.acted = False
        """Whether this verb may have asked for an effect: then its exit code tells of that, whatever can be written."""

    def write(self, stream: TextIO, text: str) -> None:
        """Write and, to stderr, flush. Never raises: what cannot be written is no outcome of the verb."""
        try:
            stream.write(text)
            if stream is sys.stderr:
                stream.flush()
        except BrokenPipeError:
            self.drop(stream)
        except OSError as error:
            self._lose(stream, error)

    def flush(self) -> None:
        """Hand over what was written. Never raises."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                self.drop(stream)
            except OSError as error:
                self._lose(stream, error)

    def unread(self) -> bool:
        """Whether nobody reads stdout any more, also when nothing was written since: for what follows without end."""
        with contextlib.suppress(io.UnsupportedOperation):  # a stream of a test has no descriptor
            pipe = select.poll()
            pipe.register(sys.stdout.fileno(), 0)  # POLLERR is reported without being asked for
            self.closed = self.closed or any(events & select.POLLERR for _, events in pipe.poll(0))
        return self.closed

    def begin(self) -> None:
        """Another verb of this process."""
        self.closed = self.answered = self.acted = False
        self.lost = ""

    def _lose(self, stream: TextIO, error: OSError) -> None:
        if stream is sys.stdout:
            self.lost = error.strerror or str(error)
        with contextlib.suppress(io.UnsupportedOperation):  # a stream of a test has no descriptor
            _replace(stream.fileno())

    def drop(self, stream: TextIO) -> None:
        """Nobody reads this stream any more: what follows goes nowhere."""
        self.closed = True
        with contextlib.suppress(io.UnsupportedOperation):  # a stream of a test has no descriptor
            _replace(stream.fileno())


def _replace(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


ENDS = Ends()


def prepare_streams() -> None:
    """Make the streams of this process take every text, whatever the locale; open those that the caller closed."""
    codecs.register_error(HANDLER, in_ascii)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - it lives as long as we do
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, HANDLER), (sys.stderr, HANDLER)):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)
