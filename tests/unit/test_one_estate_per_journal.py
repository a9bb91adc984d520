"""A journal is of one estate file: another file with the same name does not continue its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.engine.host import OWNER, claim_state
from console.places import EnginePlace
from state.errors import Refused


def place(tmp_path: Path, folder: str, name: str = "shop") -> EnginePlace:
    file = tmp_path / folder / "recovery.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"estate: {name}\n")
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    return EnginePlace(name, file, tmp_path / "run", state, "here")


def test_the_same_file_has_it_again(tmp_path: Path) -> None:
    claim_state(place(tmp_path, "a"))
    claim_state(place(tmp_path, "a"))
    (tmp_path / "current").symlink_to(tmp_path / "a")
    claim_state(place(tmp_path, "current"))


def test_another_file_of_the_same_name_is_refused_with_the_way_out(tmp_path: Path) -> None:
    claim_state(place(tmp_path, "a"))
    with pytest.raises(Refused, match="one estate per journal") as refused:
        claim_state(other := place(tmp_path, "b"))
    said = str(refused.value)
    assert str(tmp_path / "a" / "recovery.yaml") in said
    assert f"another name in {other.file}" in said
    claim_state(place(tmp_path, "a"))


def test_a_file_that_moved_keeps_its_journal(tmp_path: Path) -> None:
    first = place(tmp_path, "a")
    claim_state(first)
    assert first.file is not None
    first.file.unlink()
    claim_state(place(tmp_path, "b"))
    first.file.write_text("estate: shop\n")
    with pytest.raises(Refused):
        claim_state(first)


def test_a_file_that_has_another_name_now_has_given_it_up(tmp_path: Path) -> None:
    claim_state(place(tmp_path, "a"))
    (tmp_path / "a" / "recovery.yaml").write_text("estate: shop-old\n")
    claim_state(place(tmp_path, "b"))


@pytest.mark.parametrize("told", ["", "no json", "[]", "1"])
def test_a_broken_note_is_written_anew(tmp_path: Path, told: str) -> None:
    here = place(tmp_path, "a")
    (here.state / OWNER).write_text(told)
    claim_state(here)
    with pytest.raises(Refused):
        claim_state(place(tmp_path, "b"))
