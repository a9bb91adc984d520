"""Completion in real shells, with a served desk behind the verbs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from state.api.run_states import RunState, StepState
from state.api.views.replication import ReplicationView
from state.api.views.runbooks import Param, RunbookRow, RunRow, StepRow
from state.api.views.traffic import BackendRow, ServerRow
from state.health import Health
from tests.support.served_desk import Running
from tests.support.views import made

CHOICES = ("checkout", "catalog")
FOLLOWS = {name: name for name in CHOICES}
BELONGS = {name: (name,) for name in CHOICES}


@pytest.fixture
def known(running: Running) -> Running:
    params = (
        Param("service", "service", "checkout", CHOICES, True),
        Param("minutes", "number", "5", (), False),
        Param("backend", "backend", "checkout", CHOICES, False, "", "service", FOLLOWS, BELONGS),
    )
    row = made(RunbookRow, name="drain-server", title="Drain a server", params=params)
    runs = {
        "R-3": made(RunRow, id="R-3", state=RunState.DONE, title="Ended"),
        "R-2": made(RunRow, id="R-2", state=RunState.WAITING, title="Open", options=("yes", "no")),
    }
    steps = {"R-2/ask#1": made(StepRow, run="R-2", step="ask", state=StepState.WAITING, title="Asks")}
    running.touch("runbooks", library={"drain-server": row}, runs=runs, order=("R-3", "R-2"), steps=steps)
    backend = made(BackendRow, balancer="edge-east", backend="catalog", health=Health.PASS)
    server = made(ServerRow, balancer="edge-east", backend="catalog", server="a", health=Health.PASS)
    running.touch("traffic", backends={"x": backend}, servers={"y": server})
    return running


class Shells:
    """`recovery` on PATH, and the completions that each shell makes of a line."""

    def __init__(self, folder: Path) -> None:
        program = folder / "recovery"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m console.cli "$@"\n')
        program.chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}

    def _run(self, *argv: str) -> list[str]:
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout.splitlines()

    def bash(self, line: str) -> list[str]:
        script = (
            'eval "$(recovery completion bash)"; compopt() { :; }; COMP_LINE=$1; COMP_POINT=${#1};'
            ' _recovery_completion recovery; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        return [value for value in self._run("bash", "-c", script, "bash", line) if value]

    def fish(self, line: str) -> list[str]:
        script = f'recovery completion fish | source; complete -C "{line}"'
        return [value.partition("\t")[0] for value in self._run("fish", "--no-config", "-c", script)]

    def zsh(self, line: str) -> list[str]:
        """What its function gets; the script itself is checked by the shell."""
        self._run("zsh", "-c", "recovery completion zsh > $HOME/_recovery && zsh -n $HOME/_recovery")
        words = line.split(" ")
        asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_RECOVERY_COMPLETE": "zsh_complete"}
        done = subprocess.run(
            ["recovery"], env={**self.environment, **asked}, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stderr == ""
        return done.stdout.splitlines()[1::3]


@pytest.fixture
def shells(tmp_path: Path) -> Shells:
    return Shells(tmp_path)


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_values_come_from_the_engine(known: Running, shells: Shells, shell: str) -> None:
    complete = getattr(shells, shell)
    where = f"--estate {known.estate}"
    assert complete("recovery jou") == ["journal"]
    assert complete(f"recovery run start {where} ") == ["drain-server"]
    assert complete(f"recovery run start {where} drain-server ") == ["service=", "minutes=", "backend="]
    assert complete(f"recovery run start {where} drain-server service=checkout ") == ["minutes=", "backend="]
    led = complete(f"recovery run start {where} drain-server service=catalog backend=")
    assert led == (["catalog"] if shell == "bash" else ["backend=catalog"])  # not those of other services
    whole = [f"service={choice}" for choice in CHOICES]
    assert complete(f"recovery run start {where} drain-server service=c") == (
        list(CHOICES) if shell == "bash" else whole
    )
    assert complete(f"recovery run show {where} ") == ["R-2", "R-3"]  # the open one first
    assert complete(f"recovery run skip {where} R-2 ") == ["ask"]
    assert complete(f"recovery run decide {where} R-2 ") == ["yes", "no"]
    assert complete(f"recovery traffic drain {where} ") == ["edge-east"]
    assert complete(f"recovery traffic drain {where} edge-east ") == ["catalog"]
    assert complete(f"recovery traffic flip {where} edge-east catalog ") == ["a"]
    assert "--plan-only" in complete(f"recovery traffic drain {where} --p")


def test_without_an_engine_it_is_silent_and_quick(shells: Shells, tmp_path: Path) -> None:
    estate = tmp_path / "recovery.yaml"
    estate.write_text("estate: nothing-here\n")
    began = time.monotonic()
    assert shells.bash(f"recovery run show --estate {estate} ") == []
    assert shells.bash("recovery run show --host ssh://nobody@127.0.0.1:1 ") == []
    assert shells.bash("recovery lab fault inject --dir /nowhere ") == []
    assert time.monotonic() - began < 30


def test_databases_and_nodes(running: Running, shells: Shells) -> None:
    from state.api.views.replication import ClusterRow, NodeRow

    view = ReplicationView(
        {"orders": made(ClusterRow, name="orders")},
        {
            "n1": made(NodeRow, cluster="orders", node="n1", role="primary"),
            "n2": made(NodeRow, cluster="orders", node="n2", role="standby"),
        },
        {},
    )
    running.touch("replication", clusters=view.clusters, nodes=view.nodes)
    assert shells.bash(f"recovery db switchover --estate {running.estate} ") == ["orders"]
    assert shells.bash(f"recovery db switchover --estate {running.estate} orders ") == ["n2", "n1"]
