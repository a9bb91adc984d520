"""A verb whose engine is killed after it accepted: the engine's own process, a peer that speaks HAProxy's protocol."""

from __future__ import annotations

import getpass
import subprocess
import sys
from contextlib import ExitStack

from tests.support.haproxy_peer import haproxy_peer
from tests.support.real_engine import engine_home, folder
from tests.support.served_desk import run_verb

WEIGHT = ("traffic", "weight", "edge", "shop", "green", "5", "--yes-nonce", "--estate")
TREE = {
    "estate": "killed",
    "environment": "lab",
    "sites": {"east": {}},
    "people": {"u1": {"accounts": [getpass.getuser()], "roles": ["commander", "responder"]}},
    "services": {
        "shop": {
            "tier": 1,
            "rto": "5m",
            "rpo": "1MB",
            "traffic": {"balancers": ["edge"], "backend": "shop", "floor": 1},
        }
    },
    "polling": {"every": "200ms", "deadline": "190ms", "stale_after": "1s"},
    "runbooks": [],
    "policies": {"confirm": {"arm": "20ms", "plan_expires": "2m"}},
}


async def test_an_engine_that_is_killed_after_it_accepted_is_5_and_one_that_is_gone_is_6() -> None:
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        peer = stack.enter_context(haproxy_peer(place))
        balancers = {"edge": {"kind": "haproxy", "site": "east", "socket": str(peer.socket)}}
        engine = stack.enter_context(engine_home({**TREE, "balancers": balancers}))
        await engine.start()
        where = str(engine.place.file)
        peer.mode = "refuses"
        refused = run_verb(*WEIGHT, where, RECOVERY_ESTATE="")
        assert refused.returncode == 1, refused.stderr
        assert b"not done: refused: " in refused.stderr, refused.stderr
        peer.mode = "well"
        done = run_verb(*WEIGHT, where, RECOVERY_ESTATE="")
        assert (done.returncode, peer.weights["green"]) == (0, 5), done.stderr
        peer.reset("hangs")
        verb = subprocess.Popen(
            [sys.executable, "-m", "console.cli", *WEIGHT, where], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert peer.commanded.wait(60)
        engine.kill()
        _, said = verb.communicate(timeout=60)
        assert verb.returncode == 5, said.decode()
        assert b"was accepted, then the engine was lost" in said
        gone = run_verb(*WEIGHT, where, RECOVERY_ESTATE="")
        assert gone.returncode == 6, gone.stderr
