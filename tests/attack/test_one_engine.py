"""One engine of this host for each place where effects go, whatever account, home or runtime folder it has (kind 2)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from adapters.wiring import wire
from console.engine.seats import Seats, seats_of
from state.errors import Refused
from tests.attack.strangers import ROOT, STRANGER, as_stranger
from tests.support.estate_samples import small_estate

RECOVERY = Path(sys.executable).with_name("recovery")
ESTATE = """
estate: {name}
environment: drill
sites: {{here: {{}}}}
balancers:
  edge: {{kind: haproxy, site: here, socket: {socket}}}
runbooks: []
"""
HOLD = """
import sys
from console.engine.seats import Seats
seats = Seats()
become()
seats.hold(sys.argv[1:])
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def stage() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ro-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def engine(stage: Path, name: str, socket: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """A verb about an engine whose account has folders of its own."""
    home = stage / name
    (home / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / "recovery.yaml").write_text(ESTATE.format(name=name, socket=socket))
    own = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "XDG_RUNTIME_DIR": str(home / "run")}
    words = [RECOVERY, "engine", *argv, "--estate", str(home / "recovery.yaml")]
    return subprocess.run(words, env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    "others", ["{stage}/edge.sock", "{stage}/./one/../edge.sock", "{stage}/link/edge.sock"], ids=str
)
def test_two_engines_never_act_at_one_balancer(stage: Path, others: str) -> None:
    """Other estate, other name, other home, other runtime folder: the same balancer by another path."""
    (stage / "link").symlink_to(stage)
    first = engine(stage, "one", f"{stage}/edge.sock", "start")
    try:
        assert first.returncode == 0, first.stderr
        pid = re.search(r"process (\d+)", first.stdout)
        second = engine(stage, "two", others.format(stage=stage), "start")
        engine(stage, "two", others.format(stage=stage), "stop")
        assert second.returncode == 4, second.stderr
        assert pid is not None
        assert f"process {pid[1]} of " in second.stderr
        assert f"haproxy {stage}/edge.sock" in second.stderr
    finally:
        engine(stage, "one", f"{stage}/edge.sock", "stop")


def test_two_accounts_never_run_one_estates_file(stage: Path) -> None:
    """The same file, reached by a link, with folders of another account."""
    assert engine(stage, "one", f"{stage}/edge.sock", "start").returncode == 0
    try:
        (stage / "elsewhere").mkdir()
        (stage / "elsewhere" / "recovery.yaml").symlink_to(stage / "one" / "recovery.yaml")
        own = {"XDG_STATE_HOME": str(stage / "elsewhere"), "XDG_RUNTIME_DIR": str(stage / "elsewhere"), "HOME": "/"}
        (stage / "elsewhere").chmod(0o700)
        words = [RECOVERY, "engine", "start", "--estate", str(stage / "elsewhere" / "recovery.yaml")]
        again = subprocess.run(
            words, env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=120
        )
        assert (again.returncode, "one engine per target" in again.stderr) == (4, True), again.stderr
    finally:
        engine(stage, "one", f"{stage}/edge.sock", "stop")


def test_the_kernel_names_who_holds_a_place_and_frees_it_with_the_process(stage: Path) -> None:
    if not ROOT:
        return
    place = f"haproxy {stage}/edge.sock"
    seats = Seats()
    with as_stranger(HOLD, place) as other:
        with pytest.raises(Refused, match=f"process {other.pid} of account {STRANGER}.*holds {place}"):
            seats.hold(["haproxy free", place])
        with pytest.raises(Refused, match=f"kill {other.pid}"):
            seats.hold([place])
    seats.hold(["haproxy free", place])  # it was killed; and what could not be held together was not held at all
    seats.release()


def test_places_that_are_given_up_are_free_for_others(stage: Path) -> None:
    ours, others = Seats(), Seats()
    one, two = f"x {stage}/1", f"x {stage}/2"
    ours.hold([one])
    ours.hold([one, two])
    with pytest.raises(Refused):
        others.hold([two])
    ours.hold([two])
    others.hold([one])
    with pytest.raises(Refused):
        ours.hold([one, two])
    with pytest.raises(Refused):
        others.hold([two])
    for seats in (ours, others):
        seats.release()


def test_every_way_to_write_a_place_is_the_same_place() -> None:
    ways = ["127.0.0.1:9999", "localhost:9999", "[::1]:9999", "127.9.9.9:9999"]
    assert {HAProxy("a", way).acts_at() for way in ways} == {("haproxy loopback:9999",)}
    assert HAProxy("a", "127.0.0.1:9998").acts_at() != HAProxy("a", "127.0.0.1:9999").acts_at()
    assert HAProxy("a", "/run/../run/x.sock@1").acts_at() == HAProxy("b", "/run/x.sock@1").acts_at()


def test_an_estate_holds_its_file_and_each_place_where_it_acts(tmp_path: Path) -> None:
    file = tmp_path / "recovery.yaml"
    file.write_text("")
    for name in ("postgres", "tsig"):
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets" / name).write_text("c2VjcmV0")
        (tmp_path / "secrets" / name).chmod(0o600)
    held = list(seats_of(file, wire(small_estate(), tmp_path)))
    assert [each.partition(" ")[0] for each in held] == ["estate", "haproxy", "patroni", "patroni", "dns"]
    assert held[1:4] == ["haproxy /run/edge.sock", "patroni 10.1.0.11:8008", "patroni 10.2.0.11:8008"]
