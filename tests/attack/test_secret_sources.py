"""Where secrets come from: nothing that stands in the place of a file or a command holds the engine, survives it, or
hears a credential."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.confined import run
from adapters.context import AdapterContext
from adapters.net.http_act import HttpActor
from adapters.net.http_read import HttpReader
from adapters.net.origin import Credential, Origin, tls_context
from adapters.secrets import Secret, resolve
from adapters.wiring import wire
from console.engine.connecting import before_start
from console.engine.loading import load
from state.errors import ConfigError, EffectRefused, ReadFailure
from state.estate.model import Polling, SecretRef
from tests.contract.test_tls import certificate, listening

PATIENCE = 60.0
"""Seconds after which something counts as held."""


def in_time(work: Callable[[], Any]) -> Any:
    """The result of some work, or what it raised; an error when it never comes back."""
    found: list[Any] = []

    def do() -> None:
        try:
            found.append(work())
        except (ConfigError, OSError) as error:
            found.append(error)

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert found, "it is held for ever"
    return found[0]


def living(word: str) -> list[str]:
    """The command lines of living processes that have a word among their arguments."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line and int(name) != os.getpid():
            found.append(line)
    return found


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(tmp_path: Path, mode: int) -> None:
    os.mkfifo(tmp_path / "pipe", mode)
    refusal = in_time(lambda: resolve(SecretRef(file="pipe"), tmp_path))
    assert isinstance(refusal, ConfigError)
    assert "regular file" in str(refusal)


def test_a_pipe_in_the_place_of_certificates_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem", 0o600)
    refusal = in_time(lambda: tls_context(tmp_path / "ca.pem"))
    assert isinstance(refusal, OSError)
    assert refusal.strerror == "not a regular file"


