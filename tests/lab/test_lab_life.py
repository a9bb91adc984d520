"""The life of a lab: parts of one, its end, and the end of everything when its supervisor is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

import aiohttp
import pytest

from adapters.lab.client import LabClient, start_lab
from adapters.lab.errors import LabError, LabNotRunningError
from adapters.lab.options import LabOptions
from adapters.lab.process.directory import is_locked
from adapters.lab.process.processes import descendants, state_of
from adapters.lab.progress import LabProgress
from tests.lab_fixture import running_lab

pytestmark = pytest.mark.lab

SMALL = LabOptions(without=frozenset({"prometheus", "alertmanager", "dns", "load"}), nodes=1)
NO_DATABASE = LabOptions(without=frozenset({"postgres", "prometheus", "alertmanager", "dns", "load"}))


def segments(family: list[int], before: Collection[str] = ()) -> set[str]:
    """System V shared memory that these processes made and that is still there, by id. What was there `before` is of
    older processes that had the same numbers."""
    rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return {row[1] for row in rows if int(row[4]) in family} - set(before)


def everything() -> set[str]:
    """All System V shared memory of this host, by id."""
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def test_balancers_and_apps_without_a_database(tmp_path: Path) -> None:
    with running_lab(tmp_path / "lab", NO_DATABASE) as lab:
        description = lab.description()
        assert description["present"] == ["apps", "haproxy"]

        async def order() -> tuple[int, str]:
            url = f"http://127.0.2.10:{description['ports']['frontend']}/order"
            async with aiohttp.ClientSession() as session, session.post(url, json={"number": 1}) as response:
                return response.status, (await response.json())["release"]

        assert asyncio.run(order()) == (201, "v41")
        with pytest.raises(LabError, match="needs postgres"):
            asyncio.run(lab.inject("split-brain"))


def test_down_leaves_nothing(tmp_path: Path) -> None:
    before = everything()
    with running_lab(tmp_path / "lab", SMALL) as lab:
        description = lab.description()
        keeper = description["keeper_pid"]
        family = [keeper, *descendants(keeper)]
        assert len(family) > 10
        assert segments(family, before)
    assert {state_of(pid) for pid in family} <= {"gone", "zombie"}
    assert not Path(description["root"]).exists()
    assert sorted(path.name for path in lab.directory.iterdir()) == ["lab.lock", "lab.log", "progress.jsonl"]
    assert (lab.directory / "lab.log").read_text() == ""
    assert segments(family, before) == set()
    with pytest.raises(LabNotRunningError):
        asyncio.run(lab.status())
    with pytest.raises(LabNotRunningError):
        asyncio.run(lab.down())


@pytest.mark.parametrize("victim", ["supervisor_pid", "keeper_pid"])
def test_nothing_outlives_a_kill(tmp_path: Path, victim: str) -> None:
    before = everything()
    lab = asyncio.run(start_lab(tmp_path / "lab", SMALL))
    description = lab.description()
    asyncio.run(lab.inject("freeze-primary"))  # stopped processes must end as well
    family = [description["keeper_pid"], *descendants(description["keeper_pid"])]
    os.kill(description[victim], signal.SIGKILL)
    ending = time.monotonic() + 60
    while any(state_of(pid) not in {"gone", "zombie"} for pid in family) or segments(family, before):
        assert time.monotonic() < ending, f"processes are left, or memory {segments(family, before)}"
        time.sleep(0.05)
    assert not is_locked(lab.directory)
    assert not Path(description["root"]).exists()
    assert not (lab.directory / "secrets").exists()


def test_foreground_ends_at_a_signal(tmp_path: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "adapters.lab.supervisor",
        "--dir",
        str(tmp_path / "lab"),
        *NO_DATABASE.arguments(),
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if LabProgress.parse(line).final:
                assert LabProgress.parse(line).state == "live"
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    assert not LabClient(tmp_path / "lab").estate.exists()


def test_a_component_that_cannot_run_is_reported(tmp_path: Path) -> None:
    options = LabOptions(haproxy=Path("/bin/false"), without=NO_DATABASE.without)
    with pytest.raises(LabError, match=r"haproxy-(east|west) ended with 1"):
        asyncio.run(start_lab(tmp_path / "lab", options))
    assert not is_locked(tmp_path / "lab")
