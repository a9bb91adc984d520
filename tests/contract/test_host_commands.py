"""Commands on a host, over a real sshd: what an account that runs nothing answers is no answer of the command."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from adapters.commands.command import HostPlace, OwnCommand
from adapters.commands.own_checks import CommandSource
from adapters.concealed import Concealed
from adapters.net.ssh import SshConnections
from state.errors import EffectUnknown, ReadFailure
from state.estate.own_checks import CommandCheck
from tests.support.own_estate import script
from tests.support.sshd import Sshd

NOLOGIN = "print('This account is currently not available.'); sys.exit(1)"


async def asked(sshd: Sshd, forced: str) -> list[str]:
    """What a reading, a check and a command say to an account with this forced command."""
    said: list[str] = []
    sshd.force(forced)
    made = SshConnections({"app1": sshd.host}, sshd.folder)
    command = OwnCommand("commands/x", HostPlace(sshd.folder, made.to("app1")), (0,), Concealed(()))
    check = CommandSource("c", CommandCheck(argv=("/bin/false",), on="app1"), command)
    try:
        for asking in (command.read(["/bin/false"], effect="", deadline=60), check.read(deadline=60)):
            with pytest.raises(ReadFailure, match="did not start it") as unread:
                await asking
            said.append(unread.value.message)
        with pytest.raises(EffectUnknown, match="did not start it") as unknown:
            await command.run(["/usr/bin/true"], command.output(), effect="R-1", deadline=60)
        said.append(unknown.value.message)
    finally:
        await made.close()
        sshd.allow()
    return said


async def test_a_refused_account_is_no_answer_of_the_command(sshd: Sshd) -> None:
    for message in await asked(sshd, script(sshd.folder, "nologin", NOLOGIN)):
        assert message.endswith("exit code 1: This account is currently not available.")


@pytest.mark.parametrize("code", [0, 1])
async def test_nor_is_a_forced_command_that_does_something_else(sshd: Sshd, code: int) -> None:
    assert len(await asked(sshd, f"/bin/{'false' if code else 'true'}")) == 3


async def test_what_a_login_shell_says_before_it_is_kept_and_the_command_is_read(sshd: Sshd, tmp_path: Path) -> None:
    noisy = tmp_path / "noisy"
    noisy.write_text('#!/bin/sh\necho -n "hello "\necho there >&2\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    noisy.chmod(0o755)
    sshd.force(str(noisy))
    made = SshConnections({"app1": sshd.host}, sshd.folder)
    command = OwnCommand("commands/x", HostPlace(sshd.folder, made.to("app1")), (0,), Concealed(()))
    try:
        answer = await command.read(["/bin/sh", "-c", "echo not so; exit 1"], effect="R-1", deadline=60)
        output = command.output()
        receipt = await command.run(["/usr/bin/printf", "%s %s", "it's", "done"], output, effect="R-1", deadline=60)
    finally:
        await made.close()
        sshd.allow()
    assert (answer.code, answer.said, answer.warned) == (1, "hello not so", "there")
    assert "it's done" in receipt.message
    assert " ".join(output.lines()).count("hello") == 1


async def test_what_holds_the_output_of_a_command_is_named(sshd: Sshd) -> None:
    made = SshConnections({"app1": sshd.host}, sshd.folder)
    command = OwnCommand("commands/x", HostPlace(sshd.folder, made.to("app1")), (0,), Concealed(()))
    output = command.output()
    try:
        with pytest.raises(EffectUnknown, match="has not ended while that holds its output"):
            await command.run(["/bin/sh", "-c", "sleep 30 & echo $!"], output, effect="R-1", deadline=4)
    finally:
        await made.close()
        for pid in filter(str.isdigit, output.lines()):
            os.kill(int(pid), signal.SIGKILL)
    assert output.lines()[0].isdigit(), "it had ended at once"
