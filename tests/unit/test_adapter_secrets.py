"""Secrets: closed files, quick commands, and a type that leaks nowhere."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from pathlib import Path

import pytest

from adapters.secrets import Secret, resolve
from state.errors import ConfigError
from state.estate.model import SecretRef

WORD = "correct-horse"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{WORD}\n")
    path.chmod(0o600)
    return path


def test_nothing_that_shows_a_value_shows_the_secret() -> None:
    secret = Secret(WORD)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>20}", f"{[secret]}", f"{secret!r}", "%s" % secret]  # noqa: UP031
    assert all(WORD not in text for text in shown)
    with pytest.raises(TypeError):
        json.dumps({"password": secret})
    for steal in (pickle.dumps, copy.copy, copy.deepcopy, hash):
        with pytest.raises(TypeError):
            steal(secret)
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == WORD


def test_comparison_is_by_value() -> None:
    assert Secret(WORD) == Secret(WORD)
    assert Secret(WORD) != Secret("other")
    assert Secret(WORD) != WORD


def test_a_file_is_read_from_the_estates_folder(file: Path) -> None:
    assert resolve(SecretRef(file="secret"), file.parent).reveal() == WORD
    assert resolve(SecretRef(file=str(file)), Path("/")).reveal() == WORD


def test_a_credential_of_systemd_may_show_its_acl_as_a_right_of_the_group(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert resolve(SecretRef(file=str(file)), Path("/")).reveal() == WORD
    for mode in (0o444, 0o460, 0o441):
        file.chmod(mode)
        with pytest.raises(ConfigError, match="mode"):
            resolve(SecretRef(file=str(file)), Path("/"))
    file.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path) + "-of-another-unit")
    with pytest.raises(ConfigError, match="0440"):
        resolve(SecretRef(file=str(file)), Path("/"))


@pytest.mark.parametrize("content", [f"{WORD}\r\nX-Other: 1".encode(), f"{WORD}\0x".encode(), WORD.encode() + b"\xff"])
def test_a_secret_that_could_begin_another_header_is_refused_unseen(
    file: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError) as refusal:
        resolve(SecretRef(file="secret"), file.parent)
    assert WORD not in "".join(traceback.format_exception(refusal.value))
    assert refusal.value.__cause__ is None
    monkeypatch.setenv("RECOVERY_TEST_SECRET", f"{WORD}\nX-Other: 1")
    with pytest.raises(ConfigError, match="several lines"):
        resolve(SecretRef(env="RECOVERY_TEST_SECRET"), file.parent)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601, 0o666])
def test_a_file_others_may_use_is_refused_by_name_and_mode(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(ConfigError) as refusal:
        resolve(SecretRef(file="secret"), file.parent)
    assert f"mode {mode:04o}" in str(refusal.value)
    assert str(file) in str(refusal.value)
    assert WORD not in str(refusal.value)


def test_missing_empty_and_folder_are_refused(file: Path, tmp_path: Path) -> None:
    file.write_text("\n")
    (tmp_path / "folder").mkdir()
    for name in ("secret", "gone", "folder"):
        with pytest.raises(ConfigError, match=name):
            resolve(SecretRef(file=name), tmp_path)


def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECOVERY_TEST_SECRET", WORD)
    assert resolve(SecretRef(env="RECOVERY_TEST_SECRET"), tmp_path).reveal() == WORD
    monkeypatch.delenv("RECOVERY_TEST_SECRET")
    with pytest.raises(ConfigError, match="RECOVERY_TEST_SECRET"):
        resolve(SecretRef(env="RECOVERY_TEST_SECRET"), tmp_path)


def test_a_command_runs_without_a_shell(tmp_path: Path) -> None:
    assert resolve(SecretRef(command=("printf", "%s", "$HOME;id")), tmp_path).reveal() == "$HOME;id"


@pytest.mark.parametrize("argv", [("false",), ("/no/such/program",), ("true",), ("sleep", "60")])
def test_a_command_that_gives_nothing_is_refused(
    argv: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.secrets.COMMAND_SECONDS", 0.2)
    with pytest.raises(ConfigError):
        resolve(SecretRef(command=argv), tmp_path)


def test_a_failing_commands_output_is_in_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        resolve(SecretRef(command=("sh", "-c", f"echo {WORD}; exit 3")), tmp_path)
    said = "".join(traceback.format_exception(refusal.value)).replace("echo", "")
    assert "exit code 3" in said
    assert f"b'{WORD}" not in said


@pytest.mark.parametrize("ref", [SecretRef(), SecretRef(file="a", env="B")])
def test_exactly_one_place(ref: SecretRef, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exactly one"):
        resolve(ref, tmp_path)


def test_29_whose_watchdog_a_command_inherits_nothing_of_the_service_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LOGNAME", "kept")
    monkeypatch.setenv("OTHER_PASSWORD", "not passed on")
    show = 'echo "$LOGNAME.$NOTIFY_SOCKET.$WATCHDOG_PID.$WATCHDOG_USEC.$OTHER_PASSWORD"'
    assert resolve(SecretRef(command=("sh", "-c", show)), tmp_path).reveal() == "kept...."
