"""What must be said of each fault of the lab."""

from __future__ import annotations

from dataclasses import dataclass

from state.health import Health


@dataclass(frozen=True)
class Told:
    """What must be said of one fault: words of the sentence, what else stands on the screen, the key that leads on."""

    fault: str
    sentence: tuple[str, ...]
    screen: tuple[str, ...]
    key: str
    health: Health
    target: str = ""
    opens: tuple[str, ...] = ()
    """What the key shows when it is pressed on the Overview."""
    within: float = 60.0
    """Seconds until it must be seen, also on a slow machine."""
    begins: bool = True
    """Whether the journal has an entry of when it began."""


FAULTS = (
    Told("bad-release", ("checkout", "of requests fail on release v42"), ("checkout", "FAIL"), "r", Health.FAIL,
         opens=("Roll a release back", "checkout")),
    Told("wrong-dns", ("checkout", "DNS", "answers"), ("FAIL", "checkout"), "t", Health.FAIL,
         opens=("checkout.lab.test A 127.0.9.9", "without 127.0.1.10, 127.0.2.10", "a addresses")),
    Told("hang-source", ("prometheus", "its figures are unknown"), ("prometheus",), "b", Health.WARN,
         target="engine-prometheus", opens=("does prometheus run",)),
    Told("kill-node", ("orders", "is down or cut off"), ("orders",), "b", Health.WARN,
         opens=("Start its Patroni",)),
    Told("cut-replication", ("orders", "gets no WAL from"), ("orders",), "b", Health.WARN,
         opens=("check the network way",)),
    Told("split-brain", ("SPLIT BRAIN", "both accept writes"), ("FAIL", "orders", "checkout"), "n", Health.FAIL,
         opens=("Fence orders/", "accepts writes too, and then alone")),
    Told("freeze-primary", ("orders", "primary", "does not answer"), ("FAIL", "orders", "waits for orders"), "f",
         Health.FAIL, opens=("Fail orders over", "by itself: Patroni promotes")),
    Told("replay-paused", ("orders", "replay on", "is paused"), ("orders",), "b", Health.WARN,
         opens=("pg_wal_replay_resume",)),
    Told("sync-lost", ("orders", "commits wait", "2 standbys needed, 1 in sync"), ("FAIL", "orders"), "b", Health.FAIL,
         opens=("bring a synchronous standby back",), within=120, begins=False),
    Told("slot-lost", ("orders", "slot lab_reader", "lost"), ("orders",), "b", Health.WARN,
         opens=("stop the subscriber, drop lab_reader",)),
    Told("archiver-failing", ("orders", "the archiver of"), ("FAIL", "orders"), "b", Health.FAIL,
         opens=("has the error of archive_command",), begins=False),
)  # fmt: skip
SELDOM = (
    Told("quorum-short", ("orders", "commits wait", "2 standbys needed, 1 in sync"), ("FAIL", "orders"), "b",
         Health.FAIL, opens=("bring a synchronous standby back",), within=120, begins=False),
    Told("nofailover", ("orders", "no automatic failover will come", "carries the tag nofailover"), ("orders",), "b",
         Health.WARN, opens=("Change the tags of a standby",)),
)  # fmt: skip
"""Those that differ from another one in their settings only: not in every run."""
