"""What users of other tools met on hosts whose sshd, accounts or defences are not the usual ones."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.access.authority import Authority, wanted_certificate
from state.errors import EffectRefused
from state.estate.access import AuthorityEntry
from state.granting.model import EndProof
from tests.contract.host_grants import armed_at, host_granted, host_target, new_key
from tests.support.host_site import HostSite, host_site

SNIPPETS = "/etc/ssh/sshd_config.d"


@pytest.fixture(scope="module")
def site() -> Iterator[HostSite]:
    with tempfile.TemporaryDirectory() as folder, host_site(Path(folder)) as made:
        yield made


@contextmanager
def settings_of(site: HostSite, text: str, name: str = "10-admins.conf") -> Iterator[None]:
    """More settings of sshd, as an administrator has them, while the context lasts."""
    path = f"{SNIPPETS}/{name}"
    site.inside("sh", "-c", f"cat > {path}", text=text)
    reload(site)
    try:
        yield
    finally:
        site.inside("rm", "-f", path)
        reload(site)


def reload(site: HostSite) -> None:
    site.inside("/usr/sbin/sshd", "-t")
    site.inside("sh", "-c", 'kill -HUP "$(cat /run/sshd.pid)"; sleep 0.3')


OTHER_WAYS = {
    "a command for keys": "AuthorizedKeysCommand /etc/ssh/any-key %u\nAuthorizedKeysCommandUser nobody\n",
    "principals of its own": "AuthorizedPrincipalsFile %h/.ssh/authorized_principals\n",
    "keys of its own for a group": "Match Group sudo\n    AuthorizedKeysFile .ssh/authorized_keys\n",
}


@pytest.mark.parametrize("way", list(OTHER_WAYS))
async def test_no_other_way_of_the_host_lets_anybody_in_to_an_account_of_a_grant(
    site: HostSite, way: str, tmp_path: Path
) -> None:
    number = f"G-AAAAA{'BCD'[list(OTHER_WAYS).index(way)]}"
    stray = new_key(tmp_path / "stray")
    site.inside("sh", "-c", "cat > /etc/ssh/any-key; chmod 0755 /etc/ssh/any-key", text=f"#!/bin/sh\necho '{stray}'\n")
    with settings_of(site, OTHER_WAYS[way]):
        async with host_target(site) as target:
            held = await host_granted(site, target, number, tmp_path, bundle="everything")
            home = site.inside("getent", "passwd", held.role).split(":")[5]
            for name, text in (("authorized_keys", stray), ("authorized_principals", "G-OTHER2")):
                held.login(f"mkdir -p {home}/.ssh; echo '{text}' > {home}/.ssh/{name}; chmod -R go-rwx {home}")
            other = replace(held, key=tmp_path / "stray")
            wanted = wanted_certificate(
                " ".join(stray.split()[:2]), "G-OTHER2", *_span(site), "/usr/local/libexec/recovery-access session", ()
            )
            line = await Authority(site.entry.authority, tmp_path).sign(wanted)
            Path(f"{other.key}-cert.pub").write_text(f"{line}\n")
            assert other.login(certificate=False).returncode == 255, "by a key"
            assert other.login().returncode == 255, "by a certificate of somebody else's grant"
            assert held.login().returncode == 0
            assert isinstance(await held.end(), EndProof)


def _span(site: HostSite) -> tuple[float, float]:
    now = float(site.inside("date", "+%s"))
    return now, now + 300


TOLD = {
    "AllowUsers": ("AllowUsers root ada\n", "AllowUsers does not name bg_"),
    "AllowGroups": ("AllowGroups root wheel\n", "AllowGroups names no group of"),
    "DenyGroups": ("DenyGroups sudo\n", "DenyGroups names a group of everything"),
    "DenyUsers": ("DenyUsers bg_*\n", "DenyUsers names bg_"),
    "two factors": ("Match User !root,*\n    AuthenticationMethods publickey,password\n", "authenticationmethods"),
}


@pytest.mark.parametrize("what", list(TOLD))
async def test_what_sshd_would_refuse_is_told_before_an_account_is_made(site: HostSite, what: str) -> None:
    text, told = TOLD[what]
    with settings_of(site, f"{text}\n"):
        async with host_target(site) as target:
            # the console itself is let in by root's key: only accounts of grants are looked at
            with pytest.raises(EffectRefused, match=told):
                await armed_at(target, "G-AAAAA2", bundle="everything")
        assert "bg_g_aaaaa2" not in site.inside("cat", "/etc/passwd")


async def test_a_folder_that_others_may_write_is_told_as_what_keeps_sshd_from_asking(site: HostSite) -> None:
    site.inside("chmod", "g+w", "/usr/local")
    async with host_target(site) as target:
        with pytest.raises(EffectRefused, match="/usr/local can be written by others than root"):
            await armed_at(target, "G-AAAAA3")
    site.inside("chmod", "g-w", "/usr/local")


async def test_a_uid_under_which_something_runs_or_which_a_directory_has_is_never_given(
    site: HostSite, tmp_path: Path
) -> None:
    async with host_target(site) as target:
        before, _ = await armed_at(target, "G-AAAAA4")
        following = before.oid + 1
        words = ["setpriv", f"--reuid={following}", f"--regid={following}", "--clear-groups", "sleep", "300"]
        theirs = await asyncio.to_thread(
            subprocess.Popen, ["nsenter", "-t", str(site._init()), "-m", "-p", *words], stdout=subprocess.DEVNULL
        )
        site.inside("groupadd", "-g", str(following + 1), "others")
        try:
            await asyncio.sleep(0.3)
            after, _ = await armed_at(target, "G-AAAAA5")
            assert after.oid == following + 2
            await target.block(after.oid, deadline=8)
            assert await target.terminate(after.oid, {}, deadline=8) == {}
            assert theirs.poll() is None, "what is not of a grant goes on"
        finally:
            theirs.kill()
            theirs.wait()


@pytest.mark.parametrize(("most", "connections"), [(1, 9), (2, 6), (6, 3)])
async def test_an_end_is_proven_though_sshd_bears_few_refusals_and_with_as_few_as_can_be(
    site: HostSite, most: int, connections: int, tmp_path: Path
) -> None:
    with settings_of(site, f"MaxAuthTries {most}\n"):
        async with host_target(site) as target:
            held = await host_granted(site, target, f"G-AAAAA{'PQRSTUV'[most]}", tmp_path)
            before = len(site.log())
            proof = await held.end()
            assert isinstance(proof, EndProof)
            assert proof.refused == ("its certificate", "its key", "its serial")
            said = [line for line in site.log()[before:].splitlines() if "port" in line and "[preauth]" in line]
            ports = {line.rpartition("port ")[2].split()[0].rstrip(":") for line in said if held.role in line}
            assert len(ports) == connections, "each look is one connection, where sshd lets it be one"


async def test_a_certificate_that_an_authority_signed_with_sha_1_is_refused_as_that(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(tmp_path / "ca")], check=True)
    signer = tmp_path / "signer"
    signer.write_text(
        '#!/bin/sh\nssh-keygen -q -t "$9" -s "$1" -I "$3" -z "$4" -n "$5" -V "$6:$7" -O clear '
        '-O force-command="$8" "$2" && cat "${2%.pub}-cert.pub"\n'
    )
    signer.chmod(0o755)
    places = ("{public}", "{key_id}", "{serial}", "{principal}", "{after}", "{before}", "{command}")
    key = " ".join(new_key(tmp_path / "k").split()[:2])
    wanted = wanted_certificate(key, "G-AAAAAH", 1_795_000_000.0, 1_795_000_600.0, "true", ())
    for kind, told in (("ssh-rsa", "signed with ssh-rsa (SHA-1)"), ("rsa-sha2-256", "")):
        entry = AuthorityEntry(
            command=(str(signer), str(tmp_path / "ca"), *places, kind), public=str(tmp_path / "ca.pub")
        )
        authority = Authority(entry, tmp_path)
        if not told:
            assert (await authority.sign(wanted)).startswith("ssh-ed25519-cert-v01@openssh.com ")
            continue
        with pytest.raises(EffectRefused, match=re.escape(told)):
            await authority.sign(wanted)


def test_a_host_with_accounts_that_preparing_would_lock_out_is_left_as_it_is(site: HostSite) -> None:
    before = site.inside("sha256sum", "/etc/ssh/sshd_config", f"{SNIPPETS}/00-recovery-access.conf")
    site.inside("useradd", "-u", "1777", "bg_jobs")
    try:
        said = site.inside("sh", "-c", "sh /etc/prepare.sh 2>&1; echo ended with $?")
        assert "no grant made these accounts, and this would lock them out: bg_jobs" in said
        assert said.endswith("ended with 1\n")
        assert site.inside("sha256sum", "/etc/ssh/sshd_config", f"{SNIPPETS}/00-recovery-access.conf") == before
    finally:
        site.inside("userdel", "bg_jobs")


def test_an_include_of_one_other_file_is_no_include_of_ours_and_the_mode_of_the_file_stays(site: HostSite) -> None:
    config = site.inside("cat", "/etc/ssh/sshd_config")
    other = config.replace(f"Include {SNIPPETS}/*.conf", f"Include {SNIPPETS}/50-cloud-init.conf")
    assert other != config
    site.inside("sh", "-c", "cat > /etc/ssh/sshd_config; chmod 0600 /etc/ssh/sshd_config", text=other)
    site.inside("sh", "/etc/prepare.sh")
    assert site.inside("head", "-n", "1", "/etc/ssh/sshd_config") == f"Include {SNIPPETS}/00-recovery-access.conf\n"
    assert site.inside("stat", "-c", "%a", "/etc/ssh/sshd_config").strip() == "600"
    assert "authorizedkeysfile none" in site.inside("/usr/sbin/sshd", "-T", "-C", "user=bg_x,host=h,addr=127.0.0.1")
