"""Reading files: YAML 1.2 as plain data with places, and everything that is refused before it is data."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from adapters.files.located_yaml import parse_yaml
from adapters.files.read import LARGEST, read_yaml, runbook_paths
from state.errors import ConfigError
from tests.support.estate_samples import CANARY


def data(text: str) -> object:
    return parse_yaml(text, "f").data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: '1'", {"a": "1"}),
        ("a: 0x1F", {"a": 31}),
        ("a: 0o17", {"a": 15}),
        ("a: 017", {"a": 17}),
        ("a: 1.5e2", {"a": 150.0}),
        ("a: .inf", {"a": ".inf"}),
        ("a: 1e999", {"a": "1e999"}),
        (f"a: {'9' * 5000}", {"a": "9" * 5000}),
        ("a: yes", {"a": "yes"}),
        ("on: true", {"on": True}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: 12:30:45", {"a": "12:30:45"}),
        ("a: 2026-01-02", {"a": "2026-01-02"}),
        ("1: x", {"1": "x"}),
        ("a: [1, {b: c}]", {"a": [1, {"b": "c"}]}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("", None),
        ("# only a comment\n", None),
        ("\ufeffa: 1", {"a": 1}),
    ],
    ids=range(21),
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert data(text) == value


def test_every_value_and_key_knows_its_place() -> None:
    located = parse_yaml("a: 1\nb:\n  - x\n  - {c: d}\n", "f")
    assert located.where(("a",)) == (1, 4)
    assert located.where_key(("a",)) == (1, 1)
    assert located.where(("b", 0)) == (3, 5)
    assert located.where(("b", 1, "c")) == (4, 9)
    assert located.where_key(("b", 1, "c")) == (4, 6)
    assert located.where(("b", 1, "missing", "deeper")) == (4, 5)
    assert located.where(("missing",)) == (1, 1)


def test_an_empty_value_stands_where_its_key_does() -> None:
    assert parse_yaml("a: 1\nb:\n\nc: 2\n", "f").where(("b",)) == (2, 1)


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 31))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\nb: {c: 1\n", "f:3:1", "valid YAML"),
        ("a: 1\n\tb: 2\n", "f:2:1", "valid YAML"),
        ("a: 1\nb: 2\na: 3\n", "f:3:1", "each key once (first in line 1)"),
        ("a: {b: 1, b: 2}", "f:1:11", "each key once"),
        ("a: !!python/object:os.system x", "f:1:4", "without a tag"),
        ("a: !secret x", "f:1:4", "without a tag"),
        ("a: *nobody", "f:1:4", "an alias of an anchor defined before it"),
        ("a: &a [*a]", "f:1:8", "an alias of an anchor defined before it"),
        ("base: &b {x: 1}\na:\n  <<: *b\n", "f:3:3", "YAML 1.2 has no merge keys"),
        ("? [a]\n: 1\n", "f:1:3", "a key that is text"),
        ("a: 1\n---\nb: 2\n", "f:2:1", "one document in a file"),
        ("[" * 100_000, "f:1:32", "at most 32 levels"),
        ("a: " + "{a: " * 100_000, "f:1:", "at most 32 levels"),
        (BOMB, "f:", "at most 100,000 values"),
        ("a: 1\nb: x\x00y\n", "f:2:5", "without control characters"),
        ('a: "\\Uffffffff"', "f:1:", "valid YAML"),
        ('a: "\\ud800"', "f:1:4", "half of a surrogate pair"),
    ],
    ids=range(17),
)
def test_what_is_not_plain_data_is_refused_with_its_place(text: str, place: str, message: str) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError) as refused:
        parse_yaml(text, "f")
    first = str(refused.value.problems[0])
    assert first.startswith(place)
    assert message in first
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "text", ["password: *{}", "password: !{} x", "password: &{}\npassword: 1", "a: '{}", 'a: "\\q{}']
)
def test_syntax_errors_quote_nothing_from_the_file(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_yaml(text.format(CANARY), "f")
    assert CANARY not in str(refused.value)


def test_all_doubled_keys_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_yaml("a: 1\na: 2\nb: 1\nb: 2\n", "f")
    assert [p.line for p in refused.value.problems] == [2, 4]


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        read_yaml(path)
    return str(refused.value)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("a: é\n")
    located = read_yaml(path)
    assert located.data == {"a": "é"}
    assert located.file == str(path)


def test_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.yaml").endswith("no.yaml:1:1: expected a readable file: no such file or directory")


def test_a_folder_a_pipe_and_a_name_below_a_file_are_refused(tmp_path: Path) -> None:
    assert "a readable file" in refusal(tmp_path) or "a regular file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "a regular file" in refusal(tmp_path / "pipe")
    (tmp_path / "file").write_text("a: 1")
    assert "not a directory" in refusal(tmp_path / "file" / "x.yaml")


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("a: 1\n")
    path.chmod(0o666)
    assert f"{path}: found file with mode 0666, which everybody may write" in refusal(path)
    assert f"chmod go-w {path}" in refusal(path)


def test_a_folder_where_everybody_may_replace_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "open" / "e.yaml"
    path.parent.mkdir()
    path.write_text("a: 1\n")
    path.parent.chmod(0o777)
    assert f"{path.parent}: found folder with mode 0777" in refusal(path)
    path.parent.chmod(0o1777)
    assert read_yaml(path).data == {"a": 1}


def test_a_file_we_may_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)  # root, who often runs tests, may read everything
    assert refusal(tmp_path / "e.yaml").endswith("e.yaml:1:1: expected a readable file: permission denied")


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    assert refusal(path).endswith("e.yaml:2:7: found byte 0xe9, expected UTF-8 text")


def test_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_bytes(b"#" * (LARGEST + 1))
    assert "at most 1,000,000 bytes" in refusal(path)


def test_runbooks_are_found_in_folders_and_as_files(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    for name in ("b.yaml", "a.yml", "c.txt"):
        (tmp_path / "books" / name).write_text("x: 1")
    (tmp_path / "one.yaml").write_text("x: 1")
    found = runbook_paths(tmp_path / "recovery.yaml", ("one.yaml", "books", "one.yaml"))
    assert [p.name for p in found] == ["one.yaml", "a.yml", "b.yaml"]
    with pytest.raises(ConfigError, match=r"runbooks: 'gone'.*a folder or file that exists"):
        runbook_paths(tmp_path / "recovery.yaml", ("gone",))
