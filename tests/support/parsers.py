"""Every parser of bytes from outside in one table: what calls it, what it may raise, and where its inputs begin."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import dns.exception
import dns.message

from adapters.api_server.answers import BadRequest
from adapters.api_server.routes import _body
from adapters.balancers import haproxy_maps, haproxy_tables
from adapters.balancers.haproxy_socket import _message
from adapters.balancers.haproxy_state import present_in, rows_in, written
from adapters.calendars.scan import UnfitCalendar
from adapters.commands.output import KeptOutput
from adapters.concealed import Concealed
from adapters.databases.conninfo import of_conninfo, with_place
from adapters.databases.patroni import PatroniNode
from adapters.databases.patroni_history import history_of
from adapters.databases.patroni_judge import judge, judge_config, judge_reinitialize, judge_restart, judge_unschedule
from adapters.databases.postgres_descent import parse_history, parse_lsn
from adapters.discovery import alertmanager as found_alerting
from adapters.discovery.patroni import _members, is_patroni
from adapters.discovery.plain_address import has_a_credential, without_credential
from adapters.dns.asking_servers import understood_answer
from adapters.files.located_yaml import parse_yaml
from adapters.journals.head_file import LINE
from adapters.monitors.alertmanager import Alertmanager, AlertmanagerOptions
from adapters.monitors.exposition import Exposition
from adapters.monitors.promql import PromApi
from adapters.monitors.scrape import ScrapeOptions
from adapters.net.answers_read import MALFORMED, read_json
from adapters.net.certificates import not_after
from adapters.net.http_act import HttpActor
from adapters.net.http_client import Reply, UnusableAnswer, _decoded
from adapters.net.origin import Origin, locate
from adapters.net.ssh import _no_connection
from adapters.secrets import Secret
from console.client.engine_client import _parse, _revive
from console.client.engine_errors import told_error
from console.places import _read as read_index_file
from console.tui.store import Store
from console.tui.terminal.replies import Replies
from state.api.requests import read_control, read_plan, read_submission
from state.api.wire import UNREADABLE
from state.capabilities import load_events, topics
from state.changes.registry import change_kinds
from state.discovery.haproxy_cfg import parse_haproxy_cfg
from state.discovery.haproxy_state_cfg import state_loading
from state.errors import EffectRefused, EffectUnknown, ReadFailure, RecoveryError
from state.estate.conditions import ValueCondition, found, kind_of, shown
from state.estate.parse import parse_estate
from state.granting.certificates import NoKey
from state.hiding import without_secrets
from state.journal.checkpoint import read_checkpoint
from state.journal.format import Sealed, known_head, unseal, unseal_any
from state.policy.sshsig import NoSignature
from state.proof.lines import _entry, verify_export
from state.runbooks.params import ParamSpec, convert, placeholders_in, substitute
from state.runbooks.parse import lint_runbook, structure_of
from state.text import clean, decode, is_clean
from state.units import parse_duration, parse_ratio, parse_size
from tests.support import certificate_parsers as c
from tests.support import parser_seeds as s
from tests.support.backup_parsers import pgbackrest_info, wal_archive, wal_dump
from tests.support.calendar_parser import CALENDAR, calendar
from tests.support.database_parsers import (
    etcd_keys,
    pg_auto_failover,
    postgres_row,
    postgres_slow_row,
    repmgr_check,
    repmgr_show,
    wal_page,
)
from tests.support.dns_parsers import dns_refusal, powerdns_zone
from tests.support.estate_samples import CHECKS, FIXTURES, KINDS, small, small_estate
from tests.support.parsing import fits
from tests.support.pooler_parser import POOLER_RAISES, POOLER_SEEDS, pooler_console
from tests.support.proof_parsers import BUNDLE, bundles, proofs
from tests.support.proof_parsers import SEEDS as PROOF_SEEDS
from tests.support.release_parsers import version_page
from tests.support.signature_parser import SIGNATURE, ssh_signature
from tests.support.told import ToldBalancer, ToldReader, ToldRequest, ToldServer

T = TypeVar("T")
LOOP = asyncio.new_event_loop()
CORPUS = Path(__file__).parents[1] / "attack" / "corpus"


@dataclass(frozen=True)
class Parser:
    """`call` takes an input and may raise only what is `declared`; `seeds` are inputs as they should be. `on_loop`: the
    engine calls it on its event loop for inputs of this size."""

    name: str
    call: Callable[[bytes], object]
    declared: tuple[type[BaseException], ...]
    seeds: tuple[bytes, ...]
    on_loop: bool = True


def done(work: Coroutine[Any, Any, T]) -> T:
    return LOOP.run_until_complete(work)


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape" if len(data) % 2 else "replace")


def haproxy(data: bytes) -> None:
    balancer = ToldBalancer(data)
    _message(data)
    with suppress(ReadFailure):
        fits(done(balancer.identify(deadline=1)))
    with suppress(ReadFailure):
        done(balancer.read_backend("shop", deadline=1))
    fits(done(balancer.read(deadline=1)))


def patroni(data: bytes) -> None:
    reader = ToldReader(data)
    actor = HttpActor(Origin.of("http://127.0.0.1:1"))
    node = PatroniNode("n1", "shop", "http://127.0.0.1:1", reader, actor)
    for reply in (Reply(status, data, "") for status in (200, 202, 400, 401, 412, 503, 500)):
        for judged in (lambda r: judge(r, "n1"), judge_restart, judge_config, judge_reinitialize, judge_unschedule):
            try:
                judged(reply)
            except (EffectRefused, EffectUnknown):
                continue
    fits(done(node.read(deadline=1)))


def patroni_history(data: bytes) -> None:
    reader = ToldReader(data)
    node = PatroniNode("n1", "shop", "http://127.0.0.1:1", reader, HttpActor(Origin.of("http://127.0.0.1:1")))
    history_of(done(node.history(1)), 2)


def promql(data: bytes) -> None:
    api = PromApi("prom", ToldReader(data))
    with suppress(ReadFailure):
        done(api.kinds("up", deadline=1))
    done(api.query("up", deadline=1, look_back=60.0))


def alertmanager(data: bytes) -> None:
    server = Alertmanager("am", ToldReader(data), AlertmanagerOptions(kind="alertmanager", url="http://127.0.0.1:1"))
    fits(done(server.read(deadline=1)))


def exposition(data: bytes) -> None:
    answers = Exposition(ScrapeOptions(kind="scrape", targets={}), ["shop"], 30.0)
    for at, body in enumerate((data, data.replace(b"1", b"2"))):
        answers.take(body, float(at), 1_700_000_000.0 + at)
    answers.rates()
    answers.forget(100.0)


def dns_answer(data: bytes) -> None:
    dns_refusal(data)
    fits(done(ToldServer(understood_answer(data, s.QUERY)).read(deadline=1)))


def estate(data: bytes) -> None:
    parse_estate(parse_yaml(text(data), "f"), KINDS)


def runbook(data: bytes) -> None:
    located = parse_yaml(text(data), "f")
    structure_of(located)
    lint_runbook(located, ESTATE, change_kinds(), CHECKS)


def expressions(data: bytes) -> None:
    said = text(data)
    placeholders_in({"a": [said]}, ())
    with suppress(KeyError):  # a name without a value: the linter has found it
        substitute({"a": [said, {"b": said}]}, {"x": "y", "n": 1})
    for spec in SPECS:
        try:
            convert(spec, said)
        except ValueError:
            continue
    for parse in (parse_duration, parse_size, parse_ratio, known_head, parse_lsn, parse_history, Origin.of, locate):
        try:
            parse(said)
        except (ValueError, RecoveryError):
            continue
    of_conninfo(said)
    with suppress(ValueError):
        assert of_conninfo(with_place(said, "10.0.0.1", "5433")) == ("10.0.0.1", "5433")
    has_a_credential(said)
    without_credential(said)


def conditions(data: bytes) -> None:
    value = read_json(data)
    for condition in CONDITIONS:
        condition.told(value)
        condition.fits(value)
        condition.unlike(value)
    found(value, "a.b.0.c")
    kind_of(value)
    shown(value)


def journal_line(data: bytes) -> None:
    verify_export(data.splitlines(keepends=True))
    entry = _entry(data)
    if entry is not None:
        unseal_any(entry)


def journal_entry(data: bytes) -> None:
    header, _, payload = data.partition(b"\n")
    sealed = Sealed(1, header, b"h" * 32, b"s" * 16, payload)
    unseal_any(sealed)
    unseal(sealed)


def small_files(data: bytes) -> None:
    read_checkpoint(text(data))
    LINE.fullmatch(text(data))
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        read_index_file(Path(file.name))


def api_request(data: bytes) -> None:
    body = done(_body(ToldRequest(data)))  # type: ignore[arg-type]
    for read in (read_plan, read_control, read_submission):
        try:
            read(body)
        except RecoveryError:
            continue


def stream_frame(data: bytes) -> None:
    store = Store()
    content = _parse(data)
    try:
        store.apply(content)
    except UNREADABLE:
        return
    for name in topics():
        store.view(name)
        store.failure(name)
    _ = store.sources, store.mono, store.wall


def engine_answer(data: bytes) -> None:
    str(told_error(500, data))
    content = _parse(data)
    for topic in topics().values():
        try:
            _revive(topic.view_type, content)
        except RecoveryError:
            continue


def command_output(data: bytes) -> None:
    kept = KeptOutput(CONCEALED)
    for start in range(0, len(data), 7):
        kept.add(data[start : start + 7])
    for line in kept.lines():
        assert is_clean(line)
    kept.line()
    _no_connection("edge1", data)


def cleaning(data: bytes) -> None:
    said = text(data)
    safe = clean(said)
    assert is_clean(safe)
    if len(safe) < 4000:
        assert decode(safe) == said
    without_secrets(said)
    CONCEALED.hide(said)


def terminal(data: bytes) -> None:
    replies, said = Replies(), text(data)
    replies.typed(said[: len(said) // 2])
    replies.typed(said[len(said) // 2 :])
    replies.escaped()
    replies.typed(said)
    replies.tick()


def discovered(data: bytes) -> None:
    value = read_json(data)
    is_patroni(value)
    found_alerting.is_alertmanager(value)
    if isinstance(value, dict):
        _members(value)
        found_alerting._peers(value)
        found_alerting._others("http://a:9093", value)


def haproxy_cfg(data: bytes) -> None:
    parse_haproxy_cfg(text(data), "haproxy.cfg")


def haproxy_state_file(data: bytes) -> None:
    for read in (rows_in, written, present_in):
        with suppress(ReadFailure):
            read(data)
    state_loading(text(data))


def gzip_body(data: bytes) -> None:
    done(_decoded(data, "gzip", 1 << 20))


load_events()
ESTATE = small_estate()
CONCEALED = Concealed([Secret("correct-horse-battery"), Secret("abc")])
SPECS = [ParamSpec.model_validate(each) for each in (
    {"kind": "text"}, {"kind": "size"}, {"kind": "duration"}, {"kind": "number"}, {"kind": "service"},
)]  # fmt: skip
CONDITIONS = [ValueCondition.model_validate(each) for each in (
    {"equals": "a"}, {"equals": 1}, {"at_least": 1.5}, {"at_most": 10**20},
)]  # fmt: skip

PARSERS: tuple[Parser, ...] = (
    Parser("haproxy", haproxy, (ReadFailure,), (s.haproxy_seed(), b"1\n" + s.SERVER, b"[3]: Permission denied\n")),
    Parser("patroni", patroni, (ReadFailure,), (s.as_json(s.PATRONI), s.as_json({"members": [s.MEMBER]}))),
    Parser("repmgr-show", repmgr_show, (ReadFailure,), (b"1,0,0\n2,0,1\n3,-1,-1\n",)),
    Parser("repmgr-check", repmgr_check, (ReadFailure,), (s.NODE_CHECK,)),
    Parser("pg-auto-failover", pg_auto_failover, (ReadFailure,), (s.as_json([s.MONITOR_ROW]), s.as_json(s.LOCAL_ROW))),
    Parser("patroni-history", patroni_history, (RecoveryError, ValueError), (s.HISTORY,)),
    Parser("prometheus", promql, (ReadFailure,), (s.as_json(s.PROM), b'{"status":"error","error":"x"}')),
    Parser("alertmanager", alertmanager, (ReadFailure,), (s.as_json([s.ALERT]), s.as_json([s.ALERT, s.ALERT]))),
    Parser("exposition", exposition, (ReadFailure,), (s.PAGE,)),
    Parser("version", version_page, (ReadFailure,), (s.VERSION, s.VERSION_METRICS)),
    Parser("dns", dns_answer, (ReadFailure, dns.exception.DNSException), (s.DNS_SEED.to_wire(),)),
    Parser("powerdns", powerdns_zone, MALFORMED, (s.as_json(s.PDNS_ZONE),)),
    Parser("estate", estate, (RecoveryError,), (small().encode(),), on_loop=False),
    Parser("runbook", runbook, (RecoveryError,), ((FIXTURES / "runbook.yaml").read_bytes(),), on_loop=False),
    Parser("expressions", expressions, (), (b"${a.b} ${x}", b"1h30m", b"64kB", b"16/B374D848", b"1%", b"a,b")),
    Parser("conditions", conditions, (ValueError,), (b'{"a": {"b": [{"c": 1.5}]}}', b"12", b'"a"')),
    Parser("journal-line", journal_line, (ValueError,), (s.LINE_SEED,)),
    Parser("journal-entry", journal_entry, (ValueError,), (s.ENTRY,)),
    Parser("pooler-console", pooler_console, (ReadFailure, *POOLER_RAISES), POOLER_SEEDS),
    Parser("proofs", proofs, (), PROOF_SEEDS),
    Parser("bundles", bundles, (), (BUNDLE,), on_loop=False),
    Parser("small-files", small_files, (), (s.CHECKPOINT, b'{"pid": 1}', b"1 " + b"0" * 64 + b"\n")),
    Parser("api-request", api_request, (BadRequest,), (s.as_json(s.PLAN), b'{"action":"stop"}')),
    Parser("stream-frame", stream_frame, (RecoveryError,), s.frames()),
    Parser("engine-answer", engine_answer, (RecoveryError,), (s.PROBLEMS,)),
    Parser("command-output", command_output, (), (b"line\n\x1b[31mred\x07 correct-horse-battery\r\n",)),
    Parser("cleaning", cleaning, (), ("a\\b\u202e\x1b]0;x\x07é\u0301 password=x".encode(),)),
    Parser("terminal", terminal, (), (b"\x1b[<0;1;1M\x1b[200~paste\x1b[201~\x1bP1$r0m\x1b\\a",)),
    Parser("discovery", discovered, MALFORMED, (s.as_json(s.CLUSTER),)),
    Parser("haproxy-map", partial(haproxy_maps.entries, "a.map"), (ReadFailure,), (s.MAP,)),
    Parser("haproxy-table", partial(haproxy_tables.entries, "web"), (ReadFailure,), (s.TABLE,)),
    Parser("haproxy-tables", haproxy_tables.used, (), (s.TABLE,)),
    Parser("haproxy-map-found", haproxy_maps.found, (), (s.FOUND,)),
    Parser("haproxy-cfg", haproxy_cfg, (RecoveryError,), (s.CFG,)),
    Parser("haproxy-state", haproxy_state_file, (), (s.STATE, s.CFG)),
    Parser("ssh-signature", ssh_signature, (NoSignature,), (SIGNATURE,)),
    Parser("ssh-certificate", c.certificate, (NoKey,), (c.CERTIFICATE,)),
    Parser("ssh-public-key", c.key, (NoKey,), (c.KEY,)),
    Parser("host-grants", c.host_grants, (ReadFailure,), (c.SEEN, c.LEFT)),
    Parser("ssh-client-log", c.knock, (), (c.KNOCK,)),
    Parser("gzip", gzip_body, (UnusableAnswer,), (s.GZIP,)),
    Parser("certificate", not_after, (ValueError, IndexError), ((CORPUS / "certificate" / "whole.der").read_bytes(),)),
    Parser("etcd-keys", etcd_keys, (ReadFailure,), (s.as_json(s.ETCD),)),
    Parser("postgres-slow-row", postgres_slow_row, MALFORMED, (s.as_json(dict(s.SLOW_ROW)),)),
    Parser("pgbackrest-info", pgbackrest_info, (*MALFORMED, ReadFailure), (s.as_json(s.BACKUPS),)),
    Parser("wal-archive", wal_archive, MALFORMED, (s.ARCHIVE,)),
    Parser("wal-dump", wal_dump, MALFORMED, (s.DUMPED,)),
    Parser("wal-page", wal_page, (), (b"\x10\xd1\x07\x00" + b"\x01\x00\x00\x00" + bytes(20) + b"\x40" + bytes(40),)),
    Parser("calendar", calendar, (UnfitCalendar,), (CALENDAR,), on_loop=False),
    Parser("postgres-row", postgres_row, MALFORMED, (s.as_json(dict(s.ROW)), s.SENDERS)),
)
BY_NAME = {each.name: each for each in PARSERS}
