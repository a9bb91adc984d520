"""Whose turn it is. An effect is judged by what it would leave: of those that are judged by the same servers only one
at a time stands between its last reading and what others can read of it.

Leases keep two runs from one target. A rule over several balancers, or a server that follows one of another backend, is
judged by targets that no lease has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

RULE = "rule "
"""How the key of a rule begins that is judged by several targets."""
PATIENCE = 5.0
"""Seconds for which an effect waits for one whose outcome is in doubt."""


class EffectTurn:
    """What an effect holds from before it reads until others can read what it did."""

    def __init__(self, turns: EffectTurns, effect: str, keys: frozenset[str]) -> None:
        self._turns, self.effect, self.keys = turns, effect, keys
        self.in_doubt = False
        self.news = asyncio.Event()

    def doubt(self) -> None:
        """Nobody knows whether it acted, or whether it still will: what rules over several targets are judged by is
        not known, and of one target others see what is so."""
        self.in_doubt = True
        self._turns.leave(self, but=RULE)
        self.news.set()
        self.news = asyncio.Event()

    def end(self) -> None:
        """Its effect can be read, or there is none. Once is enough."""
        self._turns.leave(self)
        self.news.set()


class EffectTurns:
    """The turns that are held in this engine, by what effects are judged by together."""

    def __init__(self) -> None:
        self._held: dict[str, EffectTurn] = {}

    async def take(self, effect: str, keys: Iterable[str]) -> EffectTurn | str:
        """The turn of an effect, all its keys at once; or the effect in doubt that has one of them for too long."""
        mine = EffectTurn(self, effect, frozenset(keys))
        while (other := next((self._held[key] for key in mine.keys if key in self._held), None)) is not None:
            try:
                async with asyncio.timeout(PATIENCE if other.in_doubt else None):
                    await other.news.wait()
            except TimeoutError:
                return other.effect
        self._held |= dict.fromkeys(mine.keys, mine)
        return mine

    def leave(self, turn: EffectTurn, *, but: str = "") -> None:
        """Others may have what this one held, without the keys that begin like this."""
        for key in turn.keys:
            if self._held.get(key) is turn and not (but and key.startswith(but)):
                del self._held[key]
