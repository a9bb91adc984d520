"""What `recovery check --connect` and `recovery doctor` find out about a host where access may be given."""

from __future__ import annotations

import tempfile
from pathlib import Path

from adapters.examining import examine_estate
from state.diagnosis.model import Can
from state.estate.model import Estate, Site
from state.health import Health
from tests.support.host_site import host_site


async def test_a_prepared_host_passes_and_one_that_lacks_anything_says_what() -> None:
    with tempfile.TemporaryDirectory() as folder, host_site(Path(folder)) as site:
        estate = Estate(estate="e", environment="lab", sites={"east": Site()}, hosts={"web1": site.host})
        found = await examine_estate(estate, Path(folder), deadline=10)
        told = {each.ability.does: each.ability.can for each in found if each.ability is not None}
        assert (told["give access"], told["end access"]) == (Can.YES, Can.YES)
        site.inside("rm", "/etc/ssh/recovery_revoked")
        found = await examine_estate(estate, Path(folder), deadline=10)
        failed = [each for each in found if each.health is Health.FAIL]
        assert "recovery_revoked is not there" in failed[0].reason
        assert failed[0].next == "recovery host prepare web1"
        site.inside("rm", "/usr/local/libexec/recovery-access")
        found = await examine_estate(estate, Path(folder), deadline=10)
        assert [each.next for each in found if each.health is Health.FAIL] == ["recovery host prepare web1"]
        told = {each.ability.does: each.ability.can for each in found if each.ability is not None}
        assert told["give access"] is Can.NO
