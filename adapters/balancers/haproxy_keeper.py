"""Saves what is set on a HAProxy of this host for its next process, and tells what that one would take over.

Nothing is believed of a save but what is read afterwards: the file against the process.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from adapters.balancers import haproxy_state
from adapters.balancers.haproxy_address import EACH, RuntimeApi
from adapters.balancers.haproxy_config import ConfigurationReader, reads_it
from adapters.balancers.haproxy_replace import NotDurable, NotReplaced, replace_file
from adapters.balancers.haproxy_state import StateRow
from state.discovery.haproxy_state_cfg import StateLoading
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.host.regular import bounded
from state.world.balancer_parts import NextReads, SavedSettings

ALL = "show servers state"
Signature = tuple[int, int, int]
Result = TypeVar("Result")


class Ask(Protocol):
    """Sends queries to the runtime API. Raises ReadFailure."""

    async def __call__(self, *commands: str, deadline: float) -> bytes: ...


class StateKeeper:
    """The state file of one balancer, or one for each of its backends. `api` is where it is asked, `config` the
    configuration that the estate names, if it does."""

    def __init__(self, path: str, config: str, api: RuntimeApi, ask: Ask) -> None:
        self.path, self._ask = path, ask
        self._configuration = ConfigurationReader(api.here, config)
        self._known: dict[str, tuple[Signature, dict[str, StateRow]]] = {}
        self._beside = ThreadPoolExecutor(1, "state-file")
        self.last = SavedSettings(path, unknown="it was not read yet")

    def path_of(self, backend: str) -> str:
        """The file that has the servers of a backend."""
        return self.path.replace(EACH, backend)

    async def look(self, dump: bytes, pid: int, *, deadline: float) -> SavedSettings:
        """What the next process would take over, of what `show servers state` answered. Raises ReadFailure when the
        answer cannot be read; what is wrong with files is told."""
        try:
            backends = haproxy_state.backends_in(dump)
            paths = {self.path_of(backend) for backend in backends}
            kept, trouble, loading = await self._aside(lambda: self._read(paths, pid), deadline)
        except TimeoutError:
            backends, kept, loading = frozenset(), {}, ""
            trouble = f"the file was not read within {deadline:g} s"
        unknown = loading if isinstance(loading, str) else ""
        reads = {} if isinstance(loading, str) else {each: self._reads(each, loading) for each in backends}
        kept = {key: row for key, row in kept.items() if reads.get(key.partition("/")[0]) is not NextReads.NO}
        now = await haproxy_state.rows_now(dump, kept)
        lost = haproxy_state.lost(now, kept)
        set_here = {key.partition("/")[0] for key, row in now.items() if not row.as_configured}
        kept_here = frozenset(set_here - {key.partition("/")[0] for key in lost})
        self.last = SavedSettings(self.path, lost, kept_here, reads, unknown, trouble)
        return self.last

    async def save(self, backend: str, pid: int, *, deadline: float) -> SavedSettings:
        """Write the file of a backend, and read it against the process. Raises EffectRefused when nothing was written,
        EffectUnknown when that is not known."""
        end, path = time.monotonic() + deadline, self.path_of(backend)
        asked = f"{ALL} {backend}" if EACH in self.path else ALL
        try:
            dump = await self._ask(asked, deadline=deadline)
            content = haproxy_state.written(dump.lstrip(b"\n"))
        except ReadFailure as error:
            raise EffectRefused(error.message, "unreachable") from error
        try:
            await self._aside(lambda: replace_file(path, content), max(0.0, end - time.monotonic()))
            after = await self._ask(ALL, deadline=max(0.0, end - time.monotonic()))
            return await self.look(after.lstrip(b"\n"), pid, deadline=max(0.0, end - time.monotonic()))
        except NotReplaced as error:
            raise EffectRefused(str(error), "not-replaced") from error
        except TimeoutError as error:
            raise EffectUnknown(f"{path} was not written within {deadline:g} s", "timeout") from error
        except OSError as error:
            raise EffectRefused(f"{path}: {error.strerror}", "not-replaced") from error
        except (NotDurable, ReadFailure) as error:
            raise EffectUnknown(str(error), "unreadable") from error

    async def _aside(self, do: Callable[[], Result], deadline: float) -> Result:
        """In the one thread, after what was begun before: a file system may never answer, and what is written late is
        overwritten by what came later. Raises TimeoutError."""
        async with asyncio.timeout(deadline):
            return await asyncio.get_running_loop().run_in_executor(self._beside, do)

    def _read(self, paths: set[str], pid: int) -> tuple[dict[str, StateRow], str, StateLoading | str]:
        """All rows of the files, what is wrong with one of them, and what the configuration says. Blocks."""
        kept, trouble = dict[str, StateRow](), ""
        for path in sorted(paths):
            try:
                kept |= self._rows(path)
            except FileNotFoundError:
                trouble = trouble or f"{path} is not there"
            except OSError as error:
                trouble = trouble or f"{path}: {error.strerror}"
            except ReadFailure as error:
                trouble = trouble or f"{path}: {error.message}"
        return kept, trouble, self._configuration.look(pid)

    def _rows(self, path: str) -> Mapping[str, StateRow]:
        seen = os.stat(path)
        signature = seen.st_mtime_ns, seen.st_size, seen.st_ino
        known = self._known.get(path)
        if known is None or known[0] != signature:
            rows = haproxy_state.rows_in(bounded(Path(path), haproxy_state.MOST))
            known = self._known[path] = signature, rows
        return known[1]

    def _reads(self, backend: str, loading: StateLoading) -> NextReads:
        return NextReads.YES if reads_it(loading, backend, self.path_of(backend)) else NextReads.NO
