"""Takes out of what a terminal sends what is neither a key nor understood: such a sequence would be read as the keys
it is spelled with, and `?`, digits and letters act here."""

from __future__ import annotations

import re

from textual import constants
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

PATIENCE = 5
"""Ticks a sequence that has begun is waited for; then it was typed."""
REST = 10
"""Ticks after a key Escape in which the rest of a torn sequence may still come: over a slow link pieces are late."""
_REST = re.compile(
    r"\[\[?[0-?]*[ -/]*[@-Z\\-~]|O[ -~]"
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x07\x1b]{2,}(?:\x07|\x1b\\)"
)
_REST_BEGUN = re.compile(r"(?:\[\[?[0-?]*[ -/]*|O|\][^\x07\x1b]*\x1b?|[PX^_][^\x07\x1b]{2,}\x1b?)\Z")
_PASTE = "[200~"
_SEQUENCE = re.compile(
    r"\x1b(?:[P\]X^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # a string: DCS, OSC, SOS, PM, APC
    r"|\[\[?[0-?]*(?:\$y|[@-Z\\-~]))"  # CSI; with a second bracket the function keys of the Linux console
)
_BEGUN = re.compile(r"\x1b(?:[P\]X^_][^\x07\x1b]+\x1b?|\[\[?[0-?]*\$?)\Z")
_UNDERSTOOD = re.compile(r"\x1b\[(?:<[0-9;]+[Mm]|M|[IO]|20[01]~|[0-9]+;[0-9]+R|48;[0-9;:]+t|\?[0-9]+;[0-9]\$y)")
_EXTENDED_KEY = re.compile(r"\x1b\[[0-9:]*(?:;[0-9]*(?:;[0-9:]*)?)?[u~A-FHPQS]")  # pressed; `1:3` would be released


class Replies:
    """Between a terminal and the parser of its keys. What the parser understands passes: keys, mouse, pastes, focus,
    size, modes and the place of the cursor."""

    def __init__(self) -> None:
        self._held = self._rest = ""
        self._ticks = self._after = 0

    def escaped(self) -> None:
        """Escape was taken for a key, since nothing followed it at once: what follows late may be its sequence."""
        self._after = REST

    def typed(self, sent: str) -> str:
        """What was sent without such sequences; one that is not complete is held back."""
        text = _SEQUENCE.sub(_keep, self._held + (self._without_rest(sent) if self._after else sent))
        begun = _BEGUN.search(text)
        self._held, self._ticks = begun[0] if begun else "", 0
        return text[: begun.start()] if begun else text

    def tick(self) -> str:
        """Nothing more was sent for a while: what is held back, if that has lasted."""
        self._ticks += 1
        self._after = max(0, self._after - 1)
        if not self._after:
            self._rest = ""  # what has begun stays dropped
        if self._ticks < PATIENCE:
            return ""
        held, self._held = self._held, ""
        if held:
            self._after, self._rest = REST, held[1:]
        return held

    def _without_rest(self, sent: str) -> str:
        """Without the rest of a sequence whose Escape has acted: it spells keys. A paste is one all the same."""
        text, self._rest = self._rest + sent, ""
        if text.startswith(_PASTE):
            self._after = 0
            return f"\x1b{text}"
        if found := _REST.match(text):
            self._after = 0
            return text[found.end() :]
        if _REST_BEGUN.match(text):
            self._after, self._rest = REST, text
            return ""
        self._after = 0
        return sent


def _keep(found: re.Match[str]) -> str:
    sequence = found[0]
    known = sequence in ANSI_SEQUENCES_KEYS or _UNDERSTOOD.fullmatch(sequence)
    if known or (not constants.DISABLE_KITTY_KEY and _EXTENDED_KEY.fullmatch(sequence)):
        return sequence
    return ""
