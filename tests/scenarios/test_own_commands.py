"""An own command restarts a real process, over a real sshd too; what happens to the engine in the middle is read."""

from __future__ import annotations

import getpass
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state.errors import RecoveryError
from state.runs.events import EffectAnswered
from tests.support.own_estate import PYTHON, script
from tests.support.real_engine import Tree, engine_home, folder, until
from tests.support.sshd import Sshd, running_sshd

START = f"""
import subprocess
process = subprocess.Popen([{PYTHON!r}, '-c', 'import time; time.sleep(900)'],
    start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
open('app.pid', 'w').write(str(process.pid))
"""
RESTART = f"""
import signal
os.chdir(os.path.dirname(sys.argv[0]))
print('stopping', flush=True)
os.kill(int(open('app.pid').read()), signal.SIGKILL)
open('stopped.' + os.environ.get('RECOVERY_EFFECT', 'none').replace('/', '-'), 'a').write('x')
while os.path.exists('hold'):
    time.sleep(0.05)
{START}
"""
SHOW = """
os.chdir(os.path.dirname(sys.argv[0]))
pid = open('app.pid').read()
try:
    running = ') Z ' not in open('/proc/' + pid + '/stat').read()
except OSError:
    running = False
print('pid', pid, 'runs' if running else 'is gone')
sys.exit(0 if running else 1)
"""


