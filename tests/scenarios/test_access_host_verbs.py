"""Access to a host by verb, at an engine's own process and a real sshd: asked for, used, extended, ended, proven."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.api.views.access import GrantCredential, GrantRow, GrantState
from state.errors import Refused
from state.granting.certificates import parse_certificate
from state.granting.credentials import require_credential
from tests.support.host_site import HostSite, host_site, move_end
from tests.support.real_engine import RealEngine, engine_home, until

Capture = pytest.CaptureFixture[str]
PERSON = "you"


@pytest.fixture
async def place() -> AsyncIterator[tuple[HostSite, RealEngine]]:
    with tempfile.TemporaryDirectory() as folder, host_site(Path(folder)) as site:
        tree: dict[str, Any] = {
            "estate": "hosted",
            "environment": "lab",
            "sites": {"east": {}},
            "people": {PERSON: {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["commander"]}},
            "hosts": {"web1": site.tree},
            "runbooks": [],
        }
        with engine_home(tree) as engine:
            await engine.start()
            yield site, engine


async def verb(engine: RealEngine, *words: str) -> int:
    return await asyncio.to_thread(run_to_code, recovery, [*words, "--estate", str(engine.place.file)])


async def only_grant(engine: RealEngine) -> GrantRow:
    rows: dict[str, GrantRow] = (await engine.client.view("access")).grants
    return next(iter(rows.values()))


async def asked(engine: RealEngine, key: Path, lasts: str = "10m", bundle: str = "shell") -> int:
    words = ["access", "request", "host:web1", bundle, "--reason", "the disk is full", "--ticket", "INC-42"]
    words += ["--for", lasts, "--login-key", str(key)]
    return await verb(engine, *words, "--yes-nonce", "--name", "web1", "--json")


def ssh(site: HostSite, row: GrantRow, key: Path, *words: str) -> list[str]:
    known = f"UserKnownHostsFile={site.folder / 'known_hosts'}"
    options = ["BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", known]
    said = [word for each in options for word in ("-o", each)]
    return ["ssh", "-F", "none", *said, "-i", str(key), "-p", str(site.port), f"{row.role}@127.0.0.1", *words]


async def test_it_is_asked_for_used_extended_ended_and_proven(
    place: tuple[HostSite, RealEngine], tmp_path: Path, capsys: Capture
) -> None:
    site, engine = place
    key = tmp_path / "night"
    assert await asked(engine, key) == 0, capsys.readouterr()
    assert oct(key.stat().st_mode & 0o777) == "0o600"
    row = await only_grant(engine)
    done = subprocess.run(ssh(site, row, key, "id -un"), capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.strip() == row.role
    session = subprocess.Popen(
        ssh(site, row, key, "sleep 300"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    async def seen() -> bool:
        return bool((await only_grant(engine)).sessions)

    await until(seen, 20)
    assert await verb(engine, "access", "list") == 0
    assert "host web1" in capsys.readouterr().out
    words = ["--by", "5m", "--reason", "the repair still runs", "--yes-nonce", "--name", "web1"]
    assert await verb(engine, "access", "extend", row.id, *words) == 0
    first = parse_certificate(row.certificate)

    async def longer() -> bool:
        return parse_certificate((await only_grant(engine)).certificate).before == first.before + 300

    await until(longer, 40)
    capsys.readouterr()
    assert await verb(engine, "access", "certificate", row.id) == 0
    assert parse_certificate(capsys.readouterr().out).before == first.before + 300
    assert await verb(engine, "access", "end", row.id, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "ended"
    assert "login refused: its certificate, its key, its serial" in told["proof"]
    assert session.wait(10) == 255
    assert subprocess.run(ssh(site, row, key, "true"), capture_output=True, timeout=30, check=False).returncode == 255
    kinds = [kind for kind in engine.kinds() if kind.startswith("grant.")]
    assert kinds == ["grant.armed", "grant.opening", "grant.opened", "grant.extended", "grant.ending", "grant.ended"]
    private = "".join(key.read_text().splitlines()[1:-1])[-60:]
    files = [each for each in engine.place.file.parent.rglob("*") if each.is_file()]
    assert not [each for each in files if private.encode() in each.read_bytes()], "the private key is nowhere"
    assert (await only_grant(engine)).state is GrantState.ENDED


async def test_without_a_place_for_the_key_nothing_is_asked_and_what_is_prepared_is_told(
    place: tuple[HostSite, RealEngine], tmp_path: Path, capsys: Capture
) -> None:
    _, engine = place
    words = ["access", "request", "host:web1", "shell", "--reason", "the disk is full", "--ticket", "INC-42"]
    assert await verb(engine, *words, "--yes-nonce", "--name", "web1") == 4
    assert "secret-place" in capsys.readouterr().err
    there = tmp_path / "there"
    there.write_text("")
    assert not (await engine.client.view("access")).grants
    assert await asked(engine, tmp_path / "key", bundle="root-please") == 4
    assert "Ask for one of these" in "".join(capsys.readouterr())
    assert await verb(engine, "access", "certificate", "G-AAAAAA") == 2
    capsys.readouterr()
    assert await verb(engine, "host", "prepare", "web1") == 0
    told = capsys.readouterr().out
    assert "Match User bg_*" in told
    assert "RevokedKeys /etc/ssh/recovery_revoked" in told
    assert await verb(engine, "host", "prepare", "web9") == 2


async def test_a_private_key_is_refused_before_anything_is_opened(
    place: tuple[HostSite, RealEngine], tmp_path: Path
) -> None:
    _, engine = place
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "k")], check=True)
    with pytest.raises(Refused, match="only its public half"):
        require_credential(GrantCredential.PUBLIC_KEY, (tmp_path / "k").read_text())
    (tmp_path / "x.pub").write_text((tmp_path / "k").read_text())
    assert await asked(engine, tmp_path / "x.pub") == 4
    assert not (await only_grant(engine)).certificate


async def test_the_host_ends_it_though_the_engine_was_killed_and_the_next_one_proves_it(
    place: tuple[HostSite, RealEngine], tmp_path: Path
) -> None:
    site, engine = place
    key = tmp_path / "night"
    assert await asked(engine, key) == 0
    row = await only_grant(engine)
    session = subprocess.Popen(
        ssh(site, row, key, "sleep 300"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    async def seen() -> bool:
        return any("sleep" in each.doing for each in (await only_grant(engine)).sessions)

    await until(seen, 20)
    engine.kill()
    uid = site.inside("id", "-u", row.role).strip()
    move_end(site, int(uid), 2)
    assert await asyncio.to_thread(session.wait, 20) == 255
    assert subprocess.run(ssh(site, row, key, "true"), capture_output=True, timeout=30, check=False).returncode == 255
    await engine.start()

    async def proven() -> bool:
        return (await only_grant(engine)).state is GrantState.ENDED

    await until(proven, 40)
    assert "login refused: its certificate, its key, its serial" in (await only_grant(engine)).proof
    assert row.role not in site.inside("cat", "/etc/passwd")
