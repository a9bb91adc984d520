"""Names that do not exist, times for scripts, and the streams of a verb, without any process."""

from __future__ import annotations

import codecs
import io
import os
import sys

import pytest

from adapters.bond import Bond, starter_gone, starter_is_gone
from console.cli.streams import Ends, in_ascii
from state.api.views.journal import JournalRow
from state.api.wire import named, revive, with_utc
from state.config_files.suggestions import not_found
from state.errors import ExitCode
from state.units import rfc3339


def test_a_wrong_name_gets_the_nearest_one_and_what_there_is() -> None:
    error = not_found("server of edge/shop", "gren", ["blue", "green"])
    assert str(error) == "no server of edge/shop gren; did you mean green? There are blue or green"
    assert error.exit_code is ExitCode.USAGE
    assert str(not_found("run", "R-1", ["X", "Y"])) == "no run R-1; there are X or Y"
    assert str(not_found("run", "R-1", ())) == "no run R-1; there are none"


@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1795305600.25, "2026-11-22T00:00:00.250Z"),
        (1e18, None),
        (float("nan"), None),
    ],
)
def test_times_for_scripts(epoch: float, text: str | None) -> None:
    assert rfc3339(epoch) == text


def test_the_encoder_adds_times_by_the_names_of_fields() -> None:
    row = JournalRow(7, 0.5, "u1", "run.started", "R-1", "", "message", "aa")
    told = named({"entries": [row]})
    assert isinstance(told, dict)
    (entry,) = told["entries"]  # type: ignore[misc]
    assert isinstance(entry, dict)
    assert entry["at_utc"] == "1970-01-01T00:00:00.500Z"
    assert revive(JournalRow, entry) == row
    assert with_utc({"started_at": None, "since": "an age", "mono": 3.0}) == {
        "started_at": None,
        "started_at_utc": None,
        "since": "an age",
        "mono": 3.0,
    }


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r", "utf-8"])
def test_every_text_can_be_written(encoding: str) -> None:
    codecs.register_error("recovery", in_ascii)
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="recovery")
    text = "a → b … é 日 \udce9 \U0001f600 ✓"
    stream.write(text)
    stream.flush()
    shown = raw.getvalue().decode(encoding)
    assert "->" in shown or "→" in shown
    assert "\\udce9" in shown


def test_the_handler_answers_encoding_only() -> None:
    with pytest.raises(UnicodeDecodeError):
        in_ascii(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"))


def test_a_reader_that_ends_is_remembered_and_does_not_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    ends = Ends()
    gone = Gone()
    monkeypatch.setattr(sys, "stdout", gone)
    ends.write(gone, "line")
    assert ends.closed


def test_a_bond_tells_the_end_of_its_starter_from_being_let_go() -> None:
    for end, gone in ((Bond.cut, True), (Bond.let_go, False)):
        bond = Bond()
        kept = os.dup(bond.reading)
        assert not starter_is_gone(kept)
        assert bond.held
        end(bond)
        assert starter_gone(kept) is gone
        assert not bond.held
        end(bond)  # twice does nothing
        os.close(kept)
