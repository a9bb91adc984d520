"""Attacks by names: a directory of accounts that answers late, or never, holds nobody up (kind 4)."""

from __future__ import annotations

import asyncio
import getpass
import os
import threading

from adapters.api_server.accounts import NOT_KNOWN, Accounts


class Directory:
    """Answers when it is let; counts who asked."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked: list[int] = []

    def __call__(self, uid: int) -> str:
        self.asked.append(uid)
        self.open.wait()
        return f"name-of-{uid}"


async def test_many_unknown_accounts_cost_one_short_wait() -> None:
    """Before: one look-up for each of them, one after the other, on the loop: stop took 18 s."""
    directory = Directory()
    accounts = Accounts(directory)
    assert [accounts.name(uid) for uid in range(70_000, 70_500)] == [str(uid) for uid in range(70_000, 70_500)]
    assert directory.asked == [70_000]  # one at a time, beside the loop
    await accounts.known(70_000, 0.01)  # and whoever waits does so no longer than it said
    directory.open.set()
    await accounts.known(70_000, 60)
    assert accounts.name(70_000) == "name-of-70000"


async def test_a_known_name_is_used_while_it_is_asked_for_again() -> None:
    directory, now = Directory(), [0.0]
    directory.open.set()
    accounts = Accounts(directory, lambda: now[0])
    await accounts.known(70_000, 60)
    directory.open.clear()
    now[0] = 1000.0
    assert accounts.name(70_000) == "name-of-70000"
    directory.open.set()


async def test_accounts_that_the_estate_names_are_known_before_they_come() -> None:
    directory = Directory()
    accounts = Accounts(directory)
    accounts.expect([getpass.getuser(), "no-such-account-here", "1000"])
    async with asyncio.timeout(60):
        while accounts.name(os.getuid()) != getpass.getuser():
            await asyncio.sleep(0.01)
    directory.open.set()


def test_over_tcp_nobody_is_named() -> None:
    assert Accounts(Directory()).name(NOT_KNOWN) == "that is not known"
