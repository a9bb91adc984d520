"""`recovery init --update` and what it rests on: a text is changed at one place only, and expectations stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.files.estate_merge import merged_text
from adapters.files.located_yaml import parse_yaml
from adapters.files.yaml_splice import CannotSplice, YamlText
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.discovery.answers import Answers
from state.discovery.found import Fact, FoundBackend, FoundBalancer, FoundCluster, FoundMember, FoundServer
from state.discovery.merging import Differs, Merging, Moved, NewEntry, NewItem, Unseen, merge
from state.discovery.propose import propose

MINE = """\
# Our shop. Ask Ada before you change it.
estate: shop
environment: production

sites: {east: {title: Frankfurt}}   # one site, until the other one is built
people:
  ada: {accounts: [ada], roles: [commander, responder]}

services:
  # The till. Never below two.
  till:
    tier: 1
    rto: 5m      # promised to the board
    rpo: 0B
    owners: [ada]
    traffic:
      balancers: [edge]   # the only one
      backend: bk_checkout
      floor: 2

# ---- databases ----
databases:
  money:
    kind: patroni
    scope: orders
    user: reader
    tls: verify-full
    frontends: {pg_rw: primary}
    nodes:
      n1: {site: east, postgres: "10.0.0.1:5432", api: "https://10.0.0.1:8008"}
      # n2 is the big one
      n2:
        site: east
        postgres: "10.0.0.2:5432"
        api: "https://10.0.0.2:8008"
balancers:
  edge: {kind: haproxy, site: east, socket: /run/haproxy/edge.sock}   # level admin
