"""Traps 36 to 42: what users of other tools met with access to hosts, on a real sshd."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.access.authority import Authority, wanted_certificate
from adapters.access.host_access import HostAccess
from state.changes.access_host import _means
from state.errors import EffectRefused
from state.estate.access import AuthorityEntry
from state.granting.certificates import amiss, parse_certificate
from state.granting.model import EndObstacle, EndProof, NotEnded, ResidueKind, TargetState
from tests.contract.host_grants import armed_at, host_granted, host_target, new_key, told_until
from tests.support.host_site import HostSite, host_site, move_end

SESSION = "/usr/local/libexec/recovery-access session"
PROGRAM = "/usr/local/libexec/recovery-access"


@pytest.fixture(scope="module")
def site() -> Iterator[HostSite]:
    with tempfile.TemporaryDirectory() as folder, host_site(Path(folder)) as made:
        yield made


def authority(site: HostSite, folder: Path) -> Authority:
    return Authority(site.entry.authority, folder)


async def test_access_trap_36_an_open_session_outlives_its_certificate_and_is_ended_by_the_host_alone(
    site: HostSite, tmp_path: Path
) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAA36", tmp_path)
        session = held.open()
        await told_until(held, ["sleep"])
        move_end(site, held.armed.oid, 2.0)  # nobody of ours asks the host for anything from here on
        assert await asyncio.to_thread(session.wait, 15) == 255
        assert held.login().returncode == 255
        seen = await held.seen()
        role = seen.role(held.armed.oid)
        assert role is not None, "it is not over because its time is: that is for the proof to say"
        assert (role.state, role.can_login, seen.sessions[held.armed.oid]) == (TargetState.ENDING, False, [])
        assert isinstance(await held.end(), EndProof)


async def test_access_trap_37_the_end_is_exact_and_not_yet_valid_names_both_clocks(
    site: HostSite, tmp_path: Path
) -> None:
    wanted = wanted_certificate(new_key(tmp_path / "k"), "G-AAAA37", 1_795_000_000.0, 1_795_000_600.0, SESSION, ())
    wanted = replace(wanted, key=" ".join(wanted.key.split()[:2]))
    made = parse_certificate(await authority(site, tmp_path).sign(wanted))
    assert made.before == 1_795_000_600.0
    assert made.after < wanted.now
    early = amiss(replace(made, after=wanted.now + 90), wanted)
    assert "not yet valid" in early
    assert "by the clock of who signed; the host's clock says" in early
    assert "asked for was" in amiss(replace(made, before=made.before + 1), wanted)


async def test_access_trap_38_no_certificate_without_principals_is_signed_or_handed_on(
    site: HostSite, tmp_path: Path
) -> None:
    key = " ".join(new_key(tmp_path / "k").split()[:2])
    wanted = wanted_certificate(key, "G-AAAA38", 1_795_000_000.0, 1_795_000_600.0, SESSION, ())
    with pytest.raises(EffectRefused, match="without principal"):
        await authority(site, tmp_path).sign(replace(wanted, principal=""))
    careless = tmp_path / "careless"
    careless.write_text(
        '#!/bin/sh\nssh-keygen -q -s "$1" -I G-AAAA38 -z "$3" -V "$4:$5" -O clear "$2" && cat "${2%.pub}-cert.pub"\n'
    )
    careless.chmod(0o755)
    words = (str(careless), str(site.folder / "ca"), "{public}", "{serial}", "{after}", "{before}")
    entry = AuthorityEntry(command=words, public=str(site.folder / "ca.pub"))
    with pytest.raises(EffectRefused, match="names no principal: it would be good for every account"):
        await Authority(entry, tmp_path).sign(wanted)


async def test_a_command_of_the_estate_signs_what_was_asked_for(site: HostSite, tmp_path: Path) -> None:
    key = " ".join(new_key(tmp_path / "k").split()[:2])
    wanted = wanted_certificate(key, "G-AAAA3B", 1_795_000_000.0, 1_795_000_600.0, SESSION, ("permit-pty",))
    signer = tmp_path / "signer"
    signer.write_text(
        '#!/bin/sh\nssh-keygen -q -s "$1" -I "$3" -z "$4" -n "$5" -V "$6:$7" -O clear -O permit-pty '
        '-O force-command="$8" "$2" && cat "${2%.pub}-cert.pub"\n'
    )
    signer.chmod(0o755)
    places = ("{public}", "{key_id}", "{serial}", "{principal}", "{after}", "{before}", "{command}")
    words = (str(signer), str(site.folder / "ca"), *places)
    entry = AuthorityEntry(command=words, public=str(site.folder / "ca.pub"))
    assert amiss(parse_certificate(await Authority(entry, tmp_path).sign(wanted)), wanted) == ""
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    entry = AuthorityEntry(command=(str(signer), str(other), *places), public=str(site.folder / "ca.pub"))
    with pytest.raises(EffectRefused, match="signed by another key"):
        await Authority(entry, tmp_path).sign(wanted)


async def test_access_trap_39_revocation_is_proven_by_refused_logins_by_key_and_by_serial(
    site: HostSite, tmp_path: Path
) -> None:
    """The door is held open, so that nothing but the file of revoked keys is in the way."""
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAA39", tmp_path)
        doors = await target._doors(_grant(await target._facts([held.armed.oid], 8), held.armed.oid), 8)
        assert [each.accepted for each in doors] == [True, True, True]
        door = f"/var/lib/recovery-access/doors/{held.role}"
        was = site.inside("cat", door)
        await target.block(held.armed.oid, deadline=8)
        site.inside("tee", door, text=was)
        site.inside("usermod", "-p", "*", "-e", "", held.role)
        doors = await target._doors(_grant(await target._facts([held.armed.oid], 8), held.armed.oid), 8)
        assert {each.name: each.accepted for each in doors} == {
            "its certificate": False, "its key": False, "its serial": False
        }  # fmt: skip
        assert site.log().count("revoked by file /etc/ssh/recovery_revoked") >= 3
        site.inside("ssh-keygen", "-q", "-k", "-f", "/etc/ssh/recovery_revoked", "-s", "/etc/ssh/recovery_ca.pub",
                    "/dev/null")  # fmt: skip
        ending = await held.end(tries=1)
        assert isinstance(ending, NotEnded | EndProof)
        assert isinstance(await held.end(), EndProof), "the file is made anew and the door shut by the end itself"


def _grant(facts: object, oid: int) -> object:
    return facts.grants[oid]  # type: ignore[attr-defined]


class Unblockable(HostAccess):
    """A host that refuses to close a login."""

    async def block(self, oid: int, *, deadline: float) -> None:
        raise EffectRefused("web1: no space left on device", "host-refused")


async def test_a_certificate_that_is_still_let_in_is_no_end(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAA3C", tmp_path)
        await target.block(held.armed.oid, deadline=8)
        door = f"/var/lib/recovery-access/doors/{held.role}"
        told = '{"principal": "G-AAAA3C", "until": 9999999999, "bundle": "shell"}'
        for words in (["tee", door], ["usermod", "-p", "*", "-e", "", held.role],
                      ["ssh-keygen", "-q", "-k", "-f", "/etc/ssh/recovery_revoked", "-s", "/etc/ssh/recovery_ca.pub",
                       "/dev/null"]):  # fmt: skip
            site.inside(*words, text=told)
        stuck = Unblockable("web1", site.entry, target._command, target._authority, target._knocking)
        found = await replace(held, target=stuck).end(tries=1)
        assert isinstance(found, NotEnded)
        assert found.obstacle is EndObstacle.LOGIN
        assert "is still let in: its certificate, its key, its serial" in found.told
        assert "usermod -L -e 1" in found.way_out
        assert isinstance(await held.end(), EndProof), "where it can be closed it is closed again"


async def test_a_host_that_does_not_answer_is_no_end(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAA3D", tmp_path)
        site.inside("mv", "/usr/local/libexec/recovery-access", "/usr/local/libexec/away")
        found = await held.end(tries=1)
        site.inside("mv", "/usr/local/libexec/away", "/usr/local/libexec/recovery-access")
        assert isinstance(found, NotEnded)
        assert found.obstacle is EndObstacle.UNREAD
        assert found.sessions is None, "nothing is known of them"
        assert isinstance(await held.end(), EndProof)


async def test_access_trap_40_the_revocation_file_is_replaced_whole_and_readable(
    site: HostSite, tmp_path: Path
) -> None:
    async with host_target(site) as target:
        first = await host_granted(site, target, "G-AAAA4A", tmp_path)
        second = await host_granted(site, target, "G-AAAA4B", tmp_path)
        before = site.inside("stat", "-c", "%i", "/etc/ssh/recovery_revoked")
        assert isinstance(await first.end(), EndProof)
        after = site.inside("stat", "-c", "%i %a", "/etc/ssh/recovery_revoked").split()
        assert after[0] != before.strip(), "another file in its place, never a half-written one"
        assert after[1] == "644"
        assert second.login().returncode == 0, "nobody else was locked out"
        site.inside("rm", "/etc/ssh/recovery_revoked")  # sshd refuses every key of bg_* then: and we say why
        assert "recovery_revoked is not there" in (await second.seen()).unable
        assert second.login().returncode == 255
        assert isinstance(await second.end(), EndProof)
        assert site.inside("stat", "-c", "%a", "/etc/ssh/recovery_revoked").strip() == "644"


async def test_access_trap_41_what_is_detached_re_parented_or_of_another_uid_is_seen_and_ended(
    site: HostSite, tmp_path: Path
) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAABA2", tmp_path, bundle="ports", waits=False)
        control = tmp_path / "mux"
        port = site.port + 1
        master = held.open("-M", "-S", str(control), "-R", f"127.0.0.1:{port}:127.0.0.1:9")
        await told_until(held, ["sleep", f"listens on {port}"])
        through = ["ssh", "-F", "none", "-S", str(control), f"{held.role}@127.0.0.1"]
        assert subprocess.run([*through, "true"], capture_output=True, timeout=20, check=False).returncode == 0
        assert held.login("setsid -f sleep 401 >/dev/null 2>&1").returncode == 0
        site.inside("sh", "-c", "RECOVERY_GRANT=G-AAABA2 setsid -f sleep 402 >/dev/null 2>&1")  # as sudo -E leaves it
        await told_until(held, ["sleep 401", "re-parented", "sleep 402", "as uid 0"])
        await target.block(held.armed.oid, deadline=8)
        with pytest.raises(EffectRefused, match="processes run under it"):
            await target.finish(held.armed.oid, deadline=8)
        assert held.role in site.inside("cat", "/etc/passwd"), "no account goes while something runs under it"
        assert isinstance(await held.end(), EndProof)
        assert master.wait(10) == 255
        assert subprocess.run([*through, "true"], capture_output=True, timeout=20, check=False).returncode == 255
        assert "sleep 40" not in site.inside("ps", "ax")
        again, _ = await armed_at(target, "G-AAABA3")
        assert again.oid > held.armed.oid, "no uid is given twice"
        await target.block(again.oid, deadline=8)
        await target.finish(again.oid, deadline=8)


async def test_access_trap_41_what_would_begin_later_is_put_aside_and_told(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAA42", tmp_path)
        uid, role = str(held.armed.oid), held.role
        site.inside("sh", "-c", f"echo '* * * * * sleep 1' > /var/spool/cron/crontabs/{role}; "
                    f"echo sleep > /var/spool/cron/atjobs/a0001; chown {uid} /var/spool/cron/crontabs/{role} "
                    f"/var/spool/cron/atjobs/a0001; touch /var/lib/systemd/linger/{role}")  # fmt: skip
        assert held.login("mkdir -p ~/.config/systemd/user; touch ~/.config/systemd/user/x.service; "
                          "cp /bin/true /tmp/run; chmod u+s /tmp/run; touch /var/tmp/mine").returncode == 0  # fmt: skip
        proof = await held.end()
        assert isinstance(proof, EndProof), proof
        kinds = {each.kind for each in proof.residue}
        assert {ResidueKind.CRONTAB, ResidueKind.AT_JOB, ResidueKind.LINGERING, ResidueKind.USER_UNIT,
                ResidueKind.SETUID, ResidueKind.OWNED} <= kinds  # fmt: skip
        assert site.inside("sh", "-c", "ls /var/spool/cron/crontabs /var/spool/cron/atjobs /var/lib/systemd/linger | "
                           "grep -c . ; true").split() == ["3"]  # fmt: skip
        assert site.inside("stat", "-c", "%u %a", "/tmp/run").split() == [uid, "755"]
        assert site.inside("stat", "-c", "%u", "/var/tmp/mine").strip() == uid, "given to root it would be believed"


async def test_access_trap_41_keys_added_elsewhere_hold_the_end_until_they_are_resolved(
    site: HostSite, tmp_path: Path
) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAA43", tmp_path, bundle="everything")
        public = new_key(tmp_path / "second")
        site.inside("sh", "-c", f"mkdir -p /root/.ssh /etc/sudoers.d; echo '{public}' >> /root/.ssh/authorized_keys; "
                    "useradd -M -G sudo helper; echo 'helper ALL=(ALL) ALL' > /etc/sudoers.d/helper")  # fmt: skip
        found = await held.end(tries=2)
        assert isinstance(found, NotEnded), found
        assert found.obstacle is EndObstacle.RESIDUE
        for word in (
            "authorized-keys",
            "account helper is new",
            "/etc/sudoers.d/helper is new",
            "recovery-access accept",
        ):
            assert word in f"{found.told} {found.way_out}"
        assert (await held.seen()).sessions[held.armed.oid] == [], "nobody is in while that is looked at"
        assert any(each.role == "helper" and not each.ours for each in (await held.seen()).roles), "not ours"
        site.inside("sh", "-c", "userdel helper; rm -r /etc/sudoers.d/helper")
        left = [each for each in await target.residue(held.armed.oid, "", deadline=8)
                if each.kind in (ResidueKind.AUTHORIZED_KEYS, ResidueKind.HOST_FILE)]  # fmt: skip
        for each in left:
            site.inside(PROGRAM, "accept", str(held.armed.oid), each.thing.rpartition("[")[2].rstrip("]"))
        assert isinstance(await held.end(), EndProof)


async def test_access_trap_42_a_session_record_says_what_it_cannot_see(site: HostSite, tmp_path: Path) -> None:
    assert any("not what is typed unseen" in each for each in _means(site.entry.bundles["watched"]))
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAA44", tmp_path, bundle="watched")
        assert held.login("echo unrecorded").stdout.strip() == "unrecorded"
        typed = subprocess.run(
            [*held.words("-tt")],
            input="echo re''corded\nexit\n",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert "recorded" in typed.stdout
        record = site.inside("sh", "-c", "cat /var/log/recovery-access/G-AAAA44/*")
        assert "recorded" in record
        assert "unrecorded" not in record, "a command without a terminal is not in it, as the card says"
        assert isinstance(await held.end(), EndProof)


async def test_a_forced_command_is_all_that_its_certificate_gives(site: HostSite, tmp_path: Path) -> None:
    assert shutil.which("uptime")
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAA45", tmp_path, bundle="uptime")
        done = held.login("cat /etc/passwd")
        assert "load average" in done.stdout
        assert "root:" not in done.stdout
        assert isinstance(await held.end(), EndProof)


async def test_a_host_that_lost_its_record_still_ends_it_and_says_that_no_login_was_tried(
    site: HostSite, tmp_path: Path
) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAABA4", tmp_path)
        session = held.open()
        await told_until(held, ["sleep"])
        site.inside("rm", f"/var/lib/recovery-access/grants/{held.armed.oid}.json")
        seen = await held.seen()
        assert any(each.role == held.role and not each.ours for each in seen.roles), "like ours, without a mark"
        proof = await held.end()
        assert isinstance(proof, EndProof), proof
        assert proof.refused == ()
        assert session.wait(10) == 255
        assert held.login().returncode == 255
        assert held.role not in site.inside("cat", "/etc/passwd")


async def test_links_of_a_hostile_grantee_lead_the_end_nowhere(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAABA5", tmp_path)
        site.inside("sh", "-c", "mkdir -p /etc/systemd/user; echo theirs > /etc/systemd/user/own.service; "
                    "echo secret > /srv/theirs; chmod 0640 /srv/theirs")  # fmt: skip
        before = site.inside("stat", "-c", "%U %a %i", "/etc/systemd/user/own.service", "/srv/theirs", "/etc/passwd")
        made = held.login(
            "mkdir ~/.config; ln -s /etc/systemd ~/.config/systemd; ln -s /etc/passwd ~/x.service; "
            "ln -s /srv/theirs /tmp/link; mkdir /tmp/deep; ln -s /srv /tmp/deep/down; mkfifo /tmp/deep/pipe; echo in"
        )
        assert made.stdout.strip() == "in"
        proof = await held.end()
        assert isinstance(proof, EndProof), proof
        after = site.inside("stat", "-c", "%U %a %i", "/etc/systemd/user/own.service", "/srv/theirs", "/etc/passwd")
        assert after.splitlines()[:2] == before.splitlines()[:2]
        assert after.splitlines()[2].split()[:2] == before.splitlines()[2].split()[:2]


async def test_logins_and_accounts_that_no_grant_made_are_told_and_the_consoles_own_is_not(site: HostSite) -> None:
    async with host_target(site) as target:
        assert not [each for each in (await target.seen([], deadline=8)).roles if each.role == "root"]
        other = subprocess.Popen(
            ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={site.folder / 'known_hosts'}",
             "-i", str(site.folder / "client_key"), "-p", str(site.port), "root@127.0.0.1", "sleep 300"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        site.inside("sh", "-c", "useradd -M -G sudo helper")
        try:
            for _ in range(100):
                told = {each.role: each for each in (await target.seen([], deadline=8)).roles if not each.ours}
                if {"root", "helper"} <= set(told):
                    break
                await asyncio.sleep(0.1)
            assert told["root"].rights == "1 login over ssh now"
            assert told["helper"].rights == "member of sudo"
        finally:
            other.kill()
            other.wait()
            site.inside("userdel", "helper")
