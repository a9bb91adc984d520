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
from typing import NamedTuple, Protocol, TypeVar

from adapters.balancers import haproxy_state
from adapters.balancers.haproxy_address import EACH, RuntimeApi
from adapters.balancers.haproxy_config import ConfigurationReader, reads_it
from adapters.balancers.haproxy_replace import NotDurable, NotReplaced, replace_file
from adapters.balancers.haproxy_rows import ConfiguredServer, StateRow
from adapters.balancers.haproxy_starter import barrier, starter
from adapters.balancers.haproxy_state import PresentRows
from state.discovery.haproxy_state_cfg import StateLoading
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.host.regular import bounded
from state.world.balancer_parts import NextReads, SavedSettings

ALL = "show servers state"
LOOKED = 0.5
"""Seconds that a reading may take for files: a slow file system blinds nobody to the servers."""
Signature = tuple[int, int, int]
Result = TypeVar("Result")


class Ask(Protocol):
    """Sends queries to the runtime API. Raises ReadFailure."""

    async def __call__(self, *commands: str, deadline: float) -> bytes: ...


class Files(NamedTuple):
    """All rows of the files, what is wrong with one of them, which backends read theirs, why that is not known, and
    what the configuration has of servers. `barred`: by backend, why its file cannot be read by who starts HAProxy."""

    kept: Mapping[str, StateRow]
    trouble: str
    reads: Mapping[str, NextReads]
    unknown: str
    configured: Mapping[str, ConfiguredServer | None]
    barred: Mapping[str, str]


