"""Access to a real host as targets of the crash sweep: a grant that is made, and one that is extended."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.lab.client import LabClient
from tests.crash.targets import Truth
from tests.crash.trials import Target
from tests.support.host_site import HostSite, host_site
from tests.support.real_engine import Tree

HOST = "web1"
GRANT, ACCOUNT = "G-7KQ2MX", "bg_g7kq2mx_you"
WHY = {"reason": "the disk of web1 is full"}
PROGRAM = "/usr/local/libexec/recovery-access"


class HostTrial:
    """The host of one target, made when it is prepared and ended when it is reset."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.site: HostSite | None = None

    async def made(self) -> None:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self.site = self._stack.enter_context(host_site(Path(folder), HOST))

    async def given(self) -> None:
        await self.made()
        assert self.site is not None
        self.site.inside(PROGRAM, "arm", GRANT, ACCOUNT, "shell", "you", "INC-1", "before", "1200")

    async def ended(self) -> None:
        self._stack.close()

    def own(self) -> Tree:
        assert self.site is not None
        return {"hosts": {HOST: self.site.tree}}

    def marks(self) -> list[dict[str, Any]]:
        """What the host has of grants, not asked through the console's own program."""
        if self.site is None:
            return []
        told = self.site.inside("sh", "-c", "cat /var/lib/recovery-access/grants/*.json 2>/dev/null; true")
        return [json.loads(each) for each in told.replace("}{", "}\n{").splitlines() if each]

    async def accounts(self) -> Any:
        """How many accounts of grants there are, which nobody can log in to."""
        if self.site is None:
            return 0
        shadow = [line.split(":") for line in self.site.inside("cat", "/etc/shadow").splitlines()]
        return sum(words[0] == ACCOUNT and words[1].startswith("!") for words in shadow)

    async def lasts(self) -> Any:
        """How long the grant lasts from its beginning to its end, in minutes."""
        return [round((each["ends"] - each["made"]) / 60) for each in self.marks()]


def give_host_access(lab: LabClient, truth: Truth) -> Target:
    trial = HostTrial()
    args = {"grant": GRANT, "person": "you", "bundle": "shell", "seconds": 1200, "ticket": "INC-1", **WHY}
    made = _target(trial, "access.grant-host", args)
    return replace(made, truth=trial.accounts, after=lambda was: 1, prepare=trial.made)


def extend_host_access(lab: LabClient, truth: Truth) -> Target:
    trial = HostTrial()
    made = _target(trial, "access.extend-host", {"grant": GRANT, "seconds": 600, **WHY})
    return replace(made, truth=trial.lasts, after=lambda was: [30], prepare=trial.given)


def _target(trial: HostTrial, kind: str, args: dict[str, Any]) -> Target:
    return Target(
        kind, {"host": HOST, **args}, ("services", "balancers"), trial.accounts, lambda was: was, commands=0,
        seconds=90.0, risky=True, own=trial.own, reset=trial.ended,
    )  # fmt: skip
