"""What TLS writes down and whom it believes is said by the estate, not by the variables of whoever started this."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recovery_console import TLS_SETTINGS, leave_tls_settings

RECOVERY = Path(sys.executable).with_name("recovery")
ESTATE = """
estate: keys
environment: drill
sites: {here: {}}
people: {ada: {accounts: ["0"], roles: [commander]}}
monitors:
  page: {kind: http, targets: {a: {url: "https://127.0.0.1:9/health", site: here, service: s}}}
services: {s: {tier: 1, rto: 5m, rpo: 1MB}}
runbooks: []
"""


@pytest.mark.parametrize("what", ["file", "pipe"])
def test_no_keys_of_connections_are_written_down(tmp_path: Path, what: str) -> None:
    """Before: the keys of every connection stood in a file that everybody could read, and a pipe there held it up."""
    (tmp_path / "recovery.yaml").write_text(ESTATE)
    keys = tmp_path / "keys"
    if what == "pipe":
        os.mkfifo(keys)
    environment = os.environ | {"SSLKEYLOGFILE": str(keys), "HOME": str(tmp_path)}
    verb = [RECOVERY, "check", str(tmp_path / "recovery.yaml"), "--connect", "--within", "2"]
    ended = subprocess.run(verb, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert "127.0.0.1:9" in ended.stdout + ended.stderr
    assert keys.is_fifo() if what == "pipe" else not keys.exists()


def test_no_setting_of_tls_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TLS_SETTINGS:
        monkeypatch.setenv(name, "/nowhere")
    leave_tls_settings()
    assert set(TLS_SETTINGS).isdisjoint(os.environ)
