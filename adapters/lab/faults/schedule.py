"""Injects faults one of a kind at a time, undoes each when its time is over, and confirms the undo by reading."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass

from adapters.lab.errors import LabError, LabUnknownError, NoSuchFaultError
from adapters.lab.faults.catalogue import CATALOGUE
from adapters.lab.faults.fault import Fault
from adapters.lab.targets import Bench
from adapters.lab.waiting import until
from state.config_files.suggestions import not_found


@dataclass(slots=True)
class Injection:
    """One injected fault. `state` is active, undoing, undone or undo-failed; times are seconds since the epoch."""

    name: str
    target: str
    since: float
    until: float
    state: str = "active"
    undone_at: float | None = None
    error: str = ""


class FaultSchedule:
    """All faults of one lab."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._faults: dict[str, Fault] = {kind.name: kind(bench) for kind in CATALOGUE}
        self._injections: dict[str, Injection] = {}
        self._expiries: dict[str, asyncio.Task[None]] = {}
        self._locks = {name: asyncio.Lock() for name in self._faults}

    def catalogue(self) -> list[dict[str, object]]:
        """Every fault: what it does, how it is undone, its times, and which components it lacks in this lab."""
        return [
            {
                "name": fault.name,
                "description": fault.description,
                "undo": fault.undo_text,
                "seconds": fault.seconds,
                "limit": fault.limit,
                "missing": sorted(fault.needs - self._bench.present),
            }
            for fault in self._faults.values()
        ]

    def active(self) -> list[dict[str, object]]:
        """The newest injection of each kind, also when it is already undone."""
        return [asdict(injection) for injection in self._injections.values()]

    def _fault(self, name: str) -> Fault:
        fault = self._faults.get(name)
        if fault is None:
            raise NoSuchFaultError(str(not_found("fault", name, self._faults)))
        return fault

    async def inject(self, name: str, target: str | None, seconds: float | None) -> dict[str, object]:
        """Inject a fault. Raises LabError when it is active already, not possible, or did not take effect."""
        fault = self._fault(name)
        lacking = fault.needs - self._bench.present
        if lacking:
            raise LabError(f"{name} needs {', '.join(sorted(lacking))}, which this lab does not have")
        async with self._locks[name]:
            current = self._injections.get(name)
            if current is not None and current.state != "undone":
                failed = f" ({current.error})" if current.error else ""
                way = "lift it again, or end the lab and start it anew" if failed else "lift it first"
                raise LabError(f"{name} is {current.state} on {current.target}{failed}; {way}")
            chosen = await fault.choose(target)
            duration = min(fault.seconds if seconds is None else max(0.0, seconds), fault.limit)
            await fault.inject(chosen)
            now = time.time()
            injection = Injection(name, chosen, now, now + duration)
            self._injections[name] = injection
            if fault.limit == 0:  # it has no duration
                injection.state, injection.undone_at = "undone", now
            else:
                self._expiries[name] = asyncio.create_task(self._expire(name, duration))
            return asdict(injection)

    async def undo(self, name: str) -> dict[str, object]:
        """Undo a fault and confirm it by reading.

        Raises LabError when it was not injected, LabUnknownError when it was not confirmed in time.
        """
        self._fault(name)
        expiry = self._expiries.pop(name, None)
        if expiry is not None:
            expiry.cancel()
        return await self._undo(name)

    async def _undo(self, name: str) -> dict[str, object]:
        fault = self._fault(name)
        async with self._locks[name]:
            injection = self._injections.get(name)
            if injection is None:
                raise LabError(f"{name} was not injected")
            if injection.state == "undone":
                return asdict(injection)
            injection.state = "undoing"
            target = injection.target
            try:
                await fault.undo(target)
                await until(f"{name} on {target} undone", lambda: fault.undone(target), fault.settles_within, 0.2)
            except LabError as error:
                injection.state, injection.error = "undo-failed", str(error)
                raise LabUnknownError(str(error)) from error
            injection.state, injection.undone_at, injection.error = "undone", time.time(), ""
            return asdict(injection)

    async def _expire(self, name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._expiries.pop(name, None)
        try:
            await self._undo(name)
        except LabError:
            return  # recorded in the injection, where status shows it

    async def stop(self) -> None:
        """Cancel the timers. Injected faults end with the processes they were injected into."""
        tasks = list(self._expiries.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
