"""Whether the functions of a database that give and end access are those of an administrator.

Whoever owns a database could make the schema before it is prepared, and put functions of his into it: they would run
with the rights of the account that calls them.
"""

from __future__ import annotations

from typing import TypeAlias

import asyncpg

from state.errors import ReadFailure, Trouble

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
PREPARED = """
select exists (select from pg_namespace as n join pg_roles as r on r.oid = n.nspowner
    where n.nspname = 'recovery_access' and r.rolname = 'recovery_owner')
  and not exists (select from pg_namespace as n join pg_proc as p on p.pronamespace = n.oid
    join pg_roles as r on r.oid = p.proowner
    where n.nspname = 'recovery_access' and not r.rolsuper and r.rolname <> 'recovery_owner')
"""


async def require_prepared(session: Session, where: str) -> None:
    """Before any of them is called. Raises ReadFailure, and what asyncpg raises."""
    if not await session.fetchval(PREPARED):
        told = f"{where} is not prepared for grants: schema recovery_access is missing there, or is somebody else's"
        raise ReadFailure(Trouble.DENIED, told)
