"""Expositions read as the Prometheus client's own parsers read them: text 0.0.4 and OpenMetrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from adapters.monitors.exposition import Exposition
from adapters.monitors.figures import Naming, Tally
from adapters.monitors.sample_lines import labels_of, samples
from adapters.monitors.scrape import tally_of
from state.errors import ReadFailure
from state.world.readings import Scraping

REQUESTS, DURATIONS = "http_requests_total", "http_request_duration_seconds_bucket"
WANTED = (REQUESTS, DURATIONS)
NAMES = (
    *WANTED,
    "http_requests_created",
    "http_requests",
    "http_requests_total_more",
    "other",
    "x:http_requests_total",
)
SCRAPED = Scraping(1.0, 10.0, 10.0, 0.0)
Found = list[tuple[str, dict[str, str], str]]
Oracle = Callable[[str], Iterable[Metric]]


def ours(text: str) -> Found:
    return [(*labels_of(line.key), repr(float(line.value))) for line in samples(text.encode(), WANTED)]


def theirs(text: str, parse: Oracle = text_string_to_metric_families) -> Found:
    """Values as text, so that NaN equals NaN. Family names are not compared: of some types the parsers rename them."""
    found = [sample for family in parse(text) for sample in family.samples]
    return [(each.name, dict(each.labels), repr(float(each.value))) for each in found if each.name in WANTED]


def exposition(service: str = "a") -> Exposition:
    return Exposition(Naming(), (service,), 10.0)


HOSTILE = ["", '"', "\\", "\\n", "\n", "}", "{", '"} 5', "# ", ' # {a="b"} 7', "=", ",", "é", "\\d", "\u2028", "a\rb"]
label_values = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
label_names = st.from_regex(r"_?[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
labels = st.dictionaries(label_names, label_values, max_size=4)
values = st.one_of(
    st.floats().map(repr),
    st.integers(-5, 10**20).map(str),
    st.sampled_from(["NaN", "nan", "+Inf", "-Inf", "Inf", "1e+06", "+5", ".5", "5.", "1E3"]),
)
blanks = st.sampled_from([" ", "  ", "\t", " \t"])
maybe_blanks = st.sampled_from(["", "", " ", "\t"])
timestamps = st.sampled_from(["", "", " 1795460000000", " -5", "  0"])
exemplars = st.sampled_from(["", "", ' # {trace_id="x"} 0.5', ' # {trace_id="}\\" 9"} 0.5 1795460000.1', " # {} 3"])


def escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@st.composite
def lines(draw: st.DrawFn, more: st.SearchStrategy[str] = exemplars) -> str:
    """A sample as text 0.0.4 may have it; an exemplar is no part of it, and servers send it all the same."""
    name, pairs, gap = draw(st.sampled_from(NAMES)), draw(labels), draw(maybe_blanks)
    terms = [f'{gap}{label}{gap}={gap}"{escaped(value)}"{gap}' for label, value in pairs.items()]
    end = draw(st.sampled_from(["", ","])) if terms else ""
    braces = f"{{{','.join(terms)}{end}}}" if terms or draw(st.booleans()) else ""
    number, when = draw(values), draw(timestamps)
    return f"{draw(maybe_blanks)}{name}{braces}{draw(blanks)}{number}{when}{draw(more)}{draw(maybe_blanks)}"


comments = st.sampled_from(["", "# EOF", "# HELP http_requests_total a } b", "#", "  # a comment", "# {a} 5"])


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(lines(), comments), max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_the_same_samples_of_any_text(written: list[str], end: str, last: bool) -> None:
    text = end.join(written) + (end if last else "")
    assert ours(text) == theirs(text)


@settings(max_examples=400, deadline=None)
@given(lines(st.just("")), st.data())
def test_a_damaged_line_that_both_take_is_read_the_same(line: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(line)))
    text = line[:at] + data.draw(st.sampled_from(["", '"', "{", "}", ",", "=", "\\", " ", "_", "x"]))
    text += line[at + data.draw(st.integers(0, 2)) :]
    try:
        expected = theirs(text)
        read = ours(text)
    except (ValueError, IndexError):  # the second is the oracle's own, for a label without a value
        return
    assert read == expected


def registry_of(draws: list[tuple[dict[str, str], float, bool]]) -> CollectorRegistry:
    registry = CollectorRegistry()
    counter = Counter("http_requests", "All.", ["service", "release", "code"], registry=registry)
    histogram = Histogram("http_request_duration_seconds", "How long.", ["service", "release"], registry=registry)
    Counter("http_requests_total_more", "Another.", registry=registry)
    for pairs, value, exemplar in draws:
        trace = {"trace_id": "x} 9", "span": '"é'} if exemplar else None
        counter.labels(**pairs).inc(value, exemplar=trace)
        histogram.labels(pairs["service"], pairs["release"]).observe(value / 1e300, exemplar=trace)
    return registry


written = st.lists(
    st.tuples(
        st.fixed_dictionaries({name: label_values for name in ("service", "release", "code")}),
        st.floats(0, 1e300),
        st.booleans(),
    ),
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(written)
def test_the_same_samples_of_what_the_client_writes(draws: list[tuple[dict[str, str], float, bool]]) -> None:
    registry = registry_of(draws)
    text = generate_latest(registry).decode()
    assert ours(text) == theirs(text)
    text = openmetrics_exposition.generate_latest(registry).decode()
    assert text.endswith("# EOF\n")
    assert ours(text) == theirs(text, openmetrics_parser.text_string_to_metric_families)


def test_an_exemplar_does_not_change_the_figures() -> None:
    line = 'http_requests_total{{service="checkout",release="v1",code="200"}} {}{}\n'
    answers = exposition("checkout")
    for turn, exemplar in enumerate(["", ' # {trace_id="x",a="}"} 0.5', ' # {trace_id="x"} 7.0 1795460000.2']):
        answers.take((line.format(10 * turn, exemplar) + "# EOF\n").encode(), float(turn))
    checkout = tally_of(answers).traffic({"checkout": SCRAPED}, Naming())["checkout"]
    assert (checkout.rate, [each.release for each in checkout.releases]) == (10.0, ["v1"])


@pytest.mark.parametrize(
    "line",
    [
        'http_requests_total{service="a",service="b"} 1',
        'http_requests_total{service="a" release="b"} 1',
        'http_requests_total{service="a"}} 1',
        'http_requests_total{service="a} 1',
        'http_requests_total{service="a"} 1_000',
        'http_requests_total{service="a"} 1 2 3',
        'http_requests_total{service="a"} 1 soon',
        'http_requests_total{service="a"} # {} 1',
        'http_requests_total{} # {service="a"} 1',
        '{"http_requests_total" service="a"} 1',
        '{"http_requests_total",service="a" 1',
        '{service="a","http_requests_total"} 1',
        '{"up", "http.route"=/pay} 1',
        'http_request_duration_seconds_bucket{service="a"} 1',
        'http_request_duration_seconds_bucket{le="fast"} 1',
    ],
)
def test_a_line_that_is_not_a_sample_is_no_reading(line: str) -> None:
    with pytest.raises(ReadFailure):
        exposition().take(f"{line} \n".encode(), 0.0)


@pytest.mark.parametrize(
    "page",
    [
        'http_requests_total{service="a",code="200"} 10',
        'http_requests_total{service="a",code="200"} 1000\ngo_gc_duration_sec',
        'http_requests_total{service="a",code="200"} 1000\n# TYPE http_request',
        "",
    ],
)
def test_a_page_cut_short_in_a_line_is_no_reading(page: str) -> None:
    answers = exposition()
    with pytest.raises(ReadFailure, match="in the middle of a line"):
        answers.take(page.encode(), 0.0)
    assert answers.newest("a") is None


def test_a_page_of_open_metrics_may_end_without_a_line_feed() -> None:
    answers = exposition()
    for at in range(2):
        answers.take(f'http_requests_total{{service="a"}} {at}\n# EOF'.encode(), float(at))
    assert list(answers.rates()[0].values()) == [1.0]


def test_a_page_of_braces_is_refused_quickly() -> None:
    for text in ("http_requests_total{" + 'a="' * 50_000, "http_requests_total{" + "a" * 200_000 + "#"):
        with pytest.raises(ReadFailure):
            exposition().take(f"{text} 1\n".encode(), 0.0)
    assert math.isnan(float(ours("http_requests_total NaN")[0][2]))


@pytest.mark.parametrize(
    "failing",
    [
        '{{"http_requests_total",service="a",code="500","http.route"="/pay"}} {}',
        '{{ "http_requests_total" , service="a",code="500",}} {} # {{trace="}}"}} 1',
        '  {{"http_requests_total","service"="a","code"="500"}} {}',
        'http_requests_total{{service="a",code="500","http.route"="/a}}, b"}} {}',
    ],
)
def test_a_name_in_quotes_inside_the_braces_does_not_hide_the_failures(failing: str) -> None:
    answers = exposition()
    for turn in range(3):
        well = f'http_requests_total{{service="a",code="200"}} {8 * turn}'
        other = '{"other.metric",service="a"} 1'
        answers.take(f"{well}\n{other}\n{failing.format(2 * turn)}\n".encode(), float(turn))
    seen = tally_of(answers).traffic({"a": SCRAPED}, Naming())["a"]
    assert (seen.rate, seen.error_ratio) == (10.0, 0.2)


def test_late_samples_that_grow_are_as_old_as_their_timestamps() -> None:
    answers = Exposition(Naming(), ("late", "prompt", "mixed"), 10.0)
    for turn in range(4):
        now = 1_795_460_000.0 + turn
        rows = [("late", now - 600), ("prompt", now), ("mixed", now - 600)]
        page = [f'http_requests_total{{service="{name}"}} {50 * turn} {at * 1000:.0f}' for name, at in rows]
        page.append(f'http_requests_total{{service="mixed",code="500"}} {turn}')
        answers.take(("\n".join(page) + "\n").encode(), 100.0 + turn, now)
    assert [answers.newest(name) for name in ("late", "prompt", "mixed")] == [-497.0, 103.0, 103.0]
    young = Tally()
    young.add(tally_of(answers), {"prompt", "mixed"})
    assert {pair[0] for pair in young.rates} == {"prompt", "mixed"}


def test_the_last_samples_are_kept_to_tell_their_age() -> None:
    answers = exposition()
    for turn in range(3):
        at = 1_795_460_000 - 600 + turn
        answers.take(f'http_requests_total{{service="a"}} {turn} {at}000\n'.encode(), 1000.0 + turn, at + 600.0)
        answers.forget(1000.0 + turn)
    assert (answers.newest("a"), answers.services(), answers.rates()[0]) == (402.0, {"a"}, {})
