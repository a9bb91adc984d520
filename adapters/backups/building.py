"""Builds the source of a database's backups, by their kind. It connects to nothing."""

from __future__ import annotations

from adapters.backups.archive import WalArchive
from adapters.backups.asking import StoreAsked
from adapters.backups.pgbackrest import PgBackRest
from adapters.commands.building import place_of
from adapters.commands.command import OwnCommand
from adapters.concealed import Concealed
from adapters.context import AdapterContext, Polled
from adapters.net.ssh import SshConnections
from state.estate.backups import BackupsEntry
from state.verdicts.restore_window import backup_key


def backup_source(
    database: str, entry: BackupsEntry, context: AdapterContext, hosts: SshConnections, concealed: Concealed
) -> Polled:
    """The source, with a pace of its own."""
    place = place_of(entry.on, context, hosts)
    asked = StoreAsked(OwnCommand(f"backups of {database}", place, (0,), concealed))
    kind = PgBackRest if entry.kind == "pgbackrest" else WalArchive
    read = kind(database, entry, asked).read
    return Polled(backup_key(database), entry.every, entry.timeout, entry.stale_after, read, hide=concealed.hide)
