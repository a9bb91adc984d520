"""Access to a real host that ends: by a certificate, with everything that ran under it, proven by refused logins."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.granting.certificates import parse_certificate
from state.granting.model import EndProof
from tests.contract.host_grants import host_granted, host_target, told_until
from tests.support.host_site import HostSite, host_site


@pytest.fixture(scope="module")
def site() -> Iterator[HostSite]:
    with tempfile.TemporaryDirectory() as folder, host_site(Path(folder)) as made:
        yield made


async def test_it_is_given_used_and_ends_with_its_session_and_proof(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        held = await host_granted(site, target, "G-AAAAAA", tmp_path)
        assert held.login("id -un").stdout.strip() == held.role
        certificate = parse_certificate(Path(f"{held.key}-cert.pub").read_text())
        assert (certificate.principals, certificate.key_id) == (["G-AAAAAA"], "G-AAAAAA")
        assert certificate.before == held.armed.ends
        session = held.open()
        await told_until(held, ["sleep"])
        proof = await held.end()
        assert isinstance(proof, EndProof), proof
        assert session.wait(10) == 255
        assert sorted(proof.refused) == ["its certificate", "its key", "its serial"]
        assert held.login().returncode == 255
        assert held.role not in site.inside("cat", "/etc/passwd")


async def test_a_host_is_prepared_again_under_a_grant_that_lives(site: HostSite, tmp_path: Path) -> None:
    async with host_target(site) as target:
        over = await host_granted(site, target, "G-BBBBBB", tmp_path)
        held = await host_granted(site, target, "G-CCCCCC", tmp_path)
        session = held.open()
        await told_until(held, ["sleep"])
        assert isinstance(await over.end(), EndProof)
        revoked = site.inside("sha256sum", "/etc/ssh/recovery_revoked")
        site.inside("sh", "/etc/prepare.sh")
        assert site.inside("sha256sum", "/etc/ssh/recovery_revoked") == revoked, "what is revoked stays revoked"
        assert (
            site.inside("grep", "-c", "Match User bg_", "/etc/ssh/sshd_config.d/00-recovery-access.conf").strip() == "1"
        )
        for _ in range(50):  # sshd reads its settings anew
            if held.login().returncode == 0:
                break
            await asyncio.sleep(0.1)
        assert held.login().returncode == 0
        assert session.poll() is None
        assert (await target.seen([], deadline=8)).unable == ""
        assert isinstance(await held.end(), EndProof)
        assert session.wait(10) == 255