runbooks: []
# the end
"""


def backend(name: str, *servers: str) -> FoundBackend:
    return FoundBackend(name, tuple(FoundServer(each, "10.0.0.9:80", 1, True, True) for each in servers), "http")


def edge(*backends: FoundBackend) -> FoundBalancer:
    return FoundBalancer("/run/haproxy/edge.sock", "/run/haproxy/edge.sock", backends, version="2.8")


def member(name: str, host: str, answered: str = "") -> FoundMember:
    return FoundMember(
        name, "replica", "running", host, 5432, f"https://{host}:8008", answered=answered, encrypted=True
    )


def merged(*facts: Fact) -> tuple[Merging, str]:
    proposal, _ = propose(list(facts), Answers(("ada",), site="east"), "shop", "ada")
    merging = merge(parse_yaml(MINE, "").data, proposal, [each for each in facts if isinstance(each, FoundCluster)])
    return merging, merged_text(MINE, merging)


SAME = (
    edge(backend("bk_checkout", "s1", "s2")),
    FoundCluster("https://10.0.0.1:8008", "orders", (member("n1", "10.0.0.1"), member("n2", "10.0.0.2"))),
)


def test_the_same_world_changes_no_byte() -> None:
    merging, text = merged(*SAME)
    assert not merging.edits
    assert not merging.differs
    assert not merging.not_seen
    assert text == MINE, "things are known by what they are, not by the names that would be proposed"


def test_what_is_new_is_put_in_and_everything_else_stays_where_it_was() -> None:
    cluster = FoundCluster(
        "https://10.0.0.1:8008",
        "orders",
        (member("n1", "10.0.0.1"), member("n2", "10.0.0.2"), member("n3-west", "10.0.0.3")),
    )
    merging, text = merged(edge(backend("bk_checkout", "s1", "s2"), backend("mail", "m1")), cluster)
    assert [edit.path for edit in merging.edits] == [
        ("sites", "west"),
        ("services", "mail"),
        ("databases", "money", "nodes", "n3-west"),
    ]
    lines, before = text.splitlines(), MINE.splitlines()
    rest = iter(lines)
    assert all(line in rest for line in before if not line.startswith("sites:")), "every line stays, in its order"
    assert "sites: {east: {title: Frankfurt}, west: {}}   # one site, until the other one is built" in lines
    assert lines.index("  mail:  # measured: backend mail of edge") < lines.index("# ---- databases ----")
    node = '      n3-west: {site: west, postgres: "10.0.0.3:5432", api: "https://10.0.0.3:8008"}'
    assert lines[lines.index(node) - 1] == '        api: "https://10.0.0.2:8008"'


def test_a_member_that_confirmed_itself_moves_another_one_does_not() -> None:
    there = (member("n1", "10.0.0.7"), member("n2", "10.0.0.8", "it did not answer"))
    merging, text = merged(FoundCluster("https://10.0.0.7:8008", "orders", there))
    assert [edit.path[-2:] for edit in merging.edits] == [("n1", "postgres"), ("n1", "api")]
    assert all(isinstance(edit, Moved) for edit in merging.edits)
    assert 'n1: {site: east, postgres: "10.0.0.7:5432", api: "https://10.0.0.7:8008"}' in text
    assert Differs(("databases", "money", "nodes", "n2", "api"), "https://10.0.0.2:8008", "https://10.0.0.8:8008") in (
        merging.differs
    )


def test_a_member_with_another_name_at_the_same_address_is_no_second_one() -> None:
    """A member that was renamed would stand in the file twice, and be acted on under the wrong name."""
    renamed = (member("n1", "10.0.0.1"), member("n2b", "10.0.0.2"))
    merging, text = merged(SAME[0], FoundCluster("https://10.0.0.1:8008", "orders", renamed))
    assert text == MINE
    assert merging.differs == [Differs(("databases", "money", "nodes", "n2"), "n2", "n2b")]
    assert not merging.not_seen


def test_an_incident_does_not_become_the_expectation() -> None:
    one = FoundCluster("https://10.0.0.1:8008", "orders", (member("n1", "10.0.0.1"),))
    merging, text = merged(edge(backend("other", "s1")), one)
    assert Unseen(("databases", "money", "nodes", "n2")) in merging.not_seen
    assert Unseen(("services", "till")) in merging.not_seen
    assert "floor: 2" in text
    assert "n2:" in text


def test_a_second_balancer_joins_the_service_it_has() -> None:
    west = FoundBalancer("/run/west.sock", "/run/west.sock", (backend("bk_checkout", "s1"),), version="2.8")
    merging, text = merged(SAME[0], west)
    assert NewItem(("services", "till", "traffic", "balancers"), "west") in merging.edits
    assert NewEntry(("balancers", "west"), {"kind": "haproxy", "site": "west", "socket": "/run/west.sock"}) in (
        merging.edits
    )
    assert "balancers: [edge, west]   # the only one" in text


def test_a_name_that_is_taken_by_something_else_gets_another_one() -> None:
    other = FoundCluster("https://10.9.0.1:8008", "money", (member("x1", "10.9.0.1"),))
    merging, text = merged(other)
    assert [edit.path for edit in merging.edits] == [("databases", "money-2")]
    assert "money-2:" in text


BLOCK = st.sampled_from(["  ", "    "])
KEYS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), unique=True, min_size=1, max_size=4)
COMMENTS = st.sampled_from(["", "  # said", "\n# below", "\n\n  # odd: {[", "  # 'quote"])
VALUES = st.sampled_from(
    ["1", '"x: y"', "'it''s'", "[1, 2]", "{k: v}", "{}", "[]", "", "|\n        text\n        more", "plain text"]
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Two levels of keys in some style, with comments in odd places."""
    indent, lines = draw(BLOCK), []
    for key in draw(KEYS):
        lines.append(f"{key}:{draw(COMMENTS)}")
        for inner in draw(KEYS):
            value = draw(VALUES)
            told = "" if value.startswith("|") else draw(COMMENTS)
            lines.append(f"{indent}{inner}: {value}{told}")
    return "\n".join(lines) + draw(st.sampled_from(["\n", "\n# end\n", "\n\n"]))


