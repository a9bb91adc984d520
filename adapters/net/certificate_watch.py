"""How many days the certificate of a server is still good for, looked at again and again while the engine runs."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable

from adapters.net.certificates import served_certificate
from adapters.net.tunnel import Tunnel

EVERY = 600.0
AGAIN = 60.0
"""Seconds after which it is looked at again, and after a look in vain."""
SOON = 2.0
"""Seconds after the first look in vain: one may fail for a busy machine."""
VAIN = 2
"""Looks in vain, one after the other, from which it counts as unreadable."""
OLD = 3600.0
"""An end that was read longer ago is told no more: nobody knows which certificate is served now."""
LONGEST = 0.3
"""Seconds that a look may take of a reading's time; one after a look in vain may take what is left of it."""
DAY = 86_400.0


class CertificateWatch:
    """The certificate that one server serves to those who connect now: a connection that is open keeps its own.

    `refused`: why the last one that was read is not believed, where it does not belong to the CA or the host; else
    empty."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        postgres: bool,
        via: Tunnel | None,
        trusted: Callable[[], ssl.SSLContext | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`trusted` makes the context of the real connections; without one nobody says whether it is believed."""
        self._clock, self._trusted = clock, trusted
        self.refused = ""
        self._host, self._port, self._postgres, self._via = host, port, postgres, via
        self._end: float | None = None
        self._read = self._next = float("-inf")
        self._vain = 0

    @property
    def unread(self) -> bool:
        """Whether it was looked for lately and could not be read: how long it is good for is not known."""
        return self._vain >= VAIN

    async def days(self, *, deadline: float) -> int | None:
        """Whole days left, negative of one that has expired; None where it is not known or there is none. Looks at the
        server only when it is time, for at most `deadline` seconds. Never raises."""
        now = self._clock()
        if now >= self._next and not self._host.startswith("/"):
            served = await served_certificate(
                self._host,
                self._port,
                postgres=self._postgres,
                via=self._via,
                trusted=self._context(),
                deadline=max(0.0, min(deadline, LONGEST) if not self._vain else deadline),
            )
            end = served.end
            self._vain = 0 if end is not None else self._vain + 1
            self._next = self._clock() + (EVERY if end is not None else SOON if self._vain < VAIN else AGAIN)
            if end is not None:
                self._end, self._read, self.refused = end, now, served.refused
        if self._end is None or now - self._read > OLD:
            return None
        return int((self._end - time.time()) // DAY)

    def _context(self) -> ssl.SSLContext | None:
        try:
            return self._trusted()
        except OSError:  # a CA file that cannot be used: the readings tell of it
            return None
