"""The lab's faults in one list: each has its row in the document and its entries in the palette."""

from __future__ import annotations

import re
from pathlib import Path

from adapters.lab.faults.catalogue import CATALOGUE
from console.tui.actions.faults import FAULTS

LAB = (Path(__file__).parents[2] / "docs/lab.md").read_text(encoding="utf-8")


def test_no_two_faults_have_one_name_and_each_ends_in_time() -> None:
    names = [fault.name for fault in CATALOGUE]
    assert len(set(names)) == len(names)
    assert all(fault.seconds <= fault.limit <= 600 for fault in CATALOGUE)


def test_the_palette_has_every_fault_that_lasts() -> None:
    assert {fault.name for fault in CATALOGUE if fault.limit} == set(FAULTS)


def test_the_document_has_every_fault_with_its_time_and_what_to_look_at() -> None:
    section = LAB.partition("## Faults")[2].partition("## What to try")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \|.*\| ([0-9a-z ]+) \| (?:yes|no) \|$", section[0], re.MULTILINE))
    assert rows.keys() == {fault.name for fault in CATALOGUE}
    for fault in CATALOGUE:
        assert rows[fault.name] == (f"{fault.seconds:.0f} s" if fault.limit else "at once"), fault.name
    modules = (".replication", ".histories", ".store", ".clocks")
    of_replication = {fault.name for fault in CATALOGUE if fault.__module__.endswith(modules)}
    assert all(f"`{name}`" in section[2] for name in of_replication)