@pytest.mark.parametrize("content", [b"", b"# nothing\n"])
def test_a_file_without_certificates_does_not_mean_those_of_the_system(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(OSError, match="no certificate in PEM"):
        tls_context(tmp_path / "ca.pem")


ENTRIES = {
    "databases.orders": "kind: patroni, scope: o, user: r, ca: {ca}, nodes: {{a: {{site: here, "
    'postgres: "db:5432", api: "https://db:8008"}}}}',
    "monitors.edge": 'kind: prometheus, url: "https://m", ca: {ca}',
    "http_calls.flags": 'title: Flags, url: "https://f/", method: POST, ca: {ca}, risk: B1',
    "checks.up.http": 'url: "https://c/", ca: {ca}',
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("ca", ["pipe", "folder", "missing", "empty"])
def test_what_is_no_file_of_certificates_is_told_with_entry_key_and_file(tmp_path: Path, entry: str, ca: str) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "recovery.yaml").write_text(estate_with(entry, ENTRIES[entry].format(ca=ca)))
    loaded = load(tmp_path / "recovery.yaml").estate
    refusal = in_time(lambda: wire(loaded, tmp_path))
    assert isinstance(refusal, ConfigError)
    [problem] = refusal.problems
    assert problem.file == f"{entry}.ca"
    assert problem.value.startswith(f"{tmp_path / ca}: ")
    assert problem.expected == "a file of CA certificates in PEM"


def estate_with(entry: str, content: str) -> str:
    """An estate with one entry, whose path is given with dots."""
    tree = f"{{{content}}}"
    section, *names = entry.split(".")
    for name in reversed(names):
        tree = f"{{{name}: {tree}}}"
    return f"estate: once\nenvironment: lab\nsites: {{here: {{}}}}\nrunbooks: []\n{section}: {tree}\n"


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/tty", "/proc/self/mem"])
def test_a_device_is_no_secret(tmp_path: Path, place: str) -> None:
    (tmp_path / "link").symlink_to(place)
    assert isinstance(in_time(lambda: resolve(SecretRef(file="link"), tmp_path)), ConfigError)


ESCAPES = {
    "a child": "sleep {word} & echo secret",
    "another session": "setsid sleep {word} & echo secret",
    "a grandchild without parents": "(setsid sh -c 'sleep {word} & sleep {word} &' &) ; sleep 0.3; echo secret",
    "without its environment": "(env -i setsid sh -c 'exec env -i sleep {word}' &) ; sleep 0.3; echo secret",
    "deaf": "trap '' TERM HUP INT; (trap '' TERM; setsid sleep {word} &); sleep 0.2; echo secret",
    "and closes its output": "(setsid sleep {word} >/dev/null 2>&1 </dev/null &) ; sleep 0.2; echo secret",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_whatever_a_command_starts_is_gone_with_it(tmp_path: Path, name: str) -> None:
    word = f"86399.{os.getpid()}{list(ESCAPES).index(name)}"
    script = ESCAPES[name].format(word=word)
    got = in_time(lambda: resolve(SecretRef(command=("sh", "-c", script)), tmp_path))
    assert isinstance(got, Secret), got
    assert got.reveal() == "secret"
    assert living(word) == []


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("trap '' TERM; sleep {word}; echo late", "still running"),
        ("setsid sleep {word} & wait", "still running"),
        ("exec sleep {word}", "still running"),
        ("yes {word}", "more than 64 KiB"),
        ("exec yes {word}", "more than 64 KiB"),
    ],
)
def test_a_command_that_does_not_end_is_ended(
    tmp_path: Path, script: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.secrets.COMMAND_SECONDS", 1.0)
    word = f"86398.{os.getpid()}{abs(hash(script)) % 10_000}"
    refusal = in_time(lambda: resolve(SecretRef(command=("sh", "-c", script.format(word=word))), tmp_path))
    assert isinstance(refusal, ConfigError)
    assert told in str(refusal)
    assert living(word) == []


def test_a_command_has_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MEMORY", 64 << 20)
    take = "import sys; held = bytearray(200 << 20); print('secret')"
    refusal = in_time(lambda: resolve(SecretRef(command=("python3", "-I", "-c", take)), tmp_path))
    assert isinstance(refusal, ConfigError)
    assert "exit code 1" in str(refusal)


def test_a_command_hears_nothing_that_it_was_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_TOKEN", "not-for-you")
    shown = in_time(lambda: resolve(SecretRef(command=("sh", "-c", "env | tr '\\n' ' '")), tmp_path)).reveal()
    assert "not-for-you" not in shown
    names = {each.partition("=")[0] for each in shown.split()}
    assert names <= {*run.PASSED_ON, "PWD", "SHLVL", "_", "OLDPWD", "LC_CTYPE"}
    assert in_time(lambda: resolve(SecretRef(command=("env", "A=1", "sh", "-c", "echo $A")), tmp_path)).reveal() == "1"


def test_a_command_is_run_once_for_all_that_name_it(tmp_path: Path) -> None:
    context, ref = AdapterContext(tmp_path, Polling()), SecretRef(command=("sh", "-c", "echo >> ran; echo secret"))
    found = {id(context.secret(ref)) for _ in range(5)}
    assert len(found) == 1
    assert (tmp_path / "ran").read_text() == "\n"


async def test_a_credential_does_not_leave_to_a_server_on_loopback_that_proves_nothing(tmp_path: Path) -> None:
    """While a service is down, any account of the host may listen at its port."""
    heard: list[bytes] = []
    stranger, ours = certificate(tmp_path, "IP:127.0.0.1"), certificate(tmp_path, "IP:127.0.0.1")
    credential = Credential(Secret("correct-horse-battery"), "u")
    async with listening(stranger, heard) as url:
        for ca in (None, Path(ours.cert)):
            reader = HttpReader(url, ca=ca, credential=credential)
            with pytest.raises(ReadFailure, match="TLS refused"):
                await reader.get("/", deadline=PATIENCE)
            await reader.close()
            with pytest.raises(EffectRefused, match="TLS refused"):
                await HttpActor(Origin.of(url), ca, credential).send("POST", "/", {}, deadline=PATIENCE)
        assert heard == []
        reader = HttpReader(url, ca=Path(stranger.cert), credential=credential)
        assert await reader.get("/", deadline=PATIENCE) == b"ok"
        await reader.close()
    assert len(heard) == 1


def test_verify_full_of_postgres_means_chain_and_name(tmp_path: Path) -> None:
    made = tls_context(Path(certificate(tmp_path, "DNS:db").cert))
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)


ESTATE = """
estate: once
environment: lab
sites: {{east: {{}}}}
people:
  me: {{accounts: [root], roles: [responder]}}
monitors:
  am: {{kind: alertmanager, url: "http://127.0.0.1:1", token: {{command: [{program}]}}}}
  pm: {{kind: prometheus, url: "http://127.0.0.1:1", token: {{command: [{program}]}}}}
commands:
  own: {{title: Own, argv: [/bin/true], risk: B1, secrets: {{WORD: {{command: [{program}]}}}}}}
runbooks: []
"""


def test_a_command_is_run_once_from_engine_start_to_its_engine(tmp_path: Path) -> None:
    program = tmp_path / "word"
    program.write_text(f"#!/bin/sh\necho run >> {tmp_path}/ran\necho secret\n")
    program.chmod(0o700)
    file = tmp_path / "recovery.yaml"
    file.write_text(ESTATE.format(program=program))
    file.chmod(0o600)
    before_start(file, 0.2)
    assert not (tmp_path / "ran").exists(), "who starts an engine only asks what needs no command"
    outside = wire(load(file).estate, tmp_path)
    assert set(outside.entries) == {"monitors/am", "monitors/pm"}
    assert (tmp_path / "ran").read_text() == "run\n"
