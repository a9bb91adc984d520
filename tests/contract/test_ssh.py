"""The kept connection to a host, against a real sshd."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.commands.command import HostPlace, OwnCommand
from adapters.concealed import Concealed
from adapters.net.socket_folder import SocketFolder
from adapters.net.ssh import SshConnection, SshConnections
from state.errors import ReadFailure, Trouble
from state.estate.hosts import HostWaivers, SshHost
from tests.support.ports import free_port
from tests.support.sshd import Sshd

HOSTILE = ["; echo no", "a\nb", "$(id)", "`id`", "--help", "-x", "'\"\\", "*", "~", "", "grün ☃", "$HOME", "a & b"]


@pytest.fixture
async def connections(sshd: Sshd) -> AsyncIterator[SshConnections]:
    made = SshConnections({"app1": sshd.host}, sshd.folder)
    yield made
    await made.close()


async def run(connection: SshConnection, remote: list[str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *connection.argv(remote), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_every_argument_reaches_the_remote_argv_as_text(connections: SshConnections) -> None:
    app = connections.to("app1")
    await app.connect(deadline=60)
    code, out = await run(app, ["printf", "[%s]\n", *HOSTILE])
    assert (code, out) == (0, "".join(f"[{each}]\n" for each in HOSTILE))
    with pytest.raises(ValueError, match="NUL"):
        app.argv(["printf", "a\0b"])


@pytest.mark.parametrize("shell", ["fish", "tcsh", "zsh"])
async def test_no_login_shell_reads_an_argument(shell: str, sshd: Sshd) -> None:
    evil = [*HOSTILE, f"\\'\"; touch {sshd.folder}/INJECTED; #", f"a\ntouch {sshd.folder}/INJECTED\nb", "a!b"]
    as_that_shell = sshd.folder / f"as-{shell}"  # as sshd starts the shell of an account
    as_that_shell.write_text(f'#!/bin/sh\nexec {shell} -c "$SSH_ORIGINAL_COMMAND"\n')
    as_that_shell.chmod(0o755)
    sshd.force(str(as_that_shell))
    made = SshConnections({"app1": sshd.host}, sshd.folder)
    try:
        await made.to("app1").connect(deadline=60)
        code, out = await run(made.to("app1"), ["printf", "[%s]\n", *evil])
    finally:
        await made.close()
        sshd.allow()
    assert (code, out) == (0, "".join(f"[{each}]\n" for each in evil))
    assert not (sshd.folder / "INJECTED").exists()


def reading(sshd: Sshd, hosts: SshConnections) -> OwnCommand:
    return OwnCommand("commands/c", HostPlace(sshd.folder, hosts.to("app1")), (0,), Concealed(()))


async def test_an_account_that_runs_nothing_is_no_reading(sshd: Sshd) -> None:
    """A locked account, or the forced command of a key for tunnels, gives 1 for everything."""
    for forced in ("/bin/false", "echo This account is currently not available.; exit 1"):
        sshd.force(forced)
        made = SshConnections({"app1": sshd.host}, sshd.folder)
        try:
            with pytest.raises(ReadFailure, match="exit code 1") as failed:
                await reading(sshd, made).read(["test", "-e", "/"], effect="", deadline=60)
            assert failed.value.trouble is Trouble.DENIED
        finally:
            await made.close()
            sshd.allow()


async def test_an_exit_code_of_the_command_itself_is_believed(sshd: Sshd) -> None:
    made = SshConnections({"app1": sshd.host}, sshd.folder)
    try:
        answer = await reading(sshd, made).read(["test", "-e", "/nowhere"], effect="", deadline=60)
        assert answer.code == 1
    finally:
        await made.close()


async def test_with_sent_variables_what_shells_read_differently_is_refused(sshd: Sshd) -> None:
    send = SshConnections({"app1": sshd.host.model_copy(update={"environment": "send"})}, sshd.folder).to("app1")
    assert send.argv(["/opt/restart", "a b", "x"])[-1] == "/opt/restart 'a b' x"
    for text in ("it's", "a\\b", "a!b", "a\nb"):
        with pytest.raises(ValueError, match="environment: send"):
            send.argv(["/opt/restart", text])


async def test_all_commands_share_one_connection_and_it_ends_with_close(
    connections: SshConnections, sshd: Sshd
) -> None:
    before = sshd.sessions()
    app = connections.to("app1")
    for _ in range(3):
        await app.connect(deadline=60)
        assert (await run(app, ["false"]))[0] == 1
    assert len(sshd.sessions() - before) == 1
    await app.close()
    code, out = await run(app, ["echo", "reached"])
    assert (code, out) == (255, "")  # no connection of its own without the kept one
    async with asyncio.timeout(60):
        while sshd.sessions() - before:
            await asyncio.sleep(0.05)


async def test_a_lost_connection_is_made_again(connections: SshConnections, sshd: Sshd) -> None:
    app = connections.to("app1")
    await app.connect(deadline=60)
    for pid in sshd.sessions():
        os.kill(pid, 9)
    async with asyncio.timeout(60):
        while (await run(app, ["true"]))[0] != 0:
            await app.connect(deadline=60)


async def test_a_host_whose_key_is_not_known_is_refused_and_used_only_with_a_waiver(sshd: Sshd, tmp_path: Path) -> None:
    other = tmp_path / "known_hosts"
    kind, key = (sshd.folder / "client_key.pub").read_text().split()[:2]  # some other key
    other.write_text(f"[127.0.0.1]:{sshd.port} {kind} {key}\n")
    unknown = sshd.host.model_copy(update={"known_hosts": str(other)})
    waived = unknown.model_copy(update={"waive": HostWaivers(host_key="a host of this test alone")})
    made = SshConnections({"unknown": unknown, "waived": waived}, sshd.folder)
    try:
        with pytest.raises(ReadFailure) as refused:
            await made.to("unknown").connect(deadline=60)
        assert refused.value.trouble is Trouble.DENIED
        await made.to("waived").connect(deadline=60)
    finally:
        await made.close()


async def test_no_connection_says_why(sshd: Sshd) -> None:
    closed = sshd.host.model_copy(update={"port": free_port()})
    stranger = sshd.host.model_copy(update={"identity": str(sshd.folder / "host_key")})
    made = SshConnections({"closed": closed, "stranger": stranger}, sshd.folder)
    try:
        with pytest.raises(ReadFailure, match=r"closed: ssh: .*refused") as nobody:
            await made.to("closed").connect(deadline=60)
        assert nobody.value.trouble is Trouble.UNREACHABLE
        with pytest.raises(ReadFailure, match="Permission denied") as denied:
            await made.to("stranger").connect(deadline=60)
        assert denied.value.trouble is Trouble.DENIED
    finally:
        await made.close()


async def test_a_mute_host_is_a_timeout_and_leaves_no_process(tmp_path: Path) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = SshConnections({"mute": SshHost(address="127.0.0.1", port=port)}, tmp_path)
    try:
        with pytest.raises(ReadFailure, match="no connection within") as slow:
            await made.to("mute").connect(deadline=0.5)
        assert slow.value.trouble is Trouble.TIMEOUT
    finally:
        await made.close()
        server.close()


async def test_a_unix_socket_behind_the_host_is_reached(connections: SshConnections, sshd: Sshd) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    app = connections.to("app1")
    unix = await asyncio.start_unix_server(echo, sshd.folder / "behind.sock")
    tcp = await asyncio.start_server(echo, "127.0.0.1", 0)
    for remote in (str(sshd.folder / "behind.sock"), f"127.0.0.1:{tcp.sockets[0].getsockname()[1]}"):
        local = await app.forward(remote, deadline=60)
        assert local == await app.forward(remote, deadline=60)
        assert os.stat(local).st_mode & 0o077 == 0
        reader, writer = await asyncio.open_unix_connection(local)
        writer.write(b"show info\n")
        assert await reader.readline() == b"show info\n"
        writer.close()
    unix.close()
    tcp.close()


async def test_the_folder_is_private_and_gone_afterwards(connections: SshConnections) -> None:
    app = connections.to("app1")
    await app.connect(deadline=60)
    folder = Path(app.argv(["true"])[app.argv(["true"]).index("-S") + 1]).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    await connections.close()
    assert not folder.exists()


async def test_what_a_killed_process_left_is_removed_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A living one's stays, whatever /proc shows of it."""
    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        code = (
            "from adapters.net.socket_folder import SocketFolder\n"
            "made = SocketFolder(); made.stand(); print(made.path, flush=True); input()\n"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as other:
            assert other.stdout is not None
            left = Path(other.stdout.readline().strip())
            SocketFolder().stand()
            assert left.is_dir()
            other.kill()
        SocketFolder().stand()
        assert not left.exists()


async def test_a_folder_that_somebody_removed_is_made_anew(connections: SshConnections) -> None:
    """The runtime folder of an account goes when it has logged out everywhere: before, every host was lost for ever."""
    app = connections.to("app1")
    await app.connect(deadline=60)
    folder = Path(app.argv(["true"])[app.argv(["true"]).index("-S") + 1]).parent
    shutil.rmtree(folder)
    ours = OwnCommand("commands/c", HostPlace(folder.parent, app), (0,), Concealed(()))
    assert (await ours.read(["echo", "back"], effect="", deadline=60)).said == "back"
