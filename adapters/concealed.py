"""Hides an estate's secrets in text from outside: as they are, in part, and as other programs write them."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote_plus, unquote, urlsplit

from adapters.secrets import Secret

HIDDEN = "***"
PART = 8
"""So many characters in a row of a secret are hidden wherever they stand."""
BEGUN = 4
"""So many are hidden at the end of a text, where the rest may still come."""
FEWEST = 6
"""Shorter pieces of base64 and hex would be found in any text."""
SCHEME = re.compile(r"(?:bearer|basic|token|apikey|digest|negotiate) +|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
WORD_AND_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9-]* +(\S+)")
BREAK = rb"\r?\n[ \t]*"


def _unescaped(escape: bytes) -> bytes:
    return json.loads(b'"' + escape + b'"').encode(errors="replace") if escape not in (rb"\n", rb"\r") else b""


VIEWS: tuple[tuple[bytes, re.Pattern[bytes], Callable[[bytes], bytes]], ...] = (
    (b"", re.compile(BREAK), lambda _: b""),
    (b"%", re.compile(rb"(%[0-9A-Fa-f]{2})|" + BREAK), lambda escape: bytes.fromhex(escape[1:].decode())),
    (b"\\", re.compile(rb'((?:\\u[0-9A-Fa-f]{4})+|\\["\\/bfnrt])|' + BREAK), _unescaped),
)
"""How a text is looked at: without its line breaks, and so with the escapes of an address or of JSON undone."""
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
ENDING = re.compile(rb"[A-Za-z0-9+/_-]?={0,2}")
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Signs:
    """What betrays secrets, as hashes: none of them can be read from it.

    `parts` are those of their plain and hexadecimal shapes, `coded` those of base64, `within` of base64 that began
    before the secret, `begun` the beginnings of all.
    """

    parts: frozenset[int]
    coded: frozenset[int]
    within: frozenset[int]
    begun: frozenset[int]

    @classmethod
    def of(cls, secrets: Iterable[Secret]) -> _Signs:
        parts, coded, within, begun = set[int](), set[int](), set[int](), set[int]()
        for secret in secrets:
            for plain, public in _said(secret.reveal()):
                raw = plain.encode()
                parts |= _hashes(raw, min(public, len(raw) - PART)).union(*map(_hashes, _hexadecimal(raw)))
                coded = coded.union(*map(_hashes, _base64(raw, 0)))
                within = within.union(*(_hashes(shape) for before in (1, 2) for shape in _base64(raw, before)))
                for shape in (raw, *_hexadecimal(raw), *_base64(raw, 0)):
                    own = public if shape is raw else 0
                    begun |= {hash(shape[:size]) for size in range(max(BEGUN, own + 1), min(PART, len(shape)))}
        return cls(frozenset(parts), frozenset(coded), frozenset(within), frozenset(begun))


def _hashes(shape: bytes, first: int = 0) -> set[int]:
    return {hash(shape[at : at + PART]) for at in range(max(0, first), len(shape) - PART + 1)}


class Concealed:
    """Replaces secrets in text from outside: whole and in parts of 8 characters, also over line breaks, as base64, hex,
    in addresses and in JSON; of a header's value its token alone, of an address its password alone."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._secrets = tuple(each for each in secrets if each)
        self._signs = _Signs.of(self._secrets)

    def hide(self, text: str) -> str:
        """The text without them."""
        if not self._secrets:
            return text
        data = text.encode(errors="replace")
        short = {shape for secret in self._secrets for shape in _short(secret.reveal())}
        found = sorted(span for view in _views(data) for span in view.spans(self._signs, short))
        return _without(data, found).decode(errors="replace") if found else text


@dataclass(frozen=True, slots=True)
class _View:
    """A text as bytes, and for each of them where it stands in the original."""

    text: bytes
    places: tuple[Span, ...]

    def spans(self, signs: _Signs, short: Iterable[bytes]) -> Iterator[Span]:
        """Where secrets stand in the original."""
        text = self.text
        for at in range(len(text) - PART + 1):
            sign = hash(text[at : at + PART])
            if sign in signs.parts:
                yield self._span(at, at + PART)
            elif sign in signs.coded or sign in signs.within:  # the signs beside it tell the rest
                before = at - (sign in signs.within and at > 0 and text[at - 1] in BASE64)
                after = text[at + PART : at + PART + 3]
                yield self._span(before, at + PART + len(ENDING.match(after)[0]))  # type: ignore[index]
        for shape in short:
            at = text.find(shape)
            while at >= 0:
                yield self._span(at, at + len(shape))
                at = text.find(shape, at + 1)
        for size in range(BEGUN, PART):
            if len(text) >= size and hash(text[-size:]) in signs.begun:
                yield self._span(len(text) - size, len(text))

    def _span(self, begin: int, end: int) -> Span:
        return self.places[begin][0], self.places[end - 1][1]


