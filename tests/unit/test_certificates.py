"""Certificates of SSH keys as ssh-keygen makes them, taken apart and held against what was asked for."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from state.estate.access import HostAccessEntry, HostBundle
from state.granting.certificates import (
    FIELDS,
    Certificate,
    NoKey,
    WantedCertificate,
    amiss,
    parse_certificate,
    public_key,
)
from state.granting.model import account_name_of, host_of_target, host_target

COMMAND = "/usr/local/libexec/recovery-access session"
KINDS = {"ed25519": "", "rsa": "2048", "ecdsa": "521"}


def pair(path: Path, kind: str = "ed25519", bits: str = "") -> str:
    size = ["-b", bits] if bits else []
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "a b", "-f", str(path)], check=True)
    return path.with_name(f"{path.name}.pub").read_text()


def made(folder: Path, kind: str = "ed25519", bits: str = "", *options: str) -> tuple[Certificate, str]:
    pair(folder / "ca")
    key = public_key(pair(folder / "k", kind, bits))
    words = ["-I", "G-AAAAAA", "-z", "42", "-V", "20261128170000Z:20261128173000Z", "-O", "clear", *options]
    subprocess.run(["ssh-keygen", "-q", "-s", str(folder / "ca"), *words, str(folder / "k.pub")], check=True)
    return parse_certificate((folder / "k-cert.pub").read_text()), key


@pytest.mark.parametrize("kind", KINDS)
def test_what_ssh_keygen_signs_is_read_for_each_kind_of_key(kind: str, tmp_path: Path) -> None:
    options = ("-n", "G-AAAAAA", "-O", f"force-command={COMMAND}", "-O", "permit-pty")
    found, key = made(tmp_path, kind, KINDS[kind], *options)
    assert found.key == key
    assert (found.serial, found.key_id, found.principals, found.of_user) == (42, "G-AAAAAA", ["G-AAAAAA"], True)
    assert (found.before - found.after, found.options, found.extensions) == (
        1800.0, {"force-command": COMMAND}, ["permit-pty"]
    )  # fmt: skip
    assert found.authority == public_key((tmp_path / "ca.pub").read_text())
    wanted = WantedCertificate(key, 42, "G-AAAAAA", "G-AAAAAA", found.after, found.before, COMMAND, ("permit-pty",))
    assert amiss(found, wanted) == ""


DIFFERENT = {
    "names no principal": {"principals": []},
    "its principals": {"principals": ["G-AAAAAA", "root"]},
    "its forced command": {"options": {}},
    "its permissions": {"extensions": ["permit-port-forwarding", "permit-pty"]},
    "its key ": {"key": "ssh-ed25519 AAAA"},
    "its key id": {"key_id": "somebody"},
    "its serial": {"serial": 43},
    "its kind": {"of_user": False},
    "not yet valid": {"after": 2e9},
    "it is good until": {"before": 2e9},
    "it is over since": {"before": 1.0},
}


@pytest.mark.parametrize("told", DIFFERENT)
def test_a_certificate_that_differs_in_anything_is_refused_with_what_it_is(told: str, tmp_path: Path) -> None:
    options = ("-n", "G-AAAAAA", "-O", f"force-command={COMMAND}", "-O", "permit-pty")
    found, key = made(tmp_path, "ed25519", "", *options)
    wanted = WantedCertificate(key, 42, "G-AAAAAA", "G-AAAAAA", found.after, found.before, COMMAND, ("permit-pty",))
    assert told in amiss(replace(found, **DIFFERENT[told]), wanted)  # type: ignore[arg-type]


def test_what_is_no_public_key_is_refused_with_its_reason(tmp_path: Path) -> None:
    good = pair(tmp_path / "k")
    assert public_key(good) == " ".join(good.split()[:2])
    with pytest.raises(NoKey, match="private key"):
        public_key((tmp_path / "k").read_text())
    with pytest.raises(NoKey, match="of the kind"):
        public_key("ssh-dss AAAA")
    with pytest.raises(NoKey, match="one line"):
        public_key(good + good)
    with pytest.raises(NoKey, match="another kind"):
        public_key("ssh-rsa " + good.split()[1])
    with pytest.raises(NoKey, match="base64"):
        public_key("ssh-ed25519 ????")
    with pytest.raises(NoKey, match="more than"):
        public_key("ssh-ed25519 " + "A" * 20_000)
    cut = base64.b64encode(base64.b64decode(good.split()[1])[:-3]).decode()
    with pytest.raises(NoKey, match="cut off"):
        public_key(f"ssh-ed25519 {cut}")
    with pytest.raises(NoKey, match="no certificate"):
        parse_certificate(good)
    assert all(count >= 1 for count in FIELDS.values())


def test_a_host_is_no_database_and_its_account_has_a_name_of_its_own() -> None:
    assert host_of_target(host_target("web1")) == "web1"
    assert host_of_target("web1") == ""
    long = account_name_of("G-7KQ2MX", "Ada.Lovelace-of-the-night-shift")
    assert (long[:10], len(long)) == ("bg_g7kq2mx", 32)


def test_a_bundle_that_can_become_root_says_so() -> None:
    assert HostBundle(groups=("docker",)).can_be_root
    assert HostBundle(elevated=True).can_be_root
    assert not HostBundle(groups=("adm",)).can_be_root
    assert HostBundle(record=("script",)).recorder[0] == "script"
    with pytest.raises(ValueError, match="either key or command"):
        HostAccessEntry.model_validate({"authority": {"public": "ca.pub"}, "bundles": {}})
    authority = {"public": "ca.pub", "key": "ca"}
    with pytest.raises(ValueError, match="60001"):
        HostAccessEntry.model_validate({"authority": authority, "bundles": {}, "uids": [2000, 3000]})
