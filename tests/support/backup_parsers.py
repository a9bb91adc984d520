"""Parsers of what stores of backups answer, as the fuzzer calls them."""

from __future__ import annotations

from adapters.backups.archive import parse_archive
from adapters.backups.commits import commit_time
from adapters.backups.pgbackrest import parse_info


def pgbackrest_info(data: bytes) -> None:
    parse_info(data, "orders", "orders", 1)


def wal_archive(data: bytes) -> None:
    parse_archive("orders", data.decode(errors="replace"))


def wal_dump(data: bytes) -> None:
    commit_time(data.decode(errors="replace"))
