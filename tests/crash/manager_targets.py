"""What is asked of the lab's Patroni as targets of the crash sweep, read past the engine at Patroni and the servers."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from adapters.lab.client import LabClient
from tests.crash.targets import Truth
from tests.crash.trials import Target
from tests.support.real_engine import Tree, lab_estate, until

AT = datetime.fromtimestamp(time.time() + 86_400, UTC).replace(microsecond=0).isoformat()
ORDERS = {"database": "orders"}
WHOLE = 90.0


class Manager:
    """Patroni's own API, with the lab's credential; `of` names whose: of the cluster or of the standby cluster."""

    def __init__(self, lab: LabClient, truth: Truth, of: str = "nodes") -> None:
        self._lab, self._truth = lab, truth
        self._nodes: dict[str, Any] = lab.description()[of]

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body, from the first member that answers."""
        database = lab_estate(self._lab, "databases")["databases"]["orders"]
        secret = Path(database["api_password"]["file"]).read_text().strip()
        pair = f"{database['api_user']}:{secret}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            for node in self._nodes.values():
                url = f"http://{node['host']}:{node['api']}{path}"
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.request(method, url, json=body, headers=headers) as answer:
                        text = await answer.text()
                        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text
        return 0, None

    async def paused(self) -> bool:
        return bool((await self.send("GET", "/config"))[1].get("pause"))

    async def set_paused(self, paused: bool) -> None:
        await self.send("PATCH", "/config", {"pause": paused or None})
        await until(lambda: self._all_say(paused), WHOLE, "not every member took the pause over")

    async def _all_say(self, paused: bool) -> bool:
        cluster = (await self.send("GET", "/cluster"))[1]
        return bool(cluster.get("pause", False)) == paused

    async def scheduled(self) -> bool:
        return "scheduled_switchover" in (await self.send("GET", "/cluster"))[1]

    async def whole(self) -> None:
        """Not paused, nothing scheduled, one leader, every other node streams."""

        async def streams() -> bool:
            nodes = (await self._lab.status())["nodes"].values()
            following = [n for n in nodes if n["replica"] is True and n["age"] is not None and n["age"] < 3]
            return len(following) == len(nodes) - 1

        await self.set_paused(False)
        if await self.scheduled():
            await self.send("DELETE", "/switchover")
        await until(streams, WHOLE, "the cluster is not whole")

    async def standby(self) -> str:
        leader = (await self._truth.writer())[0]
        return next(name for name in self._nodes if name != leader)

    def lock_file(self, node: str) -> Path:
        """The postmaster's lock file."""
        return Path(self._nodes[node]["data"]) / "postmaster.pid"


def pause(lab: LabClient, truth: Truth) -> Target:
    manager = Manager(lab, truth)
    return Target(
        "database.pause", dict(ORDERS), ("databases",), manager.paused, lambda was: True,
        seconds=60.0, prepare=manager.whole, reset=manager.whole,
    )  # fmt: skip


def resume(lab: LabClient, truth: Truth) -> Target:
    manager = Manager(lab, truth)

    async def held() -> None:
        await manager.whole()
        await manager.set_paused(True)

    return Target(
        "database.resume", dict(ORDERS), ("databases",), manager.paused, lambda was: False,
        seconds=60.0, prepare=held, reset=manager.whole,
    )  # fmt: skip


def schedule(lab: LabClient, truth: Truth) -> Target:
    manager, args = Manager(lab, truth), {**ORDERS, "at": AT}

    async def whole() -> None:
        await manager.whole()
        args["to"] = await manager.standby()

    return Target(
        "database.schedule", args, ("databases",), manager.scheduled, lambda was: True,
        seconds=60.0, risky=True, prepare=whole, reset=manager.whole,
    )  # fmt: skip


def unschedule(lab: LabClient, truth: Truth) -> Target:
    manager = Manager(lab, truth)

    async def planned() -> None:
        await manager.whole()
        leader = (await truth.writer())[0]
        body = {"leader": leader, "candidate": await manager.standby(), "scheduled_at": AT}
        assert (await manager.send("POST", "/switchover", body))[0] == 202

    return Target(
        "database.unschedule", dict(ORDERS), ("databases",), manager.scheduled, lambda was: False,
        seconds=60.0, prepare=planned, reset=manager.whole,
    )  # fmt: skip


def reinitialize(lab: LabClient, truth: Truth) -> Target:
    """Done when the server of a standby has started anew from another copy."""
    manager, args = Manager(lab, truth), dict(ORDERS)
    began: list[float] = []

    async def whole() -> None:
        await manager.whole()
        args["node"] = await manager.standby()
        started = await truth.started(args["node"])
        assert started is not None
        began.append(started)

    async def read() -> Any:
        started = await truth.started(args["node"])
        return None if started is None else started > began[-1]

    return Target(
        "database.reinitialize", args, ("databases",), read, lambda was: True,
        seconds=120.0, risky=True, prepare=whole, reset=manager.whole,
    )  # fmt: skip


def failover(lab: LabClient, truth: Truth) -> Target:
    """Paused, the leader's server is killed and stays stopped: done when a standby writes on the next timeline."""
    manager, args = Manager(lab, truth), dict(ORDERS)
    was: dict[str, Any] = {}

    async def unled() -> None:
        await manager.whole()
        leader, timeline = await truth.writer()
        was.update(leader=leader, timeline=timeline, lock=manager.lock_file(leader))
        await manager.set_paused(True)
        os.kill(int(was["lock"].read_text().split()[0]), signal.SIGQUIT)

        async def unlocked() -> bool:
            members = (await manager.send("GET", "/cluster"))[1]["members"]
            return not was["lock"].exists() and all(m["role"] != "leader" for m in members)

        await until(unlocked, WHOLE, "the old leader keeps its lock")
        args["to"] = await truth.furthest()  # the last records may have reached one standby only

    async def read() -> Any:
        writers = {name: line for name, line in (await truth.postgres()).items() if line is not None}
        return writers or None

    def own() -> Tree:
        tree = lab_estate(lab, "databases")
        for node in tree["databases"]["orders"]["nodes"].values():
            node["fence"] = "stopped"
        entry = {"argv": ["true"], "read": {"argv": ["test", "!", "-e", str(was["lock"])], "not_done": [1]}}
        return {"databases": tree["databases"], "commands": {**tree["commands"], "stopped": entry}}

    return Target(
        "database.failover", args, ("databases",), read, lambda before: {args["to"]: was["timeline"] + 1},
        seconds=180.0, risky=True, own=own, prepare=unled, reset=manager.whole,
    )  # fmt: skip


def prove(lab: LabClient, truth: Truth) -> Target:
    """A statement: it does not pass the recorder, so it is counted by what is at the server."""
    manager = Manager(lab, truth)

    async def read() -> Any:
        rows = await truth.marks((await truth.writer())[0])
        return len(rows)

    return Target(
        "database.prove", dict(ORDERS), ("databases",), read, lambda was: 1,
        commands=0, seconds=60.0, prepare=manager.whole, reset=truth.unmarked,
    )  # fmt: skip
