"""What who could become root leaves on a host holds the end up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from state.granting.model import EndObstacle, EndProof, NotEnded
from tests.contract.host_grants import host_granted, host_target
from tests.support.host_site import HostSite, host_site

MINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOJyWYGlHNhvaUn0zf4rAWBqNA6xpVOHn8u17FmPBqHC mine"
LEFT = {
    "account mallory is new": "useradd -m mallory; echo mallory:known | chpasswd",
    "group sudo is another one": "usermod -aG sudo games",
    "password of root in /etc/shadow is another one": "echo root:known | chpasswd",
    "further ids of x in /etc/subuid is new": "echo x:1:1 >> /etc/subuid",
    "/var/spool/cron/crontabs/root is new": "echo '* * * * * id' > /var/spool/cron/crontabs/root",
    "job /var/spool/cron/atjobs/a1 is new": "echo id > /var/spool/cron/atjobs/a1",
    "/etc/systemd/system/ssh.service.d/x.conf is new": "cd /etc/systemd/system; mkdir ssh.service.d; "
    "echo '[Service]' > ssh.service.d/x.conf",
    "/etc/cron.weekly/more is new": "mkdir -p /etc/cron.weekly; echo id > /etc/cron.weekly/more",
    "/etc/update-motd.d/99 is new": "mkdir -p /etc/update-motd.d; echo id > /etc/update-motd.d/99",
    "/etc/environment is ": "echo A=b >> /etc/environment",
    "/etc/rc.local is new": "echo id > /etc/rc.local",
    "/etc/ssh/user_keys/root is new": f"mkdir /etc/ssh/user_keys; echo '{MINE}' > /etc/ssh/user_keys/root",
    "/etc/ssh/more.conf is new": "echo 'PermitRootLogin yes' > /etc/ssh/more.conf",
    "/etc/alternatives/more is new": "mkdir -p /etc/alternatives; ln -s /bin/true /etc/alternatives/more",
    "/root/.bash_profile is new": "echo true > /root/.bash_profile",
    "a line of /root/.ssh/rc that was not there before": "mkdir -p /root/.ssh; echo true > /root/.ssh/rc",
    "what is in /usr/local/bin is new": "mkdir /usr/local/bin; cp /bin/true /usr/local/bin/ls",
    "/opt/sh of another owner has got the rights": "cp /bin/true /opt/sh; chmod 4755 /opt/sh",
}
"""What is told of a thing, and how it comes there."""


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[HostSite]:
    place = folder / "host-left"
    place.mkdir()
    with host_site(place) as running:
        yield running


async def test_of_a_quiet_host_nothing_is_told(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        grant = await host_granted(site, target, "G-QUAET2", tmp_path, "everything")
        assert grant.login("ls / > /dev/null; echo hello").returncode == 0
        site.inside("sh", "-c", "date > /var/log/messages; mkdir -p /srv/data; echo x > /srv/data/x")
        proof = await grant.end()
        assert isinstance(proof, EndProof), proof
        assert proof.residue == ()


async def test_what_root_leaves_holds_the_end_up_each_thing_by_its_name(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        grant = await host_granted(site, target, "G-RAATED", tmp_path, "everything")
        uid = grant.armed.oid
        for told, command in LEFT.items():
            before = {each.thing for each in await target.residue(uid, grant.role, deadline=9)}
            site.inside("sh", "-c", command)
            new = [each.thing for each in await target.residue(uid, grant.role, deadline=9) if each.thing not in before]
            assert any(each.startswith(told) for each in new), (told, new)
            assert len(new) <= 3, "one thing is not told as many"
        found = await grant.end(tries=2)
        assert isinstance(found, NotEnded)
        assert (found.obstacle, "recovery-access accept" in found.way_out) == (EndObstacle.RESIDUE, True)
        assert "account mallory is new" in found.told


async def test_who_may_use_sudo_by_any_line_of_the_host_counts_as_root(site: HostSite, tmp_path: Path) -> None:
    """The bundle says nothing of it, and its group is none that is known for it."""
    rule = "printf '%s\\n' '%games ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/games; chmod 0440 /etc/sudoers.d/games"
    site.inside("sh", "-c", rule)
    async with host_target(site) as target:
        grant = await host_granted(site, target, "G-GAMERS", tmp_path, "games")
        site.inside("sh", "-c", "echo true > /etc/profile.d/left.sh")
        found = await grant.end(tries=2)
        assert isinstance(found, NotEnded), found
        assert "/etc/profile.d/left.sh is new" in found.told
        site.inside("rm", "/etc/profile.d/left.sh", "/etc/sudoers.d/games")
        found = await grant.end(tries=2)
        assert isinstance(found, NotEnded), "the rule is gone, which is a difference too"
        site.inside("sh", "-c", rule)
        assert isinstance(await grant.end(), EndProof)
    site.inside("rm", "/etc/sudoers.d/games")
