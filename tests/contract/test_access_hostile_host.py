"""What a grantee may try on a host, and what a hostile host may tell."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.access.knocking import Knocking
from state.estate.hosts import SshHost
from state.granting.model import EndProof
from tests.contract.host_grants import armed_at, host_granted, host_target
from tests.support.host_site import HostSite, host_site, move_end

PROGRAM = "/usr/local/libexec/recovery-access"


@pytest.fixture(scope="module")
def site() -> Iterator[HostSite]:
    with tempfile.TemporaryDirectory() as folder, host_site(Path(folder)) as made:
        yield made


async def test_an_account_has_no_other_numbers_to_run_under(site: HostSite) -> None:
    """A process with one of those has another uid and can have another parent, environment and group."""
    async with host_target(site) as target:
        site.inside("sh", "-c", "touch /etc/subuid /etc/subgid")
        armed, role = await armed_at(target, "G-AAAAS2")
        assert role not in site.inside("cat", "/etc/subuid", "/etc/subgid")
        await target.block(armed.oid, deadline=8)
        await target.finish(armed.oid, deadline=8)


@pytest.mark.parametrize(
    "asked", ["accept 61000 0123456789ab", "recovery-access; id", "forced", "session", "principals root", "'"]
)
def test_the_key_of_the_console_does_nothing_but_what_the_console_does(site: HostSite, asked: str) -> None:
    told = site.inside("env", f"SSH_ORIGINAL_COMMAND=sudo recovery-access {asked}", PROGRAM, "forced", check=False)
    assert "uid=" not in told
    assert "known are" in told or not told, told


async def test_what_it_left_is_not_given_to_anybody(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAAS3", tmp_path)
        made = "echo evil > /tmp/krb5cc_0; mkdir /var/tmp/conf.d; cp /bin/true /tmp/up; chmod 6755 /tmp/up"
        assert held.login(made).returncode == 0
        assert isinstance(await held.end(), EndProof)
        told = site.inside("stat", "-c", "%u %a", "/tmp/krb5cc_0", "/var/tmp/conf.d", "/tmp/up").splitlines()
        assert [each.split()[0] for each in told] == [str(held.armed.oid)] * 3
        assert told[2].split()[1] == "755"


HIDES = {
    "respawns": "while :; do setsid sh -c 'sleep 0.02' & sleep 0.01; done",
    "another title": "exec -a 'sshd: root@notty' sleep 300",
    "no environment": "setsid env -i sleep 300 < /dev/null > /dev/null 2>&1 & sleep 300",
    "another user namespace": "setsid unshare -U sleep 300 & sleep 300",
    "deaf": "trap '' TERM HUP INT QUIT; sleep 300; sleep 300",
    "stopped": "sleep 300 & kill -STOP $!; kill -STOP $$",
    "a thousand words": "A=$(head -c 120000 /dev/zero | tr '\\0' x) sleep 300",
}


async def test_nothing_of_it_runs_after_its_end_however_it_hides(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        held = [
            await host_granted(site, target, f"G-AAAH{'ABCDEFGH'[n]}2", tmp_path, bundle="shell")
            for n in range(len(HIDES))
        ]
        sessions = [each.open(command=how) for each, how in zip(held, HIDES.values(), strict=True)]
        uids = {str(each.armed.oid) for each in held}
        for uid in uids:  # each has begun what it does
            async with asyncio.timeout(15):
                while (await _running(site)).count(uid) < 2:
                    await asyncio.sleep(0.1)
        for each in held:
            move_end(site, each.armed.oid, 2.0)
        ends = last = time.monotonic() + 2.0
        while time.monotonic() < ends + 7.0:
            at = time.monotonic()
            if uids & {*await _running(site)}:
                last = at
            await asyncio.sleep(0.25)
        assert last < ends + 5.0, f"{last - ends:.1f} s after the end"
        for session in sessions:
            session.kill()
            await asyncio.to_thread(session.wait)
        for each in held:
            assert isinstance(await each.end(), EndProof)


async def _running(site: HostSite) -> list[str]:
    """The uids of all processes there."""
    return (await asyncio.to_thread(site.inside, "ps", "-eo", "uid=")).split()


COMMANDS = ("id; cat /etc/passwd", "$(id)", "`id`", "\n id \n")


async def test_a_bundle_of_one_command_is_that_command(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAAC2", tmp_path, bundle="uptime")
        for asked in COMMANDS:
            done = await asyncio.to_thread(held.login, asked)
            assert "load average" in done.stdout
            assert "uid=" not in done.stdout + done.stderr
            assert "root:" not in done.stdout
        more = {"-N": "-L", "-T": "-R"}
        for first, way in more.items():
            words = held.words(first, "-o", "ExitOnForwardFailure=yes", way, f"127.0.0.1:0:127.0.0.1:{site.port}"
                               if way == "-R" else f"127.0.0.1:{site.port + 1}:127.0.0.1:{site.port}")  # fmt: skip
            process = await asyncio.create_subprocess_exec(
                *words, "id", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            if way == "-L":
                await asyncio.sleep(1)
                reader, writer = await asyncio.open_connection("127.0.0.1", site.port + 1)
                async with asyncio.timeout(5):
                    assert await reader.read(10) == b"", "nothing is forwarded"
                writer.close()
                process.kill()
            out = await process.communicate()
            assert b"uid=" not in out[0]
        sftp = await asyncio.to_thread(held.login, "internal-sftp")
        assert "load average" in sftp.stdout
        assert isinstance(await held.end(), EndProof)


BANNER = b"SSH-2.0-evil\r\n"


async def test_a_host_that_talks_without_end_fills_no_memory(tmp_path: Path) -> None:
    """Lines before its version are told by the client; a real banner is bounded in the same place."""
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while True:
                writer.write(b"Server accepts key: " + b"x" * 900 + b"\r\n")
                sent += 1
                await writer.drain()
        except OSError:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "known").write_text("")
    host = SshHost(address="127.0.0.1", port=port, user="x", known_hosts=str(tmp_path / "known"))
    doors = await Knocking(host, tmp_path).doors("bg_x", {"certificate": "ssh-ed25519 AAAA"}, deadline=3)
    assert sent > 10
    assert [each.accepted for each in doors] == [None]
    assert len(doors[0].told) <= 200
    server.close()
