"""Names of accounts, asked for beside the loop: the answer may come from a directory on the network, late or never.

Until it has come an account is its number, which no person of the estate has by mistake. Those that the estate names
are asked for first, so that strangers who wait for theirs hold nobody up.
"""

from __future__ import annotations

import asyncio
import pwd
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from queue import SimpleQueue

ASK_AGAIN = 300.0
"""Seconds after which a name is asked for again; the old one is used until the answer comes."""
AT_ONCE = 0.02
"""Seconds for which the loop waits for a name: a list on this host answers at once."""
MOST = 1024
"""Names kept, and 1/16 of it names waited for: more are asked for when there is room again."""
NOT_KNOWN = -1
"""In place of an account, where the kernel names none: over TCP."""


class Accounts:
    """What accounts of this host are called. `look_up` gives the name or the number; it may block."""

    def __init__(self, look_up: Callable[[int], str] | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._look_up, self._now = look_up or name_of, now
        self._names: dict[int, tuple[str, float]] = {}
        self._asked: dict[int, Future[str]] = {}
        self._work: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._working: threading.Thread | None = None

    def name(self, uid: int) -> str:
        """The name, or the number while that is not known."""
        if uid == NOT_KNOWN:
            return "that is not known"
        name, at = self._names.get(uid, ("", 0.0))
        if not name or self._now() - at > ASK_AGAIN:
            free = not self._asked
            asked = self._ask(uid)
            if asked is not None and free and not name:
                try:
                    name = asked.result(AT_ONCE)
                except NotYet:
                    return str(uid)
        return name or str(uid)

    async def known(self, uid: int, within: float) -> None:
        """Wait until its name is known, at most so many seconds."""
        self.name(uid)
        if (asked := self._asked.get(uid)) is not None and uid not in self._names:
            await asyncio.wait([asyncio.wrap_future(asked)], timeout=within)

    def expect(self, names: Iterable[str]) -> None:
        """Ask for accounts that are likely to come."""
        wanted = [name for name in names if not name.isdecimal()]
        self._later(lambda: self._expect(wanted))

    def _later(self, work: Callable[[], object]) -> None:
        """In a thread of its own, which holds up neither others' work nor the end of this process."""
        self._work.put(work)
        if self._working is None:
            self._working = threading.Thread(target=self._run, name="account names", daemon=True)
            self._working.start()

    def _run(self) -> None:
        while True:
            self._work.get()()

    def _expect(self, names: list[str]) -> None:
        for name in names:
            try:
                self._names[pwd.getpwnam(name).pw_uid] = (name, self._now())
            except (KeyError, OSError, ValueError):
                continue

    def _ask(self, uid: int) -> Future[str] | None:
        if uid in self._asked:
            return self._asked[uid]
        if len(self._asked) >= MOST // 16:
            return None
        asked: Future[str] = Future()
        self._asked[uid] = asked
        self._later(lambda: self._took(uid, asked))
        return asked

    def _took(self, uid: int, asked: Future[str]) -> None:
        name = self._look_up(uid)
        if len(self._names) >= MOST and uid not in self._names:
            self._names.pop(next(iter(self._names)), None)
        self._names[uid] = (name, self._now())
        self._asked.pop(uid, None)
        if asked.set_running_or_notify_cancel():
            asked.set_result(name)


def name_of(uid: int) -> str:
    """The account's name, or the number where the host has none for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return str(uid)


ACCOUNTS = Accounts()
"""Those of this host."""
