"""A peer that speaks HAProxy's runtime API on a Unix socket, and does to a command what a test wants.

Answers have the columns of HAProxy 2.6 (management guide, sections 9.1 and 9.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATE_HEAD = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    "srv_agent_addr srv_agent_port"
)
STAT_HEAD = (
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,"
    "act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,"
    "check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,"
)
UP = 2
FORCED_DRAIN = 0x08
INFO = f"Name: HAProxy\nVersion: 2.6.12\nPid: {os.getpid()}\nStart_time_sec: 1700000000\nnode: peer\n"


class Peer:
    """One backend `shop` with servers `blue` and `green`.

    `mode` says what happens to a command: `well`; `refuses`: permission denied; `hangs`: no answer at all. `tracked` is
    the server that both track, `asked` has every line that came.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.commanded = threading.Event()
        self.reset()

    def reset(self, mode: str = "well") -> None:
        """As it was at the start, in a mode."""
        self.weights, self.admin = {"blue": 100, "green": 0}, {"blue": 0, "green": 0}
        self.mode, self.tracked, self.asked = mode, "", list[str]()
        self.commanded.clear()

    async def serve(self, ready: threading.Event) -> None:
        """Answer until `close`."""
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_unix_server(self._answer, str(self.socket))
        ready.set()
        await self._over.wait()
        server.close()

    def close(self) -> None:
        """End serving; from any thread."""
        self._loop.call_soon_threadsafe(self._over.set)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            for command in (await reader.readline()).decode().strip().split(";"):
                answer = self._one(command)
                if answer is None:
                    await asyncio.sleep(60)
                    break
                writer.write(answer.encode())
            await writer.drain()

    def _one(self, command: str) -> str | None:
        """The answer to one command; None for no answer."""
        self.asked.append(command)
        words = command.split()
        if words[:2] == ["set", "server"]:
            return self._set(words[2].partition("/")[2], words[3], words[4])
        if words[:2] == ["show", "info"]:
            return f"{INFO}\n"
        if words[:3] == ["show", "servers", "state"]:
            rows = [
                f"3 shop {at} {name} 127.0.0.1 {UP} {self.admin[name]} {weight} 100 9 6 3 7 6 0 0 0 - 8080 - 0 0 - - 0"
                for at, (name, weight) in enumerate(self.weights.items(), 1)
            ]
            return "\n".join(["1", STATE_HEAD, *rows]) + "\n\n"
        stats = []
        for name, weight in self.weights.items():
            status = "DRAIN" if self.admin[name] & FORCED_DRAIN else "UP"
            cells = ["shop", name, "0", "0", "0", "0", "", "7", *["0"] * 9, status, str(weight), *["0"] * 12]
            cells += [self.tracked, *["0"] * 4]
            stats.append(",".join([*cells, "L7OK", "200", "1", "0", "7", "0", "0", "0", "0", ""]))
        return "\n".join([STAT_HEAD, *stats]) + "\n\n"

    def _set(self, server: str, what: str, value: str) -> str | None:
        self.commanded.set()
        if self.mode == "refuses":
            return "Permission denied\n\n"
        if self.mode == "hangs":
            return None
        if what == "weight":
            self.weights[server] = int(value)
        else:
            self.admin[server] = FORCED_DRAIN if value == "drain" else 0
        return "\n"


@contextmanager
def haproxy_peer(folder: Path) -> Iterator[Peer]:
    """A peer that serves in a thread of its own."""
    peer, ready = Peer(folder / "haproxy.sock"), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(peer.serve(ready)))
    thread.start()
    assert ready.wait(5)
    try:
        yield peer
    finally:
        peer.close()
        thread.join(5)