def said_in(secret: Secret, data: bytes) -> bool:
    """Whether an answer has a secret, as it is, as base64 or hex: a quick look at answers that are read all the time.
    Its beginning, middle and end are looked for, so a part of sixteen characters is found."""
    raw = secret.reveal().encode()
    if len(raw) < PART:
        return raw in data and bool(raw)
    parts = {raw[at : at + PART] for at in (*range(0, len(raw) - PART, PART), len(raw) - PART)}
    coded = {_middle(shape) for before in range(3) for shape in _base64(raw, before)}
    return any(each in data for each in parts | coded | set(map(_middle, _hexadecimal(raw))))


def _middle(shape: bytes) -> bytes:
    at = max(0, (len(shape) - PART) // 2)
    return shape[at : at + PART]


def _views(data: bytes) -> Iterator[_View]:
    for needs, pattern, undo in VIEWS:
        if needs in data:
            yield _view(data, pattern, undo)


def _view(data: bytes, pattern: re.Pattern[bytes], undo: Callable[[bytes], bytes]) -> _View:
    text, places, done = bytearray(), list[Span](), 0
    for match in pattern.finditer(data):
        text += data[done : match.start()]
        places += ((at, at + 1) for at in range(done, match.start()))
        plain = undo(match[1]) if match.lastindex else b""
        text += plain
        places += [match.span()] * len(plain)
        done = match.end()
    text += data[done:]
    places += ((at, at + 1) for at in range(done, len(data)))
    return _View(bytes(text), tuple(places))


def _without(data: bytes, spans: Iterable[Span]) -> bytes:
    """The text with each stretch of secrets replaced once."""
    kept, done, hidden = bytearray(), 0, -1
    for begin, end in spans:
        if begin > hidden:
            kept += data[done:begin] + HIDDEN.encode()
        hidden = max(hidden, end)
        done = hidden
    return bytes(kept + data[done:])


def _said(plain: str) -> Iterator[tuple[str, int]]:
    """A secret and what is secret in it by itself, each with the length of its public beginning."""
    scheme = SCHEME.match(plain)
    yield plain, scheme.end() if scheme else 0
    token = WORD_AND_TOKEN.fullmatch(plain)
    inside = {token[1]} if token else set()
    if token:
        inside |= _of_basic(token[1])
    if "://" in plain:
        inside |= _of_address(plain)
    yield from ((each, 0) for each in inside if each)


def _of_basic(token: str) -> set[str]:
    try:
        pair = base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return set()
    return {pair, pair.partition(":")[2]} if ":" in pair else set()


def _of_address(plain: str) -> set[str]:
    try:
        word = urlsplit(plain).password or ""
    except ValueError:
        return set()
    return {word, unquote(word)}


def _short(plain: str) -> Iterator[bytes]:
    """The shapes that must be whole to be told from other text: those shorter than a part, and with a plus for a
    space."""
    for each, _ in _said(plain):
        raw = each.encode()
        codes = (*_hexadecimal(raw), *(shape for before in range(3) for shape in _base64(raw, before)))
        shapes = {raw, base64.b64encode(raw), *(code for code in codes if len(code) >= FEWEST)}
        if len(raw) < PART:
            yield from shapes
        if " " in each:
            yield quote_plus(each).encode()


def _hexadecimal(raw: bytes) -> tuple[bytes, bytes]:
    return raw.hex().encode(), raw.hex().upper().encode()


def _base64(raw: bytes, before: int) -> tuple[bytes, bytes]:
    """What base64 makes of it behind so many other bytes: the signs that depend on nothing else, in both alphabets."""
    code = base64.b64encode(bytes(before) + raw)
    core = code[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
    return core, core.replace(b"+", b"-").replace(b"/", b"_")
