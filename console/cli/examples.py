"""An example of each verb, for its help."""

from __future__ import annotations

from collections.abc import Mapping

import click

EXAMPLES: Mapping[str, str] = {
    "demo": "recovery demo --headless --json",
    "lab up": "recovery lab up --embedded --nodes 2",
    "lab status": "recovery lab status --json",
    "lab down": "recovery lab down",
    "lab fault list": "recovery lab fault list",
    "lab fault inject": "recovery lab fault inject bad-release --seconds 300",
    "lab fault lift": "recovery lab fault lift bad-release",
    "engine run": "recovery engine run --estate /etc/recovery/eu-shop --group recovery --metrics 9187",
    "engine start": "recovery engine start --estate recovery.yaml",
    "engine reload": "recovery engine reload --estate eu-shop",
    "engine stop": "recovery engine stop --estate eu-shop",
    "engine status": "recovery engine status --host ssh://ada@bastion2 --json",
    "console": "recovery console --host ssh://ada@bastion2 --observe",
    "init": "recovery init https://10.1.0.11:8008 /run/haproxy/admin.sock http://10.1.0.20:9090 -o eu-shop",
    "status": "recovery status --json --estate eu-shop",
    "check": "recovery check recovery.yaml --connect",
    "trust": "recovery trust recovery.yaml",
    "schema": "recovery schema",
    "traffic show": "recovery traffic show --json",
    "traffic weight": "recovery traffic weight edge-east checkout green 10 --plan-only",
    "traffic drain": "recovery traffic drain edge-east catalog b --plan-only",
    "traffic ready": "recovery traffic ready edge-east catalog b --yes-nonce",
    "traffic route": "recovery traffic route edge-east checkout green --plan-only",
    "traffic share": "recovery traffic share checkout green 25 --for 30m --comment 'v42 under load'",
    "traffic evacuate": "recovery traffic evacuate east --plan-only",
    "traffic set": "recovery traffic set 'move to b' 'server.ready balancer=edge-east backend=catalog server=b'",
    "traffic flip": "recovery traffic flip edge-east checkout blue --yes-nonce --within 60",
    "traffic record": "recovery traffic record shop.example checkout --a 10.2.0.31 --ttl 30s --plan-only",
    "db show": "recovery db show --json",
    "db compare": "recovery db compare orders/n1 orders/n2 --tables 'public.*' --repair differences.sql",
    "db comparisons": "recovery db comparisons --json",
    "db lost": "recovery db lost orders",
    "db verify": "recovery db verify orders --against before.json",
    "db restore-window": "recovery db restore-window orders --json",
    "db restore-command": "recovery db restore-command orders --to 2026-11-27T14:05:00Z --into /srv/scratch",
    "db switchover": "recovery db switchover orders n2 --plan-only",
    "db failover": "recovery db failover orders n2 --plan-only",
    "db promote": "recovery db promote ledger b --plan-only",
    "db unschedule": "recovery db unschedule orders --yes-nonce",
    "db pause": "recovery db pause orders --yes-nonce",
    "db resume": "recovery db resume orders --yes-nonce",
    "db restart": "recovery db restart orders n3 --yes-nonce",
    "db reinitialize": "recovery db reinitialize orders n3 --plan-only",
    "db fence": "recovery db fence ledger a --plan-only",
    "db rejoin": "recovery db rejoin ledger a --plan-only",
    "db rebuild": "recovery db rebuild ledger a --plan-only",
    "db repoint": "recovery db repoint ledger c b --plan-only",
    "db drop-slot": "recovery db drop-slot orders n1 old_consumer --plan-only",
    "db restore-point": "recovery db restore-point orders before-v42 --yes-nonce",
    "db prove": "recovery db prove ledger --yes-nonce",
    "release list": "recovery release list checkout --json",
    "release show": "recovery release show checkout sha256:4f1c0a9e52d7",
    "release record": "recovery release record checkout --digest sha256:4f1c0a9e52d7 --version v42 --commit 9ab31c7",
    "rollback": "recovery rollback checkout --plan-only",
    "runbook list": "recovery runbook list",
    "runbook show": "recovery runbook show roll-back-release",
    "runbook new": "recovery runbook new patch-night --from loop",
    "runbook lint": "recovery runbook lint runbooks/drain-server.yaml --estate recovery.yaml",
    "run list": "recovery run list --json",
    "run show": "recovery run show R-7",
    "run start": "recovery run start roll-back-release service=checkout to=blue --plan-only",
    "run watch": "recovery run watch R-7 --within 300",
    "run pause": "recovery run pause R-7",
    "run resume": "recovery run resume R-7",
    "run stop": "recovery run stop R-7",
    "run retry": "recovery run retry R-7 edges.edge-east.flip --yes-nonce",
    "run undo": "recovery run undo R-7 --plan-only",
    "run skip": "recovery run skip R-7 verify --reason 'verified by hand'",
    "run decide": "recovery run decide R-7 continue --step ask",
    "journal tail": "recovery journal tail -f --run R-7 --since 30m",
    "journal show": "recovery journal show 412 --json",
    "journal verify": "recovery journal verify --file journal.jsonl --head 9f2c41d8aa01bb37",
    "journal retain": "recovery journal retain --dry-run",
    "journal export": "recovery journal export -o journal.jsonl",
    "stop": "recovery stop --estate eu-shop",
    "bridge": "ssh bastion2 recovery bridge --observe",
    "completion": "recovery completion bash",
}
"""By the path of the verb. The verbs of capabilities bring theirs as the `epilog` of their command."""


def show_example(command: click.Command, path: str) -> None:
    """Give a verb, and the verbs below it, the example of its help."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            show_example(below, f"{path} {name}")
    if path in EXAMPLES:
        command.epilog = f"\b\nExample:\n  {EXAMPLES[path]}"
