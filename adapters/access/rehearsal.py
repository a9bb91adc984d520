"""Whether a server asks for the password of a grant's role, and takes it: tried while the role cannot log in.

A wrong password must be refused as such, and the right one must lead to the refusal of the login. Nobody gets in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import asyncpg

from adapters.databases.postgres import Access, PostgresNode
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from state.granting.scram import new_secret

AGAIN = 0.1
"""Seconds until it is tried again: a standby hears of the password later."""
SLOW = 3.0
"""A server may answer to a wrong password so many times later than to anything else (auth_delay)."""
NO_PASSWORD = "lets this role in without a password, or has no rule for it: VALID UNTIL would bar nobody there"
NOT_TAKEN = "does not take a password that was set for this role: its rule asks for something else"


async def against_password(
    node: PostgresNode, acting: Access, role: str, secret: str, heard: Callable[[], Awaitable[bool]], deadline: float
) -> str:
    """What is against the password at one node; empty when nothing, or when the node cannot be reached. Whether it has
    `heard` of the password is asked for where it is not taken: a standby may be kept behind on purpose."""
    mine, limit, began, refused = replace(acting, user=role), deadline * SLOW, time.monotonic(), False
    wrong = asyncio.create_task(_tried(node, mine, new_secret(), limit), name=f"a wrong password at {node.node}")
    try:
        async with asyncio.timeout(limit):
            while await _tried(node, mine, secret, limit) is asyncpg.InvalidPasswordError:
                refused = True
                if time.monotonic() > began + deadline:
                    if await heard():
                        return f"{node.node} {NOT_TAKEN}"
                    break
                await asyncio.sleep(AGAIN)
            asked = await wrong is asyncpg.InvalidPasswordError
    except TimeoutError:
        slow = f"did not say within {limit:g} s whether it takes a password for this role (auth_delay?)"
        return f"{node.node} {NOT_TAKEN if refused else slow}"
    except (OSError, ReadFailure):
        return ""
    finally:
        wrong.cancel()
        await asyncio.gather(wrong, return_exceptions=True)
    return "" if asked else f"{node.node} {NO_PASSWORD}"


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