class App:
    """A process with a file of its pid, and the scripts of somebody who restarts it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.restart, self.show = script(place, "restart", RESTART), script(place, "show", SHOW)
        os.system(f"cd {place} && {script(place, 'start', START)}")
        self.first = self.pid

    @property
    def pid(self) -> int:
        return int((self.place / "app.pid").read_text() or 0)

    def hold(self) -> None:
        """From now on a restart waits after it has stopped the process."""
        (self.place / "hold").touch()

    def let(self) -> None:
        """It goes on."""
        (self.place / "hold").unlink()

    @property
    def stops(self) -> int:
        """How often a restart stopped it."""
        return sum(len(each.read_text()) for each in self.place.glob("stopped.*"))

    async def stopped(self) -> None:
        async def once() -> bool:
            return self.stops > 0

        await until(once, 60, "the restart did not begin")

    def commands(self, on: str, **more: Any) -> dict[str, Any]:
        read = {"argv": [self.show], "changed": True}
        entry = {"argv": [self.restart], "on": on, "risk": "B1", "read": read, "quiet": "2s", "timeout": "60s", **more}
        return {"restart": entry}


@pytest.fixture
def app() -> Iterator[App]:
    with folder() as place:
        made = App(place)
        yield made
        for pid in {made.first, made.pid}:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    with folder() as place, running_sshd(place) as server:
        yield server


def tree(**sections: Any) -> Tree:
    me = {"accounts": [getpass.getuser()], "roles": ["responder", "commander"]}
    confirm = {"arm": "20ms", "plan_expires": "2m"}
    base = {"estate": "own", "environment": "lab", "sites": {"east": {}}, "people": {"me": me}, "runbooks": []}
    return {**base, "policies": {"confirm": confirm, "delivery": "2s"}, **sections}


def hosts(sshd: Sshd) -> dict[str, Any]:
    return {"app1": sshd.host.model_dump(mode="json", exclude_unset=True)}


async def test_a_restart_over_ssh_goes_on_when_the_engine_is_killed_and_is_found_done(app: App, sshd: Sshd) -> None:
    with engine_home(tree(hosts=hosts(sshd), commands=app.commands("app1", quiet="20s"))) as engine:
        await engine.start()
        app.hold()
        run = await engine.act("command.run", command="restart", args={})
        await app.stopped()
        assert (await engine.step(run)).output == ("stopping",)
        engine.kill()
        await engine.start()
        app.let()
        assert (await engine.settled(run, 90)).state == "done"
        step = await engine.step(run)
        assert (step.state, app.stops) == ("done", 1)
        assert step.evidence == (f"commands/restart: exit code 0: pid {app.pid} runs",)
        assert app.pid != app.first
        assert engine.kinds(run).count("effect.intended") == 1


async def test_a_restart_here_ends_with_the_engine_and_is_found_half_done(app: App) -> None:
    with engine_home(tree(commands=app.commands("local", timeout="10s"))) as engine:
        await engine.start()
        app.hold()
        run = await engine.act("command.run", command="restart", args={})
        await app.stopped()
        engine.kill()
        app.let()
        await engine.start()
        assert (await engine.settled(run, 90)).state == "failed"
        step = await engine.step(run)
        assert step.state == "not-done"
        assert step.evidence == (f"commands/restart: exit code 1: pid {app.first} is gone",)
        assert app.pid == app.first, "nothing of the restart ran on"


async def test_a_restart_that_nobody_disturbs_is_done_and_has_the_id_of_its_effect(app: App, sshd: Sshd) -> None:
    with engine_home(tree(hosts=hosts(sshd), commands=app.commands("app1"))) as engine:
        await engine.start()
        run = await engine.act("command.run", command="restart", args={})
        assert (await engine.settled(run, 90)).state == "done"
        assert list(app.place.glob(f"stopped.{run}-change#1@20*"))


async def test_a_host_that_hangs_is_unknown_until_it_answers_again(app: App, sshd: Sshd) -> None:
    with engine_home(tree(hosts=hosts(sshd), commands=app.commands("app1", timeout="5s", quiet="8s"))) as engine:
        await engine.start()
        app.hold()
        run = await engine.act("command.run", command="restart", args={})
        await app.stopped()
        sshd.freeze()

        async def in_doubt() -> bool:
            return (await engine.step(run)).state == "unknown"

        await until(in_doubt, 60, "a timeout is unknown")
        app.let()
        sshd.thaw()
        row = await engine.settled(run, 120)
        answers = [e.body for e in engine.entries() if isinstance(e.body, EffectAnswered)]
        assert answers[0].code == "timeout"
        assert "may still run" in answers[0].message
        assert row.state == ("done" if app.pid != app.first else "failed")


async def test_a_forced_command_decides_what_runs(app: App, sshd: Sshd) -> None:
    allowed = script(
        sshd.folder,
        "allowed",
        f"import shlex\nwords = shlex.split(os.environ['SSH_ORIGINAL_COMMAND'])\n"
        f"if words[0] not in ({app.restart!r}, {app.show!r}): sys.exit('not allowed')\nos.execv(words[0], words)",
    )
    sshd.force(allowed)
    forced = {"app1": {**hosts(sshd)["app1"], "environment": "send"}}
    other = {"argv": ["/bin/cat", "/etc/shadow"], "on": "app1", "risk": "B1"}
    restart = app.commands("app1")["restart"]
    own = {**restart, "read": {**restart["read"], "not_done": []}}
    with engine_home(tree(hosts=forced, commands={"restart": own, "other": other})) as engine:
        await engine.start()
        run = await engine.act("command.run", command="restart", args={})
        assert (await engine.settled(run, 90)).state == "done"
        assert list(app.place.glob(f"stopped.{run}-change#1@20*")), "the effect's id was sent"
        refused = await engine.act("command.run", command="other", args={})
        await engine.settled(refused, 90)
        step = await engine.step(refused)
        assert (step.state, step.output) == ("failed", ("not allowed",))


async def test_a_host_that_cannot_be_reached_refuses_the_plan(app: App, sshd: Sshd) -> None:
    closed = {"app1": {**hosts(sshd)["app1"], "port": 1}}
    with engine_home(tree(hosts=closed, commands=app.commands("app1"))) as engine:
        await engine.start()
        with pytest.raises(RecoveryError, match=r"app1: ssh: .*refused"):
            await engine.act("command.run", command="restart", args={})
        assert app.pid == app.first
