"""Whether a server asks for the password of a grant's role, and takes it: tried while the role cannot log in.

A wrong password must be refused as such, and the right one must lead to the refusal of the login. Nobody gets in.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg

from adapters.databases.postgres import Access, PostgresNode
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from state.granting.scram import new_secret

AGAIN = 0.1
"""Seconds until it is tried again: a standby hears of the password later."""
NO_PASSWORD = "lets this role in without a password, or has no rule for it: VALID UNTIL would bar nobody there"
NOT_TAKEN = "does not take a password that was set for this role: its rule asks for something else"


async def against_password(node: PostgresNode, acting: Access, role: str, secret: str, deadline: float) -> str:
    """What is against the password at one node; empty when nothing, or when the node does not answer."""
    mine = replace(acting, user=role)
    try:
        async with asyncio.timeout(deadline):
            if await _tried(node, mine, new_secret(), deadline) is not asyncpg.InvalidPasswordError:
                return f"{node.node} {NO_PASSWORD}"
            while await _tried(node, mine, secret, deadline) is asyncpg.InvalidPasswordError:  # noqa: ASYNC110 nobody tells
                await asyncio.sleep(AGAIN)
    except TimeoutError:
        return f"{node.node} {NOT_TAKEN}"
    except (OSError, ReadFailure):
        return ""
    return ""


async def _tried(node: PostgresNode, access: Access, secret: str, deadline: float) -> type[Exception] | None:
    """How a login was refused. Raises what does not come from its rule."""
    try:
        session = await node.session(replace(access, password=Secret(secret)), deadline=deadline, read_only=True)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        return type(error)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise ReadFailure(Trouble.ERROR, "its login cannot be tried") from error
    session.terminate()
    return None
