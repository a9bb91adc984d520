"""Whether an answer is a whole page of metrics: which lines have the form of a comment or a sample, and how it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

from state.errors import ReadFailure, Trouble

NAME = rb"[a-zA-Z_:][a-zA-Z0-9_:]*+"
QUOTED = rb'"[^"\\]*+(?:\\.[^"\\]*+)*"'
EOF = b"# EOF"
"""The end of an OpenMetrics page; every other page ends with a line feed."""
COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
"""How gzip and Zstandard begin."""
PROTOBUF = "application/vnd.google.protobuf"
OPEN_METRICS = "application/openmetrics-text"
HTML = "text/html"
PAGES = (b"<!doctype html", b"<html")
STRANGE = re.compile(
    rb"^(?![ \t]*(?:#|\r?$|" + NAME + rb"[ \t{]|\{[ \t]*" + QUOTED + rb"[ \t]*[,}]))[^\n]*", re.MULTILINE
)
"""A line that begins neither like a comment nor like a sample, whose name may be quoted (Prometheus 3)."""
PIECE = 64 << 10
LONGEST_LINE = 64 << 10
"""Bytes of a line: a search in it holds up every other thread."""
SHOWN = 40


class UnreadableLine(ValueError):
    """A line that is no sample; `message` names and shows it."""

    def __init__(self, number: int, line: bytes) -> None:
        shown = line[:SHOWN].decode("utf-8", "replace").strip() + ("…" if len(line) > SHOWN else "")
        self.message = f"line {number} of the metrics cannot be read: {shown}"
        super().__init__(self.message)


def pieces(body: bytes) -> Iterator[tuple[int, int]]:
    """Where pieces of whole lines begin and end. Raises UnreadableLine for a line that is too long."""
    start = 0
    while start < len(body):
        end = body.find(b"\n", start + PIECE) + 1 or len(body)
        if end - start > PIECE + LONGEST_LINE:
            number = body.count(b"\n", 0, start + PIECE) + 1
            raise UnreadableLine(number, b"it has more than %d bytes: " % LONGEST_LINE + body[start + PIECE :][:SHOWN])
        yield start, end
        start = end


def _strange(body: bytes) -> re.Match[bytes] | None:
    """The first line that is neither comment nor sample. In pieces, since a search holds up every other thread."""
    return next((found for start, end in pieces(body) if (found := STRANGE.search(body, start, end))), None)


def check_page(body: bytes, media: str) -> None:
    """Raises ReadFailure for what is not metrics from its first line to its last."""
    if body.startswith(COMPRESSED):
        raise ReadFailure(Trouble.ERROR, "the answer is compressed, and does not say so")
    if media == PROTOBUF:
        raise ReadFailure(
            Trouble.ERROR, "the answer is in Protocol Buffers, which was not asked for: only text is read"
        )
    if media == HTML or body[:PIECE].lstrip()[:SHOWN].lower().startswith(PAGES):
        raise ReadFailure(Trouble.ERROR, "the answer is an HTML page, not metrics (a login page?)")
    try:
        strange = _strange(body)
    except UnreadableLine as error:
        raise ReadFailure(Trouble.ERROR, error.message) from error
    if strange is not None:
        number = body.count(b"\n", 0, strange.start()) + 1
        if number > 1 and strange.end() == len(body):
            raise ReadFailure(Trouble.ERROR, "the metrics end in the middle of a line")
        raise ReadFailure(Trouble.ERROR, UnreadableLine(number, strange[0]).message)
    if not body.endswith((b"\n", EOF)):
        raise ReadFailure(Trouble.ERROR, "the metrics end in the middle of a line")
    if media == OPEN_METRICS and not body.rstrip().endswith(EOF):
        raise ReadFailure(Trouble.ERROR, "the metrics are cut short: OpenMetrics without # EOF at its end")
