"""The lines of a page of metrics: each sample with the text of its series, and the labels in that text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from adapters.monitors.page import NAME, QUOTED, UnreadableLine, pieces

TERM = rb"\s*+(" + NAME + rb"|" + QUOTED + rb")\s*+=\s*+(" + QUOTED + rb")\s*+"
LABEL = re.compile(TERM)
TERMS = rb"((?:" + TERM + rb",)*(?:" + TERM + rb")?\s*+)\}"
"""Only single characters are repeated possessively: groups are matched wrongly by Python before 3.11.5."""
SERIES = re.compile(rb"(" + NAME + rb")\s*+(?:\{" + TERMS + rb")?")
"""A metric's name and, in braces, its labels: separated by commas, of which one may end the list."""
INSIDE = re.compile(rb"\{\s*+(" + QUOTED + rb")\s*+(?:,\s*+" + TERMS + rb"|\})")
"""The same with the name in quotes inside the braces (Prometheus 3)."""
HASH, UNDERSCORE = b"#_"
"""As numbers: searching bytes for a number is several times faster than for bytes."""
ESCAPES = {b"\\\\": b"\\", b"\\n": b"\n", b'\\"': b'"'}
ESCAPE = re.compile(rb'\\[\\n"]')


class SampleLine(NamedTuple):
    """One sample: its place, the text of its series, value and timestamp as written, None without one."""

    number: int
    key: bytes
    value: float
    timestamp: float | None


def samples(body: bytes, names: tuple[str, ...]) -> Iterator[SampleLine]:
    """Every sample of these metrics. Raises UnreadableLine for a line of them that cannot be read."""
    starts = tuple(name.encode() + end for name in names for end in (b"{", b" ", b"\t"))
    number = 0
    for start, end in pieces(body):
        for raw in body[start:end].removesuffix(b"\n").split(b"\n"):
            number += 1
            try:
                found = _sample(raw, starts, names)
            except ValueError as error:
                raise UnreadableLine(number, raw) from error
            if found is not None:
                yield SampleLine(number, *found)


def _sample(raw: bytes, starts: tuple[bytes, ...], names: tuple[str, ...]) -> tuple[bytes, float, float | None] | None:
    """The sample of a line, None when it is of another metric. Raises ValueError."""
    line = raw if raw.startswith(starts) else raw.lstrip()
    if not line.startswith(starts):
        if not line.startswith(b"{"):
            return None
        inside = INSIDE.match(line)
        if inside is None:
            raise ValueError("a series cannot be read")
        if _text(inside[1]) not in names:
            return None
        key = inside[0]
        rest = line[len(key) :].partition(b"#")[0]
    elif HASH in line:  # an exemplar with braces of its own, or a label with this sign
        found = SERIES.match(line)
        key = found[0].rstrip() if found else b""
        rest = line[len(key) :].partition(b"#")[0]
    else:
        key, brace, rest = line.rpartition(b"}")
        if brace:
            key += brace
        else:
            key, _, rest = line.replace(b"\t", b" ").partition(b" ")
    value, *timestamp = map(float, rest.split())
    if len(timestamp) > 1 or UNDERSCORE in rest:  # Python accepts an underscore between digits
        raise ValueError("a sample must be a value and an optional timestamp")
    return key, value, timestamp[0] if timestamp else None


def labels_of(key: bytes) -> tuple[str, dict[str, str]]:
    """The metric's name and the labels in the text of a series. Raises ValueError."""
    found = SERIES.fullmatch(key) or INSIDE.fullmatch(key)
    if found is None:
        raise ValueError("a series cannot be read")
    pairs = [(_text(label), _text(value)) for label, value in _terms(found[2] or b"")]
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a label occurs twice")
    return _text(found[1]), dict(pairs)


def _terms(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Label and value of each term. At its place only: a search would look at white space again and again."""
    place = 0
    while found := LABEL.match(text, place):
        yield found[1], found[2]
        place = found.end() + 1  # the comma


def _text(written: bytes) -> str:
    if written.startswith(b'"'):
        written = ESCAPE.sub(lambda match: ESCAPES[match[0]], written[1:-1])
    return written.decode("utf-8", "replace")
