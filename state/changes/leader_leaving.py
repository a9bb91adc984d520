"""A site left by the leader role: a switchover to the best candidate elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from state.changes.database import FIGURES, Switchover, SwitchoverArgs
from state.changes.hands import switchover_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Risk
from state.config_files.suggestions import not_found
from state.estate.model import Estate, HandStep, Name
from state.estate.values import SiteName
from state.ports.database import Database
from state.ports.outside import Outside

KIND = "database.leave-site"


class RoleLeftArgs(BaseModel):
    """A database, and the site where its leader shall not stand."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    database: Name
    site: SiteName


class RoleLeft(Switchover):
    """Switch over to the best candidate that stands elsewhere; nothing where the leader does already."""

    def __init__(self, spec: ChangeSpec, args: RoleLeftArgs, estate: Estate, database: Database) -> None:
        super().__init__(spec, SwitchoverArgs(database=args.database), estate, database)
        self.leaving = args.site
        self.title = f"Lead {args.database} from outside {args.site}"
        self.verb = f"hand the leader role to the best candidate outside {args.site}"


def _build(args: RoleLeftArgs, estate: Estate, outside: Outside) -> RoleLeft:
    database = outside.databases.get(args.database)
    if database is None:
        raise not_found("database", args.database, outside.databases)
    if args.site not in estate.sites:
        raise not_found("site", args.site, estate.sites)
    return RoleLeft(ChangeSpec(KIND, args.model_dump()), args, estate, database)


def leave_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """A switchover to a node elsewhere."""
    nodes = estate.databases[args.database].nodes.items()
    elsewhere = [name for name, node in nodes if node.site != args.site]
    first, *rest = switchover_by_hand(SwitchoverArgs(database=args.database, to=next(iter(elsewhere), None)), estate)
    return [first, HandStep(f"nothing to do where {' or '.join(elsewhere) or 'a node elsewhere'} leads already"), *rest]


KINDS = (ChangeKind(KIND, "Lead a database from elsewhere", RoleLeftArgs, Risk.B3, _build, leave_by_hand, FIGURES),)
