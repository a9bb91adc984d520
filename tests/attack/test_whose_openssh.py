"""Another account's program in the place of OpenSSH's would say yes to every signature: it is not run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.access.authority import Authority, wanted_certificate
from adapters.access.knocking import Knocking
from adapters.net.ssh import SshConnections
from adapters.signatures.openssh import OpenSshSignatures
from state.api.approvals import NAMESPACE
from state.errors import EffectRefused, ReadFailure
from state.estate.access import AuthorityEntry
from state.estate.hosts import SshHost
from tests.support.signing import public_key, sign

WAYS = ("relative", "empty", "of everybody")


def planted(folder: Path, how: str) -> str:
    """A PATH in which such programs come first."""
    place = folder / "planted"
    place.mkdir()
    for name in ("ssh-keygen", "ssh"):
        (place / name).write_text(f'#!/bin/sh\necho "$@" >> {folder}/ran\nexit 0\n')
        (place / name).chmod(0o755)
    if how == "of everybody":
        place.chmod(0o777)
    first = {"relative": "planted", "empty": "", "of everybody": str(place)}[how]
    return f"{first}:{os.environ['PATH']}"


@pytest.mark.parametrize("how", WAYS)
async def test_what_another_account_put_there_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    signature, key = sign("ben", "true"), public_key("ben")
    (tmp_path / "ca.pub").write_text(f"{public_key('carl')}\n")
    (tmp_path / "ca").write_text("no key")
    (tmp_path / "ca").chmod(0o600)
    authority = Authority(AuthorityEntry(key="ca", public="ca.pub"), tmp_path)
    monkeypatch.setenv("PATH", planted(tmp_path, how))
    monkeypatch.chdir(tmp_path / "planted" if how == "empty" else tmp_path)
    if how == "of everybody":
        with pytest.raises(ReadFailure, match="cannot be run here"):
            await OpenSshSignatures().verify(key, NAMESPACE, b"false", signature)
    else:
        assert not await OpenSshSignatures().verify(key, NAMESPACE, b"false", signature)
    wanted = wanted_certificate(" ".join(key.split()[:2]), "G-AAAAAA", 1e9, 1e9 + 60, "true", ())
    with pytest.raises(EffectRefused):
        await authority.sign(wanted)
    host = SshHost(address="127.0.0.1", port=1, user="x")
    doors = await Knocking(host, tmp_path).doors("bg_x", {"certificate": "ssh-ed25519 AAAA"}, deadline=5)
    assert [each.accepted for each in doors] == [None]
    connections = SshConnections({"h": host}, tmp_path)
    with pytest.raises(ReadFailure, match="ssh cannot be started" if how == "of everybody" else "h: "):
        await connections.to("h").connect(deadline=5)
    await connections.close()
    assert not (tmp_path / "ran").exists()
