"""`recovery init`: what it writes and keeps, asks and refuses, without any network."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from console.cli.ending import run_to_code
from console.cli.verbs import recovery

SHOP = """
global
    stats socket /run/haproxy/east.sock level admin
defaults
    mode http
backend bk_checkout
    server blue 10.0.0.1:80 check
    server green 10.0.0.2:80 check weight 0
backend catalog
    server a 10.0.0.3:80 check
    server b 10.0.0.4:80 check
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "haproxy.cfg"
    file.write_text(SHOP)
    return file


def init(*words: object) -> int:
    return run_to_code(recovery, ["init", *map(str, words)])


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_it_writes_an_estate_that_check_accepts(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "shop"
    assert init(config, "-o", out, "--yes", "--name", "shop") == 0
    assert "not known" in capsys.readouterr().out.lower()
    assert run_to_code(recovery, ["check", str(out / "recovery.yaml")]) == 0
    text = (out / "recovery.yaml").read_text()
    assert "tier: 2  # proposed, confirm" in text
    assert "colours: {blue: blue, green: green}  # guessed: green is idle" in text
    names = {path.name for path in (out / "runbooks").iterdir()}
    assert {"drain-server.yaml", "roll-back-release.yaml"} <= names
    assert "switch-database.yaml" not in names, "there is no database"


def test_the_estate_has_the_name_of_its_folder(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(config, "-o", tmp_path / "eu shop!", "--plan-only") == 0
    assert "\nestate: eu-shop" in capsys.readouterr().out
    monkeypatch.setattr("socket.gethostname", lambda: "ops1.shop.example")
    monkeypatch.chdir(tmp_path)
    assert init(config, "--plan-only") == 0
    assert "\nestate: ops1" in capsys.readouterr().out


def test_what_is_there_is_never_replaced(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "shop"
    (out / "runbooks").mkdir(parents=True)
    mine = out / "runbooks" / "drain-server.yaml"
    mine.write_text("# mine\n")
    assert init(config, "-o", out, "--yes") == 2, "a runbook that is there is not replaced, and this one is broken"
    assert mine.read_text() == "# mine\n"
    before = (out / "recovery.yaml").read_text()
    assert init(config, "-o", out, "--yes") == 2
    assert "is there already" in capsys.readouterr().err
    assert (out / "recovery.yaml").read_text() == before


def test_plan_only_writes_nothing(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "shop"
    assert init(config, "-o", out, "--plan-only") == 0
    assert "backend: bk_checkout" in capsys.readouterr().out
    assert not out.exists()


def test_answers_are_taken_and_marked_as_such(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = ["owners=ada ben", "tier1=checkout", "rto=5m 30m 1d", "rpo=64kB", "site=here"]
    words = [word for answer in answers for word in ("--answer", answer)]
    assert init(config, "-o", tmp_path / "shop", "--yes", "--json", *words) == 0
    document = told(capsys)
    assert [question["key"] for question in document["questions"]] == ["tier3"]
    text = (tmp_path / "shop" / "recovery.yaml").read_text()
    assert "tier: 1  # asked" in text
    assert "rto: 5m  # asked" in text
    assert "rpo: 64kB  # asked" in text
    assert any(point["where"] == "people.ben" for point in document["open"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("tier1=chekout", "did you mean checkout?"),
        ("rto=soon", "one duration or three"),
        ("rto=15", "one duration or three"),
        ("rpo=much", "a size such as"),
        ("owners=", "names of letters"),
        ("site=a b", "a name of letters"),
        ("colour=red", "one of owners"),
        ("nothing", "is not KEY=VALUE"),
    ],
)
def test_a_wrong_answer_is_refused_before_anything_is_written(
    config: Path, tmp_path: Path, answer: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(config, "-o", tmp_path / "shop", "--yes", "--answer", answer) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "shop").exists()


def test_without_a_terminal_it_asks_nothing_and_says_how(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert init(config, "-o", tmp_path / "shop") == 2
    assert "--yes takes every proposal" in capsys.readouterr().err
    assert not (tmp_path / "shop").exists()


def test_an_address_that_gives_nothing_is_3_and_listed_in_the_file(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(config, tmp_path / "gone.sock", "-o", tmp_path / "shop", "--yes") == 3
    text = (tmp_path / "shop" / "recovery.yaml").read_text()
    assert f"#   {tmp_path / 'gone.sock'}: {tmp_path / 'gone.sock'}: No such file or directory" in text


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://here", "no address of a kind that is known"),
        ("http://ada:geheim@host:8008", "an address with a password"),
        ("ssh://bastion/run/haproxy.sock", "run recovery init on that host"),
        ("nowhere", "no such file"),
        ("http://127.0.0.1:1", "Connection refused"),
        ("127.0.0.1:1", "HAProxy socket"),
        ("http://host:8008/a?b=c", "scheme, host, port and path only"),
        ("dns://", "dns://server/zone"),
    ],
)
def test_when_nothing_is_found_nothing_is_written(
    tmp_path: Path, address: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(address, "-o", tmp_path / "shop", "--yes") == 3
    error = capsys.readouterr().err
    assert said in error
    assert "geheim" not in error
    assert not (tmp_path / "shop").exists()


def test_the_file_of_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "patroni.yml"
    other.write_text("scope: orders\n")
    assert init(other, "-o", tmp_path / "shop", "--yes") == 3
    assert "no configuration of HAProxy" in capsys.readouterr().err
    os.mkfifo(tmp_path / "pipe")
    assert init(tmp_path / "pipe", "-o", tmp_path / "shop", "--yes") == 3
    assert "not a regular file" in capsys.readouterr().err


def test_events_are_one_object_a_line(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(config, "-o", tmp_path / "shop", "--yes", "--events") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["event"] for each in events] == ["step", "found", "done"]
    assert events[1]["kind"] == "haproxy"
    assert events[-1]["written"] is True
    assert stat.S_IMODE((tmp_path / "shop" / "recovery.yaml").stat().st_mode) == 0o644


def test_a_bad_name_is_refused(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(config, "-o", tmp_path / "shop", "--yes", "--name", "a b") == 2
    assert "--name" in capsys.readouterr().err


def test_what_it_writes_says_where_the_documents_are(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(config, "-o", tmp_path / "shop", "--yes") == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("  docs/ is "))
    folder = line.removeprefix("  docs/ is ")
    assert (Path(folder) / "security.md").is_file()
    assert f"# docs/ is {folder}\n" in (tmp_path / "shop" / "recovery.yaml").read_text()


def test_an_address_that_gives_nothing_has_its_way_out_for_scripts(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(config, "ftp://x", "-o", tmp_path / "shop", "--yes", "--json") == 3
    silent = [each for each in told(capsys)["found"] if not each["kind"]]
    assert [bool(each["way_out"]) for each in silent] == [True]


def test_an_interrupted_init_can_be_begun_again(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The estate is written last: what names runbooks is there only when they are."""
    out = tmp_path / "shop"
    out.mkdir()
    (out / "runbooks").symlink_to(tmp_path / "nowhere" / "at-all")
    assert init(config, "-o", out, "--yes", "--name", "shop") not in (0, 3)
    assert [path.name for path in out.iterdir()] == ["runbooks"]
    (out / "runbooks").unlink()
    capsys.readouterr()
    assert init(config, "-o", out, "--yes", "--name", "shop") == 0
    assert run_to_code(recovery, ["check", str(out / "recovery.yaml")]) == 0
