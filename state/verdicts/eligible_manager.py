"""Why a manager would not let a node lead: its tags, its agent, its place in the published sync set."""

from __future__ import annotations

from state.errors import Refusal
from state.verdicts.cluster import NodeFacts
from state.verdicts.evidence import no_data_reason
from state.verdicts.managed import Managed
from state.verdicts.votes import manager_role

ADMINISTRATOR = "database administrator"


def manager_obstacles(node: NodeFacts, word: Managed) -> list[Refusal]:
    """Every reason of a cluster under a manager; none where no manager watches it."""
    name, seen = node.node, node.patroni_seen
    if seen is None:
        return []
    found: list[Refusal] = []
    if tag := word.forbids(name):
        fact = f"{name} carries the tag {tag}: Patroni does not let it lead"
        found.append(Refusal("may-lead", fact, "Choose another node"))
    if node.patroni is None and (seen.value is not None or seen.error is not None):
        fact = f"the Patroni of {name} does not answer: {no_data_reason(seen)}"
        found.append(Refusal("agent-answers", fact, f"Start the Patroni of {name}, or choose another node"))
    elif node.patroni is not None and not manager_role(node.patroni.role, node.patroni.state):
        fact = f"the Patroni of {name} says {node.patroni.state or 'nothing of its state'}"
        found.append(Refusal("agent-ready", fact, "Wait until it runs, or choose another node"))
    if node.patroni is not None and node.patroni.watchdog_failed:
        fact = f"the watchdog of {name} does not work, and its Patroni is to lead only with one"
        found.append(Refusal("watchdog", fact, f"Repair the watchdog of {name}, or choose another node", ADMINISTRATOR))
    if word.rows and not word.lists(name):
        fact = f"{name} is missing from the members of its cluster"
        found.append(Refusal("member", fact, f"Start the Patroni of {name}, or choose another node", ADMINISTRATOR))
    elif word.in_sync is not None and name not in word.in_sync:
        found.append(_not_in_sync(name, word))
    return found


def _not_in_sync(name: str, word: Managed) -> Refusal:
    tagged = word.any_tag(name, "nosync")
    why = "it carries the tag nosync" if tagged else "an acknowledged commit may be missing there"
    listed = sorted(word.in_sync or ())
    instead = f"Choose {' or '.join(listed)}" if listed else "Wait until Patroni lists a synchronous standby"
    return Refusal("sync-member", f"{name} is no synchronous standby by Patroni's list: {why}", instead)


def manager_unknowns(node: NodeFacts, word: Managed) -> tuple[str, ...]:
    """What no manager tells of a node."""
    if node.patroni_seen is None or word.lists(node.node):
        return ()
    return () if word.rows else (f"whether {node.node} carries the tag nofailover",)
