"""Signing as a person: files, agents and keys with a passphrase; the private half is never read here."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.signatures.openssh import OpenSshSignatures
from console.client.signing import sign
from state.api.approvals import NAMESPACE
from state.errors import ReadFailure, Refused
from tests.support.signing import key_file, public_key

TEXT = "recovery approval, version 1\nrequest: A-1\n"


@contextmanager
def agent(key: Path) -> Iterator[str]:
    """An agent of this test's own with one key; its socket."""
    with tempfile.TemporaryDirectory(prefix="ag-", dir="/tmp") as folder:  # a short path: it holds a socket
        place = f"{folder}/s"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 10
            while not os.path.exists(place):
                assert time.monotonic() < end, "the agent does not listen"
                time.sleep(0.02)
            subprocess.run(["ssh-add", "-q", str(key)], env={**os.environ, "SSH_AUTH_SOCK": place}, check=True)
            yield place
        finally:
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home with an empty ~/.ssh, and no agent."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


async def proven(signature: str, key: str, text: str = TEXT) -> bool:
    return await OpenSshSignatures().verify(public_key(key), NAMESPACE, text.encode(), signature)


async def test_a_key_in_a_file_signs(home: Path) -> None:
    for name in ("me", "me.pub", "other.pub"):
        source = key_file(name.partition(".")[0]).with_name(name)
        shutil.copy(source, home / ".ssh" / name)
    made = sign(TEXT, (public_key("me"),))
    assert await proven(made, "me")
    assert not await proven(made, "other")
    assert not await proven(made, "me", TEXT + " ")


async def test_a_key_of_an_agent_signs_without_any_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with agent(key_file("me")) as place:
        monkeypatch.setenv("SSH_AUTH_SOCK", place)
        assert await proven(sign(TEXT, (public_key("me"),)), "me")
        with pytest.raises(Refused, match="none of your keys in the estate is in the agent"):
            sign(TEXT, (public_key("other"),))


async def test_a_named_file_signs_and_a_missing_one_is_told() -> None:
    assert await proven(sign(TEXT, (), key_file=str(key_file("me"))), "me")
    with pytest.raises(Refused, match=r"nothing was signed: .*nonsuch"):
        sign(TEXT, (), key_file="/tmp/nonsuch")


def test_a_key_with_a_passphrase_and_nobody_to_ask_fails_at_once(home: Path) -> None:
    path = home / ".ssh" / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a secret", "-f", str(path)], check=True)
    public = path.with_suffix(".pub").read_text().strip()
    with pytest.raises(Refused, match="nothing was signed") as told:
        sign(TEXT, (public,))
    assert "ssh-add the key first" in told.value.refusal.way_out


def test_without_a_key_in_the_estate_it_says_what_to_add() -> None:
    with pytest.raises(Refused, match="the estate has no key of you") as told:
        sign(TEXT, ())
    assert "people.NAME.keys" in told.value.refusal.way_out


async def test_a_verifier_that_is_not_there_is_no_verdict() -> None:
    made = sign(TEXT, (), key_file=str(key_file("me")))
    for program in ("/nonexistent/ssh-keygen", "/bin/false"):
        with pytest.raises(ReadFailure):
            await OpenSshSignatures(program).verify(public_key("me"), NAMESPACE, TEXT.encode(), made)
