"""Whether a server's figures move on, between readings of our own: the only evidence that needs nobody's clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable

from state.world.postgres_parts import EarlierPosition

KEPT = 3
"""Earlier positions: of two servers read once a second, one of three was surely read before the other's newest."""


class Progress:
    """Since when each value stands still, by this process's monotonic clock."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, tuple[object, float]] = {}
        self._touched: set[Hashable] = set()
        self._positions: deque[tuple[float, int]] = deque(maxlen=KEPT)
        self._of: object = None

    def still(self, key: Hashable, value: object, began: float) -> float | None:
        """Seconds for which `value` has been seen unchanged by a reading that began then; None at its first sight."""
        self._touched.add(key)
        before = self._seen.get(key)
        if before is None or before[0] != value:
            self._seen[key] = (value, began)
            return None if before is None else 0.0
        return max(0.0, began - before[1])

    def earlier(self, of: object, position: int | None, began: float) -> tuple[EarlierPosition, ...]:
        """Positions of former readings of the same server process and timeline (`of`), and keeps this one."""
        if of != self._of:
            self._of = of
            self._positions.clear()
        known = tuple(EarlierPosition(began - ended, at) for ended, at in self._positions)
        if position is not None:
            self._positions.append((time.monotonic(), position))
        return known

    def forget_others(self) -> None:
        """Forget what the reading that ends now did not name: streams and slots that are gone."""
        self._seen = {key: value for key, value in self._seen.items() if key in self._touched}
        self._touched.clear()
