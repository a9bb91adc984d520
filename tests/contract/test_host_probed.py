"""Many grants at a host, each with a hostile holder, and nobody of ours alive: an independent prober finds none usable
after its end."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from pathlib import Path

from tests.contract.host_grants import HostGranted, host_granted, host_target
from tests.support.host_site import host_site, move_end

GRANTS = 5
GRACE = 5.0
HOSTILE = (
    "setsid -f sleep 900 >/dev/null 2>&1; (env -i setsid sleep 901 >/dev/null 2>&1 &); "
    "nohup sh -c 'while :; do sleep 0.2; done' >/dev/null 2>&1 & echo in"
)


class Prober(threading.Thread):
    """Logs in again and again, by a new connection and through a multiplexed one; when each that succeeded began."""

    def __init__(self, held: HostGranted, control: Path) -> None:
        super().__init__()
        self.held, self.control, self.until = held, control, 0.0
        self.entered: list[float] = []

    def run(self) -> None:
        through = ["ssh", "-F", "none", "-S", str(self.control), "-o", "ProxyCommand=false", "x@127.0.0.1", "echo in"]
        while self.until == 0.0 or time.time() < self.until:
            for words in (through, [*self.held.words(), "echo in"]):
                began = time.time()
                done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
                if "in" in done.stdout:
                    self.entered.append(began)
            time.sleep(0.25)


async def test_nobody_is_in_or_comes_in_after_the_end_though_nothing_of_ours_lives(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, host_site(Path(folder)) as site:
        probers: list[Prober] = []
        masters = []
        async with host_target(site) as target:
            for number in range(GRANTS):
                held = await host_granted(site, target, f"G-PRBE{chr(65 + number)}A", tmp_path)
                assert held.login(HOSTILE).stdout.strip() == "in"
                control = tmp_path / f"m{number}"
                masters.append(held.open("-M", "-S", str(control)))
                probers.append(Prober(held, control))
        for each in probers:
            each.start()
        time.sleep(2)
        ends = time.time() + 3
        for each in probers:
            move_end(site, each.held.armed.oid, ends - time.time())
        for each in probers:
            each.until = ends + GRACE + 4
        for each in probers:
            each.join()
        for master in masters:
            assert master.wait(10) == 255
        assert all(each.entered for each in probers), "they were in while they might"
        assert [late for each in probers for late in each.entered if late > ends + GRACE] == []
        left = site.inside("sh", "-c", "ps -eo uid,args | awk '$1 >= 61000 && $1 < 62000'")
        assert left == "", "what left its session, its parent and its variables has ended too"
