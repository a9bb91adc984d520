"""What a manager's own table says of the nodes: one table for each place at which the manager was asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToldNode:
    """One node in a manager's table.

    `role` is `primary` or `standby`, empty where the manager does not know it now or it is changing. `reached`: whether
    the manager gets to its server, None = not tried. `state` and `target` are the manager's words for what the node is
    and is to be. `may_lead`: whether the manager would let it lead, None = not told. `aside`: no election hears it.
    `alone`: it leads, and its commits wait for no standby. `standby_name` is its name in synchronous_standby_names.
    """

    name: str
    role: str = ""
    reached: bool | None = None
    state: str = ""
    target: str = ""
    may_lead: bool | None = None
    aside: bool = False
    alone: bool = False
    standby_name: str = ""

    @property
    def in_motion(self) -> bool:
        """Whether it is not yet what it is to be."""
        return self.state != self.target


@dataclass(frozen=True, slots=True)
class ManagerTable:
    """The table of one witness: `witness` as people call it, `node` where it was asked, empty for a place apart from
    the nodes. `whole`: it has a row of every node. `unknown_rows` are rows of nodes that the estate does not have,
    `issues` what the manager's own check complains of."""

    witness: str
    node: str
    nodes: tuple[ToldNode, ...]
    whole: bool = True
    unknown_rows: tuple[str, ...] = ()
    issues: tuple[str, ...] = ()

    def of(self, node: str) -> ToldNode | None:
        """Its row of one node."""
        return next((each for each in self.nodes if each.name == node), None)