class StateKeeper:
    """The state file of one balancer, or one for each of its backends. `api` is where it is asked, `config` the
    configuration that the estate names, if it does."""

    def __init__(self, path: str, config: str, api: RuntimeApi, ask: Ask) -> None:
        self.path, self._ask = path, ask
        self._configuration = ConfigurationReader(api.here, config)
        self._known: dict[str, tuple[Signature, dict[str, StateRow] | str]] = {}
        self._beside = ThreadPoolExecutor(1, "state-file")
        self.last = SavedSettings(path, unknown="it was not read yet")

    def path_of(self, backend: str) -> str:
        """The file that has the servers of a backend."""
        return self.path.replace(EACH, backend)

    async def look(self, present: PresentRows, pid: int, *, deadline: float) -> SavedSettings:
        """What the next process would take over; what is wrong with files is told."""
        try:
            files = await self._aside(lambda: self._read(present, pid), min(deadline, LOOKED))
        except TimeoutError:
            files = Files({}, f"the file was not read within {LOOKED:g} s", {}, "it was not read", {}, {})
        reads, configured = files.reads, files.configured
        kept = {key: row for key, row in files.kept.items() if reads.get(key.partition("/")[0]) is not NextReads.NO}
        lost = haproxy_state.lost(present, kept, configured)
        self.last = SavedSettings(
            path=self.path,
            lost=lost,
            kept=haproxy_state.kept_whole(present, kept, lost),
            reads=reads,
            unknown=files.unknown,
            trouble=files.trouble,
            edited=frozenset(key for key, then in configured.items() if present.rows[key].unlike(then)),
            barred=files.barred,
        )
        return self.last

    async def save(self, backend: str, pid: int, *, deadline: float) -> SavedSettings:
        """Write the file of a backend, and read it against the process. Raises EffectRefused when nothing was written,
        EffectUnknown when that is not known."""
        end, path = time.monotonic() + deadline, self.path_of(backend)
        asked = f"{ALL} {backend}" if EACH in self.path else ALL
        try:
            dump = (await self._ask(asked, deadline=deadline)).lstrip(b"\n")
        except ReadFailure as error:
            raise EffectRefused(error.message, "unreachable") from error
        try:
            await self._aside(lambda: _write(path, dump), end - time.monotonic())
        except NotReplaced as error:
            raise EffectRefused(str(error), "not-replaced") from error
        except TimeoutError as error:
            raise EffectUnknown(f"{path} was not written within {deadline:g} s", "timeout") from error
        except OSError as error:
            raise EffectRefused(f"{path}: {error.strerror}", "not-replaced") from error
        except NotDurable as error:
            raise EffectUnknown(str(error), "not-durable") from error
        try:
            after = (await self._ask(ALL, deadline=end - time.monotonic())).lstrip(b"\n")
            present = await self._aside(lambda: haproxy_state.present_in(after), end - time.monotonic())
        except (ReadFailure, TimeoutError) as error:
            raise EffectUnknown(f"{path} was written, and not compared: {error or 'no answer'}", "unread") from error
        return await self.look(present, pid, deadline=end - time.monotonic())

    async def _aside(self, do: Callable[[], Result], deadline: float) -> Result:
        """In the one thread, after what was begun before: a file system may never answer, and what is written late is
        overwritten by what came later. Raises TimeoutError."""
        async with asyncio.timeout(max(0.0, deadline)):
            return await asyncio.get_running_loop().run_in_executor(self._beside, do)

    def _read(self, present: PresentRows, pid: int) -> Files:
        """The files of all backends, and what the configuration says of them. Blocks."""
        kept, trouble, backends = dict[str, StateRow](), "", present.backends
        of = {path: {each for each in backends if self.path_of(each) == path} for path in map(self.path_of, backends)}
        for path in sorted(of):
            try:
                kept |= {key: row for key, row in self._rows(path).items() if key.partition("/")[0] in of[path]}
            except FileNotFoundError:
                trouble = trouble or f"{path} is not there"
            except OSError as error:
                trouble = trouble or f"{path}: {error.strerror}"
            except ReadFailure as error:
                trouble = trouble or f"{path}: {error.message}"
        loading = self._configuration.look(pid)
        if isinstance(loading, str):
            return Files(kept, trouble, {}, loading, {}, {})
        found = {each: reads_it(loading, each, self.path_of(each)) for each in backends}
        who = starter(pid, drops=loading.drops)
        stands = {path: barrier(path, who) for path in {self.path_of(each) for each, yes in found.items() if yes}}
        barred = {each: why for each, yes in found.items() if yes and (why := stands[self.path_of(each)])}
        reads = {each: NextReads.YES if yes and each not in barred else NextReads.NO for each, yes in found.items()}
        set_on = present.unlike.keys() | kept.keys()
        found_on = {key: then for key in present.rows for then in _configured(loading, key)}
        configured = {key: then for key, then in found_on.items() if then is None or key in set_on}
        return Files(kept, trouble, reads, "", configured, barred)

    def _rows(self, path: str) -> Mapping[str, StateRow]:
        seen = os.stat(path)
        signature = seen.st_mtime_ns, seen.st_size, seen.st_ino
        known = self._known.get(path)
        if known is None or known[0] != signature:
            content = bounded(Path(path), haproxy_state.MOST)
            known = self._known[path] = signature, _understood(content)
        if isinstance(known[1], str):
            raise ReadFailure(Trouble.ERROR, known[1])
        return known[1]


def _configured(loading: StateLoading, key: str) -> tuple[ConfiguredServer | None, ...]:
    """What the configuration has of a server, None of one that it does not have; empty where that is not told."""
    backend, _, name = key.partition("/")
    servers = loading.servers.get(backend, {})
    if name in servers:
        _, colon, port = servers[name].address.rpartition(":")
        told = port if colon and port.isascii() and port.isdecimal() else ""
        return (ConfiguredServer(servers[name].weight, servers[name].disabled, told),)
    return () if backend in loading.loads and backend not in loading.servers else (None,)


def _understood(content: bytes) -> dict[str, StateRow] | str:
    """What is in a file, or why it is not understood: that, too, is found once for each content."""
    try:
        return haproxy_state.rows_in(content)
    except ReadFailure as error:
        return error.message


def _write(path: str, dump: bytes) -> None:
    """Raises NotReplaced, NotDurable or OSError."""
    try:
        content = haproxy_state.written(dump)
    except ReadFailure as error:
        raise NotReplaced(f"what HAProxy answered: {error.message}") from error
    replace_file(path, content, haproxy_state.BEGINS)