@settings(max_examples=200, deadline=None)
@given(documents(), st.sampled_from(["plain", 7, "x: y", ["a"], {"k": "v"}]), st.data())
def test_a_key_put_into_any_document_is_there_and_nothing_else_changed(
    text: str, value: Any, data: st.DataObject
) -> None:
    before = parse_yaml(text, "").data
    path = data.draw(st.sampled_from([(), *((key,) for key in before)]))
    spliced = YamlText(text)
    spliced.insert(path, "new", value, [f"new: {json.dumps(value)}  # why"])
    after = parse_yaml(spliced.text, "").data
    node = after
    for key in path:
        node = node[key]
    assert node.pop("new") == value
    assert after == before
    removed = [line for line in spliced.text.splitlines() if "# why" not in line]
    assert removed == text.splitlines(), "every other line is as it was"


def test_what_cannot_be_put_in_is_refused() -> None:
    text = YamlText("a: &x {k: 1}\nb: *x\nc: word\n")
    for path in (("b",), ("c",), ("gone",)):
        with pytest.raises(CannotSplice):
            text.insert(path, "new", 1, ["new: 1"])
    with pytest.raises(CannotSplice):
        text.insert(("a",), "k", 1, ["k: 1"])
    with pytest.raises(CannotSplice):
        text.append(("c",), 1)
    with pytest.raises(CannotSplice):
        YamlText("a: [")


def config(backends: str) -> str:
    return f"global\n  stats socket /run/haproxy/edge.sock level admin\ndefaults\n  mode http\n{backends}"


def test_the_verb_shows_the_difference_and_writes_it_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, cfg = tmp_path / "recovery.yaml", tmp_path / "haproxy.cfg"
    file.write_text(MINE)
    file.chmod(0o640)
    cfg.write_text(
        config("backend bk_checkout\n  server s1 10.0.0.1:80 check\nbackend mail\n  server m 10.0.0.2:80 check\n")
    )
    words = ["init", str(cfg), "-o", str(tmp_path), "--update"]
    assert run_to_code(recovery, [*words, "--plan-only"]) == 0
    assert "+ services.mail: " in capsys.readouterr().out
    assert file.read_text() == MINE
    assert run_to_code(recovery, [*words, "--yes", "--json", "--answer", "tier1=mail"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["written"] is True
    assert len(document["difference"]) == 1
    assert "  mail:  # measured" in file.read_text()
    assert "    tier: 1  # asked" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    before = file.read_text()
    assert run_to_code(recovery, [*words, "--yes"]) == 0
    assert "nothing is new" in capsys.readouterr().out
    assert file.read_text() == before


def test_what_the_estate_leaves_out_does_not_come_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, cfg = tmp_path / "recovery.yaml", tmp_path / "haproxy.cfg"
    backends = "".join(f"backend {name}\n  server s 10.0.0.1:80 check\n" for name in ("bk_checkout", "static", "mail"))
    cfg.write_text(config(backends))
    file.write_text(MINE + "init: {leave_out: [services.static]}\n")
    words = ["init", str(cfg), "-o", str(tmp_path), "--update", "--yes"]
    assert run_to_code(recovery, words) == 0
    said = capsys.readouterr().out
    assert "x services.static: live, and left out as init.leave_out says" in said
    assert "+ services.mail" in said
    assert "  static:" not in file.read_text()
    assert "  mail:" in file.read_text()
    file.write_text(MINE + "init: {leave_out: [service.static]}\n")
    assert run_to_code(recovery, words) == 2


def test_without_addresses_the_verb_asks_what_the_estate_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recovery.yaml").write_text(MINE.replace("10.0.0.", "127.0.0.").replace(":8008", ":1"))
    assert run_to_code(recovery, ["init", "-o", str(tmp_path), "--update", "--within", "2"]) == 3
    said = capsys.readouterr().err
    for address in ("https://127.0.0.1:1", "https://127.0.0.2:1", "/run/haproxy/edge.sock"):
        assert address in said


def test_an_estate_that_is_not_there_or_invalid_is_not_updated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_to_code(recovery, ["init", "-o", str(tmp_path), "--update"]) == 2
    (tmp_path / "recovery.yaml").write_text("estate: x\n")
    assert run_to_code(recovery, ["init", "-o", str(tmp_path), "--update"]) == 2
    assert "environment" in capsys.readouterr().err
