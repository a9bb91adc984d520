"""A verb at a shared account: refused with the way out, then signed with a person's own key, on a real socket."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.api_server import ApiServer, Sockets
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from tests.support.signing import estate, key_file, people, person
from tests.support.small_estate import Small, small

HERE = (getpass.getuser(), str(os.getuid()))
WEIGHT = ("traffic", "weight", "edge", "shop", "green", "7", "--yes-nonce")


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[tuple[Small, Path]]:
    """An engine in which this account is shared, and its ~/.ssh has the key of `me`."""
    keys = tmp_path / "home" / ".ssh"
    keys.mkdir(parents=True, mode=0o700)
    for name in ("me", "me.pub"):
        shutil.copy(key_file("me").with_name(name), keys / name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    found: dict[str, Any] = {**people(), "me": person("responder", keys=("me",))}
    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp") as folder:  # a short path: it holds a socket
        file, runtime = Path(folder, "estate.yaml"), Path(folder, "run")
        file.write_text("estate: small\n")
        Path(folder, "LAB.json").write_text("{}")
        runtime.mkdir(mode=0o700)
        async with small(estate={**estate(shared_accounts=list(HERE)), "people": found}) as lab:
            server = ApiServer(lab.engine, Sockets(runtime))
            await server.start()
            yield lab, file
            await server.stop()


async def verb(file: Path, *words: str) -> int:
    return await asyncio.to_thread(run_to_code, recovery, [*words, "--estate", str(file)])


async def test_a_verb_is_refused_then_signed(site: tuple[Small, Path], capsys: pytest.CaptureFixture[str]) -> None:
    lab, file = site
    assert await verb(file, *WEIGHT) == 4
    assert "--as PERSON" in capsys.readouterr().err
    assert await verb(file, *WEIGHT, "--as", "dora") == 4, "no key of dora is here"
    assert "none of your keys in the estate" in capsys.readouterr().err
    assert await verb(file, *WEIGHT, "--as", "me", "--key", str(key_file("ben"))) == 4
    assert "by a key of ben, not of me" in capsys.readouterr().err
    assert await lab.weights() == {"blue": 100, "green": 0}
    assert await verb(file, *WEIGHT, "--as", "me") == 0
    assert await lab.weights() == {"blue": 100, "green": 7}
    assert next(row.actor for row in lab.engine.journal_rows(0, 999) if row.kind == "run.started") == "me"
