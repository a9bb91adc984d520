"""Made-up views and cards: an incident, a calm day, an empty engine, a hostile world."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from state.api.run_states import RunState, StepState, UndoState
from state.api.views.causes import Cause, Forecast, ForecastKind, NextKind, NextStep, SubjectKind, Victim
from state.api.views.header import DataRisk, HeaderView, RtoClock, SourceRow
from state.api.views.journal import JournalRow, JournalView
from state.api.views.overview import AlertRow, OpenRunRow, OverviewView, ProbeRow, RecoverRow, ServiceRow
from state.api.views.replication import CandidateRow, ClusterRow, NodeRow, ReplicationView, SlotRow
from state.api.views.runbooks import Param, RunbookRow, RunbooksView, RunRow, StepRow
from state.api.views.traffic import BackendRow, DnsRow, ServerRow, TrafficView
from state.health import Health
from tests.screens.fake_access import access
from tests.screens.fake_releases import releases

HOSTILE = "x [/foo] [b]y[/b] \x1b[31mred\x1b[0m \u202etxt.exe \x9b2J\r\nnext [@click=app.quit]z[/]"
SOURCES = (
    "prometheus", "alertmanager", "apps", "probes", "n1/api", "n2/api", "n3/api", "edge-east", "edge-west", "dns",
)  # fmt: skip
LATE = "n3/api"


def source_rows(mono: float, late: float = 34.0) -> dict[str, SourceRow]:
    """All fresh but one."""
    rows = {key: SourceRow(key, mono, 60.0, "", "") for key in SOURCES}
    rows[LATE] = SourceRow(LATE, mono - late, 3.0, "timeout", "no answer within 900 ms")
    return rows


def header(mono: float, wall: float, environment: str = "lab") -> HeaderView:
    risk = DataRisk("orders", 13_247_296, 1_000_000, Health.FAIL, "n2 is 13.2 MB behind n1", ("n1/api", "n2/api"))
    return HeaderView(
        estate="eu-shop",
        environment=environment,
        rto=RtoClock("checkout", mono - 198, 900, None),
        risk=risk,
        running=("r-41",),
        effects="",
        journal_seq=1287,
        journal_head="9f2c41d8aa01bb",
        journal_verified="chain verified to entry 1287",
        alarms=("SPLIT BRAIN orders: n1 and n3 both accept writes",),
        causes=causes(mono),
        sources=source_rows(mono),
    )


def causes(mono: float) -> tuple[Cause, ...]:
    """Two writers with those who wait for them, and a source that is silent."""
    fence = NextStep(NextKind.HAND, "", {}, "f", "fence n3 by hand", "Stop Patroni and PostgreSQL on n3.")
    return (
        Cause(
            "database/orders/split-brain", SubjectKind.DATABASE, "orders", Health.FAIL, mono - 200,
            "SPLIT BRAIN, n1 and n3 both accept writes", "SPLIT BRAIN orders: n1 and n3 both accept writes",
            (Victim(SubjectKind.SERVICE, "checkout", "waits for orders"),), None, fence, ("n1/api",), True,
        ),
        Cause(
            "source/n3/api", SubjectKind.SOURCE, "n3/api", Health.UNKNOWN, mono - 34,
            "its figures are unknown, it does not answer", "n3/api: no data", (),
            Forecast(ForecastKind.RETRY, "The engine asks again by itself", None), None, (LATE,), False,
        ),
    )  # fmt: skip


def recover(mono: float) -> dict[str, RecoverRow]:
    """The database first, checkout and catalog below it."""
    clock = RtoClock("checkout", mono - 198, 900, None)

    def row(
        kind: SubjectKind, name: str, order: int, depth: int, waits: str, health: Health, message: str, **other: Any
    ) -> RecoverRow:
        failing = health is Health.FAIL
        made = RecoverRow(
            kind, name, order, depth, waits, health, None if health is Health.PASS else mono - 198,
            clock if failing else None, message, None, ("prometheus",), ("r-41",) if name == "checkout" else (),
        )  # fmt: skip
        return replace(made, **other)

    fence = causes(mono)[0].next
    return {
        "database/orders": row(
            SubjectKind.DATABASE, "orders", 1, 0, "", Health.FAIL, "SPLIT BRAIN, n1 and n3 both accept writes",
            next=fence, sources=("n1/api",),
        ),
        "service/checkout": row(
            SubjectKind.SERVICE, "checkout", 2, 1, "orders", Health.FAIL, "waits for orders; 5xx 18.2% > 1%"
        ),
        "service/catalog": row(
            SubjectKind.SERVICE, "catalog", 3, 2, "checkout", Health.WARN, "needs checkout, which fails"
        ),
        "service/search": row(
            SubjectKind.SERVICE, "search", 4, 0, "", Health.UNKNOWN, "no samples for 34 s", sources=(LATE,)
        ),
        "service/mail": row(
            SubjectKind.SERVICE, "mail", 5, 0, "", Health.PASS, "within its objectives", sources=("apps",)
        ),
    }  # fmt: skip


def service(name: str, order: int, health: Health, message: str, **other: Any) -> ServiceRow:
    row = ServiceRow(
        name=name, order=order, tier=min(3, order), health=health, message=message, rate=212.4, error_ratio=0.002,
        error_limit=0.01, p99=0.118, p99_limit=0.3, releases="blue v41 100%", depends_on=("orders",), unblocks=0,
        owners="Ada Moreno", rto=None, rto_target=900, rpo_target=1_000_000, source="prometheus", fallback=False,
        trend=(0.002,) * 40, p99_beyond=False,
    )  # fmt: skip
    return replace(row, **other)


def overview(mono: float, wall: float) -> OverviewView:
    climb = tuple(0.001 + max(0, n - 18) ** 2 * 0.0004 for n in range(40))
    return OverviewView(
        health=Health.FAIL,
        summary="2 failing, 1 unknown, 1 impaired of 5",
        recover=recover(mono),
        runs={"r-41": OpenRunRow("r-41", "rollback-release", RunState.WAITING, "Did the error ratio fall?")},
        advice="Recover first: checkout (tier 1, 11 min left, unblocks 2).",
        alerts_health=Health.PASS,
        alerts_message="the watchdog alert is seen, 2 alerts firing",
        alerts_firing=2,
        alerts_suppressed=0,
        services={
            "checkout": service(
                "checkout", 1, Health.FAIL, "5xx 18.2% > 1%: release v42 answers 500", error_ratio=0.182, p99=0.48,
                releases="green v42 100%", unblocks=2, rto=RtoClock("checkout", mono - 198, 900, None), trend=climb,
            ),
            "catalog": service("catalog", 2, Health.WARN, "depends on checkout, which fails", rto_target=2700,
                               depends_on=("checkout",)),
            "search": service(
                "search", 3, Health.UNKNOWN, "no samples for 34 s", rate=None, error_ratio=None, p99=None,
                source=LATE, trend=(), releases="",
            ),
            "mail": service("mail", 4, Health.PASS, "within its objectives", fallback=True, source="apps"),
        },
        alerts={
            "a1": AlertRow(
                "CheckoutErrors", "critical", "firing", wall - 190, "5xx above 1% for 1m", "alertmanager",
                Health.FAIL, None, ("alertmanager",), "checkout",
            ),
            "a2": AlertRow("ReplicationLag", "warning", "firing", wall - 65, "n2 behind", "alertmanager",
                           Health.WARN, None, ("alertmanager",)),
        },
        probes={
            "checkout-east": ProbeRow("checkout-east", "checkout", "east", Health.FAIL, "500 in 12 ms", "probes"),
            "checkout-west": ProbeRow("checkout-west", "checkout", "west", Health.PASS, "200 in 9 ms", "probes"),
            "search-east": ProbeRow(
                "search-east", "search", "east", Health.UNKNOWN, "no answer within 900 ms", "probes"
            ),
        },
    )  # fmt: skip


def node(name: str, role: str, health: Health, message: str, **other: Any) -> NodeRow:
    row = NodeRow(
        cluster="orders", node=name, site="east", role=role, health=health, message=message, votes="2 of 2 witnesses",
        timeline=7, lsn="0/5A1C2F8", lag_bytes=0, unapplied_bytes=0, lag_seconds=0.0, sync="async",
        state="running", sources=(f"{name}/api",), trend=(0.0,) * 30,
    )  # fmt: skip
    return replace(row, **other)


def replication(mono: float, wall: float) -> ReplicationView:
    risk = DataRisk("orders", 13_247_296, 1_000_000, Health.FAIL, "n2 is 13.2 MB behind n1", ("n1/api", "n2/api"))
    return ReplicationView(
        clusters={
            "orders": ClusterRow(
                "orders", Health.FAIL, "two nodes accept writes", "CONFLICT n1 / n3", "n1: 2 votes, n3: 1 vote",
                "7", "async", "", "n2 (13.2 MB behind)",
                "SPLIT BRAIN orders: n1 and n3 both accept writes", False, risk, "orders.service: points to n1",
                candidates=(
                    CandidateRow("n2", True, 13_247_296, (), (), ()),
                    CandidateRow("n1", False, 0, ("not-the-leader: n1 leads already",), (), ()),
                    CandidateRow("n3", False, None, ("single-primary: n3 accepts writes",), (), ()),
                ),
                lock="n1", traffic=("n1",),
            )
        },
        nodes={
            "orders/n1": node("n1", "primary", Health.WARN, "leads by 2 of 3 votes", state="writable"),
            "orders/n2": node(
                "n2", "replica", Health.FAIL, "behind by more than the RPO", lag_bytes=13_247_296,
                unapplied_bytes=4096, lag_seconds=42.0, upstream="n1", state="streaming",
                trend=tuple(n * 400_000.0 for n in range(34)),
            ),
            "orders/n3": node(
                "n3", "CONFLICT", Health.UNKNOWN, "says primary on timeline 8; last read 34 s ago", site="west",
                lag_bytes=None, unapplied_bytes=None, lag_seconds=None, timeline=8, lsn="", sync="", trend=(),
                state="no data",
            ),
        },
        slots={
            "orders/n2": SlotRow("orders", "n2", "physical", True, 13_247_296, "", "n1/api"),
            "orders/cdc": SlotRow("orders", "cdc", "logical", False, None, "inactive: will not survive", "n1/api"),
        },
    )  # fmt: skip


def server(colour: str, balancer: str, weight: int, **other: Any) -> ServerRow:
    release = {"blue": "v41", "green": "v42"}[colour]
    row = ServerRow(
        key=f"{balancer}/checkout/{colour}", balancer=balancer, site=balancer[5:], backend="checkout", server=colour,
        colour=colour, release=release, health=Health.PASS, state="ready", weight=weight, share=weight / 100,
        sessions=weight, queued=0, rate=weight * 2.1, error_rate=0.0, check="L7OK 200 in 1 ms", source=balancer,
        trend=(1.0, 2.0, 3.0),
    )  # fmt: skip
    return replace(row, **other)


def traffic(mono: float, wall: float) -> TrafficView:
    servers = [
        server("blue", "edge-east", 0, state="drain", health=Health.WARN),
        server("green", "edge-east", 100, health=Health.FAIL, error_rate=38.2),
        server("blue", "edge-west", 100),
        server("green", "edge-west", 0, state="maint", health=Health.UNKNOWN),
    ]
    backends = [
        BackendRow(
            f"{edge}/checkout",
            edge,
            edge[5:],
            "checkout",
            "checkout",
            health,
            message,
            1,
            2,
            1,
            active,
            100,
            drift,
            edge,
        )
        for edge, health, message, active, drift in (
            (
                "edge-east",
                Health.FAIL,
                "the only serving server answers 500",
                "green v42",
                "weight of blue is 0, file says 100",
            ),
            ("edge-west", Health.PASS, "1 of 2 serve, floor 1", "blue v41", ""),
        )
    ]
    return TrafficView(
        backends={row.key: row for row in backends},
        servers={row.key: row for row in servers},
        dns={
            "checkout/east": DnsRow(
                "checkout/east", "checkout.shop.example", "10.1.0.53", "10.1.0.10 10.2.0.10", "10.1.0.10 10.2.0.10",
                Health.PASS, "as expected", 60, "dns", "shop.example", "checkout", "A",
            )
        },
    )  # fmt: skip


WHY = ("Both sites serve blue now. Only a person can tell whether that was the cause: figures lag by their window.",)
LOOK_FOR = ("checkout below 1 % on Overview for a minute.", "- no new kind of alert")
IF_IT_FAILS = ("Answer no: the traffic goes back to green. Then look at what checkout needs before anything else.",)


def runbooks(mono: float, wall: float) -> RunbooksView:
    started = wall - 75
    run = RunRow(
        "r-41", "rollback-release", "Roll back a bad release", "5c1e77aa", RunState.WAITING, "u1", "checkout",
        started, 75.0, mono - 75, 300, 2, 4, "waits for a decision", "Did the error ratio fall?", ("yes", "no"),
        ("decide", "skip", "pause", "stop"),
        {"decide": ("judge#1",), "skip": ("judge#1",), "pause": (), "stop": ()},
    )  # fmt: skip
    done = replace(
        run, id="r-40", runbook="switchover", title="Move the primary", state=RunState.FAILED, started_mono=None,
        elapsed=31.0, done=1, total=3, message="step promote: refused by the target", question="", options=(),
        next_actions=("undo",), steps_of={"undo": ()}, undo=UndoState.POSSIBLE,
    )  # fmt: skip

    def step(run_id: str, index: int, name: str, state: StepState, message: str = "", **other: Any) -> StepRow:
        row = StepRow(
            f"{run_id}/{name}#1", run_id, name, 1, index, 0, "change", name.replace("-", " "), "u1", state,
            started + index * 10, 8.0 if state is StepState.DONE else None,
            mono - 12 if state in {StepState.RUNNING, StepState.WAITING} else None, 30, message, (), "",
        )  # fmt: skip
        return replace(row, **other)

    steps = [
        step("r-41", 1, "check-blue", StepState.DONE, "blue answers 200 on both sites", kind="check",
             evidence=("edge-east blue: L7OK 200", "edge-west blue: L7OK 200")),
        step("r-41", 2, "shift-traffic", StepState.DONE, "blue 0 → 100, green 100 → 0",
             evidence=("read back 1: blue weight 100", "read back 2 after 2 s: blue weight 100")),
        step("r-41", 3, "judge", StepState.WAITING, "a person decides", kind="decision",
             question="Did the error ratio fall?", options=("yes", "no"), why=WHY, look_for=LOOK_FOR,
             if_it_fails=IF_IT_FAILS),
        step("r-41", 4, "drain-green", StepState.PENDING),
        step("r-40", 1, "check-standby", StepState.DONE, "n2 is 0 B behind", kind="check"),
        step("r-40", 2, "promote", StepState.UNKNOWN, "no answer within 10 s; reading the target"),
    ]  # fmt: skip
    return RunbooksView(
        order=("r-41", "r-40"),
        library={
            "rollback-release": RunbookRow(
                "rollback-release", "Roll back a bad release", "5c1e77aa", 4, 2,
                (Param("service", "service", "checkout", ("checkout", "catalog"), True),
                 Param("to", "colour", "", ("blue", "green"), True),
                 Param("reason", "text", "", (), False)),
                "", "r-41 today", ("check blue", "shift traffic", "judge", "drain green"),
            ),
            "broken": RunbookRow(
                "broken", "A broken one", "00", 1, 1, (), "line 4: no change kind 'fly'", "never", ()
            ),
        },
        runs={"r-41": run, "r-40": done},
        steps={row.key: row for row in steps},
    )  # fmt: skip


def journal(mono: float, wall: float) -> JournalView:
    kinds = ("step-intended", "step-applied", "step-verified", "plan-refused")
    rows = [
        JournalRow(
            seq, wall - (1288 - seq) * 3, "u1", kinds[seq % 4], "r-41", "shift-traffic",
            f"edge-east/checkout/blue weight 0 → 100 ({kinds[seq % 4]})", f"{seq * 7919:08x}{seq:08x}",
        )
        for seq in range(1248, 1288)
    ]  # fmt: skip
    return JournalView(1287, "9f2c41d8aa01bb", "", "chain verified to entry 1287", {str(r.seq): r for r in rows})


def incident() -> dict[str, Any]:
    """One bad release and a split brain, now."""
    return incident_at(time.monotonic(), time.time())


def incident_at(mono: float, wall: float) -> dict[str, Any]:
    """The same at another instant."""
    made = (header, overview, replication, runbooks, traffic, releases, access, journal)
    return {build.__name__: build(mono, wall) for build in made}


def calm() -> dict[str, Any]:
    """Nothing is wrong."""
    mono, views = time.monotonic(), incident()
    services = {name: replace(row, health=Health.PASS, message="within its objectives", error_ratio=0.001, p99=0.1,
                              rto=None, trend=(0.001,) * 40, source="prometheus")
                for name, row in views["overview"].services.items()}  # fmt: skip
    sources = {key: SourceRow(key, mono, 86_400.0, "", "") for key in SOURCES}
    safe = DataRisk("orders", 0, 1_000_000, Health.PASS, "n2 has everything n1 has", ("n1/api",))
    views["header"] = replace(views["header"], rto=None, risk=safe, running=(), alarms=(), causes=(), sources=sources)
    well = {k: replace(row, depth=0, waits_for="", health=Health.PASS, since_mono=None, rto=None, runs=(),
                       message="within its objectives") for k, row in views["overview"].recover.items()}  # fmt: skip
    views["overview"] = replace(
        views["overview"], services=services, alerts={}, alerts_firing=0, advice="", recover=well, runs={},
        health=Health.PASS, summary="all 5 within their objectives",
    )  # fmt: skip
    return views


def empty() -> dict[str, Any]:
    """An engine that has read nothing yet."""
    views = incident()
    nothing: dict[str, Any] = {"services": {}, "alerts": {}, "probes": {}, "recover": {}, "clusters": {},
               "nodes": {}, "slots": {}, "order": (),
               "library": {}, "runs": {}, "steps": {}, "backends": {}, "servers": {}, "dns": {}, "entries": {},
               "sources": {}, "grants": {}, "others": {}, "targets": {},
               "alarms": (), "causes": (), "running": (), "rto": None,
               "risk": None, "advice": "", "summary": "nothing is watched", "health": Health.UNKNOWN}  # fmt: skip
    return {
        topic: replace(view, **{k: v for k, v in nothing.items() if hasattr(view, k)}) for topic, view in views.items()
    }


def hostile() -> dict[str, Any]:
    """Every text from outside tries to act."""
    return {topic: poison(view) for topic, view in incident().items()}


def poison(value: Any, depth: int = 0) -> Any:
    """The same view with a hostile string in every text that comes from outside."""
    keep = {"name", "key", "run", "id", "source", "environment", "runbook", "cluster", "node", "backend"}
    changes: dict[str, Any] = {}
    for name in value.__dataclass_fields__:
        old = getattr(value, name)
        if isinstance(old, Mapping) and name not in {"sources", "steps_of", "follows"}:
            changes[name] = {key: poison(row) for key, row in old.items()}
        elif type(old) is str and name not in keep:
            changes[name] = old + HOSTILE
        elif isinstance(old, tuple) and old and type(old[0]) is str and name in {"alarms", "evidence", "outline"}:
            changes[name] = tuple(text + HOSTILE for text in old)
    return replace(value, **changes)


SCENES = {"incident": incident, "calm": calm, "empty": empty, "hostile": hostile}
