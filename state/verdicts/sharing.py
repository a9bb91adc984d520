"""Which whole weights give one part of a backend a share of its traffic. Pure, integer arithmetic.

HAProxy shares by weight among the servers that serve: configuration manual, `balance roundrobin` and `weight`. Weights
are whole numbers from 0 to 256, so not every share can be reached; the nearest one is taken, and of a share between 0
and 100 % never 0 and never all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from state.world.balancer_parts import Server

MOST = 256
"""The highest weight."""
NEAR = Fraction(1, 500)
"""Shares that differ by less are as good as each other."""


@dataclass(frozen=True, slots=True)
class ShareSide:
    """One of the two parts: its servers, which of them would serve with a weight, and the proportions they keep."""

    servers: tuple[Server, ...]

    @property
    def _up(self) -> list[Server]:
        """A backup has nothing beside an active one."""
        active = [s for s in self.servers if not s.backup] or self.servers
        return [s for s in active if s.up and not s.drained and not s.maintenance]

    @property
    def ready(self) -> list[Server]:
        """Those that serve as soon as the part has a weight."""
        base = self.base
        return [s for s in self._up if base[s.name]]

    @property
    def base(self) -> Mapping[str, int]:
        """The proportions among its servers, as configured: 0 of one that somebody keeps out by its weight while others
        of the part serve, now or as configured; all alike where none has a weight otherwise."""
        out = {s.name for s in self.servers if not s.weight} if any(s.weight for s in self._up) else set[str]()
        if not out and any(s.configured_weight > 0 for s in self._up):
            out = {s.name for s in self.servers if s.configured_weight <= 0 and not s.weight}
        even = any(s.configured_weight <= 0 for s in self.servers if s.name not in out)
        return {s.name: 0 if s.name in out else 1 if even else s.configured_weight for s in self.servers}

    def scaled(self, top: int) -> dict[str, int]:
        """The weights when the heaviest server has `top`; none gets 0 unless `top` is."""
        base = self.base
        most = max(base.values(), default=1)
        return {name: _part_of(each, top, most) for name, each in base.items()}

    def totals(self) -> tuple[int, ...]:
        """The sum over its servers that serve, for each `top` from 1 on."""
        base = self.base
        most = max(base.values(), default=1)
        ready = Counter(base[s.name] for s in self.ready)
        return tuple(sum(n * _part_of(each, top, most) for each, n in ready.items()) for top in range(1, MOST + 1))

    def total(self, weights: Mapping[str, int]) -> int:
        """The sum over its servers that serve."""
        return sum(weights[s.name] for s in self.ready)

    @property
    def weight(self) -> int:
        """The sum of the present weights of those that serve."""
        return sum(s.weight for s in self._up)


@dataclass(frozen=True, slots=True)
class Split:
    """Weights for both parts, the share that the first one then has, and between the commands the least and the most
    that it has. `first`: the first part's weights are set first."""

    weights: Mapping[str, int]
    share: Fraction
    low: Fraction
    high: Fraction
    first: bool


def split(one: ShareSide, other: ShareSide, percent: int) -> Split | None:
    """The nearest weights for a share of 0 to 100 percent; None where it cannot be had: nothing of a part that is to
    have traffic is ready."""
    if (percent > 0 and not one.ready) or (percent < 100 and not other.ready):
        return None
    if percent in (0, 100):
        gains, loses = (one, other) if percent else (other, one)
        most = max([s.weight for s in (*one.servers, *other.servers)] or [0]) or 100
        weights = {**dict.fromkeys((s.name for s in loses.servers), 0), **gains.scaled(most)}
        return _ordered(one, other, weights, first=percent == 100)
    found = _nearest(one.totals(), other.totals(), (one.weight, other.weight), percent)
    weights = {**one.scaled(found.one), **other.scaled(found.other)}
    return _ordered(one, other, weights, first=found.first)


class _Scales(NamedTuple):
    """The weight of the heaviest server of each part, and which part is set first."""

    one: int
    other: int
    first: bool


@lru_cache(maxsize=16)  # 4 KiB each; a set asks for the same few again and again
def _nearest(mine: tuple[int, ...], others: tuple[int, ...], now: tuple[int, int], percent: int) -> _Scales:
    """The best of all scales: many balancers have the same servers, and each costs tens of milliseconds."""
    wanted = Fraction(percent, 100)
    best = min(_pairs(mine, others, wanted), key=lambda pair: _cost(pair[2], pair[3], now, wanted))
    stray = [_astray(best[2], best[3], now, first=first) for first in (True, False)]
    return _Scales(best[0], best[1], stray[0] <= stray[1])


def _part_of(each: int, top: int, most: int) -> int:
    """Its proportion of `top`, rounded to the nearest, at least 1 where it has one."""
    return max(1, (2 * each * top + most) // (2 * most)) if top and each else 0


def _pairs(mine: Sequence[int], others: Sequence[int], wanted: Fraction) -> list[tuple[int, int, int, int]]:
    """Of each scale of the first part the two of the other one that come nearest: both scales and both sums."""
    found, at = list[tuple[int, int, int, int]](), 0
    for scale, total in enumerate(mine, 1):
        while at < MOST - 1 and _share(total, others[at]) > wanted:
            at += 1
        found += [(scale, k + 1, total, others[k]) for k in sorted({max(0, at - 1), at})]
    return found


def _share(one: int, other: int) -> Fraction:
    return Fraction(one, one + other) if one + other else Fraction(0)


def _ordered(one: ShareSide, other: ShareSide, weights: Mapping[str, int], *, first: bool) -> Split:
    then = _share(one.total(weights), other.total(weights))
    half = _share(one.total(weights), other.weight) if first else _share(one.weight, other.total(weights))
    return Split(weights, then, min(half, then), max(half, then), first)


def _astray(one: int, other: int, now: tuple[int, int], *, first: bool) -> Fraction:
    """By how much the share leaves, between the commands, what is between the present one and the new one."""
    half = _share(one, now[1]) if first else _share(now[0], other)
    low, high = sorted((_share(*now), _share(one, other)))
    return max(low - half, half - high, Fraction(0))


def _cost(one: int, other: int, now: tuple[int, int], wanted: Fraction) -> tuple[Fraction, Fraction, int]:
    """Nearest first, then the straightest way, then what keeps the sum of the weights."""
    off = abs(_share(one, other) - wanted)
    stray = min(_astray(one, other, now, first=first) for first in (True, False))
    moved = abs(one + other - sum(now))
    return off if off > NEAR else Fraction(0), stray if stray > NEAR else Fraction(0), moved


def measured(shares: Mapping[str, float], names: Sequence[str]) -> float | None:
    """The share of these servers in what was counted at all of them; None where nothing was."""
    total = sum(shares.values())
    return sum(shares.get(name, 0.0) for name in names) / total if total > 0 else None
