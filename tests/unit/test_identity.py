"""Who calls: the account and the login as the kernel has them; nothing that a caller says."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.api_server.callers import UNSET, login_uid
from state.api.caller import KernelAccount
from state.errors import Refused
from state.estate.model import Estate
from state.policy.authority import require_known, require_role
from state.policy.identity import identify
from tests.support.signing import ADA, estate

NAMES = {1000: "ada", 1001: "ben", 3000: "ops", 4000: "eve", 1009: "root2"}
ADA_, BEN_, OPS, EVE, TWIN = (KernelAccount(uid, name) for uid, name in NAMES.items())
MODEL = Estate.model_validate(estate(shared_accounts=["ops", "3001"]))


@pytest.mark.parametrize(
    ("account", "login", "found", "doubt"),
    [
        (ADA_, None, "ada", ""),
        (ADA_, ADA_, "ada", ""),
        (ADA_, EVE, "ada", ""),
        (ADA_, TWIN, "ada", ""),
        (BEN_, ADA_, "ben", "the account ben of ben was reached from a login of ada"),
        (OPS, ADA_, "ada", ""),
        (OPS, None, "", "the account ops is shared"),
        (OPS, OPS, "", "the account ops is shared"),
        (OPS, EVE, "", "the account ops is shared"),
        (KernelAccount(3001, "no-name"), ADA_, "ada", ""),
        (EVE, ADA_, "", ""),
        (EVE, None, "", ""),
    ],
)
def test_who_acts(account: KernelAccount, login: KernelAccount | None, found: str, doubt: str) -> None:
    said = identify(MODEL, account, login)
    assert said.person == found
    assert said.doubt.startswith(doubt)
    assert bool(said.doubt) is bool(doubt)
    assert said.roles == (tuple(MODEL.people[found].roles) if found else ())


@pytest.mark.parametrize(
    ("text", "owner_is_root", "uid"),
    [("1000", False, 1000), (str(UNSET), False, None), ("", False, None), ("-1", False, None), ("1000", True, None)],
)
def test_the_login_is_the_kernels_word(tmp_path: Path, text: str, owner_is_root: bool, uid: int | None) -> None:
    folder = tmp_path / "77"
    folder.mkdir()
    (folder / "loginuid").write_text(text)
    is_root = os.stat(folder).st_uid == 0
    if is_root and not owner_is_root:
        os.chown(folder, 1234, 1234)
    expected = uid if (is_root or not owner_is_root) else 1000
    assert login_uid(77, str(tmp_path)) == expected
    assert login_uid(78, str(tmp_path)) is None


def test_what_a_caller_says_of_itself_is_read_nowhere() -> None:
    root = Path(__file__).parents[2]
    for place in ("adapters/api_server", "state/policy", "state/engine", "state/planning"):
        for file in (root / place).glob("*.py"):
            text = file.read_text()
            for hint in ("SUDO_USER", "LOGNAME", "SSH_CLIENT", "SSH_CONNECTION", "SSH_USER_AUTH"):
                assert hint not in text, f"{file} reads {hint}"


def test_in_doubt_nobody_acts_whatever_the_roles() -> None:
    doubtful = replace(ADA, doubt="the account ada of ada was reached from a login of ben")
    for check in (lambda: require_known(doubtful, "acting"), lambda: require_role(doubtful, ("commander",), "acting")):
        with pytest.raises(Refused, match="reached from a login of ben") as told:
            check()
        assert "without sudo or su" in told.value.refusal.way_out
