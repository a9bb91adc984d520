"""The secret of a grant and what is made of it: nothing of both is in an entry, an export, or what people are shown."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.granting.scram import new_secret, verifier
from tests.support.acting_site import HERE, Site, acting_site
from tests.support.canaries import Aviary, processes_below


async def exported(site: Site) -> bytes:
    return b"\n".join([line async for line in site.engine.journal_export()])


def told_of(birds: Aviary, made: str) -> None:
    """The verifier's two keys are canaries: with them one could log in or try passwords."""
    stored, server = made.rpartition("$")[2].split(":")
    birds.named |= {"stored key": stored, "server key": server}


async def test_the_secret_of_a_grant_is_in_its_file_alone(capsys: pytest.CaptureFixture[str]) -> None:
    async with acting_site() as site:
        place, birds = site.estate.parent / "secret-of-grant", Aviary()
        words = ["access", "request", "orders", "read-all", "--reason", "rows are missing", "--ticket", "INC-1"]
        words += ["--secret-file", str(place), "--yes-nonce", "--name", "orders", "--estate", str(site.estate)]
        assert await asyncio.to_thread(run_to_code, recovery, words) == 0
        said = "".join(capsys.readouterr()).encode()
        birds.named["grant"] = place.read_text().strip()
        assert site.access.opened, "the login was opened with what was made of it"
        seen = {"said": said, "export": await exported(site), **processes_below(os.getpid())}
        assert birds.hits(seen) == []


async def test_what_is_made_of_the_secret_is_in_no_entry_and_no_view() -> None:
    async with acting_site() as site:
        grant, birds = site.access.made(person="u1").grant, Aviary()
        async with asyncio.timeout(30):
            while grant not in site.engine.view("access").grants:
                await asyncio.sleep(0.05)
        made = verifier(new_secret())
        told_of(birds, made)
        await site.engine.granting.claim(HERE, grant, made)
        assert site.access.opened
        seen = {"export": await exported(site), "view": repr(site.engine.view("access")).encode()}
        assert birds.hits(seen) == []
        assert Path(site.estate).exists()
