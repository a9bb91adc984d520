"""The program of the cookbook's recipe "Renew a certificate", as it stands there: only the new certificate passes."""

from __future__ import annotations

import re
import ssl
import subprocess
from asyncio import Server, StreamReader, StreamWriter, start_server, to_thread
from pathlib import Path

import pytest

from tests.support.certificates import Authority, Certified
from tests.support.cookbook import COOKBOOK

NAME = "shop.example"
YES, NO = 0, 3


@pytest.fixture
def program(tmp_path: Path) -> Path:
    recipe = COOKBOOK.read_text().partition("### Renew a certificate")[2].partition("\n### ")[0]
    written = re.search(r"```sh\n(#!/bin/sh\n# /usr/local/libexec/recovery/certificate .*?)```", recipe, re.DOTALL)
    assert written is not None
    file = tmp_path / "certificate"
    file.write_text(written[1].replace("/etc/letsencrypt/live", str(tmp_path / "live")))
    (tmp_path / "live" / NAME).mkdir(parents=True)
    return file


def holds(program: Path, certificate: Certified) -> None:
    """certbot's file is this certificate now."""
    (program.parent / "live" / NAME / "cert.pem").write_bytes(certificate.cert.read_bytes())


def says(program: Path, *args: str) -> int:
    return subprocess.run(["/bin/sh", str(program), *args], check=False, capture_output=True, timeout=60).returncode


async def serving(certificate: Certified) -> tuple[Server, str]:
    def answered(_: StreamReader, writer: StreamWriter) -> None:
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    server = await start_server(answered, "127.0.0.1", 0, ssl=context)
    return server, str(server.sockets[0].getsockname()[1])


def test_less_than_thirty_days_are_a_no_and_what_cannot_be_read_is_none(program: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert says(program, "good", NAME) not in (YES, NO)
    for days, code in ((29, NO), (90, YES)):
        holds(program, authority.issue("web", days=days))
        assert says(program, "good", NAME) == code
    assert says(program, "better", NAME) not in (YES, NO)


async def test_the_old_certificate_that_is_still_served_does_not_pass(program: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    old, new = (authority.issue("web", days=days) for days in (29, 90))
    holds(program, new)
    for served, code in ((old, NO), (new, YES)):
        server, port = await serving(served)
        try:
            assert await to_thread(says, program, "served", NAME, port) == code
        finally:
            server.close()
    assert await to_thread(says, program, "served", NAME, port) not in (YES, NO), "nobody serves there now"
